"""Tokens that a text never has, or does not begin with."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from genarium.decoding.choosing import Constraint


class Suppressed:
    """A constraint beside another one, if there is one: without these tokens, and at first without more."""

    def __init__(self, vocab_size: int, never: Collection[int], at_first: Collection[int], beside: Constraint | None):
        self.beside, self.begun = beside, False
        self.never = np.ones(vocab_size, dtype=bool)
        self.never[list(never)] = False
        self.at_first = self.never.copy()
        self.at_first[list(at_first)] = False

    def allowed(self) -> np.ndarray:
        own = self.never if self.begun else self.at_first
        return own if self.beside is None else own & self.beside.allowed()

    def accept(self, token: int) -> None:
        self.begun = True
        if self.beside is not None:
            self.beside.accept(token)
