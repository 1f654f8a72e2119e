"""What stands in a paragraph of a Word file: runs of text, signs, fields, formulas, links, tracked changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genarium.retrieval.formats.formulas import omml
from genarium.retrieval.formats.symbols import sign
from genarium.retrieval.formats.word_names import children, kind, on, value

if TYPE_CHECKING:
    from genarium.retrieval.formats.word import Word

GONE = frozenset("w:del w:moveFrom w:pPr w:rPr w:sdtPr w:sdtEndPr w:tblPr w:instrText w:delText w:delInstrText".split())
HYPHEN = "\u2011"  # the one that no line is broken at
NOTES = {"w:footnoteReference": "footnotes", "w:endnoteReference": "endnotes", "w:commentReference": "comments"}
SIMPLE = {"w:tab": "\t", "w:ptab": "\t", "w:br": "\n", "w:cr": "\n", "w:noBreakHyphen": HYPHEN, "w:softHyphen": ""}


class Inline:
    """Writes the text of paragraphs. `asides` are the notes that it refers to, `hidden` whether some was left out."""

    def __init__(self, word: Word):
        self.word = word
        self.asides: list[tuple[str, str]] = []
        self.hidden = False
        self.unknown = set[str]()
        self.fields: list[bool] = []  # of each open field, whether its result was reached

    def write(self, element: Any) -> None:
        """What is seen of an element."""
        for one in children(element):
            name = kind(one)
            if name in GONE:
                continue
            if name == "w:r":
                self.run(one)
            elif name in ("m:oMath", "m:oMathPara"):
                if self.shown():
                    self.word.writer.add(omml(one))
            elif name == "w:ruby":
                self.ruby(one)
            elif name == "w:txbxContent":
                self.word.after.append(one)
            else:
                self.write(one)

    def shown(self) -> bool:
        """Whether no field's code is being read."""
        return all(self.fields)

    def run(self, run: Any) -> None:
        """Characters of one look."""
        properties = {kind(p): p for one in run if kind(one) == "w:rPr" for p in one}
        vanish = properties.get("w:vanish")
        if vanish is not None and on(vanish):
            self.hidden = self.hidden or any((one.text or "").strip() for one in run.iter() if kind(one) == "w:t")
            for one in run:  # a field begins and ends, seen or not
                if kind(one) == "w:fldChar":
                    self.field(one)
            return
        fonts = properties.get("w:rFonts")
        font = value(fonts, "ascii") if fonts is not None else ""
        raised = properties.get("w:vertAlign")
        if raised is not None and value(raised) == "superscript" and self._is_power(run):
            self.word.writer.add("^")
        for one in children(run):
            self.piece(one, font)

    def _is_power(self, run: Any) -> bool:
        """10 with a raised 6 is not 106."""
        text = "".join(one.text or "" for one in run if kind(one) == "w:t").strip()
        before = self.word.writer.pieces[-1][-1:] if self.word.writer.pieces else ""
        return before.isdigit() and text.lstrip("-−+").isdigit()

    def piece(self, one: Any, font: str) -> None:
        name = kind(one)
        writer = self.word.writer
        if name == "w:fldChar":
            self.field(one)
        elif not self.shown():
            return
        elif name == "w:t":
            writer.add(self.text(one.text or "", font))
        elif name == "w:sym":
            self.symbol(one)
        elif name in SIMPLE:
            writer.add(SIMPLE[name])
        elif name == "w:lastRenderedPageBreak":
            writer.pages.append(writer.length)
        elif name in NOTES:
            self.refer(NOTES[name], value(one, "id"))
        elif name in ("w:drawing", "w:pict", "w:object"):
            self.drawing(one)
        elif name == "w:ruby":
            self.ruby(one)
        elif name not in GONE and len(one):
            self.write(one)

    def text(self, text: str, font: str) -> str:
        if not any("\uf000" <= character <= "\uf0ff" for character in text):
            return text.replace("\xad", "")
        return "".join(self.signs(font, ord(c)) if "\uf000" <= c <= "\uf0ff" else c for c in text)

    def symbol(self, one: Any) -> None:
        try:
            code = int(value(one, "char"), 16)
        except ValueError:
            return
        self.word.writer.add(self.signs(value(one, "font"), code))

    def signs(self, font: str, code: int) -> str:
        found = sign(font, code)
        if found is None:
            self.unknown.add(font or "without a name")
            return "\ufffd"
        return found

    def field(self, one: Any) -> None:
        """A field's code is not text, its result is."""
        type_ = value(one, "fldCharType")
        if type_ == "begin":
            if self.shown():
                self.form(one)
            self.fields.append(False)
        elif type_ == "separate" and self.fields:
            self.fields[-1] = True
        elif type_ == "end" and self.fields:
            self.fields.pop()

    def form(self, one: Any) -> None:
        """A form's tick box or list, which has no result but its data."""
        parts = {kind(part): part for part in one.iter()}
        box, choices = parts.get("w:checkBox"), parts.get("w:ddList")
        if box is not None:
            ticks = {kind(p): on(p) for p in box}
            self.word.writer.add("☑" if ticks.get("w:checked", ticks.get("w:default", False)) else "☐")
        elif choices is not None:
            entries = [value(p) for p in choices if kind(p) == "w:listEntry"]
            chosen = next((value(p) for p in choices if kind(p) in ("w:result", "w:default")), "0")
            if chosen.isdigit() and int(chosen) < len(entries):
                self.word.writer.add(entries[int(chosen)])

    def refer(self, type_: str, identifier: str) -> None:
        if type_ != "comments" and identifier in self.word.asides[type_]:
            self.word.writer.add(f"[{identifier}]")
        self.asides.append((type_, identifier))

    def drawing(self, one: Any) -> None:
        """What a drawing says: its description, the text in its boxes."""
        for inner in children(one):
            name = kind(inner)
            if name == "w:txbxContent":
                self.word.after.append(inner)
                continue
            if name == "wp:docPr":
                self.said(value(inner, "descr"))
            elif name == "v:textpath":
                self.said(value(inner, "string"))
            self.drawing(inner)

    def said(self, text: str) -> None:
        if text.strip():
            if self.word.writer.ends_word():
                self.word.writer.add(" ")
            self.word.writer.add(" ".join(text.split()))

    def ruby(self, one: Any) -> None:
        """Characters with their reading in brackets."""
        for part in one:
            if kind(part) == "w:rubyBase":
                self.write(part)
        for part in one:
            if kind(part) == "w:rt":
                self.word.writer.add("(")
                self.write(part)
                self.word.writer.add(")")
