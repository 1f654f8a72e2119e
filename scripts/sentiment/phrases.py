"""Phrases of SST-2's training sentences with a sentiment each, for `genarium finetune --also`.

    python scripts/sentiment/phrases.py sst2/train.tsv phrases.tsv

`phrases.txt`, beside this, has a line for every sentence: `START-END:LABEL` for each of its phrases, in words, END
left out of it. A language model read each phrase alone, never the sentence nor its label, and said 1 (very negative)
to 5 (very positive), the scale of Socher et al. 2013. Neutral ones, 3, are left out of what is written; the others
become 0 and 1 as in SST-2. The words themselves are the treebank's and are not here.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from genarium import files

LABELS = Path(__file__).with_name("phrases.txt")
SENTENCES = "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920"
NEUTRAL = 3


def phrases(sentences: list[str], labels: list[str]) -> Iterator[tuple[str, int]]:
    """Every phrase of `sentences` and its label of 1 to 5, `labels` being the lines of `phrases.txt`."""
    for sentence, line in zip(sentences, labels, strict=True):
        words = sentence.split()
        for entry in line.split():
            place, label = entry.split(":")
            start, end = map(int, place.split("-"))
            yield " ".join(words[start:end]), int(label)


def main(train: Path, out: Path) -> None:
    if files.sha256(train) != SENTENCES:
        raise SystemExit(f"{train} is not the train.tsv of SST-2 that the phrases were cut from")
    sentences = [line.split("\t")[0] for line in train.read_text("utf-8").splitlines()]
    rows = [
        f"{phrase}\t{int(label > NEUTRAL)}\n"
        for phrase, label in phrases(sentences, LABELS.read_text("utf-8").splitlines())
        if label != NEUTRAL
    ]
    files.write_atomically(out, "".join(rows).encode())
    print(f"{len(rows):,} phrases in {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path, help="train.tsv of SST-2, sentence level")
    parser.add_argument("out", type=Path, help="TSV to write")
    options = parser.parse_args()
    main(options.train, options.out)
