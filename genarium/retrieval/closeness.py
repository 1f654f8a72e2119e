"""How close texts are to a question, on one scale for every encoder.

Cosines of one encoder run from 0 to 1, of another from 0.7 to 0.9: vectors of a network share a direction (Ethayarajh
2019, "How contextual are contextualized word representations?"). So a cosine is counted from what the question has
with sentences about anything: 0 is as close as those, 1 the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

if TYPE_CHECKING:
    from genarium.engines.embed.encoder import NativeEncoder

ANYTHING = (
    "The train was late again, so we walked home through the rain.",
    "Shares fell sharply after the company cut its forecast.",
    "Stir the sauce until it thickens, then add the mushrooms.",
    "def total(values): return sum(values)",
    "Die Katze schläft auf dem Sofa und träumt von Mäusen.",
    "Der Stadtrat hat gestern über den neuen Haushalt beraten.",
    "昨天晚上我们一起去看了一场电影。",
    "这座山的山顶终年积雪。",
)
"""What hardly a question is about."""
_vectors: WeakKeyDictionary[NativeEncoder, np.ndarray] = WeakKeyDictionary()


class Closeness:
    """Of one question, by one encoder."""

    def __init__(self, encoder: NativeEncoder, question: str):
        self.encoder, self.vector = encoder, encoder.embed_search(question)[0]

    def of(self, texts: Sequence[str]) -> np.ndarray:
        """The closeness of each text (N,)."""
        if not texts:
            return np.zeros(0, np.float32)
        if self.encoder not in _vectors:
            _vectors[self.encoder] = self.encoder.embed_passages(ANYTHING, tell=False)
        least = float((_vectors[self.encoder] @ self.vector).mean())
        closeness: np.ndarray = (self.encoder.embed_passages(texts, tell=False) @ self.vector - least) / (1 - least)
        return closeness
