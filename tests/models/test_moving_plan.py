"""Plans of clips: what they say, where an atlas shows it, and what a planner that writes them keeps to."""

from __future__ import annotations

import pytest
import torch

from genarium.models.moving_plan import AtlasEmbedding, Moved, MovingPlan, MovingPlanWords, atlas_size, parts_of
from genarium.models.plan import Planner, PlannerConfig

WORDS = MovingPlanWords(("sky", "sea"), ("cat", "dog"), ("red",), ("still", "left", "grow", "fly"))
PLAN = MovingPlan(
    "sea",
    "sky",
    (Moved("dog", "red", (0, 1, 3), (5, 1, 3), "fly"), Moved("cat", None, (6, 6, 2), (4, 4, 4), "grow")),
)


def test_a_plan_is_read_as_it_was_written() -> None:
    row = WORDS.write(PLAN)
    assert len(row) == WORDS.length
    assert max(row) < WORDS.n_tokens
    assert WORDS.read(row) == PLAN
    with pytest.raises(ValueError, match="at most 4 things, not 5"):
        WORDS.write(MovingPlan("sea", "sea", PLAN.things[:1] * 5))


def test_each_cell_of_an_atlas_is_told_what_it_shows_and_nothing_of_where_that_goes() -> None:
    torch.manual_seed(0)
    embedding = AtlasEmbedding(WORDS, 16)
    torch.nn.init.normal_(embedding.down.weight)
    row = torch.tensor(
        [WORDS.write(PLAN), WORDS.write(MovingPlan("sea", "sea", (PLAN.things[1],))), [0] * WORDS.length]
    )
    height, width = atlas_size(WORDS)
    told = embedding(row).view(3, height, width, 16)
    assert (height, width) == (16, 8)
    assert torch.equal(told[0, :8], told[1, :8])  # the first background
    assert torch.equal(told[0, 8:12, 4:], told[1, 8:12, :4])  # the cat, in the second place and in the first
    assert not torch.equal(told[0, 8:12, :4], told[0, 8:12, 4:])
    assert not told[2].any()
    elsewhere = MovingPlan("sea", "sky", (Moved("dog", "red", (2, 4, 2), (2, 0, 4), "grow"), PLAN.things[1]))
    assert torch.equal(embedding(torch.tensor([WORDS.write(elsewhere)])).view(height, width, 16), told[0])


def test_a_thing_keeps_to_its_motion_where_its_boxes_go_its_way() -> None:
    def keeps(motion: str, start: tuple[int, int, int], end: tuple[int, int, int]) -> bool:
        return Moved("cat", None, start, end, motion).keeps()

    assert keeps("left", (5, 1, 2), (2, 2, 2))
    assert not keeps("left", (2, 1, 2), (5, 1, 2))
    assert not keeps("left", (5, 1, 2), (2, 4, 2))
    assert keeps("fly", (0, 0, 3), (4, 1, 3))
    assert keeps("fly", (4, 0, 3), (0, 1, 3))
    assert not keeps("fly", (4, 1, 3), (4, 1, 3))
    assert keeps("grow", (3, 3, 2), (2, 2, 4))
    assert not keeps("shrink", (3, 3, 2), (2, 2, 4))
    assert keeps("turn", (3, 3, 2), (3, 3, 2))
    assert not keeps("still", (3, 3, 2), (3, 5, 2))


def test_the_parts_of_an_atlas() -> None:
    atlas = torch.arange(16 * 8, dtype=torch.float32).view(1, 16, 8).repeat_interleave(2, 1).repeat_interleave(2, 2)
    under, layers = parts_of(atlas, WORDS)
    assert under.shape == (1, 16, 16)
    assert [layer.shape for layer in layers] == [(1, 8, 8)] * 4
    assert [int(layer[0, 0, 0]) for layer in layers] == [64, 68, 96, 100]


def test_a_planner_writes_plans_whose_boxes_fit_and_are_apart_where_they_begin_and_end() -> None:
    torch.manual_seed(0)
    planner = Planner(PlannerConfig(WORDS, d_model=32, n_layers=1, n_heads=2, cross_attention_dim=8)).eval()
    seen = 0
    for seed in range(12):
        row = planner.write(
            torch.randn(1, 3, 8), torch.ones(1, 3, dtype=torch.bool), torch.Generator().manual_seed(seed)
        )
        plan = WORDS.read(row[0].tolist())
        for boxes in ([one.start for one in plan.things], [one.end for one in plan.things]):
            free = torch.ones(8, 8, dtype=torch.bool)
            for left, top, side in boxes:
                assert free[top : top + side, left : left + side].all()
                assert max(left, top) + side <= 8
                free[top : top + side, left : left + side] = False
        seen += len(plan.things)
    assert seen > 3
