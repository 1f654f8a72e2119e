"""Another package brings a task by an entry point; one that is broken is a sentence, and everything else works."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from genarium import plugins
from genarium.checkpoints import layouts
from genarium.cli.main import PLACES
from genarium.engines import registry
from genarium.engines.cache import forget_all
from genarium.engines.engine import Engine
from genarium.errors import BadCheckpoint
from tests.other_packages import LEFT_OUT, environment


def asked(installed: Path, home: Path, *command: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *command], env=environment(installed, home), capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done


def told(stderr: str) -> dict[str, str]:
    """The plug-ins that were left out by name, with what was said."""
    lines = [line.partition("note: left out the ")[2] for line in stderr.splitlines() if "left out the" in line]
    return {line.split("'")[1]: line.partition(" of the package genarium-sulk 1.0: ")[2] for line in lines}


def test_a_task_of_another_package_is_a_command(other_packages: Path, tmp_path: Path) -> None:
    cli = ["-m", "genarium"]
    help_page = asked(other_packages, tmp_path, *cli, "--help")
    assert re.search(r"^  shout +Say it louder\.$", help_page.stdout, re.MULTILINE)
    assert "sulk" not in help_page.stdout
    assert "greet" not in help_page.stdout
    said = told(help_page.stderr)
    assert said.keys() == LEFT_OUT.keys()
    assert all(said[name].startswith(why) for name, why in LEFT_OUT.items())
    made = asked(other_packages, tmp_path, *cli, "shout", "hello", "--times", "2", "--json")
    shown = json.loads(made.stdout)
    assert shown["texts"] == ["HELLOHELLO"]
    assert "what to shout" in asked(other_packages, tmp_path, *cli, "shout", "--help").stdout
    assert "HELLOHELLO" in asked(other_packages, tmp_path, *cli, "history").stdout
    again = asked(other_packages, tmp_path, *cli, "reproduce", shown["artefacts"][0]["id"], "-q")
    assert "equal, byte for byte" in again.stdout
    assert again.stderr == ""  # quiet: no word of what was left out
    sulked = asked(other_packages, tmp_path, *cli, "sulk", code=2)
    assert "no command 'sulk'" in sulked.stderr
    assert "sulk" in told(sulked.stderr)


def test_it_is_a_function_in_python(other_packages: Path, tmp_path: Path) -> None:
    script = (
        "import sys, genarium\n"
        "assert {'shout', 'text'} <= set(dir(genarium))\n"
        "print(genarium.shout('hello')[0].text)\n"
        "try: genarium.sulk\n"
        "except AttributeError as error: print(error)\n"
    )
    lines = asked(other_packages, tmp_path, "-c", script).stdout.splitlines()
    assert lines[0] == "HELLO"
    assert "left out the task 'sulk'" in lines[1]


def test_doctor_names_what_was_left_out_and_what_was_not(other_packages: Path, tmp_path: Path) -> None:
    checks = json.loads(asked(other_packages, tmp_path, "-m", "genarium", "doctor", "--json", code=1).stdout)
    assert {"what": "task shout", "ok": True, "found": "of the package genarium-shout 1.0"} in checks
    left = [check["found"] for check in checks if check["what"] == "plug-in"]
    assert len(left) == len(LEFT_OUT) + 2
    assert any("the engine 'image.own'" in one and "is no Engine" in one for one in left)
    assert any("the layout 'text.own'" in one and "nowhere_at_all" in one for one in left)
    assert [check for check in checks if not check["ok"] and check["what"] != "plug-in"] == []


def test_commands_that_are_no_tasks_are_all_named() -> None:
    assert set(PLACES) == plugins.COMMANDS


def test_an_engine_that_fails_when_it_is_asked_is_left_out(monkeypatch: pytest.MonkeyPatch, tiny: Path) -> None:
    def fails(found: object) -> bool:
        raise KeyError("what")

    broken = plugins.Plugin("genarium.engines", "text.broken", "genarium_broken:ENGINE", "genarium-broken 1.0")
    odd = Engine("text", fails, lambda found, **how: None, order=0)
    monkeypatch.setattr(plugins, "_left_out", {})
    monkeypatch.setattr(
        registry, "engines", lambda capability, known=registry.engines: [(broken, odd), *known(capability)]
    )
    forget_all()  # an engine that is open already is not chosen again
    assert type(registry.open_text(str(tiny))).__name__ == "NativeText"
    [sentence] = plugins.left_out()
    assert "the engine 'text.broken' of the package genarium-broken 1.0: asked about a model, it failed" in sentence


def test_a_capability_that_no_engine_has_is_refused_in_a_sentence(tiny: Path) -> None:
    with pytest.raises(BadCheckpoint, match="no engine here runs it for juggling"):
        registry.open("juggling", str(tiny), default="text")


@pytest.mark.parametrize("capability", registry.capabilities())
def test_every_capability_has_a_sentence_for_what_it_cannot_open(capability: str) -> None:
    assert any(engine.refusal.__name__ == "refusal" for _, engine in registry.engines(capability)) or any(
        engine.opens.__name__ == "<lambda>" for _, engine in registry.engines(capability)
    )


def test_choosing_an_engine_imports_no_torch(tiny: Path) -> None:
    script = (
        "import sys\nfrom genarium.engines import registry\nfrom genarium.checkpoints.store.find import find\n"
        f"tiny, encoder = find({str(tiny)!r}, default=''), find('starter/encoder', default='')\n"
        "for capability in registry.capabilities(): registry.engines(capability)\n"
        "assert registry.can_open(tiny, 'text') and registry.can_open(encoder, 'embed')\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


OWN = """
from genarium.checkpoints.layouts import Layout
from genarium.engines.engine import Engine

