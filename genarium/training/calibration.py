"""Whether a reward model is as sure as it is right: s(margin) is the probability it gives the answer it prefers."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from genarium.training.report import save_figure

BINS = 10


def in_order(margins: Tensor) -> Tensor:
    """Of each pair 1 where it prefers what people prefer, else 0; 0.5 where the scores are equal. Float64."""
    return (margins > 0).double() + 0.5 * (margins == 0).double()


def reliability(margins: Tensor, bins: int = BINS) -> list[tuple[int, float, float]]:
    """Of pairs by how sure it is, in `bins` equal parts of [0.5, 1]: how many, the mean probability, the share right.

    Guo et al. 2017 (arXiv:1706.04599, 2). A pair with equal scores is half right.
    """
    sure = margins.abs().double().sigmoid()
    right = in_order(margins)
    part = ((sure - 0.5) * 2 * bins).long().clamp(0, bins - 1)
    rows = [(part == number) for number in range(bins)]
    return [
        (int(row.sum()), float(sure[row].mean()), float(right[row].mean())) if row.any() else (0, 0.0, 0.0)
        for row in rows
    ]


def calibration_error(margins: Tensor, bins: int = BINS) -> float:
    """The expected calibration error (eq. 3 there): how far the two are apart, the mean over pairs."""
    rows = reliability(margins, bins)
    return sum(count * abs(sure - right) for count, sure, right in rows) / max(1, len(margins))


def plot(margins: Tensor, file: Path, *, title: str) -> None:
    """Margins as a histogram, and the share of pairs that it orders right against how sure it is, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.hist(margins.tolist(), bins=min(40, max(5, len(margins) // 5)), color="#4c72b0")
    left.axvline(0, color="black", linewidth=1)
    accuracy = float(in_order(margins).mean())
    left.set(xlabel="score of the preferred answer minus the other's", ylabel="pairs")
    left.set_title(f"{title}: {accuracy:.1%} of {len(margins)} pairs in order")
    rows = [row for row in reliability(margins) if row[0]]
    right.plot([0.5, 1], [0.5, 1], color="grey", linestyle="--", linewidth=1)
    right.scatter(
        [sure for _, sure, _ in rows], [share for _, _, share in rows], s=[8 + 3 * n**0.5 for n, _, _ in rows]
    )
    right.set(xlabel="how sure it is", ylabel="share in order", xlim=(0.48, 1.02), ylim=(-0.02, 1.02))
    right.set_title(f"calibration error {calibration_error(margins):.3f}")
    save_figure(figure, file)
