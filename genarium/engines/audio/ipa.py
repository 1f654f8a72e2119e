"""IPA as it is usually written into the phonemes that Kokoro was trained on, which has one sign for a diphthong."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

from genarium.errors import BadInput

ONE_SIGN = {
    "eɪ": "A",
    "aɪ": "I",
    "ɔɪ": "Y",
    "oʊ": "O",
    "əʊ": "Q",
    "aʊ": "W",
    "tʃ": "ʧ",
    "dʒ": "ʤ",
    "ɚ": "əɹ",
    "ɝ": "ɜɹ",
    "ɫ": "l",
    "g": "ɡ",
    "r": "ɹ",
    "'": "ˈ",
    ",": "ˌ",
}
JOINED = re.compile("|".join(map(re.escape, ONE_SIGN)))
TIES = "\u0361\u035c\u032f\u0329.‿|/[]"
"""Signs that change nothing here: ties, syllables, brackets."""


def phonemes(text: str, known: Collection[str]) -> str:
    """Raises BadInput where a sign is none that the model `known`s."""
    plain = "".join(sign for sign in unicodedata.normalize("NFD", text.strip()) if sign not in TIES)
    plain = unicodedata.normalize("NFC", plain)
    said = JOINED.sub(lambda found: ONE_SIGN[found[0]], plain)
    if unknown := sorted({sign for sign in said if sign not in known}):
        raise BadInput(
            f"{text!r} has {' '.join(unknown)}, which the voice can't say; write it in IPA, such as ˈʃɛdʒuːl"
        )
    if not said.strip():
        raise BadInput("an empty pronunciation says nothing; write it in IPA, such as ˈʃɛdʒuːl")
    return said
