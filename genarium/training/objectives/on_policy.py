"""What PPO and GRPO share: prompts, answers drawn from the policy as it is, their scores, and what is watched.

Held-out prompts are answered at each evaluation by the same random numbers, by the reference once, before the first
step. `gold` judges those answers alone; nothing is learned from it. Where there is one, the weights that it scored
highest are kept beside the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from genarium.data.conversations import Prompt
from genarium.errors import GenariumError
from genarium.files import write_atomically
from genarium.progress import emit, note
from genarium.training.objective import Batch, Objective
from genarium.training.objectives.answered import Answered, shown, texts, win_rate
from genarium.training.objectives.policy_gradient import exact_kl
from genarium.training.policy import Policy
from genarium.training.rewards import Reward, Rewards
from genarium.training.rollouts import PIECE, Judged, Rollouts, Rows, Writer, judged, logits_of

BEST = "best.safetensors"
SHOWN = 2
"""Held-out prompts whose answers are shown along the way."""
CERTAIN = 64
"""Prompts that are asked before a reward is said to be always the same."""
AT_ONCE = 16
"""Answers that a network reads together where nothing is learned."""


@dataclass(frozen=True)
class Lesson:
    """What is asked (`prompts`), what is only watched (`held`), who judges, and how answers are drawn."""

    prompts: Sequence[Prompt]
    held: Sequence[Prompt]
    rewards: Rewards
    gold: Reward | None
    batch_size: int
    max_new_tokens: int
    temperature: float
    missing_end_penalty: float
    seed: int


class OnPolicy(Objective):
    """Learning from answers of one's own. What the loop keeps beside the weights is in `memory`."""

    memory: dict[str, Any]

    def __init__(self, policy: Policy, lesson: Lesson, folder: Path, identity: dict[str, Any]):
        self.policy, self.lesson, self.folder = policy, lesson, folder
        self.model, self.identity = policy.model, identity
        self.device = next(policy.model.parameters()).device
        self.ids, self.held_ids = ([policy.ids(prompt) for prompt in part] for part in (lesson.prompts, lesson.held))
        self.writer = Writer(
            policy.model,
            ends=policy.ends,
            max_new_tokens=lesson.max_new_tokens,
            temperature=lesson.temperature,
        )
        self.memory = {"told": [], "step": 0, "best": None}
        self.reference = self._answer_held()
        self._refuse_constant()
        self.latest = self.reference

    def batch(self, index: int) -> tuple[Tensor, ...]:
        """Which prompts are asked: each once an epoch, in an order that is the epoch's."""
        first, n = index * self.lesson.batch_size, len(self.ids)
        orders = {
            epoch: np.random.default_rng([self.lesson.seed, epoch]).permutation(n)
            for epoch in range(first // n, (first + self.lesson.batch_size - 1) // n + 1)
        }
        places = range(first, first + self.lesson.batch_size)
        return (torch.tensor([orders[place // n][place % n] for place in places]),)

    def asked(self, batch: Batch) -> list[int]:
        """The prompts of an update, by place."""
        return [int(place) for (places,) in batch for place in places]

    def roll(self, places: Sequence[int], generator: torch.Generator) -> tuple[Rollouts, Tensor, dict[str, float]]:
        """Answers to these prompts, a score each (B,), less where one has no end, and figures of them."""
        seed = int(torch.randint(2**62, (), generator=generator))
        rollouts = self.writer.draw([self.ids[place] for place in places], seed)
        answers = texts(self.policy.answers.tokenizer, rollouts)
        emit("scoring", preview=f"{len(answers)} answers")
        found, each = self.lesson.rewards.scores([self.lesson.prompts[place] for place in places], answers)
        scores = torch.from_numpy(found).float()
        figures = {"score": float(scores.mean()), "length": float(rollouts.lengths.mean())} | each
        figures["ended"] = float(rollouts.ended.float().mean())
        return rollouts, scores - self.lesson.missing_end_penalty * (~rollouts.ended).float(), figures

    def judge(self, rollouts: Rollouts, *, value: torch.nn.Module | None = None) -> tuple[Judged, Tensor]:
        """What the policy says of its answers, and their mask, each (B, T)."""
        own, masks = [], []
        for rows in self._parts(rollouts):
            own.append(judged(self.policy.model, rows, self.lesson.temperature, value=value))
            masks.append(rows.mask)
        told = Judged(*(_whole([getattr(one, name) for one in own]) for name in ("logp", "entropy", "values")))
        return told, _whole(masks)

    def by_reference(self, rollouts: Rollouts) -> Tensor:
        """log p of the answers' tokens by the reference, (B, T)."""
        with self.policy.reference() as reference:
            return _whole([judged(reference, rows, self.lesson.temperature).logp for rows in self._parts(rollouts)])

    def _parts(self, rollouts: Rollouts) -> Iterator[Rows]:
        for first in range(0, len(rollouts), AT_ONCE):
            emit("reading", first, len(rollouts))
            yield self.rows(rollouts, range(first, min(len(rollouts), first + AT_ONCE)))

    def rows(self, rollouts: Rollouts, places: Sequence[int]) -> Rows:
        return rollouts.rows(places, device=self.device)

    def tell(self, step: int, **figures: float) -> None:
        """Note what came of a step, for the log."""
        self.memory["told"].append(figures)
        self.memory["step"] = step + 1

    def evaluate(self) -> dict[str, float]:
        """Means over the steps since the last evaluation, and, of held-out prompts, `held_…`."""
        told = self.memory["told"]
        figures = {name: float(np.mean([one[name] for one in told])) for name in (told[0] if told else {})}
        told.clear()
        held = self.held_figures()
        if self.lesson.gold is not None:
            self._keep_best(held["held_gold"])
        return figures | held

    @torch.no_grad()
    def held_figures(self) -> dict[str, float]:
        """What the policy, as it is, answers to the held-out prompts."""
        self.latest = self._answer_held()
        held = self.latest.figures() | {"kl": self._held_kl(self.latest.rollouts)}
        held["win_rate"] = win_rate(self.latest.scores, self.reference.scores)
        if self.lesson.gold is not None:
            held["gold_win_rate"] = win_rate(self.latest.gold, self.reference.gold)
        return {f"held_{name}": value for name, value in held.items()}

    def preview(self, step: int) -> str:
        """The first held-out prompts with the reference's answer and the policy's."""
        lines = []
        for place, prompt in enumerate(self.lesson.held[:SHOWN]):
            before, now = self.reference, self.latest
            lines.append(
                f"{shown(prompt)!r}\n"
                f"    reference {before.scores[place]:.3f}: {before.answers[place]!r}\n"
                f"    now       {now.scores[place]:.3f}: {now.answers[place]!r}"
            )
        return "\n  ".join(lines)

    def take_best(self) -> int | None:
        """Give the policy the weights that the gold reward scored highest; their step. None where nothing was kept."""
        best = self.memory["best"]
        if best is None or not (self.folder / BEST).is_file():
            return None
        with torch.no_grad():
            stored = load_file(self.folder / BEST)
            for name, parameter in self._trained().items():
                parameter.copy_(stored[name])
        if best["gold"] < float(self.reference.gold.mean()):
            note(
                f"no step came up to the reference by the gold reward ({best['gold']:.3f} at best, "
                f"{float(self.reference.gold.mean()):.3f} before): what was learned is the reward's own weakness"
            )
        return int(best["step"])

    def _keep_best(self, gold: float) -> None:
        best = self.memory["best"]
        if best is None or gold > best["gold"]:
            kept = {name: p.detach().to("cpu").contiguous().clone() for name, p in self._trained().items()}
            write_atomically(self.folder / BEST, save(kept))
            self.memory["best"] = {"gold": gold, "step": self.memory["step"]}

    def _trained(self) -> dict[str, Tensor]:
        return {name: p for name, p in self.policy.model.named_parameters() if p.requires_grad}

    def _answer_held(self) -> Answered:
        """Answers to the held-out prompts, by the same random numbers each time."""
        seed = int(np.random.SeedSequence([self.lesson.seed, 1]).generate_state(1, np.uint32)[0])
        rollouts = self.writer.draw(self.held_ids, seed, stage="answering held-out prompts")
        answers = texts(self.policy.answers.tokenizer, rollouts)
        scores, _ = self.lesson.rewards.scores(self.lesson.held, answers)
        gold = self.lesson.gold
        judged_by_gold = np.full(len(answers), np.nan) if gold is None else gold.scores(self.lesson.held, answers)
        return Answered(rollouts, answers, scores, judged_by_gold)

    def _refuse_constant(self) -> None:
        """Raises GenariumError where the reward is the same for all first answers: there is nothing to learn.

        Before it is said of a few held-out prompts, more prompts are asked.
        """
        scores, answers = self.reference.scores, self.reference.answers
        if np.ptp(scores) == 0:
            few = range(min(CERTAIN, len(self.ids)))
            rollouts = self.writer.draw([self.ids[place] for place in few], self.lesson.seed, stage="asking once more")
            more = texts(self.policy.answers.tokenizer, rollouts)
            found, _ = self.lesson.rewards.scores([self.lesson.prompts[place] for place in few], more)
            scores, answers = np.concatenate([scores, found]), answers + more
        if np.ptp(scores) == 0:
            raise GenariumError(
                f"the reward gave all {len(scores)} first answers the same score, {scores[0]:g}, so nothing can be "
                f"learned from it; the first answer was {answers[0][:80]!r}: name another reward, or other prompts"
            )

    @torch.no_grad()
    def _held_kl(self, rollouts: Rollouts) -> float:
        """Mean over the answers of KL(policy || reference) of the whole answer, in nats: the sum over its tokens of the
        exact one over the vocabulary.
        """
        total = 0.0
        for first in range(0, len(rollouts), AT_ONCE):
            rows = self.rows(rollouts, range(first, min(len(rollouts), first + AT_ONCE)))
            states = rows.states(self.policy.model)
            with self.policy.reference() as reference:
                others = rows.states(reference)
            for own, other in zip(states.split(PIECE), others.split(PIECE), strict=True):
                logits = logits_of(self.policy.model, own, self.lesson.temperature)
                with self.policy.reference() as reference:
                    before = logits_of(reference, other, self.lesson.temperature)
                total += float(exact_kl(logits, before).sum())
        return total / len(rollouts)


def means(told: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of each figure, over what was told of each update."""
    return {name: sum(one[name] for one in told) / len(told) for name in told[0]}


def _whole(parts: Sequence[Tensor]) -> Tensor:
    """Parts (n, T) of unequal T as one, zero after the shorter."""
    widest = max(part.shape[1] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, widest - part.shape[1])) for part in parts])
