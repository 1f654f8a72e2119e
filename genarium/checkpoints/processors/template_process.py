"""Renders chat templates in a process of its own: a template is a program that came with a download.

Run as a script it reads one JSON request a line and answers each with a line. It imports nothing but Jinja, so that it
starts in a tenth of a second, and can take little: what would run for longer than `SECONDS`, or needs more memory than
`MEMORY` beside what it was given, ends. The environment is transformers' own: Jinja's immutable sandbox.
"""

from __future__ import annotations

import json
import sys
from datetime import date
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError, TemplateRuntimeError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

SECONDS = 1.0
"""Processor time of one rendering, so that a busy machine changes nothing."""
MEMORY = 64 * 2**20


class Refused(TemplateError):
    """`raise_exception`: the template's own words."""


class Generation(Extension):
    """`{% generation %}`: marks a reply for training; here its content is all there is to it."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's own way

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class PlainNamespace(Namespace):
    """Without names that begin with an underscore, which lead out of the sandbox."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        if isinstance(name, str) and name.startswith("_"):
            raise SecurityError(f"a namespace has no place for {name!r}")
        super().__setitem__(name, value)


@lru_cache(maxsize=16)
def compiled(source: str, today: str | None) -> Template:
    """The template in the environment transformers gives it; `today` is YYYY-MM-DD. Raises TemplateError."""

    def new_dict(*args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def raise_exception(message: str) -> None:
        raise Refused(message)

    def tojson(value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, **rest: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, **rest)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals |= {"raise_exception": raise_exception, "namespace": PlainNamespace, "dict": new_dict}
    if today is not None:
        environment.globals["strftime_now"] = date.fromisoformat(today).strftime
    return environment.from_string(source)


def answer(request: dict[str, Any]) -> dict[str, str]:
    """`text`, or what went wrong: `kind` is invalid, refused or broken, `words` says more."""
    try:
        template = compiled(request["source"], request["today"])
    except TemplateError as error:
        return {"kind": "invalid", "words": str(error)}
    except Exception as error:  # too deeply nested for its parser
        return {"kind": "invalid", "words": type(error).__name__}
    try:
        return {"text": template.render(tools=None, documents=None, **request["values"])}
    except TemplateRuntimeError as error:
        return {"kind": "broken", "words": f"{type(error).__name__}: {error}"}
    except TemplateError as error:
        return {"kind": "refused", "words": str(error)}
    except MemoryError:
        return {"kind": "broken", "words": f"it needs more than {MEMORY // 2**20} MB of memory"}
    except Exception as error:  # a template is a program: it can fail in any way
        return {"kind": "broken", "words": f"{type(error).__name__}: {error}"}


def serve() -> None:
    """Answer requests until there are no more. What passes its limits ends this process."""
    import signal

    usual = _address_space()
    for line in sys.stdin.buffer:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)  # nothing here handles its signal: it kills
        if usual:
            import resource

            most = usual + MEMORY + 16 * len(line)
            resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
        try:
            told = json.dumps(answer(json.loads(line)))
        except MemoryError:
            told = json.dumps({"kind": "broken", "words": f"it needs more than {MEMORY // 2**20} MB of memory"})
        except UnicodeError:
            told = json.dumps({"kind": "broken", "words": "it writes what is no text"})
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        sys.stdout.write(told + "\n")
        sys.stdout.flush()


def _address_space() -> int:
    """Bytes of address space that this process has now; 0 where that isn't told."""
    try:
        import resource
        from pathlib import Path

        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError, ValueError):
        return 0


if __name__ == "__main__":
    serve()
