"""Chinese to Kokoro's phonemes: words, pinyin with its tones, each syllable as IPA with an arrow for its tone.

The IPA of initials and finals is that of Lin 2007 and Duanmu 2007 (The Sounds of Chinese, The Phonology of Standard
Chinese), as `misaki` writes them, which the voices were trained on. Tones are those that the syllables have by
themselves: how they change beside each other the voices have learned. Words are
jieba's, pinyin pypinyin's.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from genarium import files
from genarium.engines.audio.said import Said
from genarium.extras import require

INITIALS = {
    "zh": "ꭧ",
    "ch": "ꭧʰ",
    "sh": "ʂ",
    "b": "p",
    "p": "pʰ",
    "m": "m",
    "f": "f",
    "d": "t",
    "t": "tʰ",
    "n": "n",
    "l": "l",
    "g": "k",
    "k": "kʰ",
    "h": "x",
    "j": "ʨ",
    "q": "ʨʰ",
    "x": "ɕ",
    "r": "ɻ",
    "z": "ʦ",
    "c": "ʦʰ",
    "s": "s",
}
FINALS = {
    "a": "a0",
    "ai": "ai0",
    "an": "a0n",
    "ang": "a0ŋ",
    "ao": "au0",
    "e": "ɤ0",
    "ei": "ei0",
    "en": "ə0n",
    "eng": "ə0ŋ",
    "i": "i0",
    "ia": "ja0",
    "ian": "jɛ0n",
    "iang": "ja0ŋ",
    "iao": "jau0",
    "ie": "je0",
    "in": "i0n",
    "iou": "jou0",
    "ing": "i0ŋ",
    "iong": "jʊ0ŋ",
    "ong": "ʊ0ŋ",
    "ou": "ou0",
    "u": "u0",
    "uei": "wei0",
    "ua": "wa0",
    "uai": "wai0",
    "uan": "wa0n",
    "uen": "wə0n",
    "uang": "wa0ŋ",
    "ueng": "wə0ŋ",
    "uo": "wo0",
    "o": "wo0",
    "ü": "y0",
    "üe": "ɥe0",
    "üan": "ɥɛ0n",
    "ün": "y0n",
}
"""0 stands where the tone is written."""
WHOLE = {"er": "ɚ0", "o": "ɔ0", "io": "jɔ0", "ê": "ɛ0", "hm": "hm0", "hng": "hŋ0", "m": "m0", "n": "n0", "ng": "ŋ0"}
"""Syllables without an initial that are said in a way of their own."""
TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}
HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff〇"
MARKS = {
    "，": ",",
    "、": ",",
    "。": ".",
    "．": ".",
    "！": "!",
    "？": "?",
    "：": ":",
    "；": ";",
    "…": "…",
    "—": "—",
    "《": "“",
    "》": "”",
    "「": "“",
    "」": "”",
    "『": "“",
    "』": "”",
    "“": "“",
    "”": "”",
    "（": ",",
    "）": ",",
    "【": ",",
    "】": ",",
    "\n": ";",
} | {mark: mark for mark in ";:,.!?"}
DIGITS = "零一二三四五六七八九"
NUMBER = re.compile(
    r"(?P<date>(\d{4})[-/](\d{1,2})[-/](\d{1,2}))|(?P<clock>(\d{1,2})[:：](\d\d))|(?P<year>(\d{4}|\d\d)(?=年))"
    r"|(?P<money>[¥￥$€£])?(?P<minus>-)?(?P<number>\d[\d,]*(\.\d+)?)(?P<share>[%％])?"
)
MONEY = {"¥": "元", "￥": "元", "$": "美元", "€": "欧元", "£": "英镑"}
LONGEST = 12
"""Digits of a number that is read as one; a longer one is read digit by digit."""
WORD = re.compile(f"[{HAN}]+")


def chinese(text: str, start: int, end: int) -> list[Said]:
    """What is said of characters `start` to `end`. Raises MissingPackage."""
    found: list[Said] = []
    place = start
    while place < end:
        if (number := NUMBER.match(text, place, end)) is not None:
            found += _words(read_number(number), place, number.end(), whole=True)
            place = number.end()
        elif (word := WORD.match(text, place, end)) is not None:
            found += _words(word[0], place, word.end(), whole=False)
            place = word.end()
        else:
            if (mark := MARKS.get(text[place])) is not None:
                found.append(Said(place, place + 1, mark=mark))
            place += 1
    return found


def _words(han: str, start: int, end: int, *, whole: bool) -> list[Said]:
    """Words of Chinese characters; with `whole` all of them are said of the same place."""
    require("Chinese", "jieba")
    require("Chinese", "pypinyin")
    from pypinyin import Style, lazy_pinyin
    from pypinyin.contrib.tone_convert import to_normal

    found: list[Said] = []
    place = start
    for word in _segmenter().cut(han):
        syllables = lazy_pinyin(word, style=Style.TONE3, neutral_tone_with_five=True, errors="ignore")
        said = "".join(ipa(to_normal(one), one[-1]) for one in syllables)
        span = (start, end) if whole else (place, place + len(word))
        place += len(word)
        if said:
            found.append(Said(*span, phonemes=said, joined=bool(found)))
    return found


@cache
def _segmenter() -> Any:
    """What cuts Chinese into words. What it keeps to start fast is in the data folder, not where everybody writes."""
    import logging
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import jieba

    jieba.setLogLevel(logging.CRITICAL)
    made = jieba.Tokenizer()
    folder = files.home() / "languages"
    if files.home().is_dir():
        folder.mkdir(exist_ok=True)
        made.tmp_dir = str(folder)
    else:  # nothing is kept: it would put its file in the place of whatever it is told, a device too
        made.FREQ, made.total = made.gen_pfdict(made.get_dict_file())
        made.initialized = True
    return made


def ipa(pinyin: str, tone: str) -> str:
    """A syllable's phonemes: `pinyin` without its tone (ü as ü or v), `tone` 1 to 5. Empty where it is none."""
    from pypinyin.contrib.tone_convert import to_finals, to_initials

    mark = TONES.get(tone)
    if mark is None:
        return ""
    if pinyin in WHOLE:
        return WHOLE[pinyin].replace("0", mark)
    initial = to_initials(pinyin, strict=True)
    final = to_finals(pinyin, strict=True, v_to_u=True)
    if final == "i" and initial in ("zh", "ch", "sh", "r", "z", "c", "s"):
        return f"{INITIALS[initial]}ɨ{mark}"
    if final not in FINALS or (initial and initial not in INITIALS):
        return ""
    return INITIALS.get(initial, "") + FINALS[final].replace("0", mark)


