"""The page's modules import each other one way: what imports itself by others runs before it is whole."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter

from genarium.studio import FOLDER


def test_no_module_imports_itself_by_others() -> None:
    modules = {file.name: file.read_text("utf-8") for file in (FOLDER / "static").glob("*.js")}
    imports = {name: set(re.findall(r'from "\./([\w.]+)"', source)) for name, source in modules.items()}
    assert set().union(*imports.values()) <= modules.keys()
    order = list(TopologicalSorter(imports).static_order())  # raises CycleError, which names the circle
    assert order[-1] == "main.js"
