"""What kind of thing a question asks for, and whether a sentence has one: a price, a number, a time, an age …

By the question's own words, in English, German and Chinese; where they say nothing, every sentence will do. Answer
types have narrowed candidates since TREC's first question answering (Voorhees 1999).
"""

from __future__ import annotations

import re

NUMBER = (
    r"\d|[一二三四五六七八九十百千万两半]+\s*[个只条天年月日时分秒次人元米名位页块种份周倍]"
    r"|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|hundred"
    r"|thousand|million|half|dozen|once|twice|none|no|ein|eine[mnrs]?|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn"
    r"|elf|zwölf|zwanzig|hundert|tausend|halbe?|einmal|zweimal|dreimal|kein(?:e|en)?)\b"
)
MONEY = (
    r"[€$£¥￥]|\b(?:eur|euros?|dollars?|pounds?|pence|cents?|usd|gbp|chf|francs?|franken|free|kostenlos|gratis|umsonst"
    r"|kostenfrei)\b|元|块钱|人民币|免费|不收费"
)
TIME = (
    r"\d|\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\b(?:january|february|march|april|may|june|july|august|september"
    r"|october|november|december|spring|summer|autumn|winter|morning|noon|evening|night|midnight|today|tomorrow|yesterday"
    r"|daily|always|never|after|before|until|once)\b|(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch|sonnabend"
    r"|\b(?:januar|februar|märz|mai|juni|juli|oktober|dezember|frühling|sommer|herbst|winter|morgens?|mittags?|abends?"
    r"|nachts?|täglich|immer|nie|nach|vor|bis|seit)\b|周[一二三四五六日天末]|星期|[一二三四五六七八九十]+[月日号点]"
    r"|[春夏秋冬]|早上|上午|中午|下午|晚上|每天|每日|之前|之后|以前|以后|前|后|时"
)
YEARS = r"\d+\s*(?:years?|jahren?|jahre|岁|周岁)|\b(?:born|aged|geboren|jahre alt)\b|出生|[一二三四五六七八九十]+岁"
KINDS: tuple[tuple[str, str], ...] = (
    (
        r"\b(?:tele)?phone number\b|\b(?:telefon|handy|fax)nummer\b|电话号码?是|什么电话|手机号",
        r"\d[\d ()/.\-–]{3,}\d",
    ),
    (r"\be-?mail[ -]?(?:address|adresse)\b|邮箱|电子邮件", r"\w@\w"),
    (r"\bweb ?(?:site|page|address)\b|\burl\b|\bweb(?:seite|adresse)\b|网址|网站", r"https?://|www\.|\w\.[a-z]{2,6}\b"),
    (r"\bpass(?:word|wort|code|phrase)\b|密码", r"\bpass(?:word|wort|code|phrase)|密码|口令|\bcode\b"),
    (
        r"\bhow old (?:is|was|are|were)\b.*|\bwie alt (?:ist|war|sind|waren)\b|年纪|几岁|多大岁数|年龄",
        YEARS + r"|\b(?:19|20)\d\d\b",
    ),
    (
        r"\bwhich year\b|\bwhat year\b|\bwelche[mns]? jahr\b|哪一?年",
        r"\b1\d\d\d\b|\b20\d\d\b|[〇一二三四五六七八九]{4}年|\d年|[去今]年|\b(?:last|this) year\b|century|jahrhundert",
    ),
    (
        r"\b(?:square (?:met|feet|foot)|quadratmeter|acres?|hectares?|hektar)|平方米|公顷|多少亩|面积",
        r"\b(?:square|sq\.?|quadratmetern?|acres?|hectares?|hektar|ha|m2)\b|m²|平方|公顷|亩",
    ),
    (
        r"\bhow much (?:does|do|is|are|did|was|were|will|would)\b|\bwhat (?:does|do) .*\b(?:cost|charge)\b"
        r"|\bprice\b|\bfee\b|\bwas koste[nt]\b|\bwie ?viel koste[nt]\b|\bpreis\b|\bwie teuer\b"
        r"|多少钱|几块钱|什么价|价格|价钱|费用是|收费多少",
        MONEY,
    ),
    (
        r"\bhow (?:many|much|old|tall|high|deep|wide|far|big|large|heavy|fast|often|long)\b"
        r"|\bwie ?(?:viele?|alt|hoch|tief|breit|weit|groß|schwer|schnell|oft|lang|lange)\b"
        r"|多少|几[个只条天年月日时分秒次人名位页种份周倍点层家]|多[长久大高深宽远重快]|几岁|年纪|年龄",
        NUMBER,
    ),
    (
        r"\b(?:when|what time|which (?:day|month|year)|until when|since when)\b"
        r"|\b(?:wann|um wie viel uhr|welche[mnrs]? (?:tag|monat|jahr))\b|什么时候|何时|几点|哪天|哪一?[天年月日]",
        TIME,
    ),
)
_KINDS = tuple((re.compile(asked, re.I), re.compile(has, re.I)) for asked, has in KINDS)


def fits(question: str, text: str, *, has_time: bool = False) -> bool:
    """Whether the text has what the question asks for; true where nothing tells what that is. With `has_time` the time
    at which it is said is known beside it, as of subtitles.
    """
    for asked, has in _KINDS:
        if asked.search(question):
            return has.search(text) is not None or (has_time and has.pattern == TIME)
    return True
