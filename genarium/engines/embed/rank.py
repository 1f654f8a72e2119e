"""How well passages answer a query: by their vectors, or by a network that reads query and passage together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from genarium.engines.classify.sequence_classifier import NativeHead
from genarium.engines.embed.encoder import NativeEncoder
from genarium.errors import BadCheckpoint, excerpt
from genarium.progress import note
from genarium.rows import Row


class Ranker(Protocol):
    """`way` says in a sentence how the scores are found."""

    way: str

    def scores(self, query: str, passages: Sequence[str]) -> np.ndarray:
        """(len(passages),) float64, higher is better."""


class BiEncoder:
    """The cosine of query's and passage's vectors (Reimers and Gurevych 2019, arXiv:1908.10084), or their dot product
    where the folder says that its lengths count; with the folder's prompts for either.
    """

    def __init__(self, encoder: NativeEncoder):
        self.encoder = encoder
        self.unit = encoder.sentence.similarity == "cosine"
        measure = "cosine" if self.unit else "dot product"
        self.way = f"bi-encoder: the score is the {measure} of the query's and the passage's vectors"

    def scores(self, query: str, passages: Sequence[str]) -> np.ndarray:
        vectors = self.encoder.embed_search(query, passages, unit=self.unit).astype(np.float64)
        return vectors[1:] @ vectors[0]


class CrossEncoder:
    """The one output of a head over query and passage read as a pair (Nogueira and Cho 2019, arXiv:1901.04085).

    A score is the logarithm of an odds, before any sigmoid. Raises BadCheckpoint where the head has more outputs.
    """

    def __init__(self, head: NativeHead, reference: str):
        if len(head.labels) != 1:
            raise BadCheckpoint(
                f"{reference} gives labels ({', '.join(head.labels)}), not one score; it can classify: genarium "
                "classify, and starter/encoder can rank"
            )
        self.head = head
        self.way = "cross-encoder: the score is the network's for query and passage read together"

    def scores(self, query: str, passages: Sequence[str]) -> np.ndarray:
        before = self.head.n_cut
        found = self.head.scores([(query, passage) for passage in passages])[:, 0].astype(np.float64)
        if cut := self.head.n_cut - before:
            note(f"{cut} passages do not fit into {self.head.context} tokens with the query and were read up to there")
        return found


def best(scores: np.ndarray, top_k: int) -> list[int]:
    """Places of the `top_k` highest scores, best first; equal ones in the order they came. 0 means all."""
    order = np.argsort(-scores, kind="stable").tolist()
    return order[:top_k] if top_k else order


def table(rows: Sequence[Row], width: int = 100) -> str:
    """Place, score and passage, a line each."""

    def line(row: Row) -> str:
        return f"{row['rank']:>3}  {row['score']:7.3f}  {excerpt(row['text'], width)}"

    return "\n".join(map(line, rows))
