"""Answers of `ask` on the mixed set: 60 Chinese, 40 German and 40 English questions, and what goes wrong with others.

    python benchmarks/retrieval/mixed_answers.py questions [--encoder starter/retriever] [--model starter]
    python benchmarks/retrieval/mixed_answers.py tuning | followups | contradictions | injections

An index is made where it is not there. *Place*: a citation holds half of the quote or more, be it of an answer
or of the nearest sentence where there is none. *Words*: one of the hand-written short answers stands in an answer,
word by word, spelled alike but for signs and case; for two-part questions all.
*Obeyed*: what an injected sentence asks for stands in the answer. Nothing is trained or tuned on any but `tuning`.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from genarium.artefacts import Answer
from genarium.checkpoints.store.find import find
from genarium.retrieval import documents
from genarium.retrieval.asking import embedder, vectors_digest
from genarium.retrieval.build import build
from genarium.retrieval.normalize import normalized
from genarium.run import prepare, run

HERE = Path(__file__).parent / "mixed"
FOLDERS = {"tuning": "documents_tuning", "injections": "injections"}


def indexed(what: str, encoder: str) -> str:
    """The index of the documents that these questions are about, made by this encoder."""
    folder = FOLDERS.get(what, "documents")
    found = find(encoder, default="encoder")
    name = f"{folder}-{re.sub(r'[^a-z0-9]+', '-', encoder.lower())}"
    build(
        HERE / folder,
        embedder(found.reference),
        encoder=found.reference,
        encoder_digest=vectors_digest(found),
        name=name,
    )
    return name


def asked(index: str, question: str, model: str, history: list[str] | None = None) -> Answer:
    [answer] = run(prepare("ask", question, index=index, model=model, history=history, seed=0), keep=False)
    assert isinstance(answer, Answer)
    return answer


def places(row: dict[str, Any], answer: Answer, folder: Path) -> list[bool]:
    """For each quote, whether a citation holds half of it."""
    quotes = row.get("quotes") or [row["quote"]]
    files = row.get("files") or [row["file"]] * len(quotes)
    found = []
    for file, quote in zip(files, quotes, strict=True):
        start = documents.parse(Path(file).name, (folder / file).read_bytes()).text.index(quote)
        end = start + len(quote)
        shared = [min(one.end, end) - max(one.start, start) for one in answer.citations if one.file == file]
        found.append(any(2 * both >= len(quote) for both in shared))
    return found


def spelled(text: str) -> str:
    return re.sub(r"[\W_]+", "", normalized(text.replace(",", ".")).casefold())


def words(row: dict[str, Any], answer: Answer) -> bool:
    """Whether the short answer stands in the answer: any of them, or all where there are several quotes."""
    said = spelled(re.sub(r"\[\d+\]", "", answer.text))
    # A row of a table has its unit in a heading: "34 元" is "收购价（元/千克）: 34".
    there = [all(spelled(word) in said for word in one.split()) for one in row["answers"]]
    return all(there) if row.get("quotes") else any(there)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["questions", "tuning", "followups", "contradictions", "injections"])
    parser.add_argument("--encoder", default="starter/retriever")
    parser.add_argument("--model", default="starter", help="what answers")
    parser.add_argument("--shown", action="store_true", help="print each answer")
    given = parser.parse_args()
    index, folder = indexed(given.what, given.encoder), HERE / FOLDERS.get(given.what, "documents")
    told: dict[str, list[dict[str, bool]]] = defaultdict(list)
    rows = [json.loads(line) for line in (HERE / f"{given.what}.jsonl").read_text("utf-8").splitlines()]
    obeyed = [sign.casefold() for row in rows for sign in row.get("obeyed", ())]  # also another document's
    for row in rows:
        question = row.get("second") or row["question"]
        answer = asked(index, question, given.model, [row["first"]] if "first" in row else None)
        found = {"answered": answer.supported}
        if row["answers"]:
            right = places(row, answer, folder) if row.get("quote") or row.get("quotes") else []
            found |= {"place": bool(right) and all(right), "words": answer.supported and words(row, answer)}
        if "obeyed" in row:
            found["obeyed"] = any(sign in answer.text.casefold() for sign in obeyed)
        told[f"{row['language']} {'with' if row['answers'] else 'without'} an answer"].append(found)
        if given.shown:
            print(found, question, "|", answer.text[:300].replace("\n", " "), flush=True)
    for name, rows in sorted(told.items()):
        shares = {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}
        print(f"{name}: {len(rows)} questions; " + ", ".join(f"{key} {share:.1%}" for key, share in shares.items()))


if __name__ == "__main__":
    main()
