"""Do summaries of fairy tales repeat themselves, and do they stand for the whole tale?

    python benchmarks/summaries.py [--data DIR] [--sentences 5]

For every tale of two of Lang's fairy books: sentences chosen by maximal marginal relevance, the first N (lead), the N
most central, and N drawn at random. Redundancy is the mean cosine of two chosen sentences, coverage the cosine of
their mean with the mean of all.
"""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

import numpy as np

from genarium.data.sentences import sentences
from genarium.engines import registry
from genarium.engines.summarize.summary import maximal_marginal_relevance

BOOKS = ("the-crimson-fairy-book.txt", "the-violet-fairy-book.txt")


def tales(text: str) -> list[str]:
    """The tales of a book: a title on a line of its own stands between each and the one before."""
    parts = re.split(r"\n\n\n+[^\n]{3,60}\n\n", text)
    return [part for part in parts if 5_000 < len(part) < 30_000]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GENARIUM_DATA", "data")) / "books")
    parser.add_argument("--sentences", type=int, default=5)
    parser.add_argument("--tales", type=int, default=24)
    asked = parser.parse_args()
    encoder = registry.open_encoder("starter")
    figures: dict[str, list[tuple[float, float]]] = {}
    found = [tale for book in BOOKS for tale in tales((asked.data / book).read_text("utf-8"))][: asked.tales]
    for number, tale in enumerate(found):
        vectors = encoder.embed([" ".join(tale[start:end].split()) for start, end in sentences(tale)])
        centroid = vectors.mean(axis=0) / np.linalg.norm(vectors.mean(axis=0))
        n = asked.sentences
        ways = {
            f"mmr {lambda_}": maximal_marginal_relevance(vectors, centroid, n, lambda_)
            for lambda_ in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
        } | {
            "lead": list(range(n)),
            "central": list(np.argsort(-(vectors @ centroid))[:n]),
            "random": list(np.random.default_rng(number).choice(len(vectors), n, replace=False)),
        }
        for name, chosen in ways.items():
            picked = vectors[chosen]
            pairs = (picked @ picked.T)[np.triu_indices(n, 1)]
            mean = picked.mean(axis=0)
            figures.setdefault(name, []).append((float(pairs.mean()), float(mean @ centroid / np.linalg.norm(mean))))
    print(f"{len(found)} tales, {asked.sentences} sentences each\n{'':<10}redundancy  coverage")
    for name, values in sorted(figures.items()):
        redundancy, coverage = np.mean(values, axis=0)
        print(f"{name:<10}{redundancy:>10.3f}{coverage:>10.3f}")


if __name__ == "__main__":
    main()
