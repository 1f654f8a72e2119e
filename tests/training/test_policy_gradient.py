"""The arithmetic of learning from rewards, each piece against its definition written out anew."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from genarium.training.objectives import policy_gradient as pg

MASK = torch.tensor([[1.0, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.5), (1.0, 1.0), (0.97, 0.0)])
def test_gae_is_the_sum_of_its_definition(gamma: float, lam: float) -> None:
    """arXiv:1506.02438, eq. 16, as two loops over each answer's own tokens."""
    rewards, values = drawn(3, 5, seed=1) * MASK, drawn(3, 5, seed=2)
    found = pg.gae(rewards, values, MASK, gamma=gamma, lam=lam)
    for row in range(3):
        length = int(MASK[row].sum())
        r, v = rewards[row].tolist(), [*values[row, :length].tolist(), 0.0]
        for t in range(5):
            if t >= length:
                assert found[row, t] == 0
                continue
            whole = sum(
                (gamma * lam) ** (later - t) * (r[later] + gamma * v[later + 1] - v[later])
                for later in range(t, length)
            )
            assert math.isclose(float(found[row, t]), whole, rel_tol=1e-5, abs_tol=1e-5)


def test_with_lambda_1_an_advantage_is_what_came_less_what_was_expected() -> None:
    rewards, values = drawn(3, 5, seed=1) * MASK, drawn(3, 5, seed=2)
    came = rewards.flip(1).cumsum(1).flip(1)
    found = pg.gae(rewards, values, MASK, gamma=1.0, lam=1.0)
    torch.testing.assert_close(found, (came - values) * MASK)


def test_the_score_comes_at_the_last_token_and_the_distance_at_each() -> None:
    scores, kl = torch.tensor([1.0, -2.0, 5.0]), drawn(3, 5, seed=3)
    found = pg.token_rewards(scores, kl, MASK, 0.1)
    for row, last in enumerate((4, 2, 0)):
        for t in range(5):
            expected = -0.1 * float(kl[row, t]) if t <= last else 0.0
            expected += float(scores[row]) if t == last else 0.0
            assert math.isclose(float(found[row, t]), expected, rel_tol=1e-5, abs_tol=1e-6)


@pytest.mark.parametrize("advantage", [2.0, -2.0])
@pytest.mark.parametrize("ratio", [0.5, 0.9, 1.0, 1.1, 1.7])
def test_the_clipped_objective_and_its_gradient_by_hand(advantage: float, ratio: float) -> None:
    """arXiv:1707.06347, figure 1: beyond the clip there is nothing more to win, but all there is to lose."""
    old = torch.tensor([[-1.3]])
    logp = (old + math.log(ratio)).requires_grad_(True)
    value = pg.clipped_surrogate(logp, old, torch.tensor([[advantage]]), 0.2)
    value.sum().backward()
    held = min(max(ratio, 0.8), 1.2)
    assert math.isclose(float(value.detach()), min(ratio * advantage, held * advantage), rel_tol=1e-5)
    beyond = (ratio > 1.2 and advantage > 0) or (ratio < 0.8 and advantage < 0)
    assert logp.grad is not None
    assert math.isclose(float(logp.grad), 0.0 if beyond else ratio * advantage, rel_tol=1e-5)


@pytest.mark.parametrize(
    ("value", "expected"),
    # Returns are 2, the old value 1, the clip 0.2. A value that came nearer than the clip allows counts as held at 1.2;
    # one that went away counts whole.
    [(1.1, 0.5 * 0.9**2), (1.9, 0.5 * 0.8**2), (0.2, 0.5 * 1.8**2), (4.0, 0.5 * 2.0**2)],
)
def test_the_value_loss_by_hand(value: float, expected: float) -> None:
    one, old, returns = (torch.tensor([[x]]) for x in (value, 1.0, 2.0))
    assert math.isclose(float(pg.clipped_value_loss(one, old, returns, 0.2)), expected, rel_tol=1e-5)


