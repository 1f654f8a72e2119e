"""Scenes as plans, and the objective of a planner: say of a caption what stands where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from genarium.conditioning.prompts import PromptEncoder
from genarium.models.plan import Plan, Planned, Planner, PlanWords
from genarium.scenes.ask import Ask
from genarium.scenes.checker import Seen, Sight, Verdict, judge
from genarium.scenes.kinds import BACKGROUNDS, COLOURS, KINDS, MOST
from genarium.scenes.world import Scene
from genarium.training.objective import Objective
from genarium.training.sources.images import SNAP_CELLS, Scenes
from genarium.training.sources.moving import MovingScenes

N_VALIDATION = 512
N_JUDGED = 200
"""Held-out prompts that plans are written of and judged at every evaluation."""


def plan_words() -> PlanWords:
    """What plans of composed scenes say."""
    return PlanWords(BACKGROUNDS, tuple(KINDS), COLOURS, side=SNAP_CELLS, most=MOST)


def plan_of(scene: Scene, snap: int) -> Plan:
    """A scene's plan in cells of `snap` pixels, the grid that its things stand on."""
    boxes = (thing.box for thing in scene.things)
    placed = [(left // snap, top // snap, (right - left) // snap) for left, top, right, _ in boxes]
    things = (Planned(thing.kind, thing.colour, *box) for thing, box in zip(scene.things, placed, strict=True))
    return Plan(scene.background, tuple(things))


def plan_rows(words: PlanWords, scenes: Sequence[Scene], snap: int) -> Tensor:
    """Scenes' plans as tokens, (n, L)."""
    return torch.tensor([words.write(plan_of(scene, snap)) for scene in scenes])


def judge_plan(ask: Ask, plan: Plan, side: int) -> Verdict:
    """Whether a picture that shows a plan of `side` cells shows what was asked."""
    sizes = {side // 4: "small", side * 3 // 8: "medium", side // 2: "large"}
    seen = []
    for thing in plan.things:
        x, y = ((begin + thing.side / 2) / side for begin in (thing.left, thing.top))
        shade = thing.colour or KINDS[thing.kind].natural or ""
        seen.append(Seen(thing.kind, shade, sizes.get(thing.side, ""), x, y, 1.0))
    return judge(ask, Sight(plan.background, tuple(seen)))


class WritePlans(Objective):
    """Cross-entropy of the tokens of plans, in nats a plan."""

    model: Planner

    def __init__(self, model: Planner, prompts: PromptEncoder, source: Scenes | MovingScenes, *, batch_size: int):
        self.model, self.prompts, self.source, self.batch_size = model, prompts, source, batch_size
        network = {name: value for name, value in asdict(model.config).items() if name != "words"}
        self.identity: dict[str, Any] = {
            "data": source.identity,
            "network": network,
            "objective": {"batch_size": batch_size},
        }
        self.validation = self._learned(source.scenes(0, N_VALIDATION, "heldout"))
        self.asked = source.world.prompts("heldout", N_JUDGED, seed=source.seed + 1)

    def _rows(self, scenes: Sequence[Any]) -> Tensor:
        """Scenes' plans as tokens, (n, L)."""
        words: Any = self.model.config.words
        return plan_rows(words, scenes, self.source.world.snap)

    def _judged(self, ask: Ask, plan: Any, side: int) -> Verdict:
        return judge_plan(ask, plan, side)

    def _learned(self, scenes: Sequence[Any]) -> tuple[Tensor, ...]:
        """Plans, and their captions' tokens and lengths."""
        plans = self._rows(scenes)
        return (plans, *self.prompts.tokens([scene.caption for scene in scenes]))

    def batch(self, index: int) -> tuple[Tensor, ...]:
        return self._learned(self.source.scenes(index * self.batch_size, self.batch_size, "train"))

    def loss(self, plans: Tensor, tokens: Tensor, lengths: Tensor) -> Tensor:
        return self.model.loss(plans, **self.prompts.conditioning(tokens, lengths))

    def evaluate(self) -> dict[str, float]:
        """`loss` on held-out scenes, and `right`, the share of held-out prompts whose plan shows what was asked."""
        device = next(self.model.parameters()).device
        loss = self.loss(*(part.to(device) for part in self.validation))
        words: Any = self.model.config.words
        right = 0
        for seed, (prompt, ask) in enumerate(self.asked):
            plan = write_plan(self.model, self.prompts, prompt, seed)
            right += self._judged(ask, words.read(plan[0].tolist()), words.side).right
        return {"loss": float(loss), "right": right / len(self.asked)}

    def preview(self, step: int) -> str:
        """A plan of a held-out prompt."""
        prompt = self.asked[step % len(self.asked)][0]
        plan = write_plan(self.model, self.prompts, prompt, step)
        words: Any = self.model.config.words
        return f"{prompt}: {words.read(plan[0].tolist())}"


def write_plan(planner: Planner, prompts: PromptEncoder, prompt: str, seed: int) -> Tensor:
    """A plan (1, L) of a prompt."""
    words = prompts.conditioning(*prompts.tokens([prompt]))
    return planner.write(words["words"], words["mask"], torch.Generator().manual_seed(seed))
