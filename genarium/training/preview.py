"""A sample of what a policy answers, to read while it learns."""

from __future__ import annotations

from genarium.data.conversations import Prompt
from genarium.decoding.generate import generate
from genarium.decoding.sampling import Sampling
from genarium.decoding.torch_decoder import TorchDecoder
from genarium.errors import excerpt
from genarium.training.policy import Policy

LONGEST = 40
"""New tokens: a few seconds of a small network on a CPU."""


def answer(policy: Policy, prompt: Prompt | None, *, seed: int) -> str:
    """The policy's likeliest answer to a prompt, on one line after it; empty where there is no prompt."""
    if prompt is None:
        return ""
    ids = policy.ids(prompt)
    room = min(LONGEST, policy.context - len(ids))
    if room < 1:
        return ""
    sampling = Sampling(max_new_tokens=room, temperature=0.0, seed=seed)
    tokens = [new.token for new in generate(TorchDecoder(policy.model), [ids], sampling, end_tokens=policy.ends)]
    text = policy.answers.tokenizer.decode([token for token in tokens if token not in policy.ends])
    shown = prompt if isinstance(prompt, str) else prompt[-1]["content"]
    return f"{excerpt(shown)} -> {' '.join(text.split())}"
