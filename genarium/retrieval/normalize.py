"""Text as it is searched and read by models. What is quoted stays as the file has it.

A ligature, a full-width digit or a soft hyphen hides a word from a search for it: "ﬁsh", "１２", "exam­ple". So passages
are searched in Unicode's compatibility form (NFKC), without invisible signs, and words that a line's end cuts in two
are there whole as well.
"""

from __future__ import annotations

import re
import unicodedata

INVISIBLE = re.compile("[\xad\u200b\u200c\u200d\u2060\ufeff\u202a-\u202e\u2066-\u2069]")
DASHES = re.compile("[\u2010\u2011]")
CUT = re.compile(r"(\w*[^\W\d_])(?:-|\u2010|\xad)[ \t]*\n[ \t]*([^\W\d_]\w*)")
RAISED = re.compile("(?<=\\d)([⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
FRACTION = re.compile("(?<=\\d)(?=[¼-¾⅐-⅞])")


def normalized(text: str) -> str:
    """The text for search: 10⁶ is 10^6 and 1½ is 1 1⁄2, not 106 and 11⁄2. Text of ASCII without cut words stays."""
    if text.isascii() and "-" not in text:
        return text
    # "exam-\nple" may be example, or a word with a hyphen of its own: both are searched.
    text = CUT.sub(lambda cut: f"{cut[1]}{cut[2]}" if cut[2][0].islower() else f"{cut[1]}-{cut[2]}", text)
    if text.isascii():
        return text
    text = FRACTION.sub(" ", RAISED.sub(r"^\1", INVISIBLE.sub("", text)))
    return DASHES.sub("-", unicodedata.normalize("NFKC", text))
