"""How often `classify` is right without training: zero-shot and with 32 examples, on SST-2 and on SMS spam.

    python benchmarks/labels.py [--data FOLDER] [--model starter/encoder] [--draws 10]

Examples are 16 of each label, drawn with seeds 0, 1, …. SST-2: from the training sentences, tested on the dev ones,
which nothing was chosen on. SMS: from four fifths of the distinct messages, tested on the rest (F1 of spam); that the
vector half-way up the encoder is seen as well was chosen on half of all messages.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import time
from pathlib import Path

import numpy as np

from genarium.engines import registry
from genarium.engines.classify.protocol import CHUNK, Classifier
from genarium.engines.embed.encoder import NativeEncoder
from genarium.errors import BadCheckpoint

Labelled = list[tuple[str, str]]


def sst2(folder: Path, part: str) -> Labelled:
    names = {"0": "negative", "1": "positive"}
    rows = [line.rsplit("\t", 1) for line in (folder / f"sst2/{part}.tsv").read_text("utf-8").splitlines()]
    return [(text, names[label]) for text, label in rows]


def sms(folder: Path) -> Labelled:
    lines = (folder / "sms-spam/SMSSpamCollection").read_text("utf-8").split("\n")[1:]
    return [(text, label) for label, _, text in (line.partition("\t") for line in lines if line)]


def predicted(classifier: Classifier, rows: Labelled) -> list[str]:
    texts = [text for text, _ in rows]
    parts = [classifier.log_probabilities(texts[i : i + CHUNK]) for i in range(0, len(texts), CHUNK)]
    return [classifier.labels[place] for place in np.concatenate(parts).argmax(axis=1)]


def accuracy(found: list[str], rows: Labelled) -> float:
    return statistics.mean(a == b for a, (_, b) in zip(found, rows, strict=True))


def f1(found: list[str], rows: Labelled) -> float:
    """Harmonic mean of precision and recall for `spam`."""
    both = sum(a == b == "spam" for a, (_, b) in zip(found, rows, strict=True))
    return 2 * both / (found.count("spam") + sum(label == "spam" for _, label in rows))


def hold_out(rows: Labelled, share: float = 0.2) -> tuple[Labelled, Labelled]:
    """Rows to draw examples from and rows to test on; texts that are there twice are on one side. Always the same."""
    texts = sorted({text for text, _ in rows})
    kept = {texts[i] for i in np.random.default_rng(0).permutation(len(texts))[: round(share * len(texts))]}
    return [row for row in rows if row[0] not in kept], [row for row in rows if row[0] in kept]


def draw(rows: Labelled, seed: int, each: int = 16) -> Labelled:
    """`each` examples of every label."""
    random = np.random.default_rng(seed)
    labels = sorted({label for _, label in rows})
    places = [np.flatnonzero([label == wanted for _, label in rows]) for wanted in labels]
    return [rows[i] for there in places for i in random.choice(there, each, replace=False)]


def remember(encoder: NativeEncoder) -> None:
    """Make each chunk's vectors once: the texts to test on are the same in every draw."""
    compute, made = encoder.embed_layers, {}

    def embed_layers(texts: list[str], layers: list[int], *, tell: bool = True) -> list[np.ndarray]:
        key = (tuple(texts), tuple(layers))
        if key not in made:
            made[key] = compute(texts, layers, tell=tell)
        return made[key]

    encoder.embed_layers = embed_layers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GENARIUM_DATA", "data")))
    parser.add_argument("--model", default="starter/encoder")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--calibrate", action="store_true")
    options = parser.parse_args()
    with contextlib.suppress(BadCheckpoint):  # a generative model makes no vectors
        remember(registry.open_encoder(options.model))
    train, dev = sst2(options.data, "train"), sst2(options.data, "dev")
    messages, kept_out = hold_out(sms(options.data))
    for name, labels, pool, test, measure in (
        ("SST-2 dev, accuracy", ["negative", "positive"], train, dev, accuracy),
        ("SMS spam, F1", ["ham", "spam"], messages, kept_out, f1),
    ):
        began = time.perf_counter()
        classifier = registry.open_classifier(options.model, labels=labels, calibrate=options.calibrate)
        score = measure(predicted(classifier, test), test)
        speed = len(test) / (time.perf_counter() - began)
        print(f"{name}, zero-shot: {score:.3f} ({len(test)} texts, {speed:.0f} a second)", flush=True)
        scores = []
        for seed in range(options.draws):
            examples = draw(pool, seed)
            classifier = registry.open_classifier(
                options.model, labels=labels, examples=examples, calibrate=options.calibrate
            )
            scores.append(measure(predicted(classifier, test), test))
        spread = f"{statistics.mean(scores):.3f} ± {statistics.stdev(scores):.3f}" if len(scores) > 1 else scores
        print(f"{name}, 32 examples: {spread} over {len(scores)} draws", flush=True)


if __name__ == "__main__":
    main()
