"""Markdown as it stands: its headings, and its tables as rows that are quoted whole and read with their headings."""

from __future__ import annotations

import itertools
import re
from typing import Any

from genarium.retrieval.document import HEADING_LEVELS, Document, Section, TableRow, joined, line_starts
from genarium.retrieval.formats.grid import Grid, GridCell

FRONT = re.compile(r"\A(---|\+\+\+)[ \t]*\n(.*?\n)?\1[ \t]*(?:\n|\Z)", re.DOTALL)
TITLE = re.compile(r"(?mi)^title[ \t]*[:=][ \t]*[\"']?(.*?)[\"']?[ \t]*$")


def markdown(text: str) -> Document:
    """The document: a section a heading, each under those of a higher level. Front matter is text, not a heading."""
    from markdown_it import MarkdownIt

    front = FRONT.match(text)
    begin = front.end() if front else 0
    starts = [begin + start for start in line_starts(text[begin:])]
    above: list[str] = [""] * HEADING_LEVELS
    title = TITLE.search(front[2] or "") if front else None
    sections = [Section(0, title[1])] if title and title[1] else []
    tokens = MarkdownIt("commonmark").enable("table").parse(text[begin:])
    rows: list[TableRow] = []
    for place, (opened, inline) in enumerate(itertools.pairwise(tokens)):
        if opened.type == "heading_open" and opened.map is not None:
            level = int(opened.tag[1])
            above[level - 1 :] = [_shown(inline), *[""] * (HEADING_LEVELS - level)]
            sections.append(Section(starts[opened.map[0]], joined(above)))
        elif opened.type == "table_open":
            rows += _rows(tokens[place:], text, starts)
    return Document(text, sections, rows=rows)


def _rows(tokens: list[Any], text: str, starts: list[int]) -> list[TableRow]:
    """Each row of the table that begins here: its line in the file, and what it says with its headings."""
    names: list[GridCell] = []
    cells: list[GridCell] = []
    found, line, in_head = list[TableRow](), 0, False
    for place, token in enumerate(tokens):
        if token.type == "table_close":
            break
        if token.type == "thead_open":
            in_head = True
        elif token.type == "thead_close":
            in_head, names = False, cells
        elif token.type == "tr_open":
            cells, line = [], token.map[0] if token.map else line
        elif token.type in ("th_open", "td_open"):
            cells.append(GridCell(_shown(tokens[place + 1])))
        elif token.type == "tr_close" and not in_head:
            start = starts[line]
            end = starts[line + 1] if line + 1 < len(starts) else len(text)
            raw = text[start:end]
            lines = list(Grid([names, cells], headings=1).lines())
            first = start + len(raw) - len(raw.lstrip())
            if raw.strip():
                found.append(TableRow(first, first + len(raw.strip()), lines[-1] if any(c.text for c in cells) else ""))
    return found


def _shown(inline: Any) -> str:
    """An inline token as it is shown, without the signs of its markup."""
    if not inline.children:
        return " ".join(inline.content.split())
    parts = []
    for child in inline.children:
        parts.append(" " if child.type in ("softbreak", "hardbreak") else child.content)
    return " ".join("".join(parts).split())
