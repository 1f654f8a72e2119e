"""Packages of other people, really installed: one brings a task in ten lines, one is broken in three ways."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SHOUT = """
from collections.abc import Iterator
from typing import Annotated

from annotated_doc import Doc
from genarium.artefacts import Text
from genarium.tasks.task import task

@task()
def shout(prompt: Annotated[str, Doc("what to shout")], *, times: int = 1) -> Iterator[Text]:
    "Say it louder."
    yield Text(prompt="", text=prompt.upper() * times, finish_reason="stop", prompt_tokens=0, completion_tokens=0)
"""
BROKEN = """
from genarium_shout import shout as text, shout as history
text_layout, image_engine, greet = None, None, None
"""
PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "1.0"
dependencies = ["genarium"]

{points}
[tool.setuptools]
py-modules = {modules}
"""
PACKAGES = {
    "genarium-shout": (
        {"genarium_shout": SHOUT},
        '[project.entry-points."genarium.tasks"]\nshout = "genarium_shout:shout"\n',
    ),
    # after the first in the order of packages, so that of two who claim `shout` it is the one that is left out
    "genarium-sulk": (
        {"genarium_sulk": "import nowhere_at_all\n", "genarium_grab": BROKEN},
        '[project.entry-points."genarium.tasks"]\nsulk = "genarium_sulk:sulk"\nshout = "genarium_grab:shout"\n'
        'text = "genarium_grab:text"\nhistory = "genarium_grab:history"\nrun = "genarium_grab:text"\n'
        '[project.entry-points."genarium.engines"]\n"image.own" = "genarium_grab:image_engine"\n'
        '[project.entry-points."genarium.layouts"]\n"text.own" = "genarium_sulk:layout"\n'
        '[project.entry-points."genarium.commands"]\ngreet = "genarium_grab:greet"\n',
    ),
}
LEFT_OUT = {
    "sulk": "ModuleNotFoundError: No module named 'nowhere_at_all'",
    "shout": "genarium-shout 1.0 has one of that name already",
    "text": "Genarium has one of that name already",
    "history": "Genarium has one of that name already",
    "run": "Genarium has one of that name already",
    "greet": "genarium_grab:greet is no Command",
}
"""Of the second package, what is told where the tasks and commands are listed."""


def install(place: Path) -> Path:
    """Both, by pip, into a folder for PYTHONPATH."""
    sources = []
    for name, (modules, points) in PACKAGES.items():
        source = place / name
        source.mkdir(parents=True)
        for module, text in modules.items():
            (source / f"{module}.py").write_text(text, "utf-8")
        written = PROJECT.format(name=name, points=points, modules=sorted(modules))
        (source / "pyproject.toml").write_text(written.replace("'", '"'), "utf-8")
        sources.append(str(source))
    target = place / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "--no-compile"]
    quiet = ["--quiet", "--disable-pip-version-check", "--target", str(target)]
    subprocess.run([*pip, *quiet, *sources], check=True, capture_output=True)
    return target


def environment(installed: Path, home: Path) -> dict[str, str]:
    here = str(Path(__file__).parent.parent)
    return os.environ | {"PYTHONPATH": os.pathsep.join([here, str(installed)]), "GENARIUM_HOME": str(home)}
