"""What captioner and matcher learn from: composed scenes, their captions as tokens, what each patch shows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch import Tensor

from genarium.checkpoints.layouts import blip as layout
from genarium.checkpoints.processors.image_processor import Pixels
from genarium.data.images import to_tensor
from genarium.files import write_atomically
from genarium.models.blip import BlipForMatching, Captioner
from genarium.scenes import Ask, Scene, World, is_held_out
from genarium.scenes.captions import (
    BACKGROUND_NAMES,
    BACKGROUND_PHRASES,
    OPENINGS,
    PLACE_PHRASES,
    SIZE_WORDS,
    caption,
)
from genarium.scenes.changes import CHANGES
from genarium.scenes.dice import Dice
from genarium.scenes.kinds import (
    BACKGROUNDS,
    COLOURS,
    GROUPS,
    KINDS,
    PLACES,
    SIZES,
    plural,
)
from genarium.scenes.regions import covered, named
from genarium.scenes.telling import place_of, told
from genarium.scenes.world import Split

SIZE = 64
SNAPS = (8, 4, 8, 2)
"""Pixels of the grids that objects stand on, scene by scene: half of them on the patches' own, the others between.
A network that only saw the first reads nothing else."""
PIXELS = Pixels(SIZE, mean=(0.5,) * 3, std=(0.5,) * 3)
CONTEXT = 40
"""Tokens of a caption; the longest full one has 24 words."""
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]")
PAD, UNKNOWN, FIRST, END, MASK, START = range(len(SPECIAL))
_KINDS, _SHADES = tuple(KINDS), ("natural", *COLOURS)


def tokenizer() -> Tokenizer:
    """BERT's WordPiece over the words that scenes are told in; all other words fall into letters.

    The whole vocabulary of BERT would be nine tenths of a small captioner's weights, none of them trained.
    """
    phrases = [*OPENINGS, *COLOURS, "a an and with flying several two three four 1 2 3 4"]
    phrases += [name for kind in KINDS.values() for noun in (*kind.names, *kind.also) for name in (noun, plural(noun))]
    phrases += [phrase for group in GROUPS.values() for phrase in group]
    tables: list[Mapping[str, tuple[str, ...]]] = [PLACE_PHRASES, BACKGROUND_PHRASES, BACKGROUND_NAMES, SIZE_WORDS]
    phrases += [phrase for table in tables for group in table.values() for phrase in group]
    letters = [chr(code) for code in (*range(ord("a"), ord("z") + 1), *range(ord("0"), ord("9") + 1))]
    words = dict.fromkeys(word for phrase in phrases for word in phrase.split())
    names = dict.fromkeys([*SPECIAL, *letters, *(f"##{letter}" for letter in letters), *".,-'?!", *sorted(words)])
    made = Tokenizer(models.WordPiece({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", FIRST), ("[SEP]", END)]
    )
    made.add_special_tokens(list(SPECIAL))
    return made


class Scenes:
    """Scenes by number, the same each time, in pictures ready for the network."""

    def __init__(self, seed: int):
        self.worlds, self.seed = [World(SIZE, snap=snap) for snap in SNAPS], seed
        self.identity: dict[str, Any] = {"scenes": {"size": SIZE, "snaps": SNAPS, "seed": seed}}

    def scenes(self, first: int, n: int, split: Split) -> list[Scene]:
        return [self.worlds[i % len(SNAPS)].scene(self.seed, i, split) for i in range(first, first + n)]

    def images(self, scenes: Sequence[Scene]) -> Tensor:
        """(n, 3, 64, 64) in [-1, 1]."""
        return to_tensor(np.stack([self.worlds[0].image(scene) for scene in scenes]))  # any world paints any scene


def recoloured(images: Tensor, random: np.random.Generator) -> Tensor:
    """Pictures (n, 3, H, W) in [-1, 1], each with its hues turned by any angle, its saturation times 0 to 1.5 and its
    brightness times 0.4 to 1."""
    low, high = (0, 0, 0.4), (2 * np.pi, 1.5, 1)
    angle, saturation, brightness = random.uniform(low, high, (len(images), 3)).T[..., None, None]
    grey = np.full((3, 3), 1 / 3)
    across = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    turn = grey + np.cos(angle) * (np.eye(3) - grey) + np.sin(angle) * across  # about the axis of greys
    mix = torch.from_numpy(brightness * (saturation * turn + (1 - saturation) * grey)).to(images.dtype)
    return (torch.einsum("nij,njhw->nihw", mix, (images + 1) / 2) * 2 - 1).clamp(-1, 1)


def full_caption(scene: Scene, dice: Dice) -> str:
    """Everything there is to tell, phrased in one of the grammar's ways."""
    return caption(told(scene, SIZE), dice)


