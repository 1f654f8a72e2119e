"""Answers that a policy draws, and what networks say of them: the same whatever lies beside them in a batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from genarium.decoding.generate import generate
from genarium.decoding.sampling import Sampling
from genarium.decoding.torch_decoder import TorchDecoder
from genarium.models.gpt import GPT
from genarium.models.value_head import ValueHead
from genarium.training import policy as policies
from genarium.training.adapters import merge_lora
from genarium.training.rollouts import Rollouts, Writer, judged
from tests.small_policy import make_policy

PROMPTS = [[1, 2, 3, 4], [5], [1, 2, 3, 4], [7, 8]]


@pytest.fixture(params=["lora", "full"])
def policy(request: pytest.FixtureRequest, tmp_path: Path) -> policies.Policy:
    """One that has learned something: no adapter is zero."""
    made = policies.load(str(make_policy(tmp_path / "base")), way=request.param, rank=2, alpha=4, keep_reference=True)
    torch.manual_seed(1)
    for parameter in made.model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return made


def drawn(policy: policies.Policy, seed: int = 3) -> Rollouts:
    return Writer(policy.model, ends={9, 20}, max_new_tokens=12, temperature=0.7).draw(PROMPTS, seed)


def test_answers_are_those_of_the_merged_network_one_by_one(policy: policies.Policy) -> None:
    """Each row draws from a stream of its own, equal prompts different answers; what ended has its end."""
    found = drawn(policy)
    assert policy.model.training is False
    trained = {name: p.clone() for name, p in policy.model.named_parameters()}
    merge_lora(policy.model)
    for row, prompt in enumerate(PROMPTS):
        sampling = Sampling(max_new_tokens=12, temperature=0.7, seed=3)
        decoder = TorchDecoder(policy.model)
        alone = list(generate(decoder, [prompt], sampling, samples=[row], end_tokens={9, 20}))
        assert found.answers[row] == [new.token for new in alone]
        assert bool(found.ended[row]) == (alone[-1].ended == "stop")
        assert (found.answers[row][-1] in {9, 20}) == bool(found.ended[row])
    assert found.answers[0] != found.answers[2]
    assert len({len(answer) for answer in found.answers}) > 1
    assert trained.keys() >= set(dict(policy.model.named_parameters())) or policy.way == "lora"


def test_the_writer_follows_the_network_and_leaves_it_as_it_is(policy: policies.Policy) -> None:
    writer = Writer(policy.model, ends=set(), max_new_tokens=12, temperature=1.0)
    before = {name: weight.clone() for name, weight in policy.model.state_dict().items()}
    first = writer.draw(PROMPTS, 3)
    assert writer.draw(PROMPTS, 3).answers == first.answers
    assert writer.draw(PROMPTS, 4).answers != first.answers
    assert all(torch.equal(weight, before[name]) for name, weight in policy.model.state_dict().items())
    with torch.no_grad():
        for parameter in policy.model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn_like(parameter))
    assert writer.draw(PROMPTS, 3).answers != first.answers


def test_adapters_share_the_weights_that_they_leave_alone(tmp_path: Path) -> None:
    made = policies.load(str(make_policy(tmp_path / "base")), rank=2, alpha=4, targets=("out",))
    plain = Writer(made.model, ends=set(), max_new_tokens=2, temperature=1.0)._plain
    assert plain is not None
    shared = dict(made.model.named_parameters())
    for name, parameter in plain.named_parameters():
        assert (shared.get(name) is parameter) == (".out." not in name), name


def by_hand(network: GPT, prompt: list[int], answer: list[int], temperature: float) -> Tensor:
    """log p of each token of an answer, its text alone in the network."""
    logits = network(torch.tensor([prompt + answer]))[0] / temperature
    return torch.stack([logits[len(prompt) + t - 1].log_softmax(-1)[token] for t, token in enumerate(answer)])


def test_log_probabilities_are_those_of_each_text_alone(policy: policies.Policy) -> None:
    found = drawn(policy)
    head = ValueHead(policy.model.config.d_model)
    torch.nn.init.normal_(head.out.weight)
    places = [2, 0, 3, 1]
    rows = found.rows(places)
    told = judged(policy.model, rows, 0.7, value=head)
    with policy.reference() as reference:
        before = judged(reference, rows, 0.7)
    assert not torch.allclose(before.logp, told.logp)
    for row, place in enumerate(places):
        prompt, answer = found.prompts[place], found.answers[place]
        n = len(answer)
        assert rows.mask[row].tolist() == [1.0] * n + [0.0] * (rows.mask.shape[1] - n)
        with torch.no_grad():
            torch.testing.assert_close(told.logp[row, :n], by_hand(policy.model, prompt, answer, 0.7))
            with policy.reference() as reference:
                torch.testing.assert_close(before.logp[row, :n], by_hand(reference, prompt, answer, 0.7))
            hidden = policy.model.hidden(torch.tensor([prompt + answer]))[0, len(prompt) - 1 : -1]
            torch.testing.assert_close(told.values[row, :n], head(hidden))
            spread = torch.distributions.Categorical(logits=policy.model.head(hidden) / 0.7).entropy()
            torch.testing.assert_close(told.entropy[row, :n], spread)
        for part in (told.logp, told.values, told.entropy):
            assert (part[row, n:] == 0).all()