def opens(found):
    return found.path is not None and (found.path / "own.txt").is_file()

ENGINE = Engine("text", opens, lambda found, **how: "own")
LAYOUT = Layout("text", ("own",), lambda path, **how: None)
TAKEN = Layout("text", ("own2", "gpt2"), lambda path, **how: None)
ELSEWHERE = Engine("image", lambda found: True, lambda found, **how: None)
"""


def test_engines_and_layouts_of_other_packages_are_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny: Path
) -> None:
    (tmp_path / "genarium_own.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    brought = [
        plugins.Plugin(f"genarium.{group}", name, f"genarium_own:{value}", "genarium-own 1.0")
        for group, name, value in (
            ("engines", "text.elsewhere", "ELSEWHERE"),
            ("engines", "text.native", "ENGINE"),
            ("engines", "text.own", "ENGINE"),
            ("layouts", "text.own", "LAYOUT"),
            ("layouts", "text.taken", "TAKEN"),
        )
    ]
    monkeypatch.setattr(plugins, "_brought", lambda: brought)
    monkeypatch.setattr(plugins, "_left_out", {})
    for known in (registry.engines, layouts.found):
        monkeypatch.setattr(sys.modules[known.__module__], known.__name__, cache(known.__wrapped__))
    folder = tmp_path / "folder"
    shutil.copytree(tiny, folder)
    assert layouts.of("text", "own") is not None
    assert layouts.model_types("text")[-1] == "own"
    assert type(registry.open_text(str(folder))).__name__ == "NativeText"  # ours is asked first
    (folder / "config.json").write_text('{"model_type": "unheard-of"}')
    with pytest.raises(BadCheckpoint, match=r"the native one opens gpt2, .*, own$"):
        registry.open_text(str(folder))
    (folder / "own.txt").write_text("")
    assert registry.open_text(str(folder)) == "own"
    said = {sentence.split("'")[1]: sentence.partition("1.0: ")[2] for sentence in plugins.left_out()}
    assert said.keys() == {"text.elsewhere", "text.native", "text.taken"}
    assert said["text.taken"].startswith("'gpt2' has a layout already")
    assert said["text.native"].startswith("Genarium has one of that name already")
    assert said["text.elsewhere"].startswith("it says that its capability is 'image'")
