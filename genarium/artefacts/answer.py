"""An answer to a question about documents, with the places that it stands on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from genarium.artefacts.artefact import Artefact


@dataclass(frozen=True)
class Citation:
    """What `[number]` in an answer points at: characters `start` to `end` of the file's text are `quote`.

    `file` is relative to the index's folder; `page` counts from 1, None where the file has no pages. `index` is empty
    where one index was asked, `time` ("0:01:02–0:01:07") where the file is no subtitles; there the quote begins so.
    """

    number: int
    file: str
    page: int | None
    start: int
    end: int
    quote: str
    index: str = ""
    time: str = ""

    def __str__(self) -> str:
        page = f"page {self.page}, " if self.page is not None else ""
        of = f"{self.index}: " if self.index else ""
        where = self.time or f"{page}characters {self.start}-{self.end}"
        quote = " ".join(self.quote.removeprefix(self.time).split())
        return f"[{self.number}] {of}{self.file}, {where}: “{quote}”"


def _told(citation: Citation) -> dict[str, Any]:
    """A citation as JSON values, with its index where several were asked, and its time where it has one."""
    return {name: value for name, value in asdict(citation).items() if name not in ("index", "time") or value}


@dataclass(kw_only=True)
class Answer(Artefact):
    """`text` has a number such as [1] after every sentence; `supported` is false where there is no answer."""

    kind: ClassVar[str] = "answer"
    suffix: ClassVar[str] = ".md"
    media_type: ClassVar[str] = "text/markdown; charset=utf-8"

    question: str
    text: str
    citations: list[Citation]
    supported: bool

    def content(self) -> bytes:
        return f"# {' '.join(self.question.split())}\n\n{self}\n".encode("utf-8", errors="replace")

    def facts(self) -> dict[str, Any]:
        return {
            "question": self.question,
            "text": self.text,
            "supported": self.supported,
            "citations": [_told(citation) for citation in self.citations],
        }

    @classmethod
    def formats(cls) -> tuple[str, ...]:
        return ()

    def in_words(self) -> str:
        return self.text

    def title(self) -> str:
        return " ".join(f"{self.question} {self.text}".split())

    def __str__(self) -> str:
        return "\n\n".join([self.text, *map(str, self.citations)])
