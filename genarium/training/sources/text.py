"""Text that models of language learn from: read, split, tokenized; what its figures are, and what is kept of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Interval, Le

from genarium import files
from genarium.errors import BadInput
from genarium.progress import emit, note

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import nn

    from genarium.data.text import Split
    from genarium.training.objectives.next_token import NextToken


@dataclass(frozen=True)
class TextOptions:
    """Which text, and how it is read."""

    data: Annotated[str, Doc("text file, folder of .txt and .md files, or a name under GENARIUM_DATA")]
    tokenizer: Annotated[Literal["char", "bpe"], Doc("one token a character, or byte-pair encoding")] = "bpe"
    vocab_size: Annotated[int, Doc("tokens in the byte-pair vocabulary"), Interval(ge=257, le=262_144)] = 4096
    holdout: Annotated[list[str] | None, Doc("file to keep out and measure at the end; may be repeated")] = None
    validation: Annotated[float, Doc("share at the end of each file to watch, not learn"), Ge(0.0), Le(0.5)] = 0.1
    prompt: Annotated[str, Doc("what the samples along the way begin with")] = "Once upon a time"


@dataclass(frozen=True)
class TextSource:
    """Text in its parts, and the tokenizer that reads it; `end` is its token after each document.

    `begun` is the folder whose tokenizer it is, where it is not of this text.
    """

    options: TextOptions
    names: Sequence[str]
    digests: dict[str, str]
    parts: Split
    tokenizer: Tokenizer
    end: int
    begun: Path | None

    @classmethod
    def read(cls, options: TextOptions, *, begun: Path | None = None) -> TextSource:
        """The text that is asked for, with the tokenizer of the checkpoint in `begun` or a new one. Raises BadInput."""
        from genarium.checkpoints.processors import tokenizer as tokenizers
        from genarium.data import text

        paths = text.find(options.data)
        names = text.names_of(paths)
        digests = {name: files.sha256(path) for name, path in zip(names, paths, strict=True)}
        parts = text.split(paths, validation=options.validation, holdout=options.holdout or ())
        if not any(parts.train):
            raise BadInput(f"{options.data} holds no text; name a file with some")
        emit("tokenizing")
        if begun is not None:
            made = tokenizers.load(begun)
            end = tokenizers.separator(begun, made)
        else:
            made, end = _new_tokenizer(options, parts)
        return cls(options, names, digests, parts, made, end, begun)

    def objective(self, model: nn.Module, *, context: int, batch_size: int, seed: int) -> NextToken:
        """Its next token, from `context` tokens at once. What of the figures is not what it seems is said."""
        from genarium.data import text
        from genarium.training.objectives.next_token import NextToken

        text.say_changes(self.tokenizer, [*self.parts.train, *self.parts.validation], "the text")
        _say_known(self.parts)
        train = text.encode(self.tokenizer, self.parts.train, self.end)
        validation = text.Measured.of(self.tokenizer, self.parts.validation, self.end)
        prompt = self.options.prompt
        return NextToken(
            model, self.tokenizer, train, validation, context=context, batch_size=batch_size, seed=seed, prompt=prompt
        )

    def measure(self, model: nn.Module, *, context: int) -> dict[str, float]:
        """Bits per byte of each file that was kept out, every token with at least half a context before it."""
        from genarium.data import text
        from genarium.training.objectives.next_token import likelihood

        figures = {}
        for name, document in self.parts.holdout.items():
            emit("measuring", preview=name)
            text.say_changes(self.tokenizer, [document], name)
            measured = text.Measured.of(self.tokenizer, [document], self.end)
            found = likelihood(model, measured, context=context, stride=max(1, context // 2))
            figures[f"bits_per_byte on {name}"] = found["bits_per_byte"]
        return figures

    def save_tokenizer(self, folder: Path, *, context: int) -> None:
        """Beside a checkpoint that reads `context` tokens, the tokenizer in transformers' layout."""
        from genarium.checkpoints.store import folder as folders
        from genarium.data.text import END_OF_TEXT

        if self.begun is not None:
            folders.copy_tokenizer(self.begun, folder)
            return
        files.write_atomically(folder / "tokenizer.json", self.tokenizer.to_str().encode())
        described = {
            "eos_token": END_OF_TEXT,
            "bos_token": END_OF_TEXT,
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": context,
        }
        files.write_atomically(folder / "tokenizer_config.json", json.dumps(described, indent=2).encode())

    def recipe(self) -> dict[str, Any]:
        """What `training.json` says of it."""
        held, validation = list(self.parts.holdout), self.options.validation
        return {"files": self.names, "sha256": self.digests, "holdout": held, "validation": validation}


def _say_known(parts: Split) -> None:
    """Say where much of what is measured is learned as well, as it is of a file that is there twice."""
    from genarium.data import text

    for name, document in {"validation": "\n".join(parts.validation), **parts.holdout}.items():
        known, lines = text.known_lines(parts.train, document)
        if known > lines / 100:
            note(
                f"{known:,} of {lines:,} long lines of {name} are in what is learned as well; its figures gain by that"
            )


def _new_tokenizer(options: TextOptions, parts: Split) -> tuple[Tokenizer, int]:
    """A tokenizer of these texts, and its end-of-text token."""
    from genarium.data import text

    made = (
        text.char_tokenizer([*parts.train, *parts.validation])
        if options.tokenizer == "char"
        else text.bpe_tokenizer(parts.train, options.vocab_size)
    )
    end = made.token_to_id(text.END_OF_TEXT)
    assert end is not None  # both kinds are given it
    return made, end
