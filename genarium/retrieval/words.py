"""The words of a text as they are searched, and those of a question that tell something.

Chinese, Japanese and Korean are written without blanks, or with words that endings change: there each pair of
neighbouring characters is a word (bigrams; Nie, Gao, Zhang and Zhou, "On the use of words and n-grams for Chinese
information retrieval", 2000).
"""

from __future__ import annotations

import re

from genarium.retrieval.normalize import normalized

# Words that stand in nearly every passage. Searching for them finds nothing and costs most of the time.
ENGLISH = (
    "a about after all also am an and any are as at be because been before being but by can could did do does doing "
    "for from had has have having he her here hers him his how i if in into is it its just me more most my no not now "
    "of on one only or other our out over own said same she should so some such than that the their them then there "
    "these they this those to too up us very was we were what when where which while who whom whose why will with "
    "would you your"
)
GERMAN = (
    "aber als am auch auf aus bei beim bin bis das dass dem den der des die dies diese diesem diesen dieser dieses "
    "doch du durch ein eine einem einen einer eines er es für hat habe haben hatte ich ihm ihn ihnen ihr ihre ihrem "
    "ihren ihrer im ist kann können mit muss müssen nach nicht noch nur oder ohne sein seine seinem seinen seiner sich "
    "sie sind soll um und uns unter vom von vor wann warum was welche welchem welchen welcher welches wem wen wenn wer "
    "werden wessen wie wieso wir wird wo wofür woher wohin wurde wurden zu zum zur über"
)
COMMON, COMMON_GERMAN = frozenset(ENGLISH.split()), frozenset(GERMAN.split())
ONLY_GERMAN = COMMON_GERMAN - COMMON - frozenset("am bin die hat warum".split())
EMPTY = frozenset(
    "的了是在和有什么多少哪里谁吗呢怎样几个我你他她它们这那吧啊与及或被把对从到为以会能可要得着就都也请问如何"
)
"""Chinese characters that ask or join: a pair of them tells nothing."""
CJK = "\u3005\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f"
RUN = re.compile(f"[{CJK}]+")
WORD = re.compile(f"[{CJK}]+|[^\\W{CJK}]+")


def words(text: str) -> list[str]:
    """Every word of a text in lower case, in order; of a run of Chinese, Japanese or Korean its pairs."""
    found: list[str] = []
    for word in WORD.findall(normalized(text).lower()):
        found += pairs(word) if RUN.match(word) else [word]
    return found


def pairs(run: str) -> list[str]:
    """Neighbouring characters two by two; a character alone is itself."""
    return [run[at : at + 2] for at in range(len(run) - 1)] or [run]


def spaced(text: str) -> str:
    """The text with blanks between the pairs of such a run, so that an index of words holds them."""
    return text if text.isascii() else RUN.sub(lambda run: f" {' '.join(pairs(run[0]))} ", text)


def keywords(question: str) -> list[str]:
    """The words of a question worth searching for; all of them where each is a common one."""
    found = list(dict.fromkeys(words(question)))
    common = COMMON | COMMON_GERMAN if is_german(question) else COMMON
    return [word for word in found if word not in common and not EMPTY.issuperset(word)] or found


def is_german(text: str) -> bool:
    """Whether two of its words, and one of nine, are such as join German sentences and no English ones."""
    found = words(text)
    joining = sum(word in ONLY_GERMAN for word in found)
    return joining >= 2 and joining * 9 >= len(found)


def language_of(text: str) -> str:
    """Which of the languages that are told apart here a question is in: zh, de, or en for every other."""
    return "zh" if RUN.search(text) else "de" if is_german(text) else "en"
