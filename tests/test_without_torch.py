"""The base install has no torch: what needs none works without it, and what needs it says so in one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import pytest

from genarium.extras import EXTRAS

# The command as after a plain `pip install genarium`: what is of an extra is not there. What asked for it is told.
ABSENT = """
import json, sys
absent, arguments = map(json.loads, sys.argv[1:])
asked = []
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in absent:
            asked.append(name)
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
sys.argv = ["genarium", *arguments]
from genarium.cli.main import main
try:
    main()
finally:
    print(json.dumps({"asked": asked, "imported": sorted(sys.modules)}), file=sys.stderr)
"""
TORCH = 'needs torch, which is not installed here: pip install "genarium[torch]"'
SCENE = Path(__file__).parent.parent / "docs" / "images" / "scene.png"


@dataclass(frozen=True)
class Done:
    """`told` is what it printed on standard error; `asked` which absent packages something tried to import."""

    code: int
    out: str
    told: str
    asked: list[str]
    imported: Collection[str]


Run = Callable[..., Done]


@pytest.fixture
def run(home: Path, tmp_path: Path) -> Run:
    """Runs `genarium ARGUMENTS` in a process of its own, without the packages of the extras, or those `absent`."""

    def command(*arguments: str | Path, absent: Collection[str] = tuple(EXTRAS)) -> Done:
        given = [json.dumps(list(absent)), json.dumps([str(argument) for argument in arguments])]
        ended = subprocess.run(
            [sys.executable, "-c", ABSENT, *given],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=_here(),
            check=False,
        )
        *told, last = ended.stderr.splitlines()
        assert "Traceback" not in ended.stderr, ended.stderr
        return Done(ended.returncode, ended.stdout, "\n".join(told), **json.loads(last))

    return command


def _here() -> dict[str, str]:
    """The environment in which this checkout is the package, wherever the process starts."""
    path = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"PYTHONPATH": path}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["models", "list"], ["models", "show", "starter/text"], ["history"], ["train", "gpt", "--help"]],
    ids=" ".join,
)
def test_what_computes_nothing_asks_for_no_torch(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.code == 0, done.told
    assert done.out.strip() or "nothing was made yet" in done.told
    assert done.asked == []


def test_doctor_names_what_is_optional_and_how_to_get_it(run: Run) -> None:
    done = run("doctor")
    assert "torch              " in done.out
    assert "onnxruntime" in done.out
    assert "ok   device" in done.out


@pytest.mark.parametrize(("dtype", "used"), [("auto", "float32"), ("int8", "int8")])
def test_a_story_is_kept_shown_and_made_again(run: Run, dtype: str, used: str) -> None:
    story = run("text", "The fox said", "--max-new-tokens", "8", "--seed", "7", "--dtype", dtype)
    assert story.code == 0, story.told
    assert story.out.startswith("The fox said")
    assert story.asked == []
    assert "The fox said" in run("history").out
    arguments = json.loads(run("show", "last", "--json").out)["recipe"]["arguments"]
    assert (arguments["backend"], arguments["dtype"]) == ("onnx", used)
    assert "equal, byte for byte" in run("reproduce", "last").out


def test_a_story_imports_nothing_of_an_extra_where_all_are_installed(run: Run) -> None:
    story = run("text", "Once upon a time", "--max-new-tokens", "4", absent=())
    assert story.code == 0, story.told
    assert set(EXTRAS) & set(story.imported) == set()
    assert {"fastapi", "huggingface_hub", "llguidance", "PIL"} & set(story.imported) == set()


def test_a_server_starts_and_writes(home: Path) -> None:
    script = """
import json, sys, threading, urllib.request
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in json.loads(sys.argv[1]):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
import asyncio
from genarium.ledger import Ledger
from genarium.server.serve import address, listen, server_of
from genarium.server.settings import ServerSettings
Ledger().close()
settings = ServerSettings(port=0, grace=2.0)
listening, up = listen(settings), threading.Event()
async def run():
    await server_of(settings, up.set).serve(sockets=[listening])
threading.Thread(target=lambda: asyncio.run(run()), daemon=True).start()
assert up.wait(300)
for given in ({"model": "starter/text", "prompt": "Once", "max_tokens": 3}, None):
    where = address(listening) + ("/v1/completions" if given else "/")
    body = json.dumps(given).encode() if given else None
    asked = urllib.request.Request(where, body, {"Content-Type": "application/json"})
    said = urllib.request.urlopen(asked).read().decode()
    print(json.loads(said)["usage"]["completion_tokens"] if given else "<html" in said)
asked = urllib.request.Request(address(listening) + "/v1/images/generations",
    json.dumps({"prompt": "a cat"}).encode(), {"Content-Type": "application/json"})
try:
    urllib.request.urlopen(asked)
except urllib.error.HTTPError as error:
    print(error.code, json.loads(error.read())["error"]["message"])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(list(EXTRAS))],
        capture_output=True,
        text=True,
        env=_here(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["3", "True", f"400 image {TORCH}"]


@pytest.mark.parametrize("layout", ["gguf", "onnx", "safetensors"])
def test_a_decoder_is_exported(run: Run, layout: str) -> None:
    done = run("models", "export", "starter/text", "--format", layout)
    assert done.code == 0, done.told
    assert done.out.startswith("text-float")
    assert done.asked == []


@pytest.mark.parametrize(
    ("arguments", "who"),
    [
        (["image", "a cat"], "image"),
        (["caption", SCENE], "caption"),
        (["explain", SCENE], "starter/match"),
        (["text", "Once", "--dtype", "bfloat16"], "starter/text"),
        (["train", "gpt", "--data", __file__], "train gpt"),
        (["train", "rnn", "--data", __file__], "train rnn"),
        (["train", "vae"], "train vae"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_needs_torch_says_so_with_the_command(run: Run, arguments: list[str | Path], who: str) -> None:
    done = run(*arguments)
    assert done.told.splitlines()[-1] == f"genarium: {who} {TORCH}"
    assert done.code == 1
    assert done.out == ""


def test_a_chart_and_an_endpoint_say_what_they_need(run: Run) -> None:
    done = run("text", "Once", "--model", "openai:some")
    assert done.told.splitlines()[-1] == (
        'genarium: openai:some needs openai, which is not installed here: pip install "genarium[openai]"'
    )
    assert done.code == 1


def test_every_extra_that_is_told_of_is_one_of_the_package() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text("utf-8"))["project"]
    for package, extra in EXTRAS.items():
        brought = project["optional-dependencies"][extra]
        assert any(line.partition(">")[0].replace("-", "_") == package for line in brought), (
            f"{extra} doesn't bring {package}"
        )
        assert not any(line.partition(">")[0] == package for line in project["dependencies"])
