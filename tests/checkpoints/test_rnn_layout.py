"""A folder of a recurrent network comes back as it was, torch's layers take its tensors, and what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from genarium.checkpoints import layouts
from genarium.checkpoints.layouts import rnn
from genarium.errors import BadCheckpoint
from genarium.models.rnn import RNN, RNNConfig

TOKENS = torch.arange(12).view(2, 6)


def saved(folder: Path, cell: str = "lstm", **more: Any) -> RNN:
    torch.manual_seed(1)
    model = RNN(RNNConfig(19, cell, 2, 8, **more)).eval()  # type: ignore[arg-type]
    rnn.save(model, folder, extra={"bos_token_id": 0, "eos_token_id": 0})
    return model


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("tie_embeddings", [True, False])
def test_it_comes_back_and_torch_takes_its_tensors(tmp_path: Path, cell: str, tie_embeddings: bool) -> None:
    model = saved(tmp_path, cell, tie_embeddings=tie_embeddings, dropout=0.25)
    layout = layouts.of("text", "rnn")
    assert layout is not None
    again = layout.load(tmp_path)
    assert again.config == model.config
    assert not again.training
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
    with torch.inference_mode():
        torch.testing.assert_close(again(TOKENS), model(TOKENS))
        stored = load_file(tmp_path / "model.safetensors")
        assert ("head.weight" in stored) != tie_embeddings
        theirs = (nn.LSTM if cell == "lstm" else nn.GRU)(8, 8, 2, batch_first=True)
        theirs.load_state_dict({name[4:]: tensor for name, tensor in stored.items() if name.startswith("rnn.")})
        out, _ = theirs(stored["embedding.weight"][TOKENS])
        torch.testing.assert_close(
            out @ stored["embedding.weight" if tie_embeddings else "head.weight"].T, model(TOKENS)
        )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cell_type": "qrnn"}, "cell_type 'qrnn'"),
        ({"cell_type": None}, "has no 'cell_type'"),
        ({"num_hidden_layers": 0}, "num_hidden_layers 0"),
        ({"hidden_size": 9}, "has shape"),
        ({"num_hidden_layers": 3}, "lack rnn.weight_ih_l2"),
        ({"num_hidden_layers": 1}, "its tensor rnn.bias_hh_l1"),
        ({"tie_word_embeddings": False}, "lack head.weight"),
        ({"bidirectional": True}, "has bidirectional True, which no recurrent network here has"),
        ({"dropout": 1.5}, "dropout 1.5"),
    ],
)
def test_a_config_that_is_another_network_s_is_refused_by_name(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    saved(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | change
    config = {name: value for name, value in config.items() if value is not None}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadCheckpoint, match=said):
        rnn.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rnn.bias_hh_l1": None}, "lack rnn.bias_hh_l1"),
        ({"rnn.weight_hr_l0": torch.ones(4, 8)}, "its tensor rnn.weight_hr_l0"),
        ({"embedding.weight": torch.ones(19, 8, dtype=torch.int8)}, "quantised"),
        ({"rnn.bias_ih_l0": torch.full((32,), float("nan"))}, "not numbers"),
    ],
)
def test_weights_that_are_another_network_s_are_refused_by_name(
    tmp_path: Path, change: dict[str, Tensor | None], said: str
) -> None:
    saved(tmp_path)
    tensors = {**load_file(tmp_path / "model.safetensors"), **change}
    save_file({name: t for name, t in tensors.items() if t is not None}, tmp_path / "model.safetensors")
    with pytest.raises(BadCheckpoint, match=said):
        rnn.load(tmp_path)
