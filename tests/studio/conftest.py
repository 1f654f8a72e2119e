"""`genarium serve` in a process of its own, and a real browser looking at it. One of each for all tests here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.latent_models import latent_folder
from tests.video_folders import modelscope

CHROMIUM = shutil.which("chromium")
HOSTILE = '<script>window.hacked = "document"</script>'
KEY = "correct-horse-battery"
HARBOUR = f"""# The harbour

The lighthouse of Seahaven was built in 1874 by Ada Merrow. It stands on the northern pier.

The harbour master is paid by the town. {HOSTILE}
"""
BEES = "# Bees\n\nA hive holds about forty thousand bees in summer. Beekeepers harvest honey in July.\n"


@contextmanager
def serving(home: Path, *arguments: str) -> Iterator[str]:
    """The address of a server with this data folder."""
    command = [sys.executable, "-m", "genarium.cli.main", "serve", "--port", "0", "--grace", "1", *arguments]
    log = home / "log.txt"
    with (
        log.open("w") as told,
        subprocess.Popen(command, env=os.environ | {"GENARIUM_HOME": str(home)}, stderr=told) as process,
    ):
        try:
            while (found := re.search(r"^Genarium is at (\S+)$", log.read_text(), re.MULTILINE)) is None:
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            yield found[1]
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def studio_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's data folder, with an index of two documents, of which one is hostile."""
    from genarium.cli.main import genarium as command

    folder = tmp_path_factory.mktemp("documents")
    (folder / "harbour.md").write_text(HARBOUR)
    (folder / "bees.md").write_text(BEES)
    home = tmp_path_factory.mktemp("studio-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENARIUM_HOME", str(home))
        CliRunner().invoke(command, ["index", str(folder), "--name", "town"], catch_exceptions=False)
        village = tmp_path_factory.mktemp("village")
        (village / "harbour.md").write_text("The village has no harbour; its pond has ducks.")
        CliRunner().invoke(command, ["index", str(village), "--name", "village"], catch_exceptions=False)
    return home


@pytest.fixture(scope="session")
def studio(studio_home: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    scenes = latent_folder(tmp_path_factory.mktemp("scenes"))
    clips = modelscope(tmp_path_factory.mktemp("clips"))
    models = ["--model", f"tiny={tiny}", "--model", f"scenes={scenes}", "--model", f"clips={clips}"]
    with serving(studio_home, "--api-key", KEY, *models) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def look(browser: Any, studio: str) -> Iterator[Callable[..., Any]]:
    """Opens the studio. Afterwards: no error in the page, no script of anybody's run, nothing asked of another host."""
    opened: list[Any] = []
    wrong: list[str] = []
    asked: list[str] = []

    def open_page(path: str = "", *, signed_in: bool = True, **settings: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 860}} | settings)
        context.set_default_timeout(300_000)
        if signed_in:
            context.request.post(f"{studio}/session", data={"key": KEY})
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{studio}/{path}")
        page.wait_for_selector("main h1, dialog")
        opened.append((context, page))
        return page

    yield open_page
    assert not wrong
    assert [url for url in asked if not url.startswith((f"{studio}/", "data:"))] == []
    for context, page in opened:
        assert page.evaluate("window.hacked") is None
        context.close()
