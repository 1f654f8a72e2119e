"""Decoding: greedy equals transformers, a prompt's text does not depend on its company, rows end when they should."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from genarium.checkpoints.layouts import gpt
from genarium.decoding.generate import generate
from genarium.decoding.sampling import Sampling
from genarium.decoding.torch_decoder import TorchDecoder
from genarium.engines.cpu.linear import use_decoding_linears
from genarium.models.gpt import GPT

VOCABULARY = 200
PROMPTS = [[5, 9, 3], [7, 1, 8, 2, 6, 4, 11, 90, 14], [12], [5, 9, 3, 77]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        bos_token_id=0,
        eos_token_id=1,
    )
    model = LlamaForCausalLM(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    path = tmp_path_factory.mktemp("llama")
    model.save_pretrained(path)
    return path


@pytest.fixture(params=["plain", "decoding linears"])
def model(folder: Path, request: pytest.FixtureRequest) -> GPT:
    loaded = gpt.load(folder)
    if request.param != "plain":
        use_decoding_linears(loaded)
    return loaded


def texts(
    model: GPT, prompts: list[list[int]], sampling: Sampling, samples: list[int] | None = None
) -> list[list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for new in generate(TorchDecoder(model), prompts, sampling, samples=samples):
        found[new.row].append(new.token)
    return [found[row] for row in range(len(prompts))]


def test_greedy_equals_transformers_generate(folder: Path, model: GPT) -> None:
    reference = LlamaForCausalLM.from_pretrained(folder).eval()
    for prompt, found in zip(PROMPTS, texts(model, PROMPTS, Sampling(max_new_tokens=30, temperature=0)), strict=True):
        out = reference.generate(
            torch.tensor([prompt]),
            max_new_tokens=30,
            min_new_tokens=30,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
        assert found == out[0, len(prompt) :].tolist()


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(max_new_tokens=40, temperature=0),
        Sampling(max_new_tokens=40, temperature=1, seed=3),
        Sampling(max_new_tokens=40, temperature=0.8, top_p=0.9, top_k=50, repetition_penalty=1.2, seed=4),
    ],
    ids=["greedy", "sampled", "filtered"],
)
def test_a_prompt_alone_and_in_a_batch_gives_the_same_text(model: GPT, sampling: Sampling) -> None:
    rows = [prompt for prompt in PROMPTS for _ in range(3)]
    samples = [0, 1, 2] * len(PROMPTS)
    together = texts(model, rows, sampling, samples)
    for row, sample, found in zip(rows, samples, together, strict=True):
        assert texts(model, [row], sampling, [sample]) == [found]


def test_samples_of_one_prompt_differ(model: GPT) -> None:
    found = texts(model, [PROMPTS[0]] * 4, Sampling(max_new_tokens=20, seed=1), [0, 1, 2, 3])
    assert len({tuple(row) for row in found}) == 4


def test_rows_end_with_an_end_token_and_the_others_go_on(model: GPT) -> None:
    sampling = Sampling(max_new_tokens=25, temperature=1, seed=5)
    rows = [PROMPTS[0]] * 4
    free = texts(model, rows, sampling, [0, 1, 2, 3])
    end = free[1][6]
    ends: dict[int, str] = {}
    found: dict[int, list[int]] = defaultdict(list)
    for new in generate(TorchDecoder(model), rows, sampling, samples=[0, 1, 2, 3], end_tokens={end}):
        assert new.row not in ends, "a token came after its row had ended"
        found[new.row].append(new.token)
        if new.ended:
            ends[new.row] = new.ended
    for row, whole in enumerate(free):
        cut = whole.index(end) + 1 if end in whole else len(whole)
        assert found[row] == whole[:cut]
        assert ends[row] == ("stop" if end in whole else "length")


def test_a_row_the_caller_finishes_is_dropped_and_the_others_are_unchanged(model: GPT) -> None:
    sampling = Sampling(max_new_tokens=20, temperature=1, seed=6)
    rows = [PROMPTS[1]] * 3
    free = texts(model, rows, sampling, [0, 1, 2])
    finished: set[int] = set()
    found: dict[int, list[int]] = defaultdict(list)
    for new in generate(TorchDecoder(model), rows, sampling, samples=[0, 1, 2], finished=finished):
        found[new.row].append(new.token)
        if new.row == 1 and len(found[1]) == 4:
            finished.add(1)
    assert [found[0], found[2]] == [free[0], free[2]]
    assert found[1] == free[1][:4]
