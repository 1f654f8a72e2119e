"""Answers drawn from a network that is being trained, and what networks say of their tokens.

Prompts are read once and continued together from one key-value cache; a row that has ended leaves it. For learning,
prompt and answer lie in one row, padded at the right, where causal attention sees no padding.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genarium.decoding.generate import generate
from genarium.decoding.sampling import Sampling
from genarium.decoding.torch_decoder import TorchDecoder
from genarium.models.gpt import GPT
from genarium.progress import emit
from genarium.training.adapters import LoRALinear
from genarium.training.objectives.policy_gradient import entropy
from genarium.training.sources.inputs import padded

PIECE = 1024
"""Tokens whose logits are computed at once where no gradient is kept: a vocabulary is wide."""


@dataclass(frozen=True)
class Rollouts:
    """B prompts, each with an answer. `ended` (B,) bool: whether the model ended it, or the length did."""

    prompts: list[list[int]]
    answers: list[list[int]]
    ended: Tensor

    def __len__(self) -> int:
        return len(self.answers)

    @property
    def lengths(self) -> Tensor:
        """Tokens of each answer, its end among them, (B,) float."""
        return torch.tensor([float(len(answer)) for answer in self.answers])

    def rows(self, places: Sequence[int], *, device: str | torch.device = "cpu") -> Rows:
        """These answers as a batch."""
        tokens, _ = padded([self.prompts[place] + self.answers[place] for place in places])
        # The logits before an answer's token t are at position len(prompt) + t - 1.
        first = torch.tensor([len(self.prompts[place]) for place in places])[:, None]
        lengths = torch.tensor([len(self.answers[place]) for place in places])[:, None]
        columns = torch.arange(int(lengths.max()))
        before = (first + columns - 1).clamp(max=tokens.shape[1] - 2)
        mask = (columns < lengths).float()
        return Rows(tokens.to(device), before.to(device), mask.to(device))


@dataclass(frozen=True)
class Rows:
    """`tokens` (B, P + T) of prompts and answers; `before` (B, T), the position before each token of the answer;
    `mask` (B, T), 1 where there is one.
    """

    tokens: Tensor
    before: Tensor
    mask: Tensor

    @property
    def drawn(self) -> Tensor:
        """The answers' tokens, one after the other, (N,)."""
        return self.tokens.gather(1, self.before + 1)[self.mask.bool()]

    def states(self, network: GPT) -> Tensor:
        """The hidden states that those are predicted from, (N, C)."""
        hidden = network.hidden(self.tokens[:, :-1])
        return hidden.gather(1, self.before[..., None].expand(-1, -1, hidden.shape[-1]))[self.mask.bool()]

    def placed(self, values: Tensor) -> Tensor:
        """Values of those tokens (N,) as (B, T), zero where there is none."""
        return values.new_zeros(self.mask.shape).masked_scatter(self.mask.bool(), values)


def logits_of(network: GPT, states: Tensor, temperature: float) -> Tensor:
    """The logits that were drawn from, (N, V) float32."""
    logits: Tensor = network.head(states).float()
    return logits if temperature == 1 else logits / temperature


def log_probabilities(logits: Tensor, tokens: Tensor) -> Tensor:
    """log p of `tokens` (N,) from logits (N, V): (N,)."""
    return logits.gather(-1, tokens[:, None])[:, 0] - logits.logsumexp(-1)


@dataclass(frozen=True)
class Judged:
    """Of the tokens of a batch of answers: log p, the entropy they were drawn from, and their values, each (B, T)."""

    logp: Tensor
    entropy: Tensor
    values: Tensor


@torch.no_grad()
def judged(network: GPT, rows: Rows, temperature: float, *, value: nn.Module | None = None) -> Judged:
    """What a network, and a value head over it, say of answers. Values are 0 without a head."""
    states, drawn = rows.states(network), rows.drawn
    logp, spread = [], []
    for part, tokens in zip(states.split(PIECE), drawn.split(PIECE), strict=True):
        logits = logits_of(network, part, temperature)
        logp.append(log_probabilities(logits, tokens))
        spread.append(entropy(logits))
    values = torch.zeros_like(drawn, dtype=torch.float32) if value is None else value(states).float()
    return Judged(rows.placed(torch.cat(logp)), rows.placed(torch.cat(spread)), rows.placed(values))


class Writer:
    """Draws answers from `network` as it is at each call, its adapters merged into a copy that is kept for it."""

    def __init__(self, network: GPT, *, ends: AbstractSet[int], max_new_tokens: int, temperature: float):
        self.network, self.ends = network, ends
        self.max_new_tokens, self.temperature = max_new_tokens, temperature
        self._plain = _without_adapters(network)

    @torch.no_grad()
    def draw(self, prompts: Sequence[Sequence[int]], seed: int, *, stage: str = "rollouts") -> Rollouts:
        """An answer to each prompt; equal prompts in a batch get answers of their own. The same seed draws the same."""
        network = self.network
        if self._plain is not None:
            network = self._plain
            _merge_into(self.network, network)
        was_training = network.training
        network.eval()
        sampling = Sampling(max_new_tokens=self.max_new_tokens, temperature=self.temperature, seed=seed)
        answers: list[list[int]] = [[] for _ in prompts]
        ended = torch.zeros(len(prompts), dtype=torch.bool)
        done = 0
        for new in generate(
            TorchDecoder(network), prompts, sampling, samples=range(len(prompts)), end_tokens=self.ends
        ):
            answers[new.row].append(new.token)
            ended[new.row] = new.ended == "stop"
            if new.ended:
                done += 1
                emit(stage, done, len(prompts))
        network.train(was_training)
        return Rollouts([list(prompt) for prompt in prompts], answers, ended)


def _without_adapters(network: GPT) -> GPT | None:
    """A network of the same shape without adapters, to be filled; None where it has none itself.

    What no adapter changes is shared with it, not copied.
    """
    adapted = {name for name, module in network.named_modules() if isinstance(module, LoRALinear)}
    if not adapted:
        return None
    shared = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    memo: dict[int, object] = dict(shared)
    for name in adapted:
        module = network.get_submodule(name)
        assert isinstance(module, LoRALinear)
        whole = module.merged().requires_grad_(False)
        memo[id(module)] = whole
    return copy.deepcopy(network, memo)


@torch.no_grad()
def _merge_into(network: nn.Module, plain: nn.Module) -> None:
    """W + (alpha / rank) B A into each linear layer of `plain` that is adapted in `network`."""
    for name, module in network.named_modules():
        if isinstance(module, LoRALinear):
            weight = plain.get_submodule(name).weight
            assert isinstance(weight, Tensor)
            torch.add(module.linear.weight, module.change, alpha=module.scale, out=weight)
