"""What a question asks: its parts where it asks several things, and what a follow-up means after what went before.

By rules of three languages (English, German, Chinese); a question that none fits is taken as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from genarium.retrieval.words import keywords

ASKING = (
    r"(?:when|where|who|whom|whose|what|which|why|how|"
    r"wann|wo|wer|wem|wen|wessen|was|wie|warum|wieso|wohin|woher|wof[üu]r|womit|welche[mnrs]?)"
)
ASKING_PHRASE = re.compile(
    rf"{ASKING}(?:\s+(?:long|much|many|often|far|old|large|exactly|lange|viele?|oft|weit|alt|gro[ßs]s?|genau))?", re.I
)
JOINED = re.compile(rf"^(?P<first>.+?),?\s+(?:and|und)\s+(?P<second>{ASKING}\b.+)$", re.I | re.S)
ASKING_CHINESE = re.compile("什么|哪|谁|几|多少|多久|多长|多大|怎|如何|为何")
OPENING = re.compile(
    r"^(?:(?:and|but|so|or|also|then)\b[\s,]*)?(?:what about|how about|what if it is)\s+"
    r"|^(?:and|but|so|or|also|then)\b[\s,]+"
    r"|^(?:und|aber|oder|also)\b[\s,]+(?:was ist mit|wie (?:ist|sieht|steht) es (?:aus )?(?:mit|bei))?\s*"
    r"|^(?:was ist mit|wie (?:ist|sieht|steht) es (?:aus )?(?:mit|bei))\s+"
    r"|^(?:那么|那|还有|以及|如果是|换成|至于)[，,]?",
    re.I,
)
MEANING_WHAT_WENT_BEFORE = re.compile(
    r"\b(?:it|its|they|them|their|he|she|him|her|there|this|that|those|these|"
    r"es|sie|er|ihn|ihm|ihr|ihnen|dort|davon|daf[üu]r|darin|damit|dazu)\b|[它他她]|那里|那边|那儿|这个|那个|其",
    re.I,
)
PREPOSITIONS = (
    "on at in for from to by with during after before of since until "
    "am an im in bei beim für mit ab nach vor seit bis zum zur von vom auf"
).split()
KINDS = (  # what a Chinese fragment takes the place of
    re.compile("周[一二三四五六日天末]|星期[一二三四五六日天]|礼拜[一二三四五六日天]|周末|工作日|节假日|平日"),
    re.compile(r"[0-9〇一二三四五六七八九十]+年"),
    re.compile(r"[0-9一二三四五六七八九十]+月(?:[0-9一二三四五六七八九十]+[日号])?"),
    re.compile("早上|上午|中午|下午|晚上|夜间"),
    re.compile("成人|儿童|学生|老人|会员"),
)


def parts(question: str) -> list[str]:
    """The questions in a question: "When and where does it begin?" asks two. At least one, at most four."""
    whole = question.strip()
    several = [one.strip() for one in re.findall(r"[^?？]+[?？]", whole)]
    if len(several) > 1 and all(_asks(one) for one in several):
        found = [part for number, one in enumerate(several) for part in parts(standalone(one, several[:number][-1:]))]
        return found[:4]
    if match := JOINED.match(whole):
        first, second = match["first"].strip(), match["second"].strip()
        if (opening := ASKING_PHRASE.fullmatch(first)) is not None:  # "When" of "When and where does it begin?"
            rest = ASKING_PHRASE.sub("", second, count=1).strip()
            return [f"{opening[0]} {rest}", _begun(second)] if rest else [whole]
        if _asks(first) and ASKING_PHRASE.fullmatch(second.rstrip("? ")):  # "Who wrote it and when?"
            return [f"{first}?", _begun(ASKING_PHRASE.sub(second.rstrip("? "), first, count=1)) + "?"]
        if _asks(first) and keywords(second):
            return [f"{first.rstrip('?')}?", _begun(standalone(second, [first]))]
    pieces = [piece for piece in re.split(r"[，,；;]|以及|并且", whole.rstrip("？?")) if piece.strip()]
    if len(pieces) > 1 and all(ASKING_CHINESE.search(piece) for piece in pieces):
        subject = re.split(ASKING_CHINESE, pieces[0])[0]
        return [f"{pieces[0]}？", *(f"{subject}，{piece}？" for piece in pieces[1:])][:4]
    return [whole]


def standalone(question: str, before: Sequence[str]) -> str:
    """The question as one that needs no other: "and on Sundays?" after "When do you open on weekdays?" is "When do you
    open on Sundays?". `before` are the questions that went before, oldest first.
    """
    meant = ""
    for one in [*before, question]:
        meant = _after(one.strip(), meant) if meant else one.strip()
    return meant


def _after(question: str, before: str) -> str:
    opening = OPENING.match(question)
    rest = question[opening.end() :].strip() if opening else question
    chinese = question.rstrip("？? ").endswith("呢")
    if chinese:
        rest = rest.rstrip("？? ").removesuffix("呢")
    if not rest:
        return before
    if _asks(rest):
        refers = MEANING_WHAT_WENT_BEFORE.search(rest) is not None or opening is not None
        return f"{rest} ({before})" if refers and len(keywords(rest)) <= 4 else rest
    if not opening and not chinese and len(keywords(rest)) > 4:
        return rest
    return _instead(rest.rstrip("?？!. "), before)


def _instead(fragment: str, before: str) -> str:
    """The question before with this in the place of what is like it, or behind it."""
    mark = "？" if before.endswith("？") else "?"
    asked = before.rstrip("?？ ")
    for kind in KINDS:
        if kind.search(fragment) and kind.search(asked):
            return kind.sub(fragment, asked, count=1) + mark
    preposition = fragment.split(maxsplit=1)[0].lower()
    if preposition in PREPOSITIONS:
        others = "|".join(PREPOSITIONS)
        place = re.compile(rf"\b{preposition}\s+.+?(?=\s+(?:{others})\b|,|$)", re.I)
        if place.search(asked):
            return place.sub(lambda _: fragment, asked, count=1) + mark
    return f"{asked}, {fragment}{mark}" if mark == "?" else f"{asked}，{fragment}{mark}"


def _asks(text: str) -> bool:
    return re.search(rf"\b{ASKING}\b", text, re.I) is not None or ASKING_CHINESE.search(text) is not None


def _begun(question: str) -> str:
    return question[:1].upper() + question[1:]
