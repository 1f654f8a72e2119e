"""The words of DALL·E mini and mega: byte pairs of lower-case ASCII, emoji by their names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tokenizers import models

from genarium.errors import BadCheckpoint

BEFORE_A_WORD = "Ġ"
LONGEST_WORD = 400  # characters: 64 tokens of any word are in the first few


@dataclass(frozen=True)
class Encoded:
    """`tokens` with those that begin and end a text; `cut` is what did not fit, `dropped` the characters left out."""

    tokens: list[int]
    cut: str = ""
    dropped: str = ""


class DalleTokenizer:
    """Text to tokens as the package `min-dalle` makes them. Raises BadCheckpoint."""

    def __init__(self, vocabulary: Path, merges: Path):
        try:
            known = json.loads(vocabulary.read_text("utf-8"))
            lines = merges.read_text("utf-8").split("\n")[1:-1]  # the first says the version
            pairs = [(left, right) for left, right in (line.split() for line in lines)]
            self.begin, self.end = int(known["<s>"]), int(known["</s>"])
            self.pairs = models.BPE(vocab=known, merges=pairs, unk_token="<unk>")
        except KeyError as missing:
            raise BadCheckpoint(f"{vocabulary} has no {missing.args[0]}; download it again") from None
        except Exception as error:  # the library raises bare Exception
            raise BadCheckpoint(
                f"{vocabulary} and {merges.name} can't be read ({error}); download them again"
            ) from None

    def encode(self, text: str, length: int) -> Encoded:
        """At most `length` tokens, the first and last of which begin and end the text.

        The package cuts the end's token away with the words that are too many, and so takes a word for the text
        that asks for nothing; here the end stays, as in the network's training.
        """
        plain, dropped = to_ascii(text)
        tokens = [self.begin]
        words = [word for word in plain.split(" ") if word]
        for place, word in enumerate(words):
            pieces = [piece.id for piece in self.pairs.tokenize(BEFORE_A_WORD + word[:LONGEST_WORD])]
            room = length - 1 - len(tokens)
            tokens += pieces[:room]
            if len(pieces) > room:
                return Encoded([*tokens, self.end], " ".join(words[place:]), dropped)
        return Encoded([*tokens, self.end], "", dropped)


def to_ascii(text: str) -> tuple[str, str]:
    """Lower-case ASCII with emoji as their names ("🔥" is "fire"), and the characters that have no place in it."""
    if text.isascii():
        return text.lower(), ""
    from emoji import demojize

    lowered = demojize(text, delimiters=("", "")).lower()
    dropped = "".join(dict.fromkeys(character for character in lowered if not character.isascii()))
    return lowered.encode("ascii", errors="ignore").decode(), dropped
