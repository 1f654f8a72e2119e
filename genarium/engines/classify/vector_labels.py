"""Labels by the vectors of an encoder: by description alone (zero-shot), or learned from a few examples.

Zero-shot (Yin et al. 2019, arXiv:1909.00161, with vectors in place of entailment): every label becomes a few
sentences, and a text has the label whose sentences its vector is nearest to. With examples, a logistic regression
takes that as its prior: what few examples say of many dimensions is drawn towards what the labels mean. It also sees
the vector half-way up the encoder, which knows more of how a text is written and less of what it is about (Jawahar et
al. 2019, ACL, "What does BERT learn about the structure of language?"; Skean et al. 2025, arXiv:2502.02013).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genarium.decoding.ranking import log_softmax
from genarium.engines.classify.regression import fit
from genarium.engines.embed.encoder import NativeEncoder
from genarium.errors import BadInput
from genarium.progress import emit

# Chosen among fourteen by accuracy, and the temperature by log-likelihood, on the training sentences of SST-2.
TEMPLATES = ("Someone writes something {label}.", "The tone is {label}.", "A {label} message")
TEMPERATURE = 0.04

# What cross-validation on the examples chooses among: how sharp the prior is (inf: none), and how far it can be left.
PRIOR_TEMPERATURES = (0.03, 0.1, float("inf"))
SCALES = (2.0, 8.0)
FOLDS = 5


class VectorLabels:
    """softmax(vector · weight + bias): the vector is those after `layers` end to end, (len(layers) · C,).

    `weight` is (L, len(layers) · C), `bias` (L,), both float64.
    """

    def __init__(
        self,
        encoder: NativeEncoder,
        labels: Sequence[str],
        weight: np.ndarray,
        bias: np.ndarray,
        *,
        layers: Sequence[int],
        way: str,
    ):
        self.encoder, self.labels, self.weight, self.bias = encoder, list(labels), weight, bias
        self.layers, self.way = layers, way

    @property
    def context(self) -> int:
        return self.encoder.context

    @property
    def n_cut(self) -> int:
        return self.encoder.n_cut

    def log_probabilities(self, texts: Sequence[str]) -> np.ndarray:
        scores = _vectors(self.encoder, texts, self.layers) @ self.weight.T + self.bias
        return log_softmax(scores)


def zero_shot(encoder: NativeEncoder, labels: Sequence[str], *, template: str | None = None) -> VectorLabels:
    """By the labels' meaning alone. Raises BadInput where `template` has no `{label}`."""
    weight = describe(encoder, labels, template).astype(np.float64) / TEMPERATURE
    way = "zero-shot: no example was seen; a text has the label whose description its vector is nearest to"
    return VectorLabels(encoder, labels, weight, np.zeros(len(labels)), layers=[encoder.config.n_layers], way=way)


def few_shot(
    encoder: NativeEncoder, labels: Sequence[str], examples: Sequence[tuple[str, str]], *, template: str | None = None
) -> VectorLabels:
    """Learned from `examples`, pairs of text and label. Raises BadInput as `zero_shot` does."""
    last = encoder.config.n_layers
    layers = [last, max(1, last // 2)]
    described = describe(encoder, labels, template).astype(np.float64)
    unknown = np.zeros((len(labels), encoder.pooled_width))  # half-way up, nothing is described
    described = np.concatenate([described, unknown], axis=1)
    x = _vectors(encoder, [text for text, _ in examples], layers)
    y = np.array([labels.index(label) for _, label in examples])
    library = "torch" if encoder.backend == "torch" else "numpy"
    temperature, scale = _best_settings(x, y, described, library)
    weight, bias = fit(x, y, described / temperature, scale, library=library)
    meaning = "what the labels mean counted too" if np.isfinite(temperature) else "what the labels mean did not help"
    way = f"few-shot: a logistic regression on the vectors of {len(examples)} examples; {meaning}"
    return VectorLabels(encoder, labels, weight, bias, layers=layers, way=way)


def describe(encoder: NativeEncoder, labels: Sequence[str], template: str | None = None) -> np.ndarray:
    """One vector a label, (L, C) of length 1: the mean of its descriptions'."""
    if template is not None and "{label}" not in template:
        raise BadInput(f"template must say where the label goes, as in 'It was {{label}}.'; got {template!r}")
    templates = TEMPLATES if template is None else (template,)
    # replace, not format: braces in a label are the label's own.
    made = [encoder.embed([t.replace("{label}", label) for label in labels], tell=False) for t in templates]
    mean = np.mean(made, axis=0)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def _vectors(encoder: NativeEncoder, texts: Sequence[str], layers: Sequence[int]) -> np.ndarray:
    """The texts' vectors after each of `layers`, end to end, (len(texts), len(layers) · C) float64."""
    return np.concatenate(encoder.embed_layers(texts, layers, tell=False), axis=1).astype(np.float64)


def _best_settings(x: np.ndarray, y: np.ndarray, described: np.ndarray, library: str) -> tuple[float, float]:
    """The prior's temperature and scale that predict left-out examples best (log-likelihood), by cross-validation.

    With one example of a label nothing can be left out: the sharpest prior and the smallest scale.
    """
    if np.bincount(y, minlength=len(described)).min() < 2:
        return PRIOR_TEMPERATURES[0], SCALES[0]
    fold = np.empty(len(y), dtype=int)
    for label in range(len(described)):
        places = np.flatnonzero(y == label)
        fold[places] = np.arange(len(places)) % FOLDS
    losses = {}
    settings = [(temperature, scale) for temperature in PRIOR_TEMPERATURES for scale in SCALES]
    for number, (temperature, scale) in enumerate(settings):
        emit("choosing", number, len(settings))
        loss = 0.0
        for left_out in range(fold.max() + 1):
            inside, outside = fold != left_out, fold == left_out
            weight, bias = fit(x[inside], y[inside], described / temperature, scale, library=library)
            scores = log_softmax(x[outside] @ weight.T + bias)
            loss -= float(scores[np.arange(len(scores)), y[outside]].sum())
        losses[temperature, scale] = loss
    return min(losses, key=losses.__getitem__)
