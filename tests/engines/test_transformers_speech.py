"""Models that transformers runs: a small VITS of random weights says what that library says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genarium.errors import BadInput
from genarium.run import call

LETTERS = "_ abcdefghijklmnopqrstuvwxyz'"


@pytest.fixture(scope="module")
def vits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    transformers: Any = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("vits")
    (folder / "vocab.json").write_text(json.dumps({letter: number for number, letter in enumerate(LETTERS)}))
    tokenizer = transformers.VitsTokenizer(
        str(folder / "vocab.json"), phonemize=False, is_uroman=False, pad_token="_", unk_token="_"
    )
    config = transformers.VitsConfig(
        vocab_size=len(LETTERS),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        ffn_dim=32,
        flow_size=32,
        spectrogram_bins=33,
        upsample_initial_channel=64,
        upsample_rates=[8, 4],
        upsample_kernel_sizes=[16, 8],
        resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1, 3, 5]],
        prior_encoder_num_flows=1,
        prior_encoder_num_wavenet_layers=1,
        duration_predictor_num_flows=1,
        depth_separable_num_layers=1,
        duration_predictor_flow_bins=4,
        posterior_encoder_num_wavenet_layers=1,
        wavenet_dilation_rate=1,
    )
    torch.manual_seed(0)
    transformers.VitsModel(config).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_it_says_what_the_library_says(vits: Path) -> None:
    from transformers import VitsModel, VitsTokenizer

    made = call("speak", "hello there", model=str(vits), seed=3)[0]
    model, tokenizer = VitsModel.from_pretrained(vits), VitsTokenizer.from_pretrained(vits)
    torch.manual_seed(3)
    with torch.inference_mode():
        expected = model(**tokenizer("hello there", return_tensors="pt")).waveform[0].numpy()
    np.testing.assert_allclose(made.samples, expected, atol=1e-5)
    assert made.rate == model.config.sampling_rate
    assert call("speak", "hello there", model=str(vits), seed=3)[0].content() == made.content()


def test_what_it_lacks_is_refused_by_name(vits: Path) -> None:
    for asked, sentence in (
        ({"voice": "af_heart"}, "has one voice"),
        ({"pronounce": ["a=b"]}, "takes no pronunciations"),
    ):
        with pytest.raises(BadInput, match=sentence):
            call("speak", "hello", model=str(vits), **asked)
    with pytest.raises(BadInput, match="nothing in the text"):
        call("speak", "...", model=str(vits))
    quick = call("speak", "hello there friend", model=str(vits), speed=2.0, seed=1)[0]
    assert quick.seconds < call("speak", "hello there friend", model=str(vits), seed=1)[0].seconds
