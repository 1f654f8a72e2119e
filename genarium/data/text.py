"""Plain text to token windows: find it, split it, tokenize it, serve it in a fixed order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

from genarium import files
from genarium.errors import BadInput

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
            found = sorted(p for p in place.rglob("*") if p.suffix.lower() in (".txt", ".md") and p.is_file())
            if not found:
                raise BadInput(f"{place} holds no .txt or .md file; name a file, or a folder with some")
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
    """Documents to learn from, to watch (never learned from) and held out altogether, by name."""

    train: list[str]
    validation: list[str]
    holdout: list[str]


def split(paths: Sequence[Path], *, validation: float, holdout: Sequence[str] = ()) -> Split:
    """The last `validation` share of each document is for watching; files named in `holdout` stay out altogether."""
    unknown = set(holdout) - {path.name for path in paths}
    if unknown:
        raise BadInput(
            f"no file {', '.join(sorted(unknown))} to hold out; the files are {', '.join(p.name for p in paths)}"
        )
    train, watched = [], []
    for path in paths:
        if path.name in holdout:
            continue
        text = read(path)
        cut = int(len(text) * (1 - validation))
        train.append(text[:cut])
        watched.append(text[cut:])
    return Split(train, watched, [read(path) for path in paths if path.name in holdout])


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
    """All documents as one row of token ids, the token `end` behind each."""
    rows = [np.array([*e.ids, end], dtype=np.int32) for e in tokenizer.encode_batch(list(texts))]
    return torch.from_numpy(np.concatenate(rows) if rows else np.zeros(0, dtype=np.int32))


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
        first = index * self.batch_size
        rows = []
        for number in range(first, first + self.batch_size):
            start = int(self.starts(number // self.per_epoch)[number % self.per_epoch])
            rows.append(self.tokens[start : start + self.context + 1])
        window = torch.stack(rows).long()
        return window[:, :-1].contiguous(), window[:, 1:].contiguous()
