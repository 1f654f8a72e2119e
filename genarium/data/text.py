"""Plain text to token windows: find it, split it, tokenize it, serve it in a fixed order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from genarium import files
from genarium.data.labelled import alike
from genarium.errors import BadInput
from genarium.progress import note, note_left_out

if TYPE_CHECKING:
    from torch import Tensor

END_OF_TEXT = "<|endoftext|>"
UNKNOWN = "<|unknown|>"


def find(source: str) -> list[Path]:
    """The text files behind FILE, DIR (every *.txt and *.md in it) or NAME (a folder or file of the data folders).

    NAME is looked for under `GENARIUM_DATA` and under `data/` in the user's data folder. Raises BadInput.
    """
    places = [files.named(source)]
    if Path(source).name == source:
        named = os.environ.get("GENARIUM_DATA")
        places += [Path(folder) / source for folder in (named, files.home() / "data") if folder]
    for place in places:
        if place.is_file():
            return [place]
        if place.is_dir():
            there = [p for p in place.rglob("*") if p.is_file()]
            found = sorted(p for p in there if p.suffix.lower() in (".txt", ".md"))
            if not found:
                raise BadInput(f"{place} holds no .txt or .md file; name a file, or a folder with some")
            left = (p.relative_to(place).as_posix() for p in set(there) - set(found))
            note_left_out(place, left, ".txt or .md")
            return found
    looked = ", ".join(str(place) for place in places)
    raise BadInput(f"no text called {source!r} (looked at {looked}); name a file, a folder, or set GENARIUM_DATA")


def read(path: Path) -> str:
    """The file as text: UTF-8, line ends as \\n. Raises BadInput where it is not that."""
    try:
        return path.read_text("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        utf16 = error.object.startswith((b"\xff\xfe", b"\xfe\xff"))
        likely = "UTF-16" if utf16 else "WINDOWS-1252"
        raise BadInput(
            f"{path} is not UTF-8 text (line {line}, byte {error.object[error.start]:#04x}); it may be {likely}, which "
            f"this converts: iconv -f {likely} -t UTF-8 {path} > converted{path.suffix}"
        ) from None
    except OSError as error:
        raise BadInput(f"can't read {path}: {files.reason(error)}") from None


@dataclass(frozen=True)
class Split:
    """Documents to learn from, to watch (never learned from) and held out altogether, those with their names."""

    train: list[str]
    validation: list[str]
    holdout: dict[str, str]


def names_of(paths: Sequence[Path]) -> list[str]:
    """What the files are called: their names, or where they are below the folder of all where a name is there twice."""
    root = os.path.commonpath([path.parent for path in paths])
    names = [path.name for path in paths]
    return [
        n if names.count(n) == 1 else path.relative_to(root).as_posix() for n, path in zip(names, paths, strict=True)
    ]


def split(paths: Sequence[Path], *, validation: float, holdout: Sequence[str] = ()) -> Split:
    """The last `validation` share of each document is for watching; files named in `holdout` stay out altogether.

    A name that several files have holds all of them out. Raises BadInput.
    """
    named = dict(zip(names_of(paths), paths, strict=True))
    unknown = set(holdout) - {path.name for path in paths} - named.keys()
    if unknown:
        raise BadInput(f"no file {', '.join(sorted(unknown))} to hold out; the files are {', '.join(named)}")
    if returns := [name for name, path in named.items() if b"\r" in path.read_bytes()]:
        note(
            f"line ends of {', '.join(returns[:5])}{', …' * (len(returns) > 5)} are read as \\n, not \\r\\n as they are"
        )
    train, watched, held = list[str](), list[str](), dict[str, str]()
    for name, path in named.items():
        text = read(path)
        if name in holdout or path.name in holdout:
            held[name] = text
            continue
        cut = int(len(text) * (1 - validation))
        train.append(text[:cut])
        watched.append(text[cut:])
    if empty := [name for name, text in held.items() if not text]:
        raise BadInput(f"{empty[0]} is empty, so nothing can be measured on it; hold out another file")
    return Split(train, watched, held)


def char_tokenizer(texts: Sequence[str]) -> Tokenizer:
    """One token per character that occurs, in the standard `tokenizer.json` format."""
    characters = sorted(set().union(*map(set, texts)))
    tokenizer = Tokenizer(models.WordLevel({c: i for i, c in enumerate([*characters, UNKNOWN])}, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([END_OF_TEXT])
    return tokenizer


def bpe_tokenizer(texts: Sequence[str], vocab_size: int) -> Tokenizer:
    """Byte-level byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909; bytes as in GPT-2)."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str], end: int) -> Tensor:
    """All documents as one row of token ids, the token `end` after each."""
    import torch

    rows = [np.array([*e.ids, end], dtype=np.int32) for e in tokenizer.encode_batch(list(texts))]
    return torch.from_numpy(np.concatenate(rows) if rows else np.zeros(0, dtype=np.int32))


