"""Moving scenes as plans, and the objective of their planner: say of a caption what stands where and goes where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genarium.models.moving_plan import Moved, MovingPlan, MovingPlanWords
from genarium.scenes.ask import Ask
from genarium.scenes.checker import Seen, Sight, Verdict, judge
from genarium.scenes.kinds import BACKGROUNDS, COLOURS, KINDS, MOST
from genarium.scenes.motions import ALL_MOTIONS, seen_to_move
from genarium.scenes.moving import MovingScene
from genarium.scenes.sprites import LAYER
from genarium.scenes.world import Box
from genarium.training.objectives.plans import WritePlans
from genarium.training.sources.images import SNAP_CELLS


def moving_plan_words(size: int = 64) -> MovingPlanWords:
    """What plans of moving scenes of `size` pixels say."""
    thing = LAYER * SNAP_CELLS // size
    return MovingPlanWords(BACKGROUNDS, tuple(KINDS), COLOURS, ALL_MOTIONS, side=SNAP_CELLS, most=MOST, thing=thing)


def moving_plan_of(scene: MovingScene, snap: int) -> MovingPlan:
    """A scene's plan in cells of `snap` pixels, the grid that its things begin and end on."""

    def cells(box: Box) -> tuple[int, int, int]:
        return box[0] // snap, box[1] // snap, (box[2] - box[0]) // snap

    things = (
        Moved(one.kind, one.colour, cells(one.way.start), cells(one.way.end), one.way.motion) for one in scene.things
    )
    return MovingPlan(scene.background, scene.then or scene.background, tuple(things))


def moving_plan_rows(words: MovingPlanWords, scenes: Sequence[MovingScene], snap: int) -> Tensor:
    """Scenes' plans as tokens, (n, L)."""
    return torch.tensor([words.write(moving_plan_of(scene, snap)) for scene in scenes])


def judge_moving_plan(ask: Ask, plan: MovingPlan, side: int) -> Verdict:
    """Whether a clip that shows a plan of `side` cells shows what was asked."""
    sizes = {side // 4: "small", side * 3 // 8: "medium", side // 2: "large"}
    seen = []
    for one in plan.things:
        (left, top, cells), (last_left, last_top, last_cells) = one.start, one.end
        x, y = left + cells / 2, top + cells / 2
        right, down = last_left + last_cells / 2 - x, last_top + last_cells / 2 - y
        turned = 2 * math.pi * (one.motion == "turn")
        moved = seen_to_move(right / side, down / side, last_cells / cells, turned)
        shade = one.colour or KINDS[one.kind].natural or ""
        seen.append(Seen(one.kind, shade, sizes.get(cells, ""), x / side, y / side, 1.0, moved))
    return judge(ask, Sight(plan.background, tuple(seen), plan.then))


class WriteMovingPlans(WritePlans):
    """The same of clips."""

    def _rows(self, scenes: Sequence[Any]) -> Tensor:
        words: Any = self.model.config.words
        return moving_plan_rows(words, scenes, self.source.world.snap)

    def _judged(self, ask: Ask, plan: Any, side: int) -> Verdict:
        return judge_moving_plan(ask, plan, side)
