"""Imports go one way: doors -> run -> tasks -> engines -> networks and checkpoints; the ground is below everyone."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "genarium"

GROUND = {"devices", "errors", "extras", "files", "messages", "plugins", "progress", "recipe", "rows", "signature"}
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
    "decoding": set(),
    "training": NETWORKS | {"checkpoints", "conditioning", "decoding", "data", "scenes"},
    "engines": NETWORKS | {"checkpoints", "conditioning", "decoding", "data", "scenes"},
    "retrieval": {"engines", "checkpoints", "data"},
    "export": {"engines", "checkpoints", "models"},
    "tasks": {"engines", "retrieval", "artefacts", "data", "scenes"},
    "run": {"tasks", "artefacts", "checkpoints", "ledger"},
    "comparison": {"run", "engines", "checkpoints", "data", "ledger"},
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


def imports(node: ast.AST, *, deferred: bool) -> Iterator[tuple[str, str]]:
    """Module and name of each import that runs; of those inside functions too where `deferred`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ImportFrom) and child.module:
            yield from ((child.module, name.name) for name in child.names)
        elif isinstance(child, ast.Import):
            yield from ((name.name, "") for name in child.names)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        elif deferred or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from imports(child, deferred=deferred)


def circles(*, deferred: bool) -> list[set[str]]:
    """Sets of modules that import each other."""
    named = {
        ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): file
        for file in PACKAGE.rglob("*.py")
    }
    needs = {}
    for module, file in named.items():
        found = {
            f"{origin}.{name}" if f"{origin}.{name}" in named else origin
            for origin, name in imports(ast.parse(file.read_text("utf-8")), deferred=deferred)
        }
        needs[module] = (found & named.keys()) - {module}
    beyond = {module: set(found) for module, found in needs.items()}
    for through in named:  # Warshall's closure
        for module in named:
            if through in beyond[module]:
                beyond[module] |= beyond[through]
    alike = {
        frozenset(o for o in beyond[module] if module in beyond[o]) for module in named if module in beyond[module]
    }
    return [set(one) for one in alike]


def test_no_modules_import_each_other() -> None:
    assert circles(deferred=False) == []


def test_imports_inside_functions_make_no_new_circles() -> None:
    # The package's front looks into its rooms; a checkpoint's adapter is found as any checkpoint; the shell's
    # completion is written from the whole command.
    known = {"genarium", "genarium.checkpoints.store.find", "genarium.cli.main"}
    assert [circle for circle in circles(deferred=True) if not circle & known] == []


@pytest.mark.parametrize(
    "name", ["sampling", "generate", "continuous", "captions", "labels", "image_tokens", "json_schema"]
)
def test_decoding_needs_no_torch(name: str) -> None:
    check = f"import genarium.decoding.{name}, sys\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


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