def test_the_distances_come_to_the_exact_one_over_a_small_vocabulary() -> None:
    """The mean of each estimator over p, summed over all six tokens, is KL(p || q); k3 is never negative, k1 can be."""
    logits, other = drawn(4, 6, seed=4), drawn(4, 6, seed=5)
    p, q = logits.softmax(-1).double(), other.softmax(-1).double()
    exact = (p * (p / q).log()).sum(-1)
    torch.testing.assert_close(pg.exact_kl(logits, other).double(), exact, rtol=1e-5, atol=1e-6)
    for estimate in (pg.k1, pg.k3):
        torch.testing.assert_close((p * estimate(p.log(), q.log())).sum(-1), exact)
    assert (pg.k3(p.log(), q.log()) >= 0).all()
    assert (pg.k1(p.log(), q.log()) < 0).any()
    torch.testing.assert_close(pg.entropy(logits).double(), -(p * p.log()).sum(-1), rtol=1e-5, atol=1e-6)


def test_whitened_is_mean_0_and_variance_1_over_real_tokens_alone() -> None:
    x = drawn(3, 5, seed=6) * 3 + 2
    there = pg.whiten(x, MASK)[MASK.bool()]
    assert math.isclose(float(there.mean()), 0, abs_tol=1e-6)
    assert math.isclose(float(there.var(correction=0)), 1, rel_tol=1e-5)
    torch.testing.assert_close(pg.whiten(x + 100 * (1 - MASK), MASK), pg.whiten(x, MASK))


def test_moments_joined_batch_by_batch_are_those_of_all() -> None:
    values = drawn(60, seed=7) * 2 + 5
    count, mean, variance = 0.0, 0.0, 0.0
    for part in values.split([7, 20, 1, 32]):
        count, mean, variance = pg.joined_moments(count, mean, variance, part)
    assert count == 60
    assert math.isclose(mean, float(values.double().mean()), rel_tol=1e-9)
    assert math.isclose(variance, float(values.double().var(correction=0)), rel_tol=1e-9)


def test_groups_are_compared_with_themselves() -> None:
    rewards = torch.tensor([[0.0, 1.0, 1.0, 2.0], [10.0, 10.0, 10.0, 10.0]])
    found = pg.group_advantages(rewards)
    torch.testing.assert_close(found[0], (rewards[0] - 1) / (np.std([0, 1, 1, 2], ddof=1).item() + 1e-4))
    assert (found[1] == 0).all()
    torch.testing.assert_close(pg.group_advantages(rewards, "none")[0], rewards[0] - 1)
    torch.testing.assert_close(pg.group_advantages(rewards, "batch")[0], (rewards[0] - 1) / (rewards.std() + 1e-4))


def test_the_coefficient_comes_to_its_target() -> None:
    assert pg.adapted(0.1, kl=6.0, target=6.0) == 0.1
    assert math.isclose(pg.adapted(0.1, kl=6.6, target=6.0), 0.1 * 1.01)
    assert math.isclose(pg.adapted(0.1, kl=60.0, target=6.0), 0.1 * 1.02)  # no faster than by a fifth of K
    assert math.isclose(pg.adapted(0.1, kl=0.0, target=6.0), 0.1 * 0.98)


def test_values_that_are_the_returns_explain_all_of_them_and_a_constant_nothing() -> None:
    returns = drawn(3, 5, seed=8)
    assert math.isclose(pg.explained_variance(returns, returns, MASK), 1)
    assert math.isclose(pg.explained_variance(torch.full_like(returns, 3), returns, MASK), 0, abs_tol=1e-6)
    assert math.isnan(pg.explained_variance(returns, torch.ones(3, 5), MASK))


def test_the_share_that_is_clipped_counts_real_tokens() -> None:
    old = torch.zeros(3, 5)
    logp = torch.zeros(3, 5)
    logp[0, 0], logp[1, 1], logp[2, 4] = math.log(1.5), math.log(0.7), math.log(9)
    assert math.isclose(pg.clip_fraction(logp, old, MASK, 0.2), 2 / 9, rel_tol=1e-6)
