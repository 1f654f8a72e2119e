"""Imports go one way: doors -> run -> tasks -> engines -> networks and checkpoints; the ground is below everyone."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "genarium"

GROUND = {"devices", "errors", "files", "messages", "plugins", "progress", "recipe", "rows", "signature"}
NETWORKS = {"models", "diffusion"}
# Room -> the rooms it may import, besides itself and the ground. A room that is not here may not exist.
MAY_IMPORT: dict[str, set[str]] = {
    **{room: set() for room in GROUND},
    "models": set(),
    "diffusion": set(),
    "data": set(),
    "scenes": {"data"},
    "artefacts": set(),
    "provenance": {"artefacts"},
    "ledger": {"artefacts", "provenance"},
    "checkpoints": NETWORKS,
    "conditioning": NETWORKS | {"checkpoints"},
    "decoding": NETWORKS,
    "training": NETWORKS | {"checkpoints", "conditioning", "decoding", "data", "scenes"},
    "engines": NETWORKS | {"checkpoints", "conditioning", "decoding", "data", "scenes"},
    "retrieval": {"engines", "checkpoints", "data"},
    "tasks": {"engines", "retrieval", "artefacts", "data", "scenes"},
    "run": {"tasks", "artefacts", "checkpoints", "ledger"},
    "__init__": {"run", "tasks"},
}
DOORS = {"cli", "server", "studio", "cluster"}
MAY_IMPORT |= {door: set(MAY_IMPORT) - {"__init__"} for door in DOORS}
MAY_IMPORT["cli"] |= {"server"}
MAY_IMPORT["__main__"] = {"cli"}
MAY_IMPORT["server"] |= {"studio"}


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively; imports here name the whole path"
            if node.module == "genarium":
                found |= {name.name for name in node.names}
            elif node.module and node.module.startswith("genarium."):
                found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {name.name.split(".")[1] for name in node.names if name.name.startswith("genarium.")}
    return found


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda f: f.relative_to(PACKAGE).as_posix())
def test_a_room_imports_only_what_is_below_it(file: Path) -> None:
    room = room_of(file)
    assert room in MAY_IMPORT, f"{room} is a new room; say in this test what it may import"
    beyond = imported_rooms(file) - MAY_IMPORT[room] - {room} - GROUND
    assert not beyond, f"{room} imports {', '.join(sorted(beyond))}"


@pytest.mark.parametrize("statement", ["import genarium", "import genarium; dir(genarium)", "import genarium.cli.main"])
def test_importing_brings_no_torch(statement: str) -> None:
    heavy = (
        "torch",
        "transformers",
        "tokenizers",
        "numpy",
        "matplotlib",
        "huggingface_hub",
        "openai",
        "fastapi",
        "uvicorn",
    )
    check = f"{statement}\nimport sys\nprint([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
