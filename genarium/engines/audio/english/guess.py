"""How a word is said that the lexicon doesn't have: the network of `models/g2p.py`, computed on arrays."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genarium.checkpoints.layouts import g2p

Array = NDArray[np.float32]
END, BEGIN = 0, 1
LONGEST = 64


class Guess:
    """The likeliest phonemes, one after another."""

    def __init__(self, file: Path):
        letters, phonemes, self.arrays = g2p.load(file)
        self.letters = {letter: number for number, letter in enumerate(letters, 2)}
        self.phonemes = phonemes
        self.say = lru_cache(maxsize=4096)(self._say)

    def _say(self, word: str) -> str:
        """Phonemes of a word in small letters after its accent's sign; letters that it doesn't know are left out."""
        a = self.arrays
        ids = [self.letters[letter] for letter in word if letter in self.letters]
        read = a["letters.weight"][ids]
        forth = self._gru(read, "encoder", "")
        back = self._gru(read[::-1], "encoder", "_reverse")[::-1]
        memory = np.concatenate((forth, back), axis=1)
        state = np.tanh(self._linear("bridge", np.concatenate((forth[-1], back[0]))))
        said, last = "", BEGIN
        for _ in range(LONGEST):
            state = self._cell(a["phonemes.weight"][last], state, "decoder", "")
            scores = memory @ (a["look.weight"] @ state)
            weights = np.exp(scores - scores.max())
            seen = (weights / weights.sum()) @ memory
            last = int(self._linear("head", np.tanh(self._linear("joined", np.concatenate((state, seen))))).argmax())
            if last in (END, BEGIN):
                break
            said += self.phonemes[last - 2]
        return said

    def _linear(self, name: str, x: Array) -> Array:
        made: Array = self.arrays[f"{name}.weight"] @ x + self.arrays[f"{name}.bias"]
        return made

    def _gru(self, inputs: Array, name: str, way: str) -> Array:
        state = np.zeros(self.arrays["bridge.bias"].shape, np.float32)
        states = []
        for x in inputs:
            state = self._cell(x, state, name, way)
            states.append(state)
        return np.stack(states)

    def _cell(self, x: Array, state: Array, name: str, way: str) -> Array:
        """One step of torch's GRU: reset, update and new gates, in that order."""
        a = self.arrays
        given = a[f"{name}.weight_ih_l0{way}"] @ x + a[f"{name}.bias_ih_l0{way}"]
        before = a[f"{name}.weight_hh_l0{way}"] @ state + a[f"{name}.bias_hh_l0{way}"]
        (gr, gz, gn), (br, bz, bn) = np.split(given, 3), np.split(before, 3)
        reset, update = 1 / (1 + np.exp(-(gr + br))), 1 / (1 + np.exp(-(gz + bz)))
        new = np.tanh(gn + reset * bn)
        made: Array = (1 - update) * new + update * state
        return made
