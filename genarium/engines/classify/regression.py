"""Multinomial logistic regression, maximum a posteriori: the one optimum of a convex function, by L-BFGS.

In numpy, by the two-loop recursion (Nocedal and Wright 2006, Numerical Optimization, algorithm 7.4) with halved steps;
or in torch, which recipes of before there was numpy's are made again by.

Shapes: N examples, C numbers of a vector, L labels.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from genarium.decoding.ranking import log_softmax

MEMORY = 10
"""Steps that the curvature is estimated from."""
MOST = 500
FLAT = 1e-7
"""The largest entry of a gradient that counts as none, beside the function's own scale of N."""
DECREASE = 1e-4
"""Of what the slope promises, the share that a step has to bring (Nocedal and Wright, eq. 3.4)."""


def fit(
    x: np.ndarray, y: np.ndarray, prior: np.ndarray, scale: float, *, library: str = "numpy"
) -> tuple[np.ndarray, np.ndarray]:
    """Weight (L, C) and bias (L,) from vectors `x` (N, C) and label numbers `y` (N,), all float64.

    normal(`prior`, `scale`²) on the weights, no prior on the biases; every label counts the same, however many examples
    it has.
    """
    if library == "torch":
        return _in_torch(x, y, prior, scale)
    objective = _Objective(x, y, prior, scale)
    found = minimised(objective, np.concatenate([prior, np.zeros((len(prior), 1))], axis=1))
    return found[:, :-1], found[:, -1]


class _Objective:
    """What is minimised, and its gradient, of weight and bias as one (L, C + 1)."""

    def __init__(self, x: np.ndarray, y: np.ndarray, prior: np.ndarray, scale: float):
        self.x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
        self.y, self.prior, self.scale = y, prior, scale
        counts = np.bincount(y, minlength=len(prior))
        self.weights = len(y) / (len(prior) * counts[y])
        self.sure = np.eye(len(prior))[y]

    def __call__(self, both: np.ndarray) -> tuple[float, np.ndarray]:
        logs = log_softmax(self.x @ both.T)
        away = (both[:, :-1] - self.prior) / self.scale**2
        gradient = ((np.exp(logs) - self.sure) * self.weights[:, None]).T @ self.x
        gradient[:, :-1] += away
        off = float((away * (both[:, :-1] - self.prior)).sum()) / 2
        return off - float((self.weights * logs[np.arange(len(logs)), self.y]).sum()), gradient


def minimised(objective: _Objective, start: np.ndarray) -> np.ndarray:
    """Where the convex `objective` is least."""
    at = start
    value, gradient = objective(at)
    kept: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=MEMORY)
    for _ in range(MOST):
        if np.abs(gradient).max() <= FLAT * len(objective.y):
            break
        way = -_by_curvature(gradient, kept)
        slope = float((way * gradient).sum())
        step = 1.0 if kept else min(1.0, 1 / float(np.abs(gradient).sum()))
        new_value, new_gradient = objective(at + step * way)
        while new_value > value + DECREASE * step * slope and step > 1e-12:
            step /= 2
            new_value, new_gradient = objective(at + step * way)
        if new_value >= value:  # as near as float64 can tell
            break
        moved, changed = step * way, new_gradient - gradient
        if float((moved * changed).sum()) > 0:
            kept.append((moved, changed))
        at, value, gradient = at + moved, new_value, new_gradient
    return at


def _by_curvature(gradient: np.ndarray, kept: deque[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The inverse Hessian, as the kept steps tell it, times the gradient."""
    q, shares = gradient.copy(), []
    for moved, changed in reversed(kept):
        shares.append(float((moved * q).sum() / (moved * changed).sum()))
        q -= shares[-1] * changed
    if kept:
        moved, changed = kept[-1]
        q *= (moved * changed).sum() / np.square(changed).sum()
    for (moved, changed), share in zip(kept, reversed(shares), strict=True):
        q += (share - float((changed * q).sum() / (moved * changed).sum())) * moved
    return q


def _in_torch(x: np.ndarray, y: np.ndarray, prior: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    import torch
    import torch.nn.functional as F

    vectors, targets, mean = torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(prior)
    counts = torch.bincount(targets, minlength=len(mean)).double()
    weights = (len(y) / (len(mean) * counts))[targets]
    weight = mean.clone().requires_grad_()
    bias = torch.zeros(len(mean), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        fits = (weights * F.cross_entropy(vectors @ weight.T + bias, targets, reduction="none")).sum()
        total = fits + (weight - mean).square().sum() / (2 * scale**2)
        total.backward()
        return total

    optimizer.step(loss)
    return weight.detach().numpy(), bias.detach().numpy()
