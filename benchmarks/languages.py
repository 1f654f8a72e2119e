"""How often a text's language is told rightly: false alarms over English, and German and Chinese that is noticed.

    python benchmarks/languages.py DATA [--rows 20000]

DATA holds `sst2`, `sms-spam`, `multi30k`, `tatoeba-en-zh`, `books` and `tinyshakespeare`, as in the project's data;
at most so many rows of each are drawn. `asked` is the share for which the identifier was asked at all.
"""

from __future__ import annotations

import argparse
import gzip
import random
import re
import time
from pathlib import Path

from genarium.data import languages


def lines(file: Path) -> list[str]:
    content = file.read_bytes()
    return (gzip.decompress(content) if file.suffix == ".gz" else content).decode("utf-8", "replace").splitlines()


def texts(data: Path) -> dict[str, list[str]]:
    """By the name of the set; those in another language end in its name."""
    pairs = [line.split("\t") for line in lines(data / "tatoeba-en-zh" / "cmn.txt")]
    books = "\n".join("\n".join(lines(data / "books" / f"{name}.txt")) for name in ("heidi", "treasure-island"))
    return {
        "SST-2, sentences": [line.split("\t")[0] for line in lines(data / "sst2" / "train.tsv")],
        "SMS": [line.split("\t", 1)[1] for line in lines(data / "sms-spam" / "SMSSpamCollection")],
        "multi30k, English": lines(data / "multi30k" / "train.en.gz"),
        "multi30k, German": lines(data / "multi30k" / "train.de.gz"),
        "tatoeba, English": [pair[0] for pair in pairs],
        "tatoeba, Chinese": [pair[1] for pair in pairs],
        "two books, sentences": re.split(r"(?<=[.!?])\s", books),
        "two books, paragraphs": re.split(r"\n\s*\n", books),
        "Shakespeare, lines": [line for line in lines(data / "tinyshakespeare" / "input.txt") if line[-1:] != ":"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=20_000)
    options = parser.parse_args()
    asked = 0
    identifier = languages._identifier()

    class Counted:
        def rank(self, text: str) -> list[tuple[str, float]]:
            nonlocal asked
            asked += 1
            return identifier.rank(text)  # type: ignore[no-any-return]

    counted = Counted()
    languages._identifier = lambda: counted  # type: ignore[assignment, return-value]
    for name, rows in texts(options.data).items():
        sample = [row for row in rows if row.strip()]
        random.Random(0).shuffle(sample)
        sample = sample[: options.rows]
        asked, began = 0, time.perf_counter()
        found = [languages.foreign(row) for row in sample]
        took = (time.perf_counter() - began) / len(sample)
        another = sum(language is not None for language in found)
        print(
            f"{name:<24} {len(sample):>6} rows  {another:>6} another language ({100 * another / len(sample):7.3f}%)  "
            f"asked {asked / len(sample):.0%}  {1000 * took:.2f} ms a text",
            flush=True,
        )


if __name__ == "__main__":
    main()
