"""What a run shows while it works: a bar on stderr after a second, text as it is written, notes."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import click

from genarium.cli import common
from genarium.cli.terminal import echo_result, printable
from genarium.errors import StorageError
from genarium.files import reason
from genarium.progress import Event
from genarium.rows import Row, line

if TYPE_CHECKING:
    import numpy as np
    from rich.progress import Progress, TaskID

BAR_AFTER_SECONDS = 1.0
PREVIEW_COLUMNS = 24


class Display:
    """A listener for progress events. With `stream`, new text goes to stdout as it comes, and there is no bar.

    `rows` is a file that finished rows are written to as they come.
    """

    def __init__(self, *, stream: bool = False, rows: Path | None = None):
        self.stream, self.rows = stream, rows
        self.rows_out: IO[bytes] | None = None
        self.began = time.monotonic()
        self.bar: Progress | None = None
        self.row: TaskID | None = None
        self.midline = False
        self.streamed = False  # whether anything of the result was written yet
        self.level, self.stage = common.level(), ""

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close_bar()
        if self.rows_out is not None:
            self.rows_out.close()

    def __call__(self, event: Event) -> None:
        if self.level > 0 and event.stage not in (self.stage, "note", "row", "evaluated", "generated"):
            self.stage = event.stage
            about = event.preview if event.stage == "loading" else ""
            self.say(f"{time.monotonic() - self.began:7.2f} s  {event.stage} {about}".rstrip())
        if event.stage == "note":
            self.say(f"note: {event.preview}")
        elif event.stage == "evaluated":
            self.say(event.preview)
        elif event.stage == "generated":
            self.say(f"{event.done}/{event.total} generated")
            self._show(event.preview)
        elif event.stage == "writing" and self.stream:
            self.write(event.preview)
        elif event.stage != "made":
            if event.stage == "row" and self.rows is not None:
                self._write_row(self.rows, event.preview)
            self._advance(event)

    def _write_row(self, file: Path, row: Row) -> None:
        try:
            if self.rows_out is None:
                self.rows_out = file.open("wb")
            self.rows_out.write(line(row))
            self.rows_out.flush()
        except OSError as error:
            raise StorageError(f"can't write {file}: {reason(error)}; name another file with -o") from None

    def write(self, text: str) -> None:
        """A piece of the result on stdout, where a line may end later."""
        self.close_bar()
        echo_result(text, nl=False)
        sys.stdout.flush()
        if text:
            self.streamed = True
            self.midline = not text.endswith("\n")

    def say(self, sentence: str) -> None:
        """A line on stderr, above the bar where there is one; nothing when quiet."""
        if self.level < 0:
            return
        if self.midline:
            click.echo()
            self.midline = False
        sentence = printable(sentence)
        if self.bar is not None:
            self.bar.console.print(sentence, markup=False, highlight=False)
        else:
            click.echo(sentence, err=True)

    def _show(self, pixels: np.ndarray) -> None:
        """A small picture (h, w, 3) uint8, where stderr is a terminal: each character is two pixels."""
        if not sys.stderr.isatty() or self.level < 0:
            return
        from rich.color import Color
        from rich.console import Console
        from rich.style import Style
        from rich.text import Text

        step = max(1, -(-pixels.shape[1] // PREVIEW_COLUMNS))
        shown = pixels[::step, ::step]
        lines = Text()
        for upper, lower in zip(shown[0::2], shown[1::2], strict=False):
            for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
                lines.append("▀", Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below)))
            lines.append("\n")
        console = self.bar.console if self.bar is not None else Console(stderr=True)
        console.print(lines, end="")

    def close_bar(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def _advance(self, event: Event) -> None:
        if (
            self.level < 0
            or not sys.stderr.isatty()
            or (self.bar is None and time.monotonic() - self.began < BAR_AFTER_SECONDS)
        ):
            return
        if self.bar is None:
            self.bar = _new_bar()
            self.bar.start()
            self.row = self.bar.add_task(event.stage, total=event.total)
        about: Any = event.preview if isinstance(event.preview, str) and event.stage != "writing" else ""
        assert self.row is not None
        self.bar.update(
            self.row, description=printable(f"{event.stage} {about}"[:60]), completed=event.done, total=event.total
        )


def _new_bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
