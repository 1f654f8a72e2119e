"""The native GIT gives transformers' scores, and writes what its `generate` writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GitConfig, GitForCausalLM

from genarium.checkpoints.layouts import git as layout
from genarium.decoding.captions import beam_search
from genarium.decoding.torch_decoder import TorchDecoder
from genarium.models.git import Git
from tests.caption_models import VISION

TINY = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "vision_config": VISION,
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Git, GitForCausalLM]:
    folder: Path = tmp_path_factory.mktemp("git")
    torch.manual_seed(0)
    model = GitForCausalLM(GitConfig(**TINY)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    return layout.load(folder), model


@torch.no_grad()
def test_every_next_token_is_scored_as_by_transformers(both: tuple[Git, GitForCausalLM]) -> None:
    ours, theirs = both
    images = torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    tokens = torch.randint(3, 60, (2, 8), generator=torch.Generator().manual_seed(2))
    expected = theirs(input_ids=tokens, pixel_values=images).logits[:, -8:]
    cache = ours.read(ours.see(images), 8)
    found = [ours.step(cache, tokens[:, :3])] + [ours.step(cache, tokens[:, i : i + 1]) for i in range(3, 8)]
    torch.testing.assert_close(torch.stack(found, dim=1), expected[:, 2:], atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("n_beams", [1, 3])
def test_beam_search_writes_what_transformers_generate_writes(both: tuple[Git, GitForCausalLM], n_beams: int) -> None:
    """Scores are compared too: the mean log-probability is its length penalty of 1."""
    ours, theirs = both
    images = torch.randn(3, 3, 24, 24, generator=torch.Generator().manual_seed(3))
    for row in range(3):
        made = theirs.generate(
            pixel_values=images[row : row + 1],
            input_ids=torch.tensor([[1]]),
            attention_mask=torch.ones(1, 1, dtype=torch.long),
            num_beams=n_beams,
            num_return_sequences=n_beams,
            max_new_tokens=10,
            do_sample=False,
            length_penalty=1.0,
            return_dict_in_generate=True,
            output_scores=True,
        )
        expected = [[token for token in sequence[1:].tolist() if token not in (0, 2)] for sequence in made.sequences]
        decoder, state = TorchDecoder(ours, config=ours.config.text), ours.start(images[row : row + 1], n_beams, 11)
        logits = decoder.step(state, np.ones((n_beams, 1), dtype=np.int64))
        found = beam_search(decoder, state, logits, n_beams=n_beams, end=2, max_new_tokens=10)[0]
        assert [list(written.tokens) for written in found] == expected
        if n_beams > 1:
            torch.testing.assert_close(
                torch.tensor([written.score for written in found]), made.sequences_scores, atol=1e-4, rtol=1e-4
            )
