"""Proximal policy optimisation from a reward, as InstructGPT has it (Ouyang et al. 2022, arXiv:2203.02155, 3.5).

A step draws an answer to each prompt of a batch, scores it, and learns from it for several epochs of minibatches:

    r_t = -β (log π_old - log π_ref), and the score at the last token          eq. 2 there
    A_t = Σ_l (γλ)^l δ_{t+l}, whitened                                          arXiv:1506.02438, eq. 16
    loss = -min(ρ A, clip(ρ, 1 - ε, 1 + ε) A) + c (V - R)² / 2 - γ_ptx log π(x)  arXiv:1707.06347, eq. 7 and 9

The values are read by a head of two layers from the policy's own hidden states: one network reads an answer once for
both. With text to remember (PPO-ptx) each minibatch reads as many rows of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genarium.models.value_head import ValueHead
from genarium.progress import emit
from genarium.training.objective import Batch, Models, Optimizers
from genarium.training.objectives import policy_gradient as pg
from genarium.training.objectives.on_policy import OnPolicy, means
from genarium.training.rollouts import Rollouts, log_probabilities, logits_of

ENOUGH = 1e-8
"""Variance below which scores are all alike."""


@dataclass(frozen=True)
class PPOSettings:
    """`kl_target` is in nats an answer: the coefficient comes to it; without one it stays. `stop_kl` is in nats a
    token, between the policy that drew the answers and the one that learns: past it the batch is left.
    """

    epochs: int = 4
    minibatches: int = 2
    clip: float = 0.2
    value_clip: float = 0.2
    value_coefficient: float = 0.1
    gamma: float = 1.0
    lam: float = 0.95
    kl_coefficient: float = 0.05
    kl_target: float | None = None
    stop_kl: float | None = None
    normalise: bool = True
    whiten: bool = True
    pretrain_coefficient: float = 1.0


@dataclass(frozen=True)
class Experience:
    """What is learned from: answers, and of each token (B, T) what was true when they were drawn."""

    rollouts: Rollouts
    old: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor
    mask: Tensor


class PPO(OnPolicy):
    """Models `policy` and `value`. `remembered` is text to go on predicting, token ids (N,)."""

    def __init__(self, *args: Any, settings: PPOSettings, remembered: Tensor | None = None):
        super().__init__(*args)
        self.settings, self.remembered = settings, remembered
        self.value = ValueHead(self.policy.model.config.d_model).to(self.device)
        self.memory |= {"kl_coefficient": settings.kl_coefficient, "seen": [0.0, 0.0, 0.0]}

    @property
    def models(self) -> Models:
        return {"policy": self.policy.model, "value": self.value}

    def step(self, models: Models, optimizers: Optimizers, batch: Batch) -> float:
        generator = batch.generator()
        experience, figures = self.experience(batch, generator)
        learned = self.learn(experience, models, optimizers, batch, generator)
        self.tell(batch.number, **figures, **learned)
        return learned["loss"]

    def experience(self, batch: Batch, generator: torch.Generator) -> tuple[Experience, dict[str, float]]:
        """Answers with their rewards, values and advantages, and what of them is told."""
        s = self.settings
        rollouts, scores, figures = self.roll(self.asked(batch), generator)
        with batch.compute.autocast:
            own, mask = self.judge(rollouts, value=self.value)
            reference = self.by_reference(rollouts)
        kl = pg.k1(own.logp, reference)
        beta = self.memory["kl_coefficient"]
        normalised = self._normalised(scores).to(mask.device)
        rewards = pg.token_rewards(normalised, kl, mask, beta)
        advantages = pg.gae(rewards, own.values, mask, gamma=s.gamma, lam=s.lam)
        returns = advantages + own.values
        an_answer = float((kl * mask).sum(1).mean())
        figures |= {
            "reward": float(rewards.sum(1).mean()),
            "kl": an_answer,
            "entropy": float(pg.masked_mean(own.entropy, mask)),
            "explained_variance": pg.explained_variance(own.values, returns, mask),
            "kl_coefficient": beta,
        }
        if s.kl_target is not None:
            self.memory["kl_coefficient"] = pg.adapted(beta, an_answer, s.kl_target)
        advantages = pg.whiten(advantages, mask) if s.whiten else advantages
        return Experience(rollouts, own.logp, own.values, advantages, returns, mask), figures

    def learn(
        self,
        experience: Experience,
        models: Models,
        optimizers: Optimizers,
        batch: Batch,
        generator: torch.Generator,
    ) -> dict[str, float]:
        """Epochs of minibatches, until the policy has gone `stop_kl` far; means of what was seen in them."""
        n, told = len(experience.rollouts), []
        size = -(-n // self.settings.minibatches)
        for epoch in range(self.settings.epochs):
            for number, places in enumerate(torch.randperm(n, generator=generator).split(size)):
                emit("learning", epoch * self.settings.minibatches + number)
                loss, figures = self.part(experience, places.tolist(), batch, generator)
                told.append(figures)
                limit = self.settings.stop_kl
                if limit is not None and figures["step_kl"] > limit:
                    return means(told) | {"epochs": float(epoch)}
                for group in optimizers.values():
                    for optimizer in group:
                        optimizer.zero_grad(set_to_none=True)
                loss.backward()
                for name, part in (("policy", "policy_loss"), ("value", "value_loss")):
                    batch.apply(figures[part], models[name], optimizers[name])
        return means(told) | {"epochs": float(self.settings.epochs)}

    def part(
        self, experience: Experience, places: Sequence[int], batch: Batch, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """The loss of these answers, and what is told of it."""
        s, rows = self.settings, self.rows(experience.rollouts, places)
        width = rows.mask.shape[1]
        old, old_values, advantages, returns = (
            part[places, :width]
            for part in (experience.old, experience.values, experience.advantages, experience.returns)
        )
        mask = rows.mask
        with batch.compute.autocast:
            states = rows.states(self.policy.model)
            logits = logits_of(self.policy.model, states, self.lesson.temperature)
            logp = rows.placed(log_probabilities(logits, rows.drawn))
            values = rows.placed(self.value(states))
            policy_loss = -pg.masked_mean(pg.clipped_surrogate(logp, old, advantages, s.clip), mask)
            value_loss = pg.masked_mean(pg.clipped_value_loss(values, old_values, returns, s.value_clip), mask)
            total = policy_loss + s.value_coefficient * value_loss
            figures = {}
            if self.remembered is not None:
                remembering = self._remembering(len(places), rows.tokens.shape[1], generator)
                total = total + s.pretrain_coefficient * remembering
                figures["pretrain_loss"] = float(remembering.detach())
        moved = logp.detach()
        return total, figures | {
            "loss": float(total.detach()),
            "policy_loss": float(policy_loss.detach()),
            "value_loss": float(value_loss.detach()),
            "ratio": float(pg.masked_mean((moved - old).exp(), mask)),
            "clip_fraction": pg.clip_fraction(moved, old, mask, s.clip),
            "step_kl": float(pg.masked_mean(pg.k3(old, moved), mask)),
        }

    def _remembering(self, n: int, width: int, generator: torch.Generator) -> Tensor:
        """-log π(x) of a text's tokens, nats a token: the last part of arXiv:2203.02155, eq. 2."""
        assert self.remembered is not None
        starts = torch.randint(max(1, len(self.remembered) - width), (n,), generator=generator)
        rows = torch.stack([self.remembered[start : start + width + 1] for start in starts.tolist()]).to(self.device)
        logits = self.policy.model(rows[:, :-1]).float()
        return F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())

    def _normalised(self, scores: Tensor) -> Tensor:
        """Scores (B,) less the mean of all scores so far, over their deviation, these among them."""
        if not self.settings.normalise:
            return scores
        count, mean, variance = self.memory["seen"]
        count, mean, variance = pg.joined_moments(count, mean, variance, scores)
        self.memory["seen"] = [count, mean, variance]
        return (scores - mean) / max(variance, ENOUGH) ** 0.5
