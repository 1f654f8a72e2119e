"""Encoders beside each other at searching by vectors alone: how well on the tuning questions, and how fast.

    python benchmarks/retrieval/encoders.py starter/encoder starter/retriever
    python benchmarks/retrieval/encoders.py starter/retriever --documentation

The first takes the mixed tuning questions (`mixed/tuning.jsonl`, three languages), the second those of `tuning.jsonl`
about what packages say of themselves. No check question is looked at. A passage is right if it holds half of the quote
or more; of questions with two quotes each is one to be found. Speeds are passages and questions a second of processor
time, passages as `genarium index` makes them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from corpora import documentation

from genarium import files
from genarium.engines import registry
from genarium.retrieval import documents
from genarium.retrieval.build import about
from genarium.retrieval.passages import Passage, passages

HERE = Path(__file__).parent
Found = tuple[str, str, Passage]


def load(of_packages: bool) -> tuple[Path, list[dict[str, Any]]]:
    """The folder of documents, and the questions about them."""
    if of_packages:
        rows = [json.loads(line) for line in (HERE / "tuning.jsonl").read_text("utf-8").splitlines()]
        return documentation(files.home() / "documentation"), [row for row in rows if row["body"] == "docs"]
    lines = (HERE / "mixed" / "tuning.jsonl").read_text("utf-8").splitlines()
    return HERE / "mixed" / "documents_tuning", [json.loads(line) for line in lines]


def read(folder: Path) -> list[Found]:
    """Every passage with its file's name and text."""
    found = []
    for file in sorted(folder.iterdir()):
        document = documents.parse(file.name, file.read_bytes())
        found += [(file.name, document.text, passage) for passage in passages(document)]
    return found


def holds(one: Found, quote: str) -> bool:
    _, text, passage = one
    for match in re.finditer(r"\s+".join(map(re.escape, quote.split())), text):
        inside = min(match.end(), passage.end) - max(match.start(), passage.start)
        if 2 * inside >= match.end() - match.start():
            return True
    return False


def measure(reference: str, there: list[Found], rows: list[dict[str, Any]]) -> None:
    encoder = registry.open_encoder(reference, backend="onnx")
    texts = [f"{about(name, passage.heading)}\n{passage.searched}" for name, _, passage in there]
    encoder.embed_passages(texts[:1])
    began = time.process_time()
    vectors = encoder.embed_passages(texts, tell=False)
    print(f"{reference}: {len(texts) / (time.process_time() - began):.1f} passages of {len(texts)} a second")
    scores: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    nearest: dict[str, list[float]] = defaultdict(list)
    took = []
    for row in rows:
        began = time.process_time()
        cosines = vectors @ encoder.embed_search(row["question"])[0]
        took.append(time.process_time() - began)
        order = np.argsort(-cosines, kind="stable")
        quotes = row.get("quotes") or [quote for quote in [row.get("quote")] if quote]
        nearest["with an answer" if quotes else "without"].append(float(cosines[order[0]]))
        for quote in quotes:
            wanted = row.get("file")
            right = [there[i][0] == wanted and holds(there[i], quote) for i in order[:10]]
            place = right.index(True) if any(right) else None
            gain = 0.0 if place is None else 1 / math.log2(place + 2)
            for name in ("all", row.get("language", "en")):
                scores[name].append((gain, place is not None and place < 5))
    print(f"  a question in {1000 * float(np.median(took)):.0f} ms")
    for name, gained in scores.items():
        gain, recall = np.mean(gained, axis=0)
        print(f"  {name}: nDCG@10 {gain:.2f}, recall@5 {recall:.2f} over {len(gained)}")
    for name, cosine in nearest.items():
        low, middle, high = np.percentile(cosine, [10, 50, 90])
        print(
            f"  the nearest passage of {len(cosine)} {name}: cosine {low:.2f}, {middle:.2f}, {high:.2f} (10, 50, 90%)"
        )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("encoder", nargs="+")
    asked.add_argument("--documentation", action="store_true", help="ask what packages say of themselves")
    given = asked.parse_args()
    folder, rows = load(given.documentation)
    there = read(folder)
    for reference in given.encoder:
        measure(reference, there, rows)


if __name__ == "__main__":
    main()
