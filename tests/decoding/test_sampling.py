"""Sampling keeps what transformers' warpers keep, draws from that distribution, and never sees its neighbours."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from genarium.decoding.ranking import NumpyRanking
from genarium.decoding.sampling import RandomStreams, Sampling, choose, distribution, penalise_repetition
from genarium.decoding.torch_decoder import TorchRanking


def dense(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    probabilities, tokens = distribution(logits.numpy(), sampling)
    if tokens is not None:
        whole = np.zeros(logits.shape)
        np.add.at(whole, (np.arange(len(whole))[:, None], tokens), probabilities)
        probabilities = whole
    return torch.from_numpy(probabilities)


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    temperature=st.floats(0.2, 3),
    top_k=st.sampled_from([0, 1, 3, 40, 500]),
    top_p=st.sampled_from([0.05, 0.5, 0.9, 0.999, 1.0]),
    min_p=st.sampled_from([0.0, 0.02, 0.3]),
    sharpness=st.sampled_from([0.1, 2.0, 6.0]),
)
def test_distribution_equals_transformers_warpers(
    seed: int, temperature: float, top_k: int, top_p: float, min_p: float, sharpness: float
) -> None:
    logits = sharpness * torch.randn(3, 700, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    warpers = LogitsProcessorList([TemperatureLogitsWarper(temperature)])
    if top_k:
        warpers.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        warpers.append(TopPLogitsWarper(top_p))
    if min_p:
        warpers.append(MinPLogitsWarper(min_p))
    expected = warpers(torch.zeros(3, 1, dtype=torch.long), logits).softmax(dim=-1)
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    torch.testing.assert_close(dense(logits, sampling), expected, atol=1e-9, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), penalty=st.floats(0.5, 3))
def test_repetition_penalty_equals_transformers(seed: int, penalty: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 50, generator=generator)
    prompt = torch.randint(0, 50, (2, 12), generator=generator)
    seen = torch.zeros(2, 50, dtype=torch.bool).scatter(1, prompt, True)
    expected = RepetitionPenaltyLogitsProcessor(penalty)(prompt, logits.clone())
    found = penalise_repetition(logits.numpy(), seen.numpy(), penalty)
    torch.testing.assert_close(torch.from_numpy(found), expected)


def test_draws_follow_the_distribution() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0, -5.0]])
    sampling = Sampling(temperature=1.3, top_p=0.97)
    draws = 40_000
    uniforms = torch.rand(draws, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    chosen = choose(logits.expand(draws, -1).numpy(), sampling, uniforms.numpy())
    frequencies = torch.bincount(torch.from_numpy(chosen), minlength=5).double() / draws
    torch.testing.assert_close(frequencies, dense(logits, sampling)[0], atol=0.01, rtol=0)


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-53])
def test_the_ends_of_the_unit_interval_choose_a_token_that_was_kept(uniform: float) -> None:
    logits = torch.tensor([[-torch.inf, 0.3, 0.1, -torch.inf]])
    for sampling in (Sampling(), Sampling(top_p=0.9), Sampling(top_k=2), Sampling(min_p=0.1)):
        [chosen] = choose(logits.numpy(), sampling, np.array([uniform]))
        assert chosen in (1, 2)


@pytest.mark.parametrize("V", [40, 700, 20_000])
@pytest.mark.parametrize("bits", [4, 24], ids=["many ties", "few"])
def test_the_largest_are_those_of_torch_in_its_order(V: int, bits: int) -> None:
    """What was drawn with a seed from torch's logits is drawn again, also where logits are equal."""
    scores = torch.randn(3, V, generator=torch.Generator().manual_seed(V), dtype=torch.float64)
    scores = torch.round(scores * 2**bits) / 2**bits
    for k in (0, 1, 7, 40, min(V, 256)):
        expected = scores.topk(k)
        assert TorchRanking("cpu").likeliest(scores.numpy(), k).tolist() == expected.indices.tolist()
        own = torch.from_numpy(NumpyRanking().likeliest(scores.numpy(), k))
        torch.testing.assert_close(scores.gather(-1, own), expected.values, rtol=0, atol=0)
        assert ((own[:, 1:] > own[:, :-1]) | (expected.values[:, 1:] < expected.values[:, :-1])).all()


def test_greedy_is_the_likeliest_token() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0], [9.0, 3.0, 1.0]])
    assert choose(logits.numpy(), Sampling(temperature=0), None).tolist() == [1, 0]


def test_streams_depend_on_seed_and_sample_alone() -> None:
    together = RandomStreams(7, [0, 1, 2])
    first, second = together.draw([0, 1, 2]), together.draw([0, 2])
    alone = RandomStreams(7, [2])
    assert alone.draw([0]) == first[2]
    assert alone.draw([0]) == second[1]
    assert len({*first.tolist(), *RandomStreams(8, [0, 1, 2]).draw([0, 1, 2]).tolist()}) == 6
