"""What a folder of this package holds and what other packages bring by entry points: listed by name, not imported.

A package brings something by an entry point in one of the groups `genarium.tasks`, `genarium.engines`,
`genarium.layouts`, `genarium.commands`. One that can't be imported, or claims a name that is taken, is named in one
sentence and left out; all else works. Of several that claim one new name, the first in the order of packages has it.
"""

from __future__ import annotations

import importlib
import logging
import os
import pkgutil
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, TypeVar

from genarium.errors import first_line

T = TypeVar("T")
log = logging.getLogger("genarium.plugins")
"""Shown on standard error in Python; the command line and the server tell it their own way."""
COMMANDS = frozenset(
    "align completion doctor edit finetune history index models rate reproduce serve show train".split()
)
"""Commands that are no tasks: no task may be called so."""
METADATA = (".dist-info", ".egg-info", ".egg")
"""Endings of what a package leaves of itself beside its code."""
_left_out: dict[str, Plugin] = {}
_loaded: set[Plugin] = set()


@dataclass(frozen=True)
class Plugin:
    """Something by its name: `value` is `module:attribute`; `package` brings it, empty for what comes with Genarium."""

    group: str
    name: str
    value: str
    package: str = ""

    @property
    def kind(self) -> str:
        """task, engine, layout or command."""
        return self.group.removeprefix("genarium.").removesuffix("s")


def listed(
    folder: str,
    group: str,
    *,
    attribute: str,
    suffix: str = "",
    prefix: str = "",
    besides: Collection[str] = (),
    taken: Collection[str] = (),
) -> dict[str, Plugin]:
    """What the files of `genarium/FOLDER` and entry points bring, by name: ours first, each in alphabetical order."""
    found = ours(folder, group, attribute=attribute, suffix=suffix, besides=besides)
    return found | brought(group, prefix=prefix, taken={*found, *taken})


def ours(
    folder: str, group: str, *, attribute: str, suffix: str = "", besides: Collection[str] = ()
) -> dict[str, Plugin]:
    """What the files `NAMEsuffix.py` of a folder define, by name; those in `besides` define nothing of the kind.

    `attribute`, with `{name}` for the name, is what each defines.
    """
    module = "genarium." + folder.replace("/", ".")
    names = [name.removesuffix(suffix) for name in modules(folder) if name.endswith(suffix) and name not in besides]
    return {name: Plugin(group, name, f"{module}.{name}{suffix}:{attribute.format(name=name)}") for name in names}


def brought(group: str, *, prefix: str = "", taken: Collection[str] = ()) -> dict[str, Plugin]:
    """What other packages bring under entry points `PREFIXname`, by name. None may claim one that is `taken`."""
    found: dict[str, Plugin] = {}
    for plugin in _brought():
        name = plugin.name.removeprefix(prefix)
        if plugin.group != group or not plugin.name.startswith(prefix) or "." in name:
            continue
        if not name.isidentifier():
            leave_out(plugin, "its name is no plain name of letters, digits and underscores; its maker can rename it")
        elif name in found or name in taken:
            by = found[name].package if name in found else "Genarium"
            leave_out(plugin, f"{by} has one of that name already; uninstall the package you don't need")
        else:
            found[name] = plugin
    return found


@cache
def tasks() -> dict[str, Plugin]:
    """The tasks, by name. None may be called as a room of this package is, or a command that is no task."""
    import genarium

    taken = {*vars(genarium), *modules("."), *COMMANDS}
    return listed("tasks", "genarium.tasks", attribute="{name}", besides=("options", "task"), taken=taken)


def modules(folder: str) -> list[str]:
    """The modules in a folder of this package, by name; none is imported."""
    place = str(Path(__file__).parent / folder)
    return sorted(module.name for module in pkgutil.iter_modules([place]) if not module.name.startswith("_"))


@cache
def load(plugin: Plugin, kind: type[T]) -> T | None:
    """What it names; None, and a sentence in `left_out`, where another package's can't be had or is no `kind`."""
    if not plugin.package:
        return _named(plugin)
    try:
        named = _named(plugin)
    except (Exception, SystemExit) as error:
        leave_out(plugin, f"{type(error).__name__}: {first_line(error)}; update that package, or uninstall it")
        return None
    if not isinstance(named, kind):
        leave_out(plugin, f"{plugin.value} is no {kind.__name__}; its maker can put that right")
        return None
    _loaded.add(plugin)
    return named


def _named(plugin: Plugin) -> Any:
    module, _, attributes = plugin.value.partition(":")
    found: Any = importlib.import_module(module.strip())
    for attribute in filter(None, attributes.strip().split(".")):
        found = getattr(found, attribute)
    return found


def leave_out(plugin: Plugin, why: str) -> None:
    """Say, once, that it is not there and why."""
    sentence = f"left out the {plugin.kind} {plugin.name!r} of the package {plugin.package}: {why}"
    if sentence not in _left_out:
        _left_out[sentence] = plugin
        log.warning(sentence)


def left_out(name: str | None = None) -> list[str]:
    """A sentence for each plug-in that was left out so far, or for those of one name."""
    return [sentence for sentence, left in _left_out.items() if name in (None, left.name)]


def used() -> dict[Plugin, bool]:
    """What other packages bring and was not left out, and of each whether it was loaded so far."""
    return {plugin: plugin in _loaded for plugin in _brought() if plugin not in _left_out.values()}


def _may_be_brought() -> bool:
    """Whether any installed package has entry points in our groups: `importlib.metadata`, which knows what they are, is
    a fifth of the time that `--help` takes, and most machines have none.
    """
    if any(hasattr(finder, "find_distributions") and finder is not PathFinder for finder in sys.meta_path):
        return True
    for folder in sys.path:
        try:
            listed = [entry for entry in os.scandir(folder or ".") if entry.name.endswith(METADATA)]
        except FileNotFoundError:
            continue
        except OSError:  # an archive
            return True
        for entry in listed:
            try:
                if b"[genarium." in Path(entry.path, "entry_points.txt").read_bytes():
                    return True
            except OSError:  # a package without any
                if entry.name.endswith(".egg"):
                    return True
    return False


@cache
def _brought() -> list[Plugin]:
    """The entry points of other packages, sorted, so that who comes first is the same every time."""
    if not _may_be_brought():
        return []
    from importlib.metadata import distributions

    found: dict[str, list[Plugin]] = {}
    for package in distributions():
        text = package.read_text("entry_points.txt")
        if not text or "genarium." not in text:  # nearly all: their files are not parsed
            continue
        name = re.sub(r"[-_.]+", "-", package.name).lower()
        if name in found:  # a second copy, further back on the path
            continue
        try:
            points = [point for point in package.entry_points if point.group.startswith("genarium.")]
        except Exception as error:  # a damaged file
            leave_out(Plugin("genarium.packages", "entry_points.txt", "", name), first_line(error))
            points = []
        found[name] = [Plugin(p.group, p.name, p.value, f"{name} {package.version}") for p in points]
    return sorted((one for some in found.values() for one in some), key=lambda one: (one.package, one.group, one.name))
