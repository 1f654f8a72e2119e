"""Summaries: the choice is the paper's, seq2seq output is transformers' own, and long texts are read in parts."""

from __future__ import annotations

import json
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    BartConfig,
    BartForConditionalGeneration,
    PegasusConfig,
    PegasusForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from genarium.data.sentences import sentences
from genarium.engines import registry
from genarium.engines.summarize.summary import Extractive, SummaryRequest, maximal_marginal_relevance
from genarium.errors import BadCheckpoint, BadInput
from genarium.progress import listening
from tests.chat_models import STYLES, make_checkpoint

TALE = (
    "Once upon a time there was a king who had an only son. The king went to war and bade his son rule the land. "
    "The prince wanted a wife and set off to seek one. “Where are you going?” said his father. The king was angry. "
    "The king was very angry indeed. At last the prince came to Goldtown, whose king had a lovely daughter. "
    "They were married with great joy. Three crows sat on the roof and talked of danger. "
    "The faithful servant heard them and saved his master. In the end they lived happily."
)


def direct(vectors: np.ndarray, query: np.ndarray, k: int, lambda_: float) -> list[int]:
    """Equation 1 of Carbonell and Goldstein 1998, as it is written."""
    chosen: list[int] = []
    while len(chosen) < min(k, len(vectors)):
        scores = {
            i: lambda_ * float(vectors[i] @ query)
            - (1 - lambda_) * max((float(vectors[i] @ vectors[j]) for j in chosen), default=0.0)
            for i in range(len(vectors))
            if i not in chosen
        }
        chosen.append(max(scores, key=lambda i: (scores[i], -i)))
    return chosen


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 25), k=st.integers(1, 30), lambda_=st.floats(0, 1))
def test_the_choice_is_maximal_marginal_relevance(seed: int, n: int, k: int, lambda_: float) -> None:
    # The query is not their mean: two vectors are equally near to that, and rounding would choose between them.
    query, *vectors = np.random.default_rng(seed).normal(size=(n + 1, 6))
    query /= np.linalg.norm(query)
    vectors = np.stack(vectors) / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert maximal_marginal_relevance(vectors, query, k, lambda_) == direct(vectors, query, k, lambda_)


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.sampled_from("aB. \n\t!?\"'“”é狐🦊()—…"), max_size=80))
def test_sentences_are_the_text_in_order_and_whole(text: str) -> None:
    spans = sentences(text)
    assert "".join("".join(text[start:end].split()) for start, end in spans) == "".join(text.split())
    assert all(start < end for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert all(text[start:end] == text[start:end].strip() for start, end in spans)


def test_sentences_end_where_a_reader_ends_them() -> None:
    text = "“Where is he?” said Mr. Brown.\nHe came from\nthe U.S. last week. It cost $3.50.\n\nCHAPTER I\n\nHe died."
    assert [text[start:end] for start, end in sentences(text)] == [
        "“Where is he?” said Mr. Brown.",
        "He came from\nthe U.S. last week.",
        "It cost $3.50.",
        "CHAPTER I",
        "He died.",
    ]


@pytest.mark.parametrize("unit", ["“a ", "(“", "a", "a. ", "\n \n", "He said so. "])
def test_a_long_text_is_split_in_bounded_time(unit: str) -> None:
    """Quotes that never close take the splitting library the square of the text."""
    began = time.process_time()
    sentences(unit * (300_000 // len(unit)))
    assert time.process_time() - began < 60  # the square would take hours


@pytest.fixture(scope="module")
def extractive() -> Extractive:
    return Extractive(registry.open_encoder("starter"), "starter/encoder")


def test_an_extract_is_the_direct_computation_in_the_texts_order(extractive: Extractive) -> None:
    spans = sentences(TALE)
    said = [TALE[start:end] for start, end in spans]
    vectors = extractive.encoder.embed(said)
    centroid = vectors.mean(axis=0) / np.linalg.norm(vectors.mean(axis=0))
    for k, lambda_ in ((1, 0.5), (3, 0.5), (4, 1.0), (4, 0.0)):
        done = extractive.summarize(TALE, SummaryRequest(sentences=k, lambda_=lambda_))
        expected = sorted(direct(vectors, centroid, k, lambda_))
        assert done.text == " ".join(said[place] for place in expected)
        assert [list(span) for span in done.spans] == [list(spans[place]) for place in expected]
        assert done.method == "extractive"


def test_a_ratio_is_a_share_of_the_sentences(extractive: Extractive) -> None:
    assert len(sentences(TALE)) == 11
    assert len(extractive.summarize(TALE, SummaryRequest(ratio=0.5)).spans) == 6
    assert len(extractive.summarize(TALE, SummaryRequest(ratio=0.01)).spans) == 1


def test_the_result_says_what_it_is(extractive: Extractive) -> None:
    notes: list[str] = []
    with listening(lambda event: notes.append(event.preview) if event.stage == "note" else None):
        extractive.summarize(TALE, SummaryRequest(sentences=2, num_beams=3))
        extractive.summarize("Only this.", SummaryRequest(sentences=2))
    assert notes[0] == "num_beams has no meaning for starter/encoder: it was left out"
    assert notes[1].startswith("extractive: 2 of the text's 11 sentences, word for word, chosen by starter/encoder")
    assert notes[2] == "the text has 1 sentence, so it is its own summary"


def test_two_sentences_that_say_the_same_are_not_both_chosen(extractive: Extractive) -> None:
    text = (
        "The cat sleeps on the mat. The cat is sleeping on the mat. Rain is expected in Paris. A cat sleeps on a mat."
    )
    said = extractive.summarize(text, SummaryRequest(sentences=2)).text
    assert "Paris" in said
    assert said.count("mat") == 1


def make_seq2seq(folder: Path, kind: str) -> Path:
    """A random model in the published layout, with the settings its summarizers are published with."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<pad>", "</s>", "<unk>", "<s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TALE], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>" if kind == "bart" else "$A </s>", special_tokens=[("<s>", 3), ("</s>", 1)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", bos_token="<s>"
    )
    fast.model_max_length = 48
    fast.save_pretrained(folder)
    torch.manual_seed(1)
    common: dict[str, Any] = {"vocab_size": len(fast), "pad_token_id": 0, "eos_token_id": 1}
    common |= {"decoder_start_token_id": 0}
    model: Any
    if kind == "t5":
        model = T5ForConditionalGeneration(
            T5Config(d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, n_positions=48, **common)
        )
    else:
        config, network = {
            "bart": (BartConfig, BartForConditionalGeneration),
            "pegasus": (PegasusConfig, PegasusForConditionalGeneration),
        }[kind]
        sizes = {"encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4}
        sizes |= {"d_model": 32, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 48}
        model = network(config(**sizes, **common, forced_eos_token_id=1))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    if kind == "t5":
        raw = json.loads((folder / "config.json").read_text())
        published = {"early_stopping": True, "length_penalty": 2.0, "max_length": 20, "min_length": 5, "num_beams": 3}
        raw["task_specific_params"] = {"summarization": published | {"prefix": "summarize: "}}
        (folder / "config.json").write_text(json.dumps(raw))
    return folder


@pytest.fixture(scope="module", params=["t5", "bart", "pegasus"])
def seq2seq(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    return request.param, make_seq2seq(tmp_path_factory.mktemp(request.param), request.param)


def test_a_summary_is_what_transformers_generates(seq2seq: tuple[str, Path]) -> None:
    kind, folder = seq2seq
    text = "The king was angry. The prince wanted a wife."
    reference, model = AutoTokenizer.from_pretrained(folder), AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    inputs = reference(("summarize: " if kind == "t5" else "") + text, return_tensors="pt")
    inputs.pop("token_type_ids", None)
    for asked in (SummaryRequest(max_new_tokens=12), SummaryRequest(max_new_tokens=9, num_beams=4, length_penalty=0.5)):
        published = {"num_beams": 3, "length_penalty": 2.0, "early_stopping": True, "min_length": 5}
        wanted = (published if kind == "t5" else {}) | {"max_new_tokens": asked.max_new_tokens}
        wanted |= {k: v for k in ("num_beams", "length_penalty") if (v := getattr(asked, k)) is not None}
        with torch.inference_mode():
            made = model.generate(**inputs, do_sample=False, **wanted)
        done = registry.open_summarizer(str(folder)).summarize(text, asked)
        assert done.text == reference.decode(made[0], skip_special_tokens=True).strip()
        assert done.method == "abstractive"


LIMITS: list[dict[str, Any]] = [
    {"min_length": 9, "num_beams": 2},
    {"max_length": 7},
    {"max_new_tokens": 5, "min_new_tokens": 4},
    {"no_repeat_ngram_size": 2, "num_beams": 3, "length_penalty": 0.1, "early_stopping": True},
    {"repetition_penalty": 3.0, "forced_bos_token_id": 7},
    {"suppress_tokens": [5, 9, 11], "begin_suppress_tokens": [40], "encoder_no_repeat_ngram_size": 1},
]


@pytest.mark.parametrize("limits", LIMITS, ids=json.dumps)
def test_a_checkpoints_own_limits_count_as_in_transformers(limits: dict[str, Any], tmp_path: Path) -> None:
    """An option takes the place of that limit, and of no other: a least length stays."""
    folder = make_seq2seq(tmp_path, "bart")
    file = folder / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"max_length": 30} | limits))
    reference, model = AutoTokenizer.from_pretrained(folder), AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    with torch.no_grad():
        model.final_logits_bias[0, 1] = 14.0  # would end at once
    model.save_pretrained(folder)
    text = "The king was angry. The prince wanted a wife."
    inputs = reference(text, return_tensors="pt", return_token_type_ids=False)
    for asked in ({}, {"max_new_tokens": 12}, {"num_beams": 4}):
        with torch.inference_mode():
            made = model.generate(**inputs, do_sample=False, **asked)
        done = registry.open_summarizer(str(folder)).summarize(text, SummaryRequest(**asked))  # type: ignore[arg-type]
        assert done.text == reference.decode(made[0], skip_special_tokens=True).strip(), asked


def test_a_way_to_generate_that_the_library_lacks_is_refused_in_a_sentence(tmp_path: Path) -> None:
    folder = make_seq2seq(tmp_path, "bart")
    file = folder / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"penalty_alpha": 0.6, "top_k": 4}))
    with pytest.raises(BadCheckpoint, match="as its generation_config"):
        registry.open_summarizer(str(folder)).summarize("The king.", SummaryRequest(max_new_tokens=5))


def test_a_text_longer_than_the_context_is_read_in_parts_and_said(tmp_path: Path) -> None:
    folder = make_seq2seq(tmp_path, "t5")
    engine: Any = registry.open_summarizer(str(folder))
    notes: list[str] = []
    read: list[str] = []
    write = engine.writer.write
    engine.writer.write = lambda text, request: (read.append(text), write(text, request))[1]
    with listening(lambda event: notes.append(event.preview) if event.stage == "note" else None):
        engine.summarize(TALE * 2, SummaryRequest(max_new_tokens=6))
    room = engine.writer.room(SummaryRequest())
    parts = [part for part in read if part in TALE * 2]
    assert f"it was summarized in {len(parts)} parts" in notes[0]
    assert len(parts) > 4
    assert all(engine.writer.count(part) <= room for part in read)
    assert "".join("".join(parts).split()) == "".join((TALE * 2).split())  # nothing was left out
    assert len(read) > len(parts)  # and the parts' summaries were summarized


def test_a_sentence_longer_than_the_context_is_cut_at_its_words(tmp_path: Path) -> None:
    engine: Any = registry.open_summarizer(str(make_seq2seq(tmp_path, "bart")))
    text = "the prince and the king and the crow " * 20
    parts = engine._parts(text, engine.writer.room(SummaryRequest()), "en")
    assert len(parts) > 3
    assert " ".join(" ".join(parts).split()) == text.strip()


def test_a_chat_model_is_asked_and_another_shown_tldr(tmp_path: Path) -> None:
    chatty = make_checkpoint(tmp_path / "chatty", STYLES["qwen"], context=512)
    bare = make_checkpoint(tmp_path / "bare", STYLES["qwen"], context=512)
    (bare / "chat_template.jinja").unlink()
    from genarium.engines.text.native import NativeText
    from genarium.engines.text.protocol import ChatRequest, TextRequest

    text = "The king was angry. The prince wanted a wife."
    done = registry.open_summarizer(str(chatty)).summarize(text, SummaryRequest(sentences=2, max_new_tokens=15))
    asked = f"Summarize the following text in 2 sentences.\n\n{text}"
    request = ChatRequest(max_new_tokens=15, temperature=0)
    [reply] = NativeText(chatty, device="cpu").reply([{"role": "user", "content": asked}], request)
    assert done.text == reply.text
    done = registry.open_summarizer(str(bare)).summarize(text, SummaryRequest(max_new_tokens=15))
    continued = TextRequest(max_new_tokens=15, temperature=0, stop=["\n\n"])
    [shown] = NativeText(bare, device="cpu").write([f"{text}\n\nTL;DR:"], continued)
    assert done.text == shown.text.strip()
    notes: list[str] = []
    with listening(lambda event: notes.append(event.preview) if event.stage == "note" else None):
        long = registry.open_summarizer(str(chatty)).summarize(TALE * 3, SummaryRequest(max_new_tokens=15))
    assert long.method == "abstractive"
    assert "parts, and their summaries again" in notes[0]
    with pytest.raises(BadInput, match="too few to read any"):
        registry.open_summarizer(str(chatty)).summarize(text, SummaryRequest(max_new_tokens=500))


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    folder = make_seq2seq(tmp_path, "t5")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BadCheckpoint, match="pickle"):
        registry.open_summarizer(str(folder))


def test_of_a_very_long_text_sentences_from_all_over_are_considered(
    extractive: Extractive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genarium.engines.summarize.summary.CANDIDATES", 3)
    notes: list[str] = []
    with listening(lambda event: notes.append(event.preview) if event.stage == "note" else None):
        done = extractive.summarize(TALE, SummaryRequest(sentences=1))
    assert notes[0] == "the text has 11 sentences: every 2nd of them was considered, 6 in all"
    assert done.spans[0] in sentences(TALE)[::2]


def test_without_the_transformers_library_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_seq2seq(tmp_path, "t5")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(BadCheckpoint, match=r'pip install "genarium\[transformers\]"'):
        registry.open_summarizer(str(folder))
