"""Words of Chinese, Japanese and Korean, and German compounds, in questions and in an index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genarium.retrieval.document import Document
from genarium.retrieval.hits import Kept
from genarium.retrieval.passages import Passage, passages
from genarium.retrieval.places import create, writing
from genarium.retrieval.retrieve import by_words
from genarium.retrieval.store import Index
from genarium.retrieval.words import is_german, keywords, spaced, words

TEXTS = [
    "保修期为18个月，电池除外。",  # 1
    "周日营业时间：上午十点到下午四点。",  # 2
    "Die Batteriegarantie endet nach drei Jahren.",  # 3
    "Der Akku hat eine Garantie von zwei Jahren, das Netzteil keine.",  # 4
    "図書館は月曜日に休みです。",  # 5
    "도서관은 월요일에 쉽니다.",  # 6
    "The warranty covers batteries, and the guarantee is long.",  # 7
    "Die Öffnungszeiten der Werkstatt stehen an der Tür.",  # 8
]


def test_chinese_japanese_and_korean_are_words_of_two_characters() -> None:
    assert words("保修期 18个月 of API v2") == ["保修", "修期", "18", "个月", "of", "api", "v2"]
    assert words("月 ＡＢＣ") == ["月", "abc"]
    assert spaced("ask 保修期?") == "ask  保修 修期 ?"
    assert spaced("only letters, Größe") == "only letters, Größe"
    assert keywords("电池的保修期是多少？") == ["电池", "池的", "的保", "保修", "修期", "期是"]
    assert keywords("什么？") == ["什么"]


def test_german_is_told_by_the_words_that_join_its_sentences() -> None:
    assert is_german("Wann öffnet der Laden?")
    assert is_german("Wie lange gilt die Garantie auf den Akku?")
    assert not is_german("How did he die in the war, and was his hat found?")
    assert not is_german("保修期是多少")
    assert keywords("Wie lange gilt die Garantie auf den Akku?") == ["lange", "gilt", "garantie", "akku"]
    assert "die" in keywords("How did he die?")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    monkeypatch.setenv("GENARIUM_HOME", str(tmp_path))
    with writing("mixed"):
        create("mixed", {})
    opened = Index("mixed")
    with opened.transaction():
        found = [Passage(50 * n, 50 * n + len(text), text) for n, text in enumerate(TEXTS)]
        opened.put(Kept("a.txt", 1, 1, "x"), found, ["营业时间"] * 2 + ["a"] * 6, np.eye(8, dtype=np.float32))
    return opened


def test_each_script_is_found_by_its_own_words(index: Index) -> None:
    assert list(by_words(index, "电池的保修期是多少？")) == [1]
    assert next(iter(by_words(index, "周日几点营业"))) == 2
    assert next(iter(by_words(index, "月曜日"))) == 5
    assert next(iter(by_words(index, "월요일"))) == 6
    assert set(by_words(index, "营业时间")) == {1, 2}  # in the heading of the first
    with index.transaction():  # what was put in can be taken out word by word
        index.drop("a.txt")
    assert list(by_words(index, "保修期")) == []


def test_a_german_compound_and_its_parts_find_each_other(index: Index) -> None:
    found = by_words(index, "Wie lange ist die Garantie der Batterie?")
    assert next(iter(found)) == 3
    assert 4 in found
    assert set(by_words(index, "Was ist mit der Akkugarantie und dem Rest?")) >= {4}
    assert next(iter(by_words(index, "Wann ist die Werkstatt offen, was sind die Zeiten der Öffnung?"))) == 8
    assert 3 not in by_words(index, "What is the garantie?")  # an English question means words as they stand


def test_a_chinese_passage_is_half_as_long_and_ends_with_a_sentence() -> None:
    text = "这台机器的保修期是十八个月，从购买之日算起。" * 60
    found = list(passages(Document(text)))
    assert len(found) > 1
    assert all(len(one.text) <= 400 and one.text.endswith("。") for one in found)
    assert {place for one in found for place in range(one.start, one.end)} == set(range(len(text)))
