"""Every field of diffusers' schedulers is read, done at its usual value alone, or known to change nothing here."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from genarium.checkpoints.layouts import scheduler
from genarium.errors import BadCheckpoint
from genarium.progress import Event, listening

KNOWN = scheduler.READ | scheduler.UNNEEDED | scheduler.ONLY.keys() | scheduler.SOLVER.keys()


@pytest.mark.parametrize("kind", [name for name in scheduler.CLASSES if name != "LMSDiscreteScheduler"])
def test_every_field_of_a_scheduler_is_known_and_its_default_is_done(kind: str) -> None:
    import diffusers

    fields = inspect.signature(getattr(diffusers, kind).__init__).parameters
    defaults = {name: field.default for name, field in fields.items() if name != "self"}
    assert not defaults.keys() - KNOWN
    scheduler.from_config({"_class_name": kind} | defaults, "here")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"thresholding": True}, "thresholding True"),
        ({"solver_order": 3}, "solver_order 3"),
        ({"algorithm_type": "sde-dpmsolver++"}, "algorithm_type 'sde-dpmsolver\\+\\+'"),
        ({"variance_type": "learned_range"}, "variance_type 'learned_range'"),
        ({"shift_terminal": 0.02}, "shift_terminal 0.02"),
        ({"sigma_max": 80.0}, "sigma_max 80.0"),
    ],
)
def test_what_is_not_done_is_refused_by_name(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(BadCheckpoint, match=f"here: the native samplers do not know {says}"):
        scheduler.from_config({"_class_name": "DPMSolverMultistepScheduler"} | changed, "here")


def test_fields_that_nobody_knows_are_said() -> None:
    heard: list[Event] = []
    with listening(heard.append):
        scheduler.from_config({"_class_name": "DDIMScheduler", "_diffusers_version": "0.42.1", "sharpness": 2}, "here")
    assert [event.preview for event in heard] == ["here: nothing here reads these fields: sharpness"]
