"""What learning from rewards is made of: advantages, clipped objectives, distances to the reference. Pure functions.

Shapes below: B answers, T tokens of the longest. `mask` (B, T) is 1 at an answer's tokens and 0 after its end; a mean
is over the tokens where it is 1. Log-probabilities are in nats.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """The mean of x (B, T) over the tokens of all answers."""
    return (x * mask).sum() / mask.sum().clamp(min=1)


def whiten(x: Tensor, mask: Tensor) -> Tensor:
    """x (B, T) moved and scaled to mean 0 and variance 1 over the tokens of all answers."""
    mean = masked_mean(x, mask)
    variance = masked_mean((x - mean).square(), mask)
    return (x - mean) * torch.rsqrt(variance + 1e-8) * mask


def k1(logp: Tensor, other: Tensor) -> Tensor:
    """log p(x) - log q(x) of x drawn from p: unbiased for KL(p || q), and negative for some x (Schulman 2020)."""
    return logp - other


def k3(logp: Tensor, other: Tensor) -> Tensor:
    """r - 1 - log r with r = q(x) / p(x), of x drawn from p: unbiased for KL(p || q), and never negative.

    Schulman 2020, "Approximating KL divergence"; Shao et al. 2024 (arXiv:2402.03300), eq. 4.
    """
    log_ratio = other - logp
    return log_ratio.exp() - 1 - log_ratio


def exact_kl(logits: Tensor, other: Tensor) -> Tensor:
    """KL(p || q) over the whole vocabulary, from logits (..., V) of p and of q: (...)."""
    logp, logq = logits.log_softmax(-1), other.log_softmax(-1)
    return (logp.exp() * (logp - logq)).sum(-1)


def entropy(logits: Tensor) -> Tensor:
    """Of the distribution over the vocabulary, from logits (..., V): (...)."""
    logp = logits.log_softmax(-1)
    return -(logp.exp() * logp).sum(-1)


def token_rewards(scores: Tensor, kl: Tensor, mask: Tensor, coefficient: float) -> Tensor:
    """What each token is rewarded with, (B, T): -β kl, and at an answer's last token its score (B,) as well.

    The reward in Ouyang et al. 2022 (arXiv:2203.02155), eq. 2, r(x, y) - β log(π(y|x) / π_ref(y|x)), its logarithm
    given token by token (Ziegler et al. 2019, arXiv:1909.08593, 2.2).
    """
    rewards = -coefficient * kl * mask
    last = mask.sum(1).long() - 1
    rewards[torch.arange(len(rewards)), last] += scores
    return rewards


def gae(rewards: Tensor, values: Tensor, mask: Tensor, *, gamma: float, lam: float) -> Tensor:
    """Generalised advantage estimation: A_t = sum over l of (γλ)^l δ_{t+l}, δ_t = r_t + γ V_{t+1} - V_t, (B, T).

    Schulman et al. 2015 (arXiv:1506.02438), eq. 16 and 11. Nothing is worth anything after an answer's end.
    """
    advantages = torch.zeros_like(rewards)
    following = torch.zeros_like(rewards[:, 0])
    next_value = torch.zeros_like(following)
    for t in reversed(range(rewards.shape[1])):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        following = (delta + gamma * lam * following) * mask[:, t]
        next_value = values[:, t] * mask[:, t]
        advantages[:, t] = following
    return advantages


def clipped_surrogate(logp: Tensor, old: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """min(ρ A, clip(ρ, 1 - ε, 1 + ε) A) with ρ = π(a) / π_old(a), which is to be raised: (B, T).

    Schulman et al. 2017 (arXiv:1707.06347), eq. 7.
    """
    ratio = (logp - old).exp()
    return torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)


def clipped_value_loss(values: Tensor, old: Tensor, returns: Tensor, clip: float) -> Tensor:
    """Half the squared error of the values, or of those held within `clip` of the old where it is larger: (B, T).

    The value's part of arXiv:1707.06347, eq. 9, clipped as in OpenAI's own code of it (`baselines/ppo2`).
    """
    held = old + (values - old).clamp(-clip, clip)
    return 0.5 * torch.maximum((values - returns).square(), (held - returns).square())


def clip_fraction(logp: Tensor, old: Tensor, mask: Tensor, clip: float) -> float:
    """Share of the tokens whose ratio has left [1 - ε, 1 + ε]."""
    return float(masked_mean((((logp - old).exp() - 1).abs() > clip).float(), mask))


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """1 - Var(returns - values) / Var(returns): 1 where the values are the returns, 0 where they tell nothing."""
    there = mask.bool()
    spread = float(returns[there].var(correction=0))
    return 1 - float((returns - values)[there].var(correction=0)) / spread if spread > 0 else math.nan


def group_advantages(rewards: Tensor, scale: str = "group") -> Tensor:
    """How much better than its group each answer is, (N, G) from rewards (N, G) of G answers to each of N prompts.

    (r - mean) / std over the group (Shao et al. 2024, arXiv:2402.03300, 4.1.2); with `scale` "batch" the deviation is
    that of all answers, with "none" none is divided by (Liu et al. 2025, "Dr. GRPO", arXiv:2503.20783, 3.2).
    """
    centred = rewards - rewards.mean(1, keepdim=True)
    if scale == "none":
        return centred
    spread = rewards.std(1, keepdim=True) if scale == "group" else rewards.std()
    return centred / (spread + 1e-4)


def adapted(coefficient: float, kl: float, target: float) -> float:
    """The coefficient of the distance for the next batch, where this one's was `kl` nats an answer.

    β (1 + K e), e = clip(kl / target - 1, -0.2, 0.2), K = 0.1: Ziegler et al. 2019 (arXiv:1909.08593), 2.2.
    """
    return coefficient * (1 + 0.1 * min(0.2, max(-0.2, kl / target - 1)))


def joined_moments(count: float, mean: float, variance: float, values: Tensor) -> tuple[float, float, float]:
    """Count, mean and variance of what was seen and `values` (n,) together (Chan et al. 1979, eq. 1.5)."""
    n, there = len(values), values.double()
    delta, total = float(there.mean()) - mean, count + n
    squares = variance * count + float(there.var(correction=0)) * n + delta * delta * count * n / total
    return total, mean + delta * n / total, squares / total
