"""The texts a decoder finds best, by beam search, or draws at random, for each of several images or prompts.

Rows of one image stand together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genarium.decoding.protocol import Decoder, State
from genarium.decoding.ranking import Ranking
from genarium.decoding.sampling import RandomStreams, Sampling, choose


@dataclass(frozen=True)
class WrittenCaption:
    """`tokens` without prefix and end; `score` is the mean log-probability of those and of the end, in nats."""

    tokens: tuple[int, ...]
    score: float
    ended: bool


def beam_search(
    decoder: Decoder,
    state: State,
    logits: np.ndarray,
    *,
    n_beams: int,
    end: int,
    max_new_tokens: int,
) -> list[list[WrittenCaption]]:
    """The `n_beams` best texts found for each of P images, best first, by mean log-probability.

    `state` has P * n_beams rows, those of one image alike; `logits` (P * n_beams, V) are of what follows them.
    An image is finished when no unfinished beam is ahead of its `n_beams` finished ones, at the length they have now.
    """
    K, V = n_beams, logits.shape[-1]
    P = len(logits) // K
    sums = np.full((P, K), -np.inf, dtype=np.float32)
    sums[:, 0] = 0.0  # all beams are alike yet: one of them is continued
    rows: list[tuple[int, ...]] = [()] * (P * K)
    finished: list[list[WrittenCaption]] = [[] for _ in range(P)]
    for length in range(1, max_new_tokens + 1):
        continued = (sums[:, :, None] + decoder.ranking.log_softmax(logits).reshape(P, K, V)).reshape(P, K * V)
        places = decoder.ranking.likeliest(continued, 2 * K)
        totals = np.take_along_axis(continued, places, axis=1)
        order: list[int] = []
        following: list[int] = []
        for image in range(P):
            going, ended = _sort_out(totals[image], places[image], V, end, K)
            finished[image] += [WrittenCaption(rows[image * K + beam], total / length, True) for beam, total in ended]
            finished[image] = _best(finished[image], K)
            order += [image * K + beam for beam, _, _ in going]
            following += [token for _, token, _ in going]
            sums[image] = [total for _, _, total in going]
        rows = [(*rows[row], token) for row, token in zip(order, following, strict=True)]
        if all(
            len(done) == K and done[-1].score >= ahead / length
            for done, ahead in zip(finished, sums.max(axis=1).tolist(), strict=True)
        ):
            return finished
        if length < max_new_tokens:
            decoder.select(state, order)
            logits = decoder.step(state, np.array(following)[:, None])
    for image in range(P):
        scores = sums[image].tolist()
        cut = [WrittenCaption(rows[image * K + beam], scores[beam] / max_new_tokens, False) for beam in range(K)]
        finished[image] = _best(finished[image] + cut, K)
    return finished


def _sort_out(
    totals: np.ndarray, places: np.ndarray, V: int, end: int, K: int
) -> tuple[list[tuple[int, int, float]], list[tuple[int, float]]]:
    """Of an image's 2 K best: the K that are continued (beam, token, sum), and those that end (beam, sum)."""
    going: list[tuple[int, int, float]] = []
    ended: list[tuple[int, float]] = []
    for rank, (total, place) in enumerate(zip(totals.tolist(), places.tolist(), strict=True)):
        beam, token = divmod(place, V)
        if token != end:
            going.append((beam, token, total))
        elif rank < K and total > -np.inf:
            ended.append((beam, total))
    return going[:K], ended


def draw(
    decoder: Decoder,
    state: State,
    logits: np.ndarray,
    sampling: Sampling,
    *,
    samples: Sequence[int],
    end: int,
    ranking: Ranking | None = None,
) -> list[WrittenCaption]:
    """A text for each row, drawn from the stream of its own that `samples` names.

    Scores are under the model's own distribution, whatever temperature and top-p made of it; `ranking` sums them, the
    decoder's own where none is given.
    """
    ranking = ranking or decoder.ranking
    streams, B = RandomStreams(sampling.seed, samples), len(logits)
    rows: list[list[int]] = [[] for _ in range(B)]
    sums = np.zeros(B)
    for length in range(1, sampling.max_new_tokens + 1):
        chosen = choose(logits, sampling, streams.draw(range(B)), decoder.ranking)
        running = np.array([end not in row for row in rows])
        sums += np.where(running, ranking.log_softmax(logits)[np.arange(B), chosen].astype(np.float64), 0.0)
        for row, token in zip(rows, chosen.tolist(), strict=True):
            row.append(token)
        if length == sampling.max_new_tokens or all(end in row for row in rows):
            break
        logits = decoder.step(state, chosen[:, None])
    made = []
    for row, total in zip(rows, sums.tolist(), strict=True):
        ended = end in row
        kept = row[: row.index(end)] if ended else row
        made.append(WrittenCaption(tuple(kept), total / (len(kept) + ended), ended))
    return made


def _best(found: list[WrittenCaption], n: int) -> list[WrittenCaption]:
    return sorted(found, key=lambda written: -written.score)[:n]
