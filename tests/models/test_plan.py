"""Plans come back from their tokens, are read cell by cell, and are written so that they can be drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from genarium.checkpoints.layouts import planner as layout
from genarium.errors import BadCheckpoint
from genarium.models.plan import NONE, Plan, PlanEmbedding, Planned, Planner, PlannerConfig, PlanWords

WORDS = PlanWords(("sky", "sea"), ("bat", "cat", "car"), ("red", "blue"), side=4, most=3)
THINGS = st.builds(
    Planned,
    st.sampled_from(WORDS.kinds),
    st.sampled_from([None, *WORDS.colours]),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(1, 4),
)


def planner() -> Planner:
    torch.manual_seed(0)
    model = Planner(PlannerConfig(WORDS, d_model=64, n_layers=2, n_heads=2, cross_attention_dim=12))
    for weight in model.parameters():
        weight.data += 0.2 * torch.randn_like(weight)
    return model.eval()


def read(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    states = torch.randn(rows, 5, 12, generator=torch.Generator().manual_seed(1))
    return states, torch.arange(5) < torch.arange(3, 3 + rows)[:, None]


@given(st.builds(Plan, st.sampled_from(WORDS.backgrounds), st.lists(THINGS, max_size=3).map(tuple)))
def test_a_plan_comes_back_from_its_tokens(plan: Plan) -> None:
    row = WORDS.write(plan)
    assert len(row) == WORDS.length
    assert WORDS.read(row) == plan
    assert max(row) < WORDS.n_tokens


def test_more_things_than_a_plan_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 3 things, not 4"):
        WORDS.write(Plan("sky", (Planned("bat", None, 0, 0, 1),) * 4))


def test_a_cell_is_told_its_background_and_which_part_of_what_it_is() -> None:
    torch.manual_seed(0)
    embedding = PlanEmbedding(WORDS, 8)
    torch.nn.init.normal_(embedding.down.weight)

    def told(*things: Planned, background: str = "sky") -> torch.Tensor:
        return embedding(torch.tensor([WORDS.write(Plan(background, things))]))[0].view(4, 4, 8)

    bat = Planned("bat", "red", left=1, top=2, side=2)
    empty, one = told(), told(bat)
    changed = ~torch.isclose(one, empty).all(-1)
    assert changed.nonzero().tolist() == [[2, 1], [2, 2], [3, 1], [3, 2]]
    # The same parts of the same thing are told the same wherever it stands, and each part its own.
    torch.testing.assert_close(told(replace(bat, left=0, top=0))[:2, :2], one[2:, 1:3])
    assert len(one[2:, 1:3].reshape(4, 8).unique(dim=0)) == 4
    for other in (replace(bat, kind="cat"), replace(bat, colour=None), replace(bat, colour="blue")):
        assert not torch.isclose(told(other)[2:, 1:3], one[2:, 1:3]).all(-1).any()
    assert not torch.isclose(told(background="sea"), empty).all(-1).any()
    assert not embedding(torch.zeros(1, WORDS.length, dtype=torch.long)).any()


@torch.no_grad()
def test_what_is_written_can_be_drawn_and_depends_on_the_seed_alone() -> None:
    model, (states, real) = planner(), read(1)
    plans = [model.write(states, real, torch.Generator().manual_seed(seed), top_p=1.0) for seed in range(30)]
    assert all(
        torch.equal(plan, model.write(states, real, torch.Generator().manual_seed(seed), top_p=1.0))
        for seed, plan in enumerate(plans[:5])
    )
    assert len({str(plan) for plan in plans}) > 20
    for plan in plans:
        assert plan.shape == (1, WORDS.length)
        taken = torch.zeros(4, 4, dtype=torch.long)
        for thing in WORDS.read(plan[0].tolist()).things:
            box = taken[thing.top : thing.top + thing.side, thing.left : thing.left + thing.side]
            assert box.shape == (thing.side, thing.side), "a box reaches out of the picture"
            box += 1
        assert taken.max() <= 1, "boxes overlap"


@torch.no_grad()
def test_the_loss_is_what_the_tokens_before_make_each_token_cost() -> None:
    model, (states, real) = planner(), read(2)
    plans = torch.tensor(
        [
            WORDS.write(Plan("sea", (Planned("car", None, 1, 0, 2),))),
            WORDS.write(Plan("sky", tuple(Planned("cat", "blue", 0, row, 1) for row in range(3)))),
        ]
    )
    costs = []
    for row, plan in enumerate(plans):
        n = int(real[row].sum())
        for position in range(WORDS.length):
            # Alone, without padding, and without what comes later.
            scores = model(plan[None, :position], states[row : row + 1, :n], real[row : row + 1, :n])[0, -1]
            first, end = WORDS.slots[WORDS.slot(position)]
            possible = {*range(first, end)} | ({NONE} if position % 4 == 1 else set())
            assert {*scores.isfinite().nonzero()[:, 0].tolist()} == possible
            costs.append(-float(scores.log_softmax(-1)[plan[position]]))
            if plan[position] == NONE:
                break
    assert float(model.loss(plans, states, real)) == pytest.approx(sum(costs) / 2, rel=1e-4)


@torch.no_grad()
def test_a_folder_comes_back(tmp_path: Path) -> None:
    model, (states, real) = planner(), read(1)
    layout.save(model, tmp_path)
    back = layout.load(tmp_path)
    assert back.config == model.config
    plans = torch.zeros(1, 0, dtype=torch.long)
    torch.testing.assert_close(back(plans, states, real), model(plans, states, real))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"_class_name": "Other"}, "does not hold a GenariumPlanner"),
        ({"d_model": 63}, "no network's"),
        ({"n_layers": None}, "no network's"),
        ({"words": None}, "what plans are made of"),
        ({"words": {"backgrounds": [], "kinds": ["a"], "colours": ["b"], "side": 4, "most": 1}}, "damaged"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(changed: dict[str, object], said: str) -> None:
    words = {"backgrounds": ["sky"], "kinds": ["bat"], "colours": ["red"], "side": 4, "most": 2}
    raw = {"_class_name": layout.KIND, "words": words, "d_model": 64, "n_layers": 1, "n_heads": 2}
    raw |= {"cross_attention_dim": 12}
    assert layout.read_config(raw, "here").words.kinds == ("bat",)
    with pytest.raises(BadCheckpoint, match=said):
        layout.read_config(raw | changed, "here")
