"""LSTM and GRU: torch's numbers, rows of unequal length as if each stood alone, and how weights begin."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genarium.models import rnn
from genarium.models.rnn import RNN, RNNConfig

WORDS = 41
CELLS = ("lstm", "gru")
pytestmark = pytest.mark.parametrize("cell", CELLS)


def network(cell: str, n_layers: int = 2, **more: bool) -> RNN:
    torch.manual_seed(3)
    model = RNN(RNNConfig(WORDS, cell, n_layers, 24, **more)).eval().requires_grad_(False)  # type: ignore[arg-type]
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model


def rows(*lengths: int) -> list[list[int]]:
    dice = torch.Generator().manual_seed(5)
    return [torch.randint(WORDS, (length,), generator=dice).tolist() for length in lengths]


def alone(model: RNN, prompts: list[list[int]]) -> Tensor:
    return torch.stack([model(torch.tensor([prompt]))[0, -1] for prompt in prompts])


@pytest.mark.parametrize("n_layers", [1, 3])
def test_the_equations_are_torch_s_layers(cell: str, n_layers: int) -> None:
    model = network(cell, n_layers)
    tokens = torch.tensor(rows(30, 30))
    out, hidden = model.rnn(model.embedding(tokens))
    state, _ = model.prefill([[0], [0]])
    for part in state.parts:
        part.zero_()
    for column in tokens.unbind(1):
        logits = model.step(state, column[:, None])  # one token at a time: by the equations
    torch.testing.assert_close(logits, model.head(out[:, -1]))
    for mine, theirs in zip(state.parts, hidden if cell == "lstm" else (hidden,), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_rows_of_any_length_are_read_as_if_each_stood_alone(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, prompts = network(cell), rows(5, 9, 1, 9, 23, 5)
    monkeypatch.setattr(rnn, "READ_AT_ONCE", 4)
    state, logits = model.prefill(prompts)
    torch.testing.assert_close(logits, alone(model, prompts))
    more = rows(3, 3, 3, 3, 3, 3)
    scores = model.score(state, torch.tensor(more))
    wanted = torch.stack([model(torch.tensor([a + b]))[0, -3:] for a, b in zip(prompts, more, strict=True)])
    torch.testing.assert_close(scores, wanted)
    torch.testing.assert_close(model.step(state, torch.tensor(more)), wanted[:, -1])  # score has changed nothing


def test_rows_leave_come_and_are_repeated(cell: str) -> None:
    model, prompts = network(cell), rows(4, 7, 2, 6)
    state, _ = model.prefill(prompts[:3])
    state.select([2, 0, 0])
    other, _ = model.prefill([prompts[3]])
    state.join(other, [0, 0])
    copy = state.take([4, 1])
    now = [prompts[2], prompts[0], prompts[0], prompts[3], prompts[3]]
    new = [[7], [8], [9], [10], [11]]
    wanted = alone(model, [a + b for a, b in zip(now, new, strict=True)])
    torch.testing.assert_close(model.step(state, torch.tensor(new)), wanted)
    torch.testing.assert_close(model.step(other, torch.tensor([[10]])), wanted[3:4])  # it stayed as it was
    torch.testing.assert_close(model.step(copy, torch.tensor([[11], [8]])), wanted[[4, 1]])


def test_a_state_is_of_one_size_and_no_context_ends_it(cell: str) -> None:
    model = network(cell)
    state, _ = model.prefill(rows(3))
    size = [part.shape for part in state.parts]
    for _ in range(50):
        logits = model.step(state, torch.tensor(rows(100)))
    assert [part.shape for part in state.parts] == size == [(2, 1, 24)] * (2 if cell == "lstm" else 1)
    assert torch.isfinite(logits).all()
    assert model.config.context_length >= 1_000_000


def test_bfloat16_is_near_float32_on_any_processor(cell: str) -> None:
    model, prompts = network(cell), rows(6, 3)
    exact = model.prefill(prompts)[1].softmax(-1)
    state, logits = model.bfloat16().prefill(prompts)
    assert logits.dtype == state.parts[0].dtype == torch.bfloat16
    torch.testing.assert_close(logits.float().softmax(-1), exact, atol=0.02, rtol=0)


@pytest.mark.parametrize("tied", [True, False])
def test_weights_begin_as_the_field_begins_them(cell: str, tied: bool) -> None:
    model = RNN(RNNConfig(WORDS, cell, 2, 24, tied)).requires_grad_(False)  # type: ignore[arg-type]
    assert (model.head.weight is model.embedding.weight) == tied
    for _, of_hidden, input_bias, hidden_bias in model.rnn.all_weights:
        for gate in of_hidden.split(24):
            torch.testing.assert_close(gate @ gate.T, torch.eye(24), atol=1e-5, rtol=0)
        forget = (input_bias + hidden_bias).split(24)
        assert [float(gate.unique()) for gate in forget] == ([0.0, 1.0, 0.0, 0.0] if cell == "lstm" else [0.0] * 3)
    model.train().rnn.dropout = 0.5
    assert not torch.equal(*(model(torch.tensor(rows(9))) for _ in range(2)))
