"""What a terminal gets is text: sequences that would command it are shown."""

from __future__ import annotations

import io

import pytest

from genarium.cli.terminal import echo_result, printable, sentence

ESCAPES = "\x1b]0;owned\x07\x1b[31mred\x9b2J\x7f"


def test_controls_are_shown_and_text_is_left_alone() -> None:
    assert printable(ESCAPES) == r"\x1b]0;owned\x07\x1b[31mred\x9b2J\x7f"
    assert printable("moc.\u202etxt\u2066") == r"moc.\u202etxt\u2066"
    assert printable("\ud800") == r"\ud800"
    for text in ("naïve 漢字 👩‍👩‍👧 שלום\u200e", "two\nlines\tand a tab", "1\u202f000 €"):
        assert printable(text) == text
    assert sentence("no file 'a\ngenarium: all is well'") == "no file 'a genarium: all is well'"


@pytest.mark.parametrize("terminal", [True, False])
def test_a_result_is_as_it_is_but_on_a_terminal(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    class Out(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    out = Out()
    monkeypatch.setattr("sys.stdout", out)
    echo_result(ESCAPES, nl=False)
    assert out.getvalue() == (printable(ESCAPES) if terminal else ESCAPES)
