"""Captions from a decoder that is a step function: by beam search, or drawn at random.

`step` takes the next tokens (B, T) of all rows and gives scores (B, V) of what follows; `select` keeps the rows given
(B,) of whatever `step` remembers. The rows of one picture stand together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from genarium.decoding.sampling import RandomStreams, Sampling, choose

Step = Callable[[Tensor], Tensor]
Select = Callable[[Tensor], None]


@dataclass(frozen=True)
class Written:
    """`tokens` without prefix and end; `score` is the mean log-probability of those and of the end, in nats."""

    tokens: tuple[int, ...]
    score: float
    ended: bool


@torch.inference_mode()
def beam_search(
    step: Step, select: Select, prefix: Tensor, *, n_beams: int, end: int, max_new_tokens: int
) -> list[list[Written]]:
    """The `n_beams` best captions found for each picture, best first, by mean log-probability.

    `prefix` (P * n_beams, T) is what every row begins with. A picture is finished when no unfinished beam is ahead of
    its `n_beams` finished ones, at the length they have now.
    """
    K = n_beams
    P, device = len(prefix) // K, prefix.device
    sums = torch.full((P, K), -torch.inf, device=device)
    sums[:, 0] = 0.0  # all beams are alike yet: one of them goes on
    rows = torch.zeros((P * K, 0), dtype=torch.long, device=device)
    finished: list[list[Written]] = [[] for _ in range(P)]
    tokens = prefix
    for length in range(1, max_new_tokens + 1):
        logp = step(tokens).float().log_softmax(dim=-1).view(P, K, -1)
        V = logp.shape[-1]
        best, places = (sums[:, :, None] + logp).flatten(1).topk(2 * K, dim=-1)
        origins, chosen, totals = (places // V).tolist(), (places % V).tolist(), best.tolist()
        keep, following, sums_kept = [], [], []
        for picture in range(P):
            going: list[tuple[int, int, float]] = []
            for rank in range(2 * K):
                origin, token, total = origins[picture][rank], chosen[picture][rank], totals[picture][rank]
                if token != end:
                    going.append((origin, token, total))
                elif rank < K and total > -torch.inf:
                    before = tuple(rows[picture * K + origin].tolist())
                    finished[picture].append(Written(before, total / length, True))
            going = going[:K]
            keep += [picture * K + origin for origin, _, _ in going]
            following += [token for _, token, _ in going]
            sums_kept.append([total for _, _, total in going])
            finished[picture] = _best(finished[picture], K)
        sums = torch.tensor(sums_kept, device=device)
        order = torch.tensor(keep, device=device)
        tokens = torch.tensor(following, device=device)[:, None]
        rows = torch.cat((rows[order], tokens), dim=1)
        if all(
            len(done) == K and done[-1].score >= ahead / length
            for done, ahead in zip(finished, sums.amax(dim=1).tolist(), strict=True)
        ):
            break
        if length < max_new_tokens:
            select(order)
    else:
        for picture in range(P):
            cut = [
                Written(tuple(rows[picture * K + beam].tolist()), float(sums[picture, beam]) / max_new_tokens, False)
                for beam in range(K)
            ]
            finished[picture] = _best(finished[picture] + cut, K)
    return finished


@torch.inference_mode()
def draw(step: Step, prefix: Tensor, sampling: Sampling, *, samples: Sequence[int], end: int) -> list[Written]:
    """A caption for each row of `prefix` (B, T), drawn from the stream of its own that `samples` names.

    Scores are under the model's own distribution, whatever temperature and top-p made of it.
    """
    streams, B = RandomStreams(sampling.seed, list(samples)), len(prefix)
    tokens, rows, sums = prefix, list[list[int]](), torch.zeros(B, dtype=torch.float64)
    for _ in range(sampling.max_new_tokens):
        logits = step(tokens).float().cpu()
        chosen = choose(logits, sampling, streams.draw(list(range(B))))
        running = torch.tensor([end not in row for row in zip(*rows, strict=True)] if rows else [True] * B)
        sums += torch.where(running, logits.log_softmax(dim=-1).gather(1, chosen[:, None])[:, 0].double(), 0.0)
        rows.append(chosen.tolist())
        if all(end in row for row in zip(*rows, strict=True)):
            break
        tokens = chosen[:, None].to(prefix.device)
    made = []
    for row, total in zip(zip(*rows, strict=True), sums.tolist(), strict=True):
        ended = end in row
        kept = row[: row.index(end)] if ended else row
        made.append(Written(tuple(kept), total / (len(kept) + ended), ended))
    return made


def _best(found: list[Written], n: int) -> list[Written]:
    return sorted(found, key=lambda written: -written.score)[:n]
