"""How close texts are to a question, on one scale for every encoder.

Cosines of one encoder run from 0 to 1, of another from 0.7 to 0.9: vectors of a network share a direction (Ethayarajh
2019, "How contextual are contextualized word representations?"). So a cosine is counted from what the question has
with sentences about anything: 0 is as close as those, 1 the same.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from genarium.retrieval.words import language_of

if TYPE_CHECKING:
    from genarium.engines.embed.encoder import NativeEncoder

ANYTHING = {
    "en": (
        "The train was late again, so we walked home through the rain.",
        "Shares fell sharply after the company cut its forecast.",
        "Stir the sauce until it thickens, then add the mushrooms.",
        "The committee meets on the first Tuesday of each month.",
        "My grandmother kept her letters in a blue tin box.",
        "def total(values): return sum(values)",
    ),
    "de": (
        "Die Katze schläft auf dem Sofa und träumt von Mäusen.",
        "Der Stadtrat hat gestern über den neuen Haushalt beraten.",
        "Die Soße rühren, bis sie dick wird, dann die Pilze zugeben.",
        "Der Zug hatte wieder Verspätung, also gingen wir zu Fuß.",
        "Meine Großmutter hob ihre Briefe in einer blauen Dose auf.",
        "Name: Bauer; Ort: Linz; Betrag: 12,50",
    ),
    "zh": (
        "昨天晚上我们一起去看了一场电影。",
        "这座山的山顶终年积雪。",
        "火车又晚点了，所以我们冒雨走回了家。",
        "把酱汁搅拌到变稠，然后加入蘑菇。",
        "公司下调预期后，股价大幅下跌。",
        "姓名: 王芳; 地点: 成都; 金额: 12.50",
    ),
}
"""What hardly a question is about, in its language: texts of one language are closer to each other."""
KEPT = 10_000
"""Texts whose vectors are kept for the next question, 15 MiB of `starter/encoder`'s: reading sentences takes most of a
question's time, and in a conversation it is often the same passages."""
_vectors: WeakKeyDictionary[NativeEncoder, dict[str, np.ndarray]] = WeakKeyDictionary()
_lock = threading.Lock()


class Closeness:
    """Of one question, by one encoder; of a sentence that `says` something, as encoders with prompts tell apart."""

    def __init__(self, encoder: NativeEncoder, question: str, *, says: bool = False):
        self.encoder = encoder
        self.vector = (_embedded(encoder, [question]) if says else encoder.embed_search(question))[0]
        self.language = language_of(question)

    def of(self, texts: Sequence[str]) -> np.ndarray:
        """The closeness of each text (N,)."""
        if not texts:
            return np.zeros(0, np.float32)
        least = float((_embedded(self.encoder, ANYTHING[self.language]) @ self.vector).mean())
        closeness: np.ndarray = (_embedded(self.encoder, texts) @ self.vector - least) / (1 - least)
        return closeness


def _embedded(encoder: NativeEncoder, texts: Sequence[str]) -> np.ndarray:
    """The vectors of passages (N, C); those of the texts that were read last are still in memory."""
    with _lock:
        known = _vectors.setdefault(encoder, {})
        found = {text: known[text] for text in texts if text in known}
    new = [text for text in dict.fromkeys(texts) if text not in found]
    if new:
        vectors = encoder.embed_passages(new, tell=False)
        found |= {text: vector.copy() for text, vector in zip(new, vectors, strict=True)}  # not the whole matrix
    with _lock:
        for text, vector in found.items():
            known.pop(text, None)
            known[text] = vector
        while len(known) > KEPT:
            known.pop(next(iter(known)))
    return np.stack([found[text] for text in texts])
