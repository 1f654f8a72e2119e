"""Words and how they are said: pronouncing dictionaries in the layout of misaki's (`us_gold.json`, `gb_silver.json` …).

A value is a word's phonemes, or an object of them by part of speech with `DEFAULT`. Gold entries were checked by hand.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from genarium.errors import BadInput

ACCENTS = {"us": "\x01", "gb": "\x02"}
"""The accents, and the letter that a word begins with for each."""
PLAIN = re.compile(r"[a-z'-]{2,32}")
NAMES = tuple(f"{accent}_{kind}.json" for accent in ACCENTS for kind in ("gold", "silver"))
HELD_OUT = 50
"""One word in so many is kept out of training, by its sha256."""


def read(file: Path) -> dict[str, str | dict[str, str | None]]:
    """Raises BadInput where the file is no lexicon."""
    try:
        found = json.loads(file.read_text("utf-8"))
    except OSError:
        raise BadInput(f"{file} can't be read; fetch starter/speech again") from None
    except ValueError:
        raise BadInput(f"{file} is no JSON, which a lexicon is; get it again") from None
    if not isinstance(found, dict) or not all(isinstance(one, str | dict) for one in found.values()):
        raise BadInput(f"{file} is no lexicon: an object with a word's phonemes under each word")
    return found


def usual(entry: str | dict[str, Any]) -> str:
    """The phonemes of an entry where nothing is known of the sentence."""
    return entry if isinstance(entry, str) else entry["DEFAULT"]


def is_held_out(word: str) -> bool:
    """Whether a word is kept for measuring, whatever the accent."""
    return int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") % HELD_OUT == 0


def pairs(folder: Path) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """To train on, and of gold entries those held out: a word in small letters after its accent's sign, and phonemes.

    Raises BadInput.
    """
    train: dict[tuple[str, str], None] = {}
    held: dict[tuple[str, str], None] = {}
    for accent, sign in ACCENTS.items():
        for kind in ("gold", "silver"):
            for word, entry in read(folder / f"{accent}_{kind}.json").items():
                spelt, said = word.lower(), usual(entry)
                if not said or not PLAIN.fullmatch(spelt):
                    continue
                if not is_held_out(spelt):
                    train[sign + spelt, said] = None
                elif kind == "gold":
                    held[sign + spelt, said] = None
    return list(train), list(held)
