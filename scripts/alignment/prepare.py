"""SST-2's sentences as the three steps of alignment take them.

    python scripts/alignment/prepare.py ../shared/data/sst2 FOLDER

Of every sentence with twice four words or more, the first four are a prompt and the rest its continuation. The people
who said whether a sentence is positive are divided: what odd rows were called teaches the rater, of whom the reward
learns; what even rows were called teaches the judge, which neither ever sees. Writes, of `train.tsv`, `reviews.jsonl`
(for `align sft`, no labels), `rater.tsv` and `judge.tsv` (for `finetune`) and `prompts.jsonl`; of `dev.tsv`, `dev.tsv`
with a header and `prompts-dev.jsonl`. `test.tsv` is not read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

WORDS = 4


def rows(file: Path) -> list[tuple[str, int]]:
    """Each sentence with 1 where it is positive, else 0."""
    split = (line.rsplit("\t", 1) for line in file.read_text(encoding="utf-8").splitlines())
    return [(text.strip(), int(label)) for text, label in split]


def cut(text: str) -> tuple[str, str] | None:
    """The prompt and what goes on from it; None of a sentence that is too short."""
    words = text.split()
    if len(words) < 2 * WORDS:
        return None
    return " ".join(words[:WORDS]), " " + " ".join(words[WORDS:])


def write(file: Path, lines: Iterable[Mapping[str, object]]) -> None:
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


def main(source: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    train, dev = rows(source / "train.tsv"), rows(source / "dev.tsv")
    halves = train[0::2], train[1::2]
    pairs = [pair for text, _ in train if (pair := cut(text))]
    write(out / "reviews.jsonl", ({"prompt": prompt, "completion": rest} for prompt, rest in pairs))
    for name, part in (("rater.tsv", halves[0]), ("judge.tsv", halves[1]), ("dev.tsv", dev)):
        named = (f"{text}\t{('negative', 'positive')[label]}\n" for text, label in part)
        (out / name).write_text("text\tlabel\n" + "".join(named), encoding="utf-8")
    write(out / "prompts.jsonl", ({"prompt": prompt} for prompt, _ in pairs))
    write(out / "prompts-dev.jsonl", ({"prompt": pair[0]} for text, _ in dev if (pair := cut(text))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
