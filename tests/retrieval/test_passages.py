"""Passages are slices of the text, cover it, and break where its structure does."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
from hypothesis import given, settings

from genarium.retrieval.document import Document, Section
from genarium.retrieval.documents import plain
from genarium.retrieval.formats.markdown import markdown
from genarium.retrieval.passages import passages

TEXTS = st.lists(
    st.sampled_from(["word", " ", "\n", "\n\n", ". ", "é", "?” ", "\t", "longerwordwithoutspaces", "# "]), max_size=400
).map("".join)


@settings(max_examples=300, deadline=None)
@given(
    text=TEXTS,
    places=st.lists(st.integers(0, 3000), max_size=8),
    size=st.integers(20, 200),
    share=st.floats(0, 0.4),
)
def test_passages_slice_the_text_exactly_and_cover_it(text: str, places: list[int], size: int, share: float) -> None:
    starts = sorted({place for place in places if place < len(text)})
    document = Document(text, [Section(place, str(place)) for place in starts])
    overlap = int(size * share)
    found = list(passages(document, size=size, overlap=overlap, least=size // 4))
    covered: set[int] = set()
    for passage in found:
        assert passage.text == text[passage.start : passage.end]
        assert passage.text == passage.text.strip() != ""
        assert len(passage.text) <= size
        covered.update(range(passage.start, passage.end))
    assert {place for place, character in enumerate(text) if not character.isspace()} <= covered
    for before, after in itertools.pairwise(found):
        assert before.start < after.start
        assert before.end - after.start <= overlap


def test_a_section_begins_a_passage_and_names_it() -> None:
    text = f"# One\n\n{'The first is here. ' * 20}\n\n# Two\n\n{'The second is there. ' * 20}"
    found = list(passages(markdown(text)))
    assert [(passage.heading, passage.text[:5]) for passage in found] == [("One", "# One"), ("Two", "# Two")]


def test_paragraphs_are_kept_whole_where_they_fit_and_sentences_where_not() -> None:
    paragraph = "A sentence of some length stands here. " * 9
    found = list(passages(plain("\n\n".join([paragraph.strip()] * 6)), overlap=0))
    assert all(passage.text.endswith("here.") and passage.text.startswith("A sentence") for passage in found)
    assert [len(passage.text) for passage in found] == [2 * 350 + 2] * 3
    long = list(passages(plain("A sentence of some length stands here. " * 100)))
    assert all(passage.text.startswith("A sentence") and passage.text.endswith("here.") for passage in long)


def test_a_line_without_end_is_cut_at_its_words() -> None:
    found = list(passages(plain("word " * 100_000)))
    assert all(set(passage.text.split()) == {"word"} for passage in found)
    assert len(found) < 100_000 * 5 / 600
