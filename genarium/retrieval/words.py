"""The words of a question that tell something."""

from __future__ import annotations

import re

from genarium.retrieval.normalize import normalized

# Words that stand in nearly every passage. Searching for them finds nothing and costs most of the time.
COMMON = frozenset(
    "a about after all also am an and any are as at be because been before being but by can could did do does doing "
    "for from had has have having he her here hers him his how i if in into is it its just me more most my no not now "
    "of on one only or other our out over own said same she should so some such than that the their them then there "
    "these they this those to too up us very was we were what when where which while who whom whose why will with "
    "would you your".split()
)


def keywords(question: str) -> list[str]:
    """The words of a question worth searching for; all of them where each is a common one."""
    words = list(dict.fromkeys(re.findall(r"\w+", normalized(question).lower())))
    return [word for word in words if word not in COMMON] or words
