"""Captions from folders of every published kind, equal to what transformers writes with the same weights."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from genarium.checkpoints.processors import image_processor
from genarium.decoding.captions import beam_search
from genarium.decoding.ranking import NumpyRanking, Ranking
from genarium.decoding.torch_decoder import TorchRanking
from genarium.engines import registry
from genarium.engines.vision.caption import CaptionRequest, NativeCaption
from genarium.engines.vision.image_text import ImageTextCaption
from genarium.errors import BadCheckpoint, BadInput
from tests.caption_models import MAKERS, make_blip, make_chat, make_git

PICTURES = [Image.effect_noise((40, 30), 80).convert("RGB"), Image.new("RGB", (20, 60), "red")]


def test_blip_writes_what_transformers_generate_writes(tmp_path: Path) -> None:
    theirs = make_blip(tmp_path)
    engine = registry.open_caption(str(tmp_path))
    assert isinstance(engine, NativeCaption)
    request = CaptionRequest(n=3, prompt="a photo of", n_beams=3, max_new_tokens=9)
    prompt = engine.tokenizer.encode("a photo of").ids  # with [CLS] and [SEP], which its generate takes away again
    for row, image in enumerate(PICTURES):
        made = theirs.generate(
            pixel_values=image_processor.read(tmp_path, 24).tensor([image]),
            input_ids=torch.tensor([prompt]),
            num_beams=3,
            num_return_sequences=3,
            max_new_tokens=9,
            length_penalty=1.0,
        )
        expected = [engine.tokenizer.decode(ids, skip_special_tokens=True) for ids in made.tolist()]
        found = engine.describe(PICTURES, request)[row]
        assert [caption.text for caption in found] == expected


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_every_kind_describes_also_from_half_precision_weights(tmp_path: Path, kind: str, dtype: torch.dtype) -> None:
    MAKERS[kind](tmp_path, dtype=dtype)
    engine = registry.open_caption(str(tmp_path))
    assert isinstance(engine, NativeCaption if kind in ("blip", "git") else ImageTextCaption)
    searched = engine.describe(PICTURES, CaptionRequest(n=2, max_new_tokens=5))
    assert [len(one) for one in searched] == [2, 2]
    for one in searched:
        assert one[0].text != one[1].text
        assert 0 > one[0].score >= one[1].score
    drawing = CaptionRequest(n=2, sample=True, seed=5, max_new_tokens=5)
    drawn = engine.describe(PICTURES, drawing)
    assert drawn == engine.describe(PICTURES, drawing)
    alone = engine.describe(PICTURES[1:], drawing, first=1)
    assert [caption.text for caption in alone[0]] == [caption.text for caption in drawn[1]]


def test_a_model_that_chats_is_asked_and_one_that_goes_on_begins_with_the_prompt(tmp_path: Path) -> None:
    make_chat(tmp_path / "chat")
    make_git(tmp_path / "git")
    chat, git = (registry.open_caption(str(tmp_path / name)) for name in ("chat", "git"))
    request = CaptionRequest(prompt="what is on this picture ?", max_new_tokens=4)
    assert not chat.describe(PICTURES[:1], request)[0][0].text.startswith("what is on")
    assert git.describe(PICTURES[:1], request)[0][0].text.startswith("what is on this picture? ")


def test_scores_of_a_greedy_search_are_mean_log_probabilities(tmp_path: Path) -> None:
    """Teacher-forced by transformers: the same tokens, the same mean."""
    theirs = make_git(tmp_path)
    engine = registry.open_caption(str(tmp_path))
    found = engine.describe(PICTURES[:1], CaptionRequest(n_beams=1, max_new_tokens=6))[0][0]
    images = image_processor.read(tmp_path, 24).tensor(PICTURES[:1])
    made = theirs.generate(pixel_values=images, input_ids=torch.tensor([[2]]), do_sample=False, max_new_tokens=6)
    with torch.no_grad():
        logits = theirs(input_ids=made, pixel_values=images).logits[:, -made.shape[1] :].log_softmax(dim=-1)
    mean = logits[0, :-1].gather(1, made[0, 1:, None]).mean()
    assert found.score == pytest.approx(float(mean), abs=1e-4)


class Table:
    """What follows a token depends on it alone, so that there is nothing to remember."""

    def __init__(self, logits: np.ndarray, ranking: Ranking):
        self.logits, self.ranking = logits, ranking

    def step(self, state: None, tokens: np.ndarray) -> np.ndarray:
        return self.logits[tokens[:, -1]]

    def select(self, state: None, rows: list[int]) -> None:
        pass


def test_beam_search_finds_the_best_of_all_texts_where_its_beams_hold_them_all() -> None:
    """Against every text of up to three tokens over four words, one of which ends it."""
    table = torch.randn(4, 4, generator=torch.Generator().manual_seed(4)) * 2
    logp = table.log_softmax(dim=-1)
    every = {}
    for length in range(1, 4):
        for number in range(3 ** (length - 1)):
            body = tuple(number // 3**place % 3 for place in range(length - 1))
            path = (0, *body, 3)
            every[body] = float(sum(logp[a, b] for a, b in pairwise(path))) / length
    for number in range(27):  # those cut at the limit
        body = tuple(number // 3**place % 3 for place in range(3))
        path = (0, *body)
        every[body] = float(sum(logp[a, b] for a, b in pairwise(path))) / 3
    best = sorted(every.items(), key=lambda item: -item[1])[:5]
    for ranking in (NumpyRanking(), TorchRanking("cpu")):
        decoder: Any = Table(table.numpy(), ranking)
        logits = decoder.step(None, np.zeros((40, 1), dtype=np.int64))
        found = beam_search(decoder, None, logits, n_beams=40, end=3, max_new_tokens=3)[0]
        assert [(w.tokens, pytest.approx(w.score, abs=1e-5)) for w in found[:5]] == best


def test_what_cannot_describe_says_what_can(tmp_path: Path, tiny: Path) -> None:
    make_blip(tmp_path, kind="ImageTextRetrieval")
    with pytest.raises(BadCheckpoint, match="genarium explain uses it"):
        registry.open_caption(str(tmp_path))
    with pytest.raises(BadCheckpoint, match="describes no pictures"):
        registry.open_caption(str(tiny))


def test_a_prompt_longer_than_the_model_reads_is_refused(tmp_path: Path) -> None:
    make_blip(tmp_path)
    with pytest.raises(BadInput, match="shorten it"):
        registry.open_caption(str(tmp_path)).describe(PICTURES, CaptionRequest(prompt="a cat " * 40))
