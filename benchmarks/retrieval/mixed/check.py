"""Whether the mixed set is whole: files are there, quotes stand in what Genarium reads of them, counts are as stated.

    PYTHONPATH=. python benchmarks/retrieval/mixed/check.py

Prints a line for each fault and exits with 1 if there is one.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from genarium.retrieval import documents

HERE = Path(__file__).parent
COUNTS = {
    "questions.jsonl": {"zh": 75, "de": 55, "en": 55},
    "followups.jsonl": {"zh": 8, "de": 6, "en": 6},
    "contradictions.jsonl": {"zh": 3, "de": 2, "en": 3},
    "injections.jsonl": {"zh": 10, "de": 10, "en": 10},
    "tuning.jsonl": {"zh": 36, "de": 36, "en": 36},
}
UNANSWERABLE = {"questions.jsonl": 15, "tuning.jsonl": 14}
FOLDERS = {"injections.jsonl": "injections", "tuning.jsonl": "documents_tuning"}
KINDS = {"prose", "table", "code", "number", "name", "two-part", "paraphrase", "unanswerable"}
CROSS = 8
"""At most so many questions of a language are about documents in another."""


@cache
def text(path: Path) -> str:
    """What Genarium reads of a file."""
    return documents.parse(path.name, path.read_bytes()).text


def load(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HERE / name).read_text("utf-8").splitlines()]


def faults(name: str) -> list[str]:
    """What is wrong with the questions of a file, a line each."""
    rows, folder = load(name), HERE / FOLDERS.get(name, "documents")
    found = [] if len({row["id"] for row in rows}) == len(rows) else [f"{name}: an id twice"]
    for row in rows:
        said = f"{name}: {row['id']}:"
        quotes = row.get("quotes") or ([row["quote"]] if "quote" in row else [])
        files = row.get("files") or [row.get("file") or row.get("near")] * max(1, len(quotes))
        if missing := [file for file in files if file and not (folder / file).is_file()]:
            found.append(f"{said} no file {missing[0]}")
            continue
        found += [
            f"{said} {quote!r} stands {count} times in {file}, not once"
            for file, quote in zip(files, quotes, strict=False)
            if (count := text(folder / file).count(quote)) != 1
        ]
        if bool(row["answers"]) != bool(quotes) or not all(map(str.strip, row["answers"])):
            found.append(f"{said} answers without a quote, or a quote without answers")
        if "kind" in row and row["kind"] not in KINDS:
            found.append(f"{said} no kind is called {row['kind']}")
        if len(quotes) == 2 and len(row["answers"]) != 2:
            found.append(f"{said} two quotes need an answer each")
    if (counts := Counter(row["language"] for row in rows)) != COUNTS[name]:
        found.append(f"{name}: {dict(counts)} questions, not {COUNTS[name]}")
    for language in COUNTS[name]:
        none = sum(not row["answers"] for row in rows if row["language"] == language)
        cross = sum(row.get("cross", False) for row in rows if row["language"] == language)
        if none != UNANSWERABLE.get(name, 0) or cross > CROSS:
            found.append(f"{name}: {language}: {none} unanswerable questions and {cross} across languages")
    return found


if __name__ == "__main__":
    wrong = [fault for name in COUNTS for fault in faults(name)]
    print("\n".join(wrong) or "whole")
    sys.exit(bool(wrong))
