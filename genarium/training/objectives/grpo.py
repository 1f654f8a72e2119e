"""Group relative policy optimisation (Shao et al. 2024, arXiv:2402.03300, 4.1): no value network.

A step draws G answers to each prompt of a batch; how much better than its group an answer is, is its advantage:

    A_i = (r_i - mean(r)) / std(r)
    J = 1/G Σ_i 1/|o_i| Σ_t { min(ρ A_i, clip(ρ, 1 - ε, 1 + ε) A_i) - β D_t }          eq. 3
    D_t = π_ref / π - log(π_ref / π) - 1                                               eq. 4

`dapo` divides by the tokens of all answers instead of each answer's (Yu et al. 2025, arXiv:2503.14476, eq. 8), so that
a token counts the same in a long answer; `dr_grpo` by a constant, the longest an answer may be (Liu et al. 2025,
arXiv:2503.20783, eq. 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from genarium.progress import emit
from genarium.training.objective import ONLY, Batch, Models, Optimizers
from genarium.training.objectives import policy_gradient as pg
from genarium.training.objectives.on_policy import OnPolicy, means
from genarium.training.rollouts import Rollouts, log_probabilities, logits_of
from genarium.training.sources.inputs import by_length

Normaliser = Literal["grpo", "dapo", "dr_grpo"]


@dataclass(frozen=True)
class GRPOSettings:
    """`iterations` updates are made of a batch's answers (μ); `at_once` answers are read together."""

    group: int = 8
    iterations: int = 1
    clip: float = 0.2
    kl_coefficient: float = 0.04
    loss: Normaliser = "grpo"
    scale: Literal["group", "batch", "none"] = "group"
    at_once: int = 16


class GRPO(OnPolicy):
    """The lesson's batch is of prompts, each answered `group` times."""

    def __init__(self, *args: Any, settings: GRPOSettings):
        super().__init__(*args)
        self.settings = settings

    def step(self, models: Models, optimizers: Optimizers, batch: Batch) -> float:
        s = self.settings
        places = [place for place in self.asked(batch) for _ in range(s.group)]
        rollouts, scores, figures = self.roll(places, batch.generator())
        groups = scores.view(-1, s.group)
        advantages = pg.group_advantages(groups, s.scale).flatten().to(self.device)
        figures |= {"reward": float(scores.mean()), "reward_std": float(groups.std(1).mean())}
        figures["flat_groups"] = float((groups.amax(1) == groups.amin(1)).float().mean())
        old = reference = None
        if s.iterations > 1 or s.kl_coefficient:
            with batch.compute.autocast:
                old, reference = self._before(rollouts)
        told: list[dict[str, float]] = []
        for iteration in range(s.iterations):
            emit("learning", iteration, s.iterations)
            optimizer = optimizers[ONLY]
            for one in optimizer:
                one.zero_grad(set_to_none=True)
            told.append(self.learn(rollouts, advantages, old, reference, batch))
            batch.apply(told[-1]["loss"], models[ONLY], optimizer)
        learned = means(told)
        self.tell(batch.number, **figures, **learned)
        return learned["loss"]

    def _before(self, rollouts: Rollouts) -> tuple[Tensor | None, Tensor | None]:
        """log p (B, T) by the policy that drew the answers, where it will move, and by the reference."""
        own = self.judge(rollouts)[0].logp if self.settings.iterations > 1 else None
        return own, self.by_reference(rollouts) if self.settings.kl_coefficient else None

    def learn(
        self, rollouts: Rollouts, advantages: Tensor, old: Tensor | None, reference: Tensor | None, batch: Batch
    ) -> dict[str, float]:
        """Add up the gradient of all answers, those of like length together; what is told of them."""
        sums: dict[str, float] = {}
        for places in by_length(list(map(len, rollouts.answers)), self.settings.at_once):
            with batch.compute.autocast:
                loss, figures = self.part(rollouts, places, advantages[places], old, reference)
            loss.backward()
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + value
        tokens = sum(len(answer) for answer in rollouts.answers)
        found = {name: value if name == "loss" else value / tokens for name, value in sums.items()}
        if "kl" in sums:  # of whole answers
            found["kl"] = sums["kl"] / len(rollouts)
        return found

    def part(
        self,
        rollouts: Rollouts,
        places: Sequence[int],
        advantages: Tensor,
        old: Tensor | None,
        reference: Tensor | None,
    ) -> tuple[Tensor, dict[str, float]]:
        """These answers' part of the loss of all, and sums over their tokens of what is told."""
        s, rows = self.settings, self.rows(rollouts, places)
        mask, width = rows.mask, rows.mask.shape[1]
        logits = logits_of(self.policy.model, rows.states(self.policy.model), self.lesson.temperature)
        logp = rows.placed(log_probabilities(logits, rows.drawn))
        before = logp.detach() if old is None else old[places, :width]
        each = pg.clipped_surrogate(logp, before, advantages[:, None], s.clip)
        figures = {"entropy": float(pg.entropy(logits.detach()).sum())}
        if s.kl_coefficient and reference is not None:
            distance = pg.k3(logp, reference[places, :width])
            each = each - s.kl_coefficient * distance
            figures["kl"] = float((distance.detach() * mask).sum())
        loss = -(each * mask * self._share(rollouts, mask)).sum()
        moved = logp.detach()
        n = float(mask.sum())
        return loss, figures | {
            "loss": float(loss.detach()),
            "ratio": float(((moved - before).exp() * mask).sum()),
            "clip_fraction": n * pg.clip_fraction(moved, before, mask, s.clip),
        }

    def _share(self, rollouts: Rollouts, mask: Tensor) -> Tensor:
        """What a token of each of these answers counts, (B, 1)."""
        n = len(rollouts)
        if self.settings.loss == "grpo":
            return 1 / (n * mask.sum(1, keepdim=True))
        whole = sum(len(answer) for answer in rollouts.answers)
        if self.settings.loss == "dr_grpo":
            whole = n * self.lesson.max_new_tokens
        return torch.full_like(mask[:, :1], 1 / whole)