@dataclass(frozen=True)
class Measured:
    """Texts that a model's likelihood is measured on: their tokens, the first of which is not predicted, and how many
    bytes of UTF-8 the others stand for."""

    tokens: Tensor
    n_bytes: int

    @classmethod
    def of(cls, tokenizer: Tokenizer, texts: Sequence[str], end: int) -> Measured:
        """Empty texts are left out: their end alone is nothing to predict."""
        import torch

        texts = [text for text in texts if text]
        if not texts:
            return cls(torch.zeros(0, dtype=torch.int32), 0)
        # Of what a tokenizer does not know it can't tell how many bytes it was, so they are counted in the text.
        begin = texts[0][:10_000]
        offsets = tokenizer.encode(begin).offsets
        first = len(begin[: offsets[0][1]].encode()) if offsets else 0
        return cls(encode(tokenizer, texts, end), sum(len(text.encode()) for text in texts) - first)


def say_changes(tokenizer: Tokenizer, texts: Sequence[str], name: str) -> None:
    """Say what the tokenizer makes of the texts before it reads them, and what of them it does not know."""
    normalizer, unknown = tokenizer.normalizer, getattr(tokenizer.model, "unk_token", None)
    changed = [(text, normalizer.normalize_str(text)) for text in texts] if normalizer is not None else []
    for text, read_as in changed:
        if text != read_as:
            at = next((n for n, pair in enumerate(zip(text, read_as, strict=False)) if pair[0] != pair[1]), 0)
            parts = (" ".join(one[max(0, at - 10) : at + 10].split()) for one in (text, read_as))
            how = " to ".join(map(repr, parts))
            note(f"the tokenizer changes {name} before it reads it ({how}): its figures are of that")
            break
    place = tokenizer.token_to_id(unknown) if unknown is not None else None
    if place is None or isinstance(tokenizer.decoder, decoders.ByteLevel):  # bytes are all known
        return
    found, total = dict[str, int](), sum(map(len, texts))
    for text, encoding in zip(texts, tokenizer.encode_batch(list(texts)), strict=True):
        for token, (start, stop) in zip(encoding.ids, encoding.offsets, strict=True):
            if token == place:
                found[text[start:stop]] = found.get(text[start:stop], 0) + stop - start
    if found:
        shown = ", ".join(map(repr, sorted(found, key=lambda one: -found[one])[:5])) + (", …" if len(found) > 5 else "")
        note(
            f"{sum(found.values()):,} of {total:,} characters of {name} are unknown to the tokenizer ({shown}): it "
            "reads them all as one, so bits per byte leave out what would tell them apart"
        )


LONG_LINE = 32
"""Characters from which on a line is hardly there twice by chance."""


def known_lines(learned: Sequence[str], measured: str) -> tuple[int, int]:
    """How many of the long lines of a text are in what is learned too, and how many there are."""
    long = [line for line in map(alike, measured.split("\n")) if len(line) >= LONG_LINE]
    wanted = set(long)
    there = {line for text in learned for line in map(alike, text.split("\n")) if line in wanted}
    return sum(line in there for line in long), len(long)


class Windows:
    """Batches of `context`-token windows, each epoch in a new order and from a new phase.

    Batch k is a function of (seed, k) alone, so the data position of a training run is its step.
    """

    def __init__(self, tokens: Tensor, context: int, batch_size: int, seed: int):
        if len(tokens) < context + 1:
            raise BadInput(
                f"the text has {len(tokens)} tokens, fewer than one context of {context} and the next token; "
                "use more text or a smaller --context"
            )
        self.tokens, self.context, self.batch_size, self.seed = tokens, context, batch_size, seed
        self.per_epoch = max(1, (len(tokens) - 1) // context - 1)
        self._epoch: tuple[int, np.ndarray] | None = None

    def starts(self, epoch: int) -> np.ndarray:
        """Where the windows of an epoch begin, in the order they are read."""
        if self._epoch is None or self._epoch[0] != epoch:
            random = np.random.default_rng([self.seed, epoch])
            spare = len(self.tokens) - 1 - self.per_epoch * self.context
            phase = int(random.integers(spare + 1))
            self._epoch = (epoch, phase + self.context * random.permutation(self.per_epoch))
        return self._epoch[1]

    def batch(self, index: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets, each (batch_size, context) int64."""
        import torch

        first = index * self.batch_size
        rows = []
        for number in range(first, first + self.batch_size):
            start = int(self.starts(number // self.per_epoch)[number % self.per_epoch])
            rows.append(self.tokens[start : start + self.context + 1])
        window = torch.stack(rows).long()
        return window[:, :-1].contiguous(), window[:, 1:].contiguous()