def read_number(match: re.Match[str]) -> str:
    """A number, date, time or sum as it is read, in Chinese characters."""
    if match["date"]:
        return f"{_digits(match[2])}年{cardinal(match[3])}月{cardinal(match[4])}日"
    if match["clock"]:
        hours, minutes = match[6], match[7]
        return f"{cardinal(hours)}点" + (
            "" if int(minutes) == 0 else ("零" if minutes[0] == "0" else "") + f"{cardinal(minutes)}分"
        )
    if match["year"]:
        return _digits(match["year"])
    number = match["number"].replace(",", "")
    whole, _, part = number.partition(".")
    said = _digits(whole) if len(whole) > LONGEST or (len(whole) > 1 and whole[0] == "0") else cardinal(whole)
    said += f"点{_digits(part)}" if part else ""
    return (
        ("负" if match["minus"] else "") + ("百分之" if match["share"] else "") + said
        + (MONEY[match["money"]] if match["money"] else "")
    )  # fmt: skip


def _digits(digits: str) -> str:
    return "".join(DIGITS[int(digit)] for digit in digits)


def cardinal(digits: str) -> str:
    """`10204` as 一万零二百零四."""
    value = int(digits)
    if value == 0:
        return DIGITS[0]
    padded = str(value).zfill(-(-len(str(value)) // 4) * 4)
    groups = [padded[place : place + 4] for place in range(0, len(padded), 4)]
    scales = ["", "万", "亿", "万亿"]
    said = ""
    for place, group in enumerate(groups):
        if int(group):
            gap = "零" if said and group[0] == "0" else ""
            said += gap + _thousands(group.lstrip("0")) + scales[len(groups) - 1 - place]
    return said.removeprefix("一") if said.startswith("一十") else said


def _thousands(digits: str) -> str:
    said, zero = "", False
    for place, digit in enumerate(digits):
        if digit == "0":
            zero = bool(said)
            continue
        said += ("零" if zero else "") + DIGITS[int(digit)] + ("", "十", "百", "千")[len(digits) - 1 - place]
        zero = False
    return said


def is_chinese(text: str) -> bool:
    """Whether more of a text is Chinese characters than Latin words."""
    return len(re.findall(f"[{HAN}]", text)) > len(re.findall(r"[A-Za-z]+", text))
