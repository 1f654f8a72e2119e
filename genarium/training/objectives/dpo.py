"""Direct preference optimisation: what a reward model would have learned, learned by the policy itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from genarium.data.conversations import Prompt
from genarium.models.gpt import GPT
from genarium.progress import emit
from genarium.training.calibration import in_order
from genarium.training.logprobs import of_marked, summed
from genarium.training.objective import Objective
from genarium.training.policy import Policy
from genarium.training.preview import answer
from genarium.training.reference import kept
from genarium.training.sources.inputs import Batches, by_length
from genarium.training.sources.pairs import Pairs

Loss = Literal["sigmoid", "ipo"]


def dpo_loss(
    policy: Tensor, reference: Tensor, *, beta: float, kind: Loss = "sigmoid", smoothing: float = 0.0
) -> Tensor:
    """The loss of each pair, (B,), from log-likelihoods of the answers (2 B,): the chosen ones, then the rejected ones.

    With h = log pi(y_w|x)/ref(y_w|x) - log pi(y_l|x)/ref(y_l|x):
    sigmoid: -log s(beta h), eq. 7 of Rafailov et al. 2023 (arXiv:2305.18290); with label `smoothing` e, the share of
    pairs that are judged the wrong way round, -(1 - e) log s(beta h) - e log s(-beta h), the conservative DPO of
    Mitchell 2023 (eq. 3). ipo: (h - 1/(2 beta))^2, eq. 17 of Azar et al. 2023 (arXiv:2310.12036).
    """
    chosen, rejected = (policy - reference).chunk(2)
    h = chosen - rejected
    if kind == "ipo":
        return (h - 1 / (2 * beta)).square()
    return -(1 - smoothing) * F.logsigmoid(beta * h) - smoothing * F.logsigmoid(-beta * h)


def likelihoods(model: GPT, tokens: Tensor, marks: Tensor) -> Tensor:
    """log p(answer | prompt) of each text, (B,): the sum over its marked tokens."""
    return summed(of_marked(model, tokens, marks), marks)


class DirectPreference(Objective):
    """DPO over pairs. What the reference finds of them never changes, and is computed once, before the first step."""

    def __init__(
        self,
        policy: Policy,
        train: Pairs,
        validation: Pairs,
        *,
        beta: float,
        kind: Loss,
        smoothing: float,
        batch_size: int,
        prompt: Prompt | None,
        seed: int,
        steps: int | None,
        folder: Path,
        identity: dict[str, Any],
    ):
        self.policy, self.model = policy, policy.model
        self.train, self.validation = train, validation
        self.beta, self.kind, self.smoothing = beta, kind, smoothing
        self.prompt, self.seed = prompt, seed
        self.batches = Batches(train.lengths, batch_size, seed)
        self.identity = identity | {
            "data": {"learned": train.texts.digest(), "watched": validation.texts.digest()},
            "batch_size": batch_size,
            "loss": {"kind": kind, "beta": beta, "smoothing": smoothing},
        }
        seen = range(len(train)) if steps is None else sorted({p for i in range(steps) for p in self.batches.rows(i)})
        told = self.identity["data"] | {"policy": identity["policy"], "pairs": [len(seen), seed, batch_size]}
        self.reference = kept(folder, told, lambda: [self._of_reference(train, seen), self._of_reference(validation)])

    def batch(self, index: int) -> tuple[Tensor, ...]:
        rows = self.batches.rows(index)
        return *self.train.block(rows), self.reference[0][:, rows].flatten()

    def loss(self, tokens: Tensor, marks: Tensor, reference: Tensor) -> Tensor:
        return self._losses(likelihoods(self.policy.model, tokens, marks), reference).mean()

    def evaluate(self) -> dict[str, float]:
        """`loss`; `accuracy`, the share of pairs whose chosen answer gained more; what each kind gained, times
        beta (DPO's implicit reward), and the `margin` between the two."""
        if not len(self.validation):
            return {}
        found = self._likelihoods(self.validation, range(len(self.validation))).to(self.reference[1])
        gained = self.beta * (found - self.reference[1])
        margin = gained[0] - gained[1]
        return {
            "loss": float(self._losses(found.flatten(), self.reference[1].flatten()).mean()),
            "accuracy": float(in_order(margin).mean()),
            "margin": float(margin.mean()),
            "chosen_reward": float(gained[0].mean()),
            "rejected_reward": float(gained[1].mean()),
        }

    def preview(self, step: int) -> str:
        return answer(self.policy, self.prompt, seed=self.seed)

    def _losses(self, found: Tensor, reference: Tensor) -> Tensor:
        return dpo_loss(found, reference, beta=self.beta, kind=self.kind, smoothing=self.smoothing)

    def _of_reference(self, pairs: Pairs, places: Sequence[int] | None = None) -> Tensor:
        """What the network finds as it begins: with new adapters it is still the base."""
        with torch.inference_mode():
            return self._likelihoods(pairs, range(len(pairs)) if places is None else places).clone()

    def _likelihoods(self, pairs: Pairs, places: Sequence[int]) -> Tensor:
        """(2, pairs): of the chosen and of the rejected answers; not a number where a pair is not asked for."""
        found = torch.full((2, len(pairs)), torch.nan)
        device = next(self.model.parameters()).device
        done = 0
        for rows in by_length(pairs.lengths, 8, places):
            tokens, marks = (part.to(device) for part in pairs.block(rows))
            found[:, rows] = likelihoods(self.policy.model, tokens, marks).float().cpu().view(2, -1)
            done += len(rows)
            emit("measuring", done, len(places))
        return found
