"""A task of another package over HTTP and in the studio: both are built from what the server lists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.other_packages import environment
from tests.studio.conftest import serving
from tests.studio.test_studio import ask_for


@pytest.fixture(scope="module")
def served(other_packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(other_packages, home).items():
            patch.setenv(name, value)
        with serving(home) as address:
            yield address, home


def test_a_task_of_another_package_is_a_route(served: tuple[str, Path]) -> None:
    address, home = served
    with httpx2.Client(base_url=address, timeout=600) as http:
        paths = http.get("/openapi.json").json()["paths"]
        assert paths["/v1/tasks/shout"]["post"]["summary"] == "Say it louder."
        assert "/v1/tasks/sulk" not in paths
        assert paths["/v1/tasks/text"]["post"]["summary"] != "Say it louder."
        done = http.post("/v1/tasks/shout", json={"prompt": "hello", "times": 2})
        assert done.json()["artefacts"][0]["text"] == "HELLOHELLO"
        refused = http.post("/v1/tasks/shout", json={"prompt": "hello", "times": "two"})
        assert refused.status_code == 400
    log = (home / "log.txt").read_text()
    assert '"level": "warning"' in log
    assert "left out the task 'sulk' of the package genarium-sulk 1.0: ModuleNotFoundError" in log


def test_it_has_a_form_in_the_studio(served: tuple[str, Path], browser: Any) -> None:
    page = browser.new_page()
    page.set_default_timeout(300_000)
    page.goto(served[0])
    page.wait_for_selector("main h1")
    assert page.locator(".tasks label", has_text="sulk").count() == 0
    card = ask_for(page, "shout", "a lamp", times=2)
    assert "A LAMPA LAMP" in card.inner_text()
    page.close()
