"""Words that praise or pan, as rows to learn from beside sentences: VADER's lexicon (Hutto and Gilbert 2014).

Ten people judged each word from -4 to 4. Kept are the words of three letters or more whose mean is 1.5 or more from
zero, and further from it than one standard deviation. Files after the wheel are what will be measured on: a word that
is a whole text there is left out.

pip download vaderSentiment==3.3.2 --no-deps
python scripts/sentiment_words.py vaderSentiment-3.3.2-py2.py3-none-any.whl sst2/test.tsv sst2/dev.tsv > words.tsv
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from zipfile import ZipFile

LEXICON = "vaderSentiment/vader_lexicon.txt"


def rows(lexicon: str, measured: set[str]) -> list[str]:
    """`word TAB 1` for each word that praises, `word TAB 0` for each that pans."""
    found = []
    for line in lexicon.splitlines():
        word, mean, deviation, _ = line.split("\t")
        if word in measured or not re.fullmatch("[a-z]{3,}", word):
            continue
        if abs(float(mean)) >= max(1.5, float(deviation)):
            found.append(f"{word}\t{int(float(mean) > 0)}")
    return found


if __name__ == "__main__":
    measured = {line.split("\t")[0].strip() for file in sys.argv[2:] for line in Path(file).read_text().splitlines()}
    with ZipFile(Path(sys.argv[1])) as wheel:
        print("\n".join(rows(wheel.read(LEXICON).decode(), measured)))
