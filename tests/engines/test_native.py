"""The native engine: streamed pieces are the text, stop strings cut it, company and order change nothing."""

from __future__ import annotations

from collections import defaultdict

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from genarium.checkpoints.layouts import gpt
from genarium.data.text import bpe_tokenizer
from genarium.engines.text.native import NativeText
from genarium.engines.text.protocol import StopWatcher, TextRequest
from genarium.errors import BadInput
from genarium.models.gpt import GPT, GPTConfig
from genarium.progress import Event, listening

STORY = "Der Fuchs läuft über den Hügel – 狐が丘を走る 🦊. The fox ran over the hill and sang to the moon. "
PROMPTS = ["The fox", "über den Hügel", "moon. 🦊 The"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> NativeText:
    """Random weights over bytes: it writes every kind of broken and whole UTF-8."""
    folder = tmp_path_factory.mktemp("random")
    made = bpe_tokenizer([STORY], 330)
    config = GPTConfig(
        vocab_size=made.get_vocab_size(), context_length=96, n_layers=2, n_heads=4, n_kv_heads=4, head_dim=8, d_model=32
    )
    torch.manual_seed(0)
    model = GPT(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    gpt.save(model, folder)
    (folder / "tokenizer.json").write_text(made.to_str())
    return NativeText(folder, device="cpu")


def write(engine: NativeText, prompts: list[str], request: TextRequest) -> tuple[dict[int, str], dict[int, str]]:
    """The finished texts and the streamed pieces put together, by row."""
    streamed: dict[int, str] = defaultdict(str)

    def listen(event: Event) -> None:
        if event.stage == "writing":
            streamed[event.item] += event.preview

    with listening(listen):
        finished = {completion.row: completion.text for completion in engine.write(prompts, request)}
    return finished, streamed


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 3), temperature=st.sampled_from([0.0, 0.7, 1.5]))
def test_streamed_pieces_are_the_text(engine: NativeText, seed: int, n: int, temperature: float) -> None:
    finished, streamed = write(engine, PROMPTS, TextRequest(n=n, max_new_tokens=30, temperature=temperature, seed=seed))
    assert len(finished) == n * len(PROMPTS)
    assert streamed == finished


def test_a_prompt_alone_and_in_company_gives_the_same_text(engine: NativeText) -> None:
    for temperature in (0.0, 1.0):
        request = TextRequest(n=2, max_new_tokens=40, temperature=temperature, seed=11)
        together, _ = write(engine, PROMPTS, request)
        for number, prompt in enumerate(PROMPTS):
            alone, _ = write(engine, [prompt], request)
            assert [alone[0], alone[1]] == [together[2 * number], together[2 * number + 1]]


def test_more_samples_do_not_change_the_first_ones(engine: NativeText) -> None:
    few, _ = write(engine, ["The fox"], TextRequest(n=2, max_new_tokens=20, seed=3))
    many, _ = write(engine, ["The fox"], TextRequest(n=5, max_new_tokens=20, seed=3))
    assert few == {row: many[row] for row in few}


def test_a_stop_string_ends_the_text_before_it(engine: NativeText) -> None:
    free, _ = write(engine, ["The fox"], TextRequest(max_new_tokens=60, seed=1))
    stop = free[0][25:29]
    request = TextRequest(max_new_tokens=60, seed=1, stop=("never there", stop))
    done = list(engine.write(["The fox"], request))
    assert done[0].text == free[0][: free[0].index(stop)]
    assert done[0].finish_reason == "stop"
    assert done[0].completion_tokens < 60
    finished, streamed = write(engine, ["The fox"], request)
    assert streamed == finished


def test_counts_and_reasons_are_true(engine: NativeText) -> None:
    [done] = engine.write(["The fox"], TextRequest(max_new_tokens=7, seed=2))
    assert done.completion_tokens == 7
    assert done.finish_reason == "length"
    assert done.prompt_tokens == len(engine.tokenizer.encode("The fox").ids)
    assert 0 < done.stats["time_to_first_token"] <= done.stats["seconds"]


def test_a_long_prompt_is_cut_at_its_beginning_and_said_or_refused(engine: NativeText) -> None:
    long = STORY * 5
    notes: list[str] = []
    with listening(lambda event: notes.append(event.preview) if event.stage == "note" else None):
        [cut] = engine.write([long], TextRequest(max_new_tokens=16, seed=2))
    assert cut.prompt_tokens == 96 - 16
    assert any("were not read" in note for note in notes)
    kept = engine.tokenizer.decode(engine.tokenizer.encode(long).ids[-80:])
    if engine.tokenizer.encode(kept).ids == engine.tokenizer.encode(long).ids[-80:]:
        [again] = engine.write([kept], TextRequest(max_new_tokens=16, seed=2))
        assert again.text == cut.text
    with pytest.raises(BadInput, match="--strict"):
        list(engine.write([long], TextRequest(max_new_tokens=16, strict=True)))


def test_more_new_tokens_than_the_context_are_refused(engine: NativeText) -> None:
    with pytest.raises(BadInput, match="context of 96"):
        list(engine.write(["The fox"], TextRequest(max_new_tokens=96)))


def test_the_last_position_of_the_context_can_be_written(engine: NativeText) -> None:
    ids = engine.tokenizer.encode("The fox").ids
    [done] = engine.write(["The fox"], TextRequest(max_new_tokens=96 - len(ids), seed=5))
    assert done.completion_tokens == 96 - len(ids)


@settings(max_examples=300, deadline=None)
@given(
    text=st.text(alphabet="abc", max_size=30),
    stops=st.lists(st.text(alphabet="abc", min_size=1, max_size=4), max_size=3),
    cuts=st.lists(st.integers(1, 5), max_size=30),
)
def test_stop_strings_are_found_however_the_text_arrives(text: str, stops: list[str], cuts: list[int]) -> None:
    watcher, shown, at = StopWatcher(stops), "", 0
    for size in [*cuts, len(text)]:
        if watcher.stopped or at >= len(text):
            break
        shown += watcher.add(text[at : at + size])
        at += size
    shown += watcher.rest()
    # What a reader of the pieces up to the one that stopped it would cut.
    places = [p for s in stops if (p := text[:at].find(s)) >= 0]
    assert shown == watcher.text == (text[: min(places)] if places else text[:at])
    assert watcher.stopped == bool(places)
