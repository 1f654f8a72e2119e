"""Chinese to phonemes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from genarium.engines.audio.chinese import NUMBER, _segmenter, cardinal, chinese, ipa, is_chinese, read_number
from genarium.engines.audio.said import written


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10", "十"),
        ("2024年", "二零二四"),
        ("2024-03-05", "二零二四年三月五日"),
        ("3:05", "三点零五分"),
        ("8:00", "八点"),
        ("3.50", "三点五零"),
        ("¥20", "二十元"),
        ("50%", "百分之五十"),
        ("-5", "负五"),
        ("007", "零零七"),
    ],
)
def test_numbers_are_read(text: str, said: str) -> None:
    match = NUMBER.match(text)
    assert match is not None
    assert read_number(match) == said


def test_cardinals() -> None:
    numbers = ("0", "11", "105", "110", "1001", "10204", "123456", "100000001", "20003000")
    assert [cardinal(number) for number in numbers] == [
        "零",
        "十一",
        "一百零五",
        "一百一十",
        "一千零一",
        "一万零二百零四",
        "十二万三千四百五十六",
        "一亿零一",
        "二千万三千",
    ]


def test_the_language_is_what_most_of_it_is_in() -> None:
    assert is_chinese("我喜欢 Python")
    assert not is_chinese("I like the word 好 a lot")


def test_syllables_are_those_the_voices_were_trained_on() -> None:
    pytest.importorskip("pypinyin")
    pairs = {"ni3": "ni↓", "hao3": "xau↓", "zhong1": "ꭧʊ→ŋ", "shi4": "ʂɨ↘", "nü3": "ny↓", "lve4": "lɥe↘", "er4": "ɚ↘"}
    pairs |= {"yuan2": "ɥɛ↗n", "ma5": "ma", "wo3": "wo↓", "si1": "sɨ→", "xx1": ""}
    assert {one: ipa(one[:-1], one[-1]) for one in pairs} == pairs


def test_words_know_their_places_and_marks_stay() -> None:
    pytest.importorskip("pypinyin")
    text = "你好，世界！3元"
    said = chinese(text, 0, len(text))
    assert [text[one.start : one.end] for one in said] == ["你好", "，", "世界", "！", "3", "元"]
    assert written(said)[0] == "ni↓xau↓, ʂɨ↘ʨje↘! sa→n ɥɛ↗n"


def test_where_there_is_no_data_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jieba")
    home, away = tmp_path / "none", tmp_path / "temporary"
    away.mkdir()
    monkeypatch.setenv("GENARIUM_HOME", str(home))
    monkeypatch.setattr("tempfile.tempdir", str(away))
    cut = _segmenter.__wrapped__()
    assert list(cut.cut("你好世界")) == ["你好", "世界"]
    assert not home.exists()
    assert not any(away.iterdir())
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
