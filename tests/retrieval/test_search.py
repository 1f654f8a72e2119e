"""Several indexes in one question, and conditions that hold before the best are taken."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genarium.errors import BadInput, GenariumError
from genarium.retrieval import chosen, places, search
from genarium.retrieval.build import build
from genarium.retrieval.conditions import Conditions, moment, read
from genarium.retrieval.search import Found
from genarium.retrieval.store import Index
from genarium.retrieval.vectors import PassageVectors, products
from tests.retrieval.test_build import embed


def vowels(texts: Sequence[str]) -> np.ndarray:
    """Another encoder: its vectors have other widths and other cosines."""
    counts = np.array([[text.lower().count(one) + 1 for one in "aeiou"] for text in texts], dtype=np.float32)
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


class Encoder:
    """Embeds as the index it is for; `meanwhile` happens when it does."""

    def __init__(self, name: str, meanwhile: Any = None):
        self.embed = vowels if name == "vowels" else embed
        self.meanwhile = meanwhile

    def embed_search(self, question: str) -> np.ndarray:
        if self.meanwhile:
            self.meanwhile()
        return self.embed([question])


@pytest.fixture(autouse=True)
def encoders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENARIUM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(search, "encoder_of", lambda index, backend: Encoder(index.meta()["encoder"]))
    monkeypatch.setattr(search, "tell_of_other_languages", lambda *_: None)


def indexed(folder: Path, texts: dict[str, str], encoder: str = "letters") -> str:
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    with_it = vowels if encoder == "vowels" else embed
    return build(folder, with_it, encoder=encoder, encoder_digest=encoder).name


def found(names: Sequence[str], question: str, *where: str, since: str | None = None, limit: int = 50) -> Found:
    return search.search(names, question, conditions=read(where, since), limit=limit)


def files(got: Found) -> list[str]:
    return [hit.file for hit in got.hits]


NOTES = {
    "a.txt": "The keeper of the lamp is Marta.",
    "2024/b.md": "# Opening hours\n\nThe museum opens at nine."
    + " It is open." * 20
    + "\n\n# Prices\n\nA ticket costs two crowns.",
    "2024/old/c.MD": "The ferry sailed at noon.",
    "2023/d_x.txt": "The market is on Saturdays.",
    "2023/dax.txt": "The mill stands by the brook.",
    "odd [1]/e.txt": "A gull sits on the roof.",
}


def test_conditions_choose_files_and_headings(tmp_path: Path) -> None:
    name = indexed(tmp_path / "notes", NOTES)
    for where, wanted in (
        (["type=md"], ["2024/b.md", "2024/old/c.MD"]),
        (["type=.TXT, md"], list(NOTES)),
        (["path=2024/*"], ["2024/b.md", "2024/old/c.MD"]),
        (["path=2024"], ["2024/b.md", "2024/old/c.MD"]),
        (["path=*/d?x.txt"], ["2023/d_x.txt", "2023/dax.txt"]),
        (["path=2023/d_x.txt"], ["2023/d_x.txt"]),
        (["path=odd [1]/*"], ["odd [1]/e.txt"]),
        (["heading=opening"], ["2024/b.md"]),
        (["heading=o*ing H?urs"], ["2024/b.md"]),
        (["path=2024", "heading=prices", "type=md"], ["2024/b.md"]),
    ):
        assert sorted(set(files(found([name], "The museum opens", *where)))) == sorted(wanted), where
    assert [hit.text for hit in found([name], "museum", "heading=prices").hits] == [
        "# Prices\n\nA ticket costs two crowns."
    ]


def test_what_no_passage_meets_is_said_with_what_there_is(tmp_path: Path) -> None:
    name = indexed(tmp_path / "notes", NOTES)
    with pytest.raises(BadInput, match=r"in notes meets type=pdf; there are files of type txt \(4\), md \(2\)"):
        found([name], "museum", "type=pdf")
    for wrong, said in (
        ("kind=pdf", "no 'kind'; it knows the file's ending .*path=2024"),
        ("pdf", "KEY=VALUE"),
        ("type=", "KEY=VALUE"),
        ("type=p/f", "the ending of a file"),
    ):
        with pytest.raises(BadInput, match=said):
            read([wrong])


def test_since_is_by_the_files_time(tmp_path: Path) -> None:
    name = indexed(tmp_path / "notes", NOTES)
    day = datetime(2024, 3, 1).timestamp()
    for path in NOTES:
        at = day + (0 if path == "a.txt" else -1)
        os.utime(tmp_path / "notes" / path, (at, at))
    indexed(tmp_path / "notes", {})
    assert files(found([name], "keeper", since="2024-03-01")) == ["a.txt"]
    with pytest.raises(BadInput, match=r"changed since 2024-03-02 00:00; .* the newest of 2024-03-01"):
        found([name], "keeper", since="2024-03-02")


def test_moments_are_days_that_begin_here() -> None:
    now = datetime(2026, 3, 10, 17, 30)
    assert moment("30d", now).replace(tzinfo=None) == datetime(2026, 2, 8)
    assert moment("2 weeks", now).replace(tzinfo=None) == datetime(2026, 2, 24)
    assert moment("2026-01-31").replace(tzinfo=None) == datetime(2026, 1, 31)
    exact = moment("2026-01-31T10:00:00+05:30")
    assert exact.utcoffset() is not None
    assert exact.timestamp() == datetime.fromisoformat("2026-01-31T04:30:00+00:00").timestamp()
    assert moment(exact.isoformat()) == exact
    for wrong in ("yesterday", "2026-13-01", "99999999d", "-3d", ""):
        with pytest.raises(BadInput, match="2026-01-31, or so many days as 30d"):
            moment(wrong)
    assert datetime.now().astimezone() - moment("0d") < timedelta(days=1, hours=2)


def test_conditions_hold_before_the_best_are_taken(tmp_path: Path) -> None:
    near = {f"{number:03}.txt": f"The keeper counts ships {number}." for number in range(120)}
    name = indexed(tmp_path / "notes", near | {"far.md": "Zzz keeper."})
    assert "far.md" not in files(found([name], "The keeper counts ships"))
    got = found([name], "The keeper counts ships", "type=md")
    assert files(got) == ["far.md"]
    with Index(name) as index:
        assert len(index.search_words(["keeper"], 5, read(["type=md"]))) == 1
        assert index.search_words(["keeper"], 500, Conditions()) == index.search_words(["keeper"], 500)
        known = PassageVectors(index)
        among = index.matching(read(["path=1*"]))
        vector = embed(["The keeper counts ships"])[0]
        every = [one for one in known.nearest(vector, 500) if one[0] in among]
        assert known.nearest(vector, 7, among) == every[:7]
        assert known.nearest(vector, 1, index.matching(read(["type=md"])))[0][1] < known.nearest(vector, 1)[0][1]


def test_halves_are_multiplied_as_exactly_as_floats() -> None:
    random = np.random.default_rng(0)
    for count, width in ((1, 1), (511, 8), (512, 384), (1500, 33)):
        halves = (random.standard_normal((count, width)) * 10.0 ** random.integers(-8, 1, (count, width))).astype("f2")
        halves[0, 0] = -0.0
        vector = random.standard_normal(width).astype(np.float32)
        floats = halves.astype(np.float32)
        wanted = floats @ vector
        np.testing.assert_allclose(products(halves, vector), wanted, rtol=1e-5, atol=1e-6)
        rows = np.flatnonzero(random.integers(2, size=count))
        np.testing.assert_allclose(products(halves, vector, rows), wanted[rows], rtol=1e-5, atol=1e-6)
        one_by_one = np.array([products(halves, one)[0] for one in np.eye(width, dtype=np.float32)])
        assert np.array_equal(one_by_one, floats[0]), "every half becomes the same float, the smallest too"


def test_vectors_beyond_what_memory_holds_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genarium.retrieval import store

    name = indexed(tmp_path / "notes", NOTES)
    vector = embed(["The museum opens"])[0]
    with Index(name) as index:
        before = PassageVectors(index).nearest(vector)
        monkeypatch.setattr(store, "IN_MEMORY", 0)
        mapped = PassageVectors(index)
        assert isinstance(mapped.halves.base, np.memmap)
        assert mapped.nearest(vector) == before


def test_several_indexes_of_different_encoders_are_fused_by_rank(tmp_path: Path) -> None:
    one = indexed(tmp_path / "one", {"same.txt": "The keeper of the lamp.", "x.txt": "Zzz."})
    two = indexed(tmp_path / "two", {"same.txt": "The keeper of the lamp.", "y.txt": "Qqq."}, "vowels")
    alone = found([one], "Who is the keeper of the lamp?")
    assert [hit.index for hit in alone.hits] == ["", ""]
    both = found([one, two], "Who is the keeper of the lamp?")
    assert [(hit.index, hit.file) for hit in both.hits[:2]] == [("one", "same.txt"), ("two", "same.txt")]
    assert len(both.hits) == 4
    assert (alone.close.encoder.embed, both.close.encoder.embed) == (embed, embed)  # type: ignore[comparison-overlap]
    assert files(found([one, two], "keeper", "path=y.txt")) == ["y.txt"]


def test_indexes_of_one_encoder_are_searched_as_one(tmp_path: Path) -> None:
    one = indexed(tmp_path / "one", {f"{n}.txt": "abc " * (n + 1) + "d" for n in range(4)})
    two = indexed(tmp_path / "two", {f"{n}.txt": "xyz " * (n + 1) + "w" for n in range(4)})
    got = found([two, one], "abcd", limit=4)
    assert [hit.index for hit in got.hits] == ["one"] * 4, "none of the other is as near"


def test_indexes_are_named_once_and_all_of_them_by_a_name_none_can_have(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="make one"):
        chosen.all_named([chosen.ALL])
    one, two = indexed(tmp_path / "one", NOTES), indexed(tmp_path / "two", NOTES)
    assert chosen.all_named([two, one, str(tmp_path / "one")]) == [two, one]
    assert chosen.all_named([chosen.ALL]) == [one, two]
    with pytest.raises(BadInput, match="can't be called"):
        places.checked(chosen.ALL)
    with pytest.raises(BadInput, match="there are one, two; name one of them, or @all"):
        chosen.all_named(None)


def test_what_is_asked_is_of_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "notes"
    name = indexed(folder, NOTES)

    def emptied() -> None:
        for path in NOTES:
            if path != "a.txt":
                (folder / path).unlink()
        indexed(folder, {"a.txt": "Other words."})

    def ask(meanwhile: Any) -> list[str]:
        monkeypatch.setattr(search, "encoder_of", lambda index, backend: Encoder("letters", meanwhile))
        return [hit.text for hit in found([name], "Who is the keeper of the lamp?").hits]

    before = ask(None)
    assert ask(emptied) == before
    assert ask(None) == ["Other words."]
    assert ask(lambda: places.remove(name)) == ["Other words."]
    with pytest.raises(BadInput, match="no index called"):
        ask(None)


def test_what_a_recipe_names_is_searched_as_it_was_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = indexed(tmp_path / "notes", NOTES)
    names = chosen.opened(chosen.pin([name], {}))
    assert files(found(names, "museum", "type=md"))
    indexed(tmp_path / "notes", {"a.txt": "Other words."})
    with pytest.raises(BadInput, match="the index notes changed since this recipe was written"):
        found(names, "museum")


def test_asking_while_files_come_and_go_is_an_answer_or_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    name = indexed(folder, NOTES)
    ended = threading.Event()
    wrong: list[BaseException] = []

    def change() -> None:
        try:
            for turn in range(1, 1000):
                if ended.is_set():
                    return
                for number in range(4):
                    path = folder / f"{number}.txt"
                    if (turn + number) % 3:
                        path.write_text(f"Turn {turn}: the keeper of lamp {number}.")
                    else:
                        path.unlink(missing_ok=True)
                indexed(folder, {})
        except BaseException as error:
            wrong.append(error)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        for _ in range(60):
            with contextlib.suppress(GenariumError):
                assert found([name], "Who is the keeper of the lamp?").hits
    finally:
        ended.set()
        changing.join()
    assert wrong == []
