"""The picture of one word in several texts."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def plot_word(names: Sequence[str], contextual: np.ndarray, static: np.ndarray) -> bytes:
    """A PNG of a word's vectors (places, C) in each text: in its context, and in the embedding table.

    Each panel shows unit vectors in the plane of their two largest differences (principal components), an arrow from
    the first to each; both have one scale, so that what cannot move is seen not to.
    """
    import numpy as np
    from matplotlib.figure import Figure

    flat = [_plane(vectors) for vectors in (contextual, static)]
    reach = max(1e-6, *(float(np.abs(points - points[0]).max()) for points, _ in flat)) * 1.25
    figure = Figure(figsize=(9, 5 + 0.18 * len(names)), layout="constrained")
    colours = [f"C{i % 10}" for i in range(len(names))]
    for axes, (points, share), title in zip(
        figure.subplots(1, 2), flat, ("in its context", "in the embedding table (static)"), strict=True
    ):
        at: dict[tuple[float, float], list[int]] = {}
        for place, (x, y) in enumerate(points - points[0]):
            if place and np.hypot(x, y) > reach / 100:
                axes.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "->", "color": colours[place]})
            axes.scatter(x, y, color=colours[place], zorder=3, label=f"{place + 1}  {names[place]}")
            at.setdefault((round(x / reach, 2), round(y / reach, 2)), []).append(place + 1)
        for (x, y), here in at.items():  # those in one spot share one label
            words = ", ".join(map(str, here))
            axes.annotate(words, (x * reach, y * reach), xytext=(6, 6), textcoords="offset points")
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        axes.set_title(f"{title}\n{share:.0%} of what differs is in this plane" if share else f"{title}\nall are equal")
        axes.grid(alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    columns = 1 if max(map(len, names)) > 30 else min(4, len(names))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize="small", frameon=False)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def _plane(vectors: np.ndarray) -> tuple[np.ndarray, float]:
    """Unit vectors on their first two principal components, (places, 2), and the share of the variance there."""
    import numpy as np

    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    centred = unit - unit.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred.astype(float), full_matrices=False)
    points = np.zeros((len(vectors), 2))
    kept = min(2, len(sizes))
    points[:, :kept] = left[:, :kept] * sizes[:kept]
    total = float((sizes**2).sum())
    return points, float((sizes[:2] ** 2).sum()) / total if total > 1e-9 else 0.0
