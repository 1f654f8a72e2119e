"""The likelihood of a label is what transformers computes directly, whatever is shared or batched to get there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings

from genarium.checkpoints.layouts import gpt
from genarium.decoding.labels import log_likelihoods
from genarium.decoding.torch_decoder import TorchDecoder
from genarium.models.gpt import GPT

VOCABULARY, CONTEXT = 40, 32
CONFIGS: dict[str, Any] = {
    "GPT2": lambda: transformers.GPT2Config(
        vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0
    ),
    "Llama": lambda: transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        max_position_embeddings=CONTEXT,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    ),
}
CLASSES = {"GPT2": "GPT2LMHeadModel", "Llama": "LlamaForCausalLM"}


@pytest.fixture(scope="module", params=list(CONFIGS))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[GPT, Any]:
    """The same random network, ours and transformers'."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    theirs = getattr(transformers, CLASSES[request.param])(CONFIGS[request.param]()).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    theirs.save_pretrained(folder)
    return gpt.load(folder), theirs


def directly(theirs: Any, prompt: list[int], continuation: list[int]) -> float:
    """One row at a time, nothing shared."""
    with torch.inference_mode():
        logits = theirs(torch.tensor([prompt + continuation[:-1]])).logits[0].double().log_softmax(dim=-1)
    return sum(float(logits[len(prompt) - 1 + i, token]) for i, token in enumerate(continuation))


TOKENS = st.integers(0, VOCABULARY - 1)


@settings(max_examples=20, deadline=None)
@given(
    shared=st.lists(TOKENS, max_size=8),
    rests=st.lists(st.lists(TOKENS, min_size=1, max_size=12), min_size=1, max_size=5),
    continuations=st.lists(st.lists(TOKENS, min_size=1, max_size=4), min_size=1, max_size=4),
    max_tokens=st.sampled_from([1, 30, 4096]),
)
def test_log_likelihoods_equal_transformers(
    pair: tuple[GPT, Any],
    shared: list[int],
    rests: list[list[int]],
    continuations: list[list[int]],
    max_tokens: int,
) -> None:
    ours, theirs = pair
    prompts = [shared + rest for rest in rests]
    found = log_likelihoods(TorchDecoder(ours), prompts, continuations, max_tokens=max_tokens)
    expected = [[directly(theirs, prompt, continuation) for continuation in continuations] for prompt in prompts]
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)


def test_every_prompt_is_read_once_and_what_they_share_once_for_all(pair: tuple[GPT, Any]) -> None:
    ours, _ = pair
    read: list[int] = []
    hook = ours.register_forward_pre_hook(lambda module, arguments: read.append(arguments[0].numel()))
    try:
        log_likelihoods(TorchDecoder(ours), [[1, 2, 3, 4, 5], [1, 2, 3, 6, 7], [1, 2, 3, 8]], [[9], [10], [11, 12]])
    finally:
        hook.remove()
    # The three shared tokens; the third prompt's end and the longer label's first token; the same for the two others.
    assert read == [3, 1, 1, 4, 2]


def test_a_prompt_that_fills_the_context_is_scored_to_its_last_place(pair: tuple[GPT, Any]) -> None:
    ours, theirs = pair
    prompt = [3] * (CONTEXT - 1)
    [[found]] = log_likelihoods(TorchDecoder(ours), [prompt], [[5, 6]]).tolist()
    assert found == pytest.approx(directly(theirs, prompt, [5, 6]), abs=1e-4)
