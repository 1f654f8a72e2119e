"""Open models stay within the budget, the one not used for longest leaves first, and none is opened twice at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from genarium.checkpoints.store.find import Found
from genarium.engines import cache


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    cache.forget_all()
    yield
    cache.forget_all()
    cache.keep_within(None)


def model(folder: Path, name: str, size: int) -> Found:
    (folder / name).mkdir()
    (folder / name / "model.safetensors").write_bytes(b"x" * size)
    return Found(name, folder / name, name)


def test_beyond_the_budget_the_one_not_used_for_longest_is_let_go(tmp_path: Path) -> None:
    loads: list[str] = []

    @cache.kept
    def load(found: Found) -> str:
        loads.append(found.reference)
        return found.reference

    cache.keep_within(250)
    a, b, c = (model(tmp_path, name, 100) for name in "abc")
    for found in (a, b, a, c, a):
        assert load(found) == found.reference
    assert loads == ["a", "b", "c"], "a was used after b, so b had to go"
    assert cache.held() == 200
    load(b)
    assert loads == ["a", "b", "c", "b"]
    load(model(tmp_path, "large", 1000))
    assert cache.count() == 1, "one larger than the budget stands alone"


def test_threads_that_ask_for_one_model_get_the_same(tmp_path: Path) -> None:
    loads: list[object] = []

    @cache.kept
    def load(found: Found) -> object:
        time.sleep(0.05)
        loads.append(object())
        return loads[-1]

    found = model(tmp_path, "a", 1)
    got: list[object] = []
    threads = [threading.Thread(target=lambda: got.append(load(found))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
    assert got == loads * 8


def test_a_failure_to_load_is_not_kept(tmp_path: Path) -> None:
    fails = True

    @cache.kept
    def load(found: Found) -> str:
        if fails:
            raise ValueError("damaged")
        return "there"

    found = model(tmp_path, "a", 1)
    with pytest.raises(ValueError, match="damaged"):
        load(found)
    fails = False
    assert load(found) == "there"
