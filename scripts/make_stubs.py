"""Write genarium/__init__.pyi, so that editors see every task's arguments. `--check` compares and writes nothing.

`genarium.image(…)` is found at run time by its name; an editor reads this instead. Needs ruff, which formats it.
"""

from __future__ import annotations

import argparse
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

from genarium.signature import Parameter, parameters
from genarium.tasks import tasks
from genarium.tasks.task import Task

STUB = Path(__file__).parents[1] / "genarium" / "__init__.pyi"
HEAD = '''"""Made from the tasks' signatures by scripts/make_stubs.py: change those, not this."""

from pathlib import Path
from typing import Literal

from genarium import artefacts
from genarium.errors import GenariumError as GenariumError
from genarium.messages import Message
from genarium.run import Result
'''


def stub() -> str:
    """The file as it should be."""
    text = "\n\n".join([HEAD, *(function(task) for task in tasks().values())])
    formatted = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--stdin-filename", STUB.name, "-"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        cwd=STUB.parents[1],
    )
    return formatted.stdout


def function(task: Task) -> str:
    """One task as a function with a docstring that names its arguments."""
    hints = get_type_hints(task.function)
    arguments: list[str] = []
    for parameter in parameters(task.function):
        if not parameter.positional and "*" not in arguments:
            arguments.append("*")
        default = "" if parameter.required else f" = {parameter.default!r}"
        arguments.append(f"{parameter.name}: {annotation(parameter, hints[parameter.name])}{default}")
    made = " | ".join(f"artefacts.{kind.__name__}" for kind in task.artefacts)
    of_each = (f"{parameter.name}: {parameter.help}" for parameter in task.parameters)
    lines = [*task.help.split("\n"), "", *(textwrap.fill(line, 110, subsequent_indent="    ") for line in of_each)]
    doc = textwrap.indent("\n".join(lines), "    ").strip().replace("\\", "\\\\")
    return f'def {task.name}({", ".join(arguments)}) -> Result[{made}]:\n    """{doc}\n    """\n'


def annotation(parameter: Parameter, hint: Any) -> str:
    """The type as the call takes it: a path may be text, and one unnamed text stands for a list of one."""
    text = inspect.formatannotation(hint)
    text = re.sub(r"\b(?:typing|pathlib|genarium\.messages)\.", "", text)
    text = re.sub(r"Optional\[(.*)\]$", r"\1 | None", text)
    if parameter.type is Path:
        text = text.replace("Path", "str | Path")
    if parameter.repeated and parameter.positional:
        text = text.replace("list[str]", "list[str] | str")
    return text


def main(show: Callable[[str], None] = print) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail where it is not up to date")
    if parser.parse_args().check:
        current = STUB.read_text("utf-8") == stub()
        show("up to date" if current else f"{STUB.name} is not up to date: run python scripts/make_stubs.py")
        return 0 if current else 1
    STUB.write_text(stub(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