def true_and_false(scene: Scene, dice: Dice, *, split: Split, full: bool) -> tuple[str, str, str]:
    """A caption of the scene, the same with one word made wrong, and what that word is about (of `CHANGES`).

    In training what is false names no pair that is held out: it would be learned as never true.
    """
    ask: Ask = told(scene, SIZE) if full else scene.ask
    phrasing = dice.below(2**31)
    while True:
        name = dice.pick(tuple(CHANGES))
        changed = CHANGES[name](ask, dice)
        if changed is not None and (split == "heldout" or not is_held_out(changed)):
            return caption(ask, Dice(phrasing)), caption(changed, Dice(phrasing)), name


def true_regions(scene: Scene, caption: str, *, full: bool, patch: int) -> list[tuple[int, int, np.ndarray]]:
    """Characters [start, end) of the nouns and colours in a true caption, and the patches, (patches,) bool, of what
    they name."""
    ask = told(scene, SIZE) if full else scene.ask
    side = SIZE // patch
    found = []
    for one in named(scene, ask, caption):
        share = covered(one.things, SIZE).reshape(side, patch, side, patch).mean(axis=(1, 3))
        found.append((one.start, one.end, share.reshape(-1) > 0.5))
    return found


def block(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token ids of unequal length as one block (n, T), padded, and their lengths (n,)."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in rows]), torch.tensor([len(r) for r in rows])


def shown_by_patch(scenes: Sequence[Scene], patch: int) -> Tensor:
    """(n, 4, patches) long: kind, colour, size and place of what covers each patch's middle, 0 where nothing does."""
    side = SIZE // patch
    labels = np.zeros((len(scenes), 4, side, side), dtype=np.int64)
    for row, scene in enumerate(scenes):
        for thing in scene.things:
            left, top, right, bottom = ((edge + patch // 2) // patch for edge in thing.box)
            shade = _SHADES.index(thing.colour or KINDS[thing.kind].natural or "natural")
            place = PLACES.index(place_of(thing.box, SIZE))
            parts = (_KINDS.index(thing.kind), shade, SIZES.index(thing.size), place)
            labels[row, :, top:bottom, left:right] = np.array(parts)[:, None, None] + 1
    return torch.from_numpy(labels).flatten(2)


SHADE = 1
"""Which of the four rows of `shown_by_patch` is the colour."""
N_SHOWN = (len(_KINDS) + 1, len(_SHADES) + 1, len(SIZES) + 1, len(PLACES) + 1)
"""How many labels each of the four rows of `shown_by_patch` has."""


def backgrounds(scenes: Sequence[Scene]) -> Tensor:
    return torch.tensor([BACKGROUNDS.index(scene.background) for scene in scenes])


def write(model: Captioner | BlipForMatching, made: Tokenizer, folder: Path) -> None:
    """A captioner or matcher in half precision, in transformers' layout, with the tokenizer that it reads with."""
    layout.save(model, folder, PIXELS, dtype=torch.float16)
    write_atomically(folder / "tokenizer.json", made.to_str().encode())
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    described = {"tokenizer_class": "BertTokenizer", "do_lower_case": True} | names | {"bos_token": "[DEC]"}
    write_atomically(folder / "tokenizer_config.json", json.dumps(described, indent=2).encode() + b"\n")
