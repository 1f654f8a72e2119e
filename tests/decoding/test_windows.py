"""Sliding windows and stretched positions: one token at a time, padded, packed and in company as in one pass alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from genarium.checkpoints.layouts import gpt
from genarium.decoding.continuous import ContinuousBatch
from genarium.decoding.generate import generate
from genarium.decoding.labels import log_likelihoods
from genarium.decoding.sampling import Sampling
from genarium.decoding.torch_decoder import TorchDecoder
from genarium.models.gpt import GPT, KeyValueCache
from tests.causal_checkpoints import LONG, WINDOWS, YARN, save, tokens

# Long texts begin at 13 tokens for LONG, within what is generated below.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "mistral": ("mistral", {"sliding_window": 5}),
    "some layers": ("qwen3", WINDOWS["layer_types"][0]),
    "yarn": ("llama", {"head_dim": 4, "rope_scaling": YARN}),
    "longrope": ("llama", {"head_dim": 4, "rope_scaling": LONG}),
}
LENGTHS = [3, 11, 6, 20]
NEW = 9


@pytest.fixture(scope="module", params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[PreTrainedModel, GPT]:
    folder = tmp_path_factory.mktemp("causal")
    kind, changes = KINDS[request.param]
    reference = save(folder, kind, changes)
    return reference, gpt.load(folder)


def prompts() -> list[list[int]]:
    return [tokens(1, length)[0].tolist() for length in LENGTHS]


def cache_of(model: GPT, rows: int, capacity: int) -> KeyValueCache:
    return KeyValueCache(model.config, rows, capacity, dtype=torch.float32, device=torch.device("cpu"))


def continued(reference: PreTrainedModel, prompt: list[int], new: int) -> list[int]:
    made = reference.generate(
        torch.tensor([prompt]), do_sample=False, max_new_tokens=new, eos_token_id=None, pad_token_id=0
    )
    return made[0, len(prompt) :].tolist()


@torch.inference_mode()
def test_a_prompt_in_pieces_gives_the_logits_of_transformers_with_its_cache(pair: tuple[PreTrainedModel, GPT]) -> None:
    reference, model = pair
    row, cache, theirs = tokens(1, 30), cache_of(model, 1, 30), None
    for begin, end in [(0, 9), (9, 12), (12, 20), *((i, i + 1) for i in range(20, 30))]:
        out = reference(row[:, begin:end], past_key_values=theirs, use_cache=True)
        theirs = out.past_key_values
        torch.testing.assert_close(model(row[:, begin:end], cache=cache), out.logits, atol=1e-4, rtol=0)


def test_prompts_together_are_continued_as_each_alone_in_transformers(pair: tuple[PreTrainedModel, GPT]) -> None:
    reference, model = pair
    expected = [continued(reference, prompt, NEW) for prompt in prompts()]
    sampling = Sampling(max_new_tokens=NEW, temperature=0)
    for how in (
        lambda *given: generate(TorchDecoder(model), *given),
        ContinuousBatch(TorchDecoder(model), most_rows=3).generate,
    ):
        rows: list[list[int]] = [[] for _ in LENGTHS]
        for new in how(prompts(), sampling):
            rows[new.row].append(new.token)
        assert rows == expected


@torch.inference_mode()
def test_texts_behind_each_other_are_each_read_alone(pair: tuple[PreTrainedModel, GPT]) -> None:
    reference, model = pair
    packed = model(torch.tensor([[t for prompt in prompts() for t in prompt]]), lengths=LENGTHS)
    alone = torch.cat([reference(torch.tensor([prompt])).logits for prompt in prompts()], dim=1)
    torch.testing.assert_close(packed, alone, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_labels_are_as_likely_as_in_transformers(pair: tuple[PreTrainedModel, GPT]) -> None:
    """With a beginning that all prompts share, which is read once where that changes nothing."""
    reference, model = pair
    shared = tokens(1, 10)[0].tolist()
    longer, labels = [shared + prompt for prompt in prompts()], [[3], [7, 9, 11], [5, 5]]
    found = log_likelihoods(TorchDecoder(model), longer, labels)
    for row, prompt in enumerate(longer):
        for column, label in enumerate(labels):
            out = reference(torch.tensor([prompt]), use_cache=True)
            logits = out.logits[:, -1:]
            if len(label) > 1:
                rest = reference(torch.tensor([label[:-1]]), past_key_values=out.past_key_values).logits
                logits = torch.cat([logits, rest], dim=1)
            expected = logits[0].log_softmax(-1).gather(-1, torch.tensor(label)[:, None]).sum()
            assert abs(float(found[row, column]) - float(expected)) < 1e-3
