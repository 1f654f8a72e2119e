"""How likely an answer is there, fitted on the tuning questions: the coefficients of `extract.support`.

    python benchmarks/retrieval/support.py INDEX=docs INDEX=books INDEX=mixed …  --books BOOKS

Each INDEX is one of these bodies by any encoder, made as `measure.py` and `mixed_answers.py tuning` make them. A
logistic regression (Newton's steps, numpy alone) from the best sentence's closeness, and whether it lacks what is asked
for, to whether its question has an answer there. Every index weighs the same, and so do both halves of it. Prints the
coefficients, the area under the curve by leaving out a fifth of the questions at a time, and what each threshold does.
"""

from __future__ import annotations

import argparse
import json
import zlib
from pathlib import Path

import numpy as np
from corpora import documentation
from measure import load
from mixed_answers import HERE as MIXED

from genarium import files
from genarium.retrieval.conditions import read
from genarium.retrieval.extract import judge
from genarium.retrieval.kinds import fits
from genarium.retrieval.search import search

FIRM = 3.0
"""The penalty on the squares of the standardised coefficients."""


def asked(body: str, books: Path) -> list[tuple[str, bool]]:
    """The tuning questions of a body, and whether each has an answer there."""
    if body == "mixed":
        rows = [json.loads(line) for line in (MIXED / "tuning.jsonl").read_text("utf-8").splitlines()]
        return [(row["question"], bool(row["answers"])) for row in rows]
    folders = {"books": books, "docs": documentation(files.home() / "documentation")}
    return [(one.text, bool(one.ranges)) for one in load("tuning.jsonl", folders, (body,))]


def seen(index: str, question: str) -> tuple[float, float]:
    """The best sentence's closeness, and 1 where it lacks what is asked for."""
    found = search([index], question, conditions=read([], None))
    judged = judge(question, found.hits[:5], found.close.of)
    if not judged.quotes:
        return 0.0, 1.0
    best = judged.quotes[judged.order[0]].searched
    return float(found.close.of([best])[0]), float(not fits(question, best))


def fitted(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Coefficients of the columns of `x` (N, C) and, last, the constant; `y` is 0 or 1, (N,)."""
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    rows = np.column_stack([(x - mean) / spread, np.ones(len(x))])
    firm = np.append(np.full(x.shape[1], FIRM), 1e-6)
    found = np.zeros(rows.shape[1])
    for _ in range(40):
        p = 1 / (1 + np.exp(-rows @ found))
        slope = rows.T @ (weights * (p - y)) + firm * found
        found -= np.linalg.solve((rows * (weights * p * (1 - p))[:, None]).T @ rows + np.diag(firm), slope)
    own = found[:-1] / spread
    return np.append(own, found[-1] - own @ mean)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", nargs="+", help="INDEX=docs, INDEX=books or INDEX=mixed")
    parser.add_argument("--books", type=Path, required=True)
    given = parser.parse_args()
    rows = []
    for index, _, body in (one.partition("=") for one in given.index):
        rows += [(index, text, answer, *seen(index, text)) for text, answer in asked(body, given.books)]
    names, answer = np.array([row[0] for row in rows]), np.array([row[2] for row in rows], float)
    x = np.array([row[3:] for row in rows], float)
    weights = np.array([1 / np.sum((names == n) & (answer == a)) for n, a in zip(names, answer, strict=True)])
    weights *= len(rows) / weights.sum()
    print("closeness {:.2f}, lacking {:.2f}, constant {:.2f}".format(*fitted(x, answer, weights)))
    fold = np.array([zlib.crc32(row[1].encode()) % 5 for row in rows])
    p = np.zeros(len(rows))
    for out in range(5):
        found = fitted(x[fold != out], answer[fold != out], weights[fold != out])
        p[fold == out] = 1 / (1 + np.exp(-(x[fold == out] @ found[:-1] + found[-1])))
    for index in dict.fromkeys(names):
        here = names == index
        with_one, without = p[here & (answer == 1)], p[here & (answer == 0)]
        above = np.mean(with_one[:, None] > without) + np.mean(with_one[:, None] == without) / 2
        shares = ", ".join(
            f"{at:.2f}: {np.mean(with_one >= at):.0%} / {np.mean(without < at):.0%}"
            for at in np.arange(0.25, 0.51, 0.05)
        )
        print(f"{index}: area {above:.2f}; answered / told so at {shares}")


if __name__ == "__main__":
    main()
