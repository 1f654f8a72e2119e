"""A recurrent language model: an embedding, stacked LSTM or GRU layers, a head.

LSTM: Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000. GRU: Cho et al. 2014 (arXiv:1406.1078),
in torch's and cuDNN's variant, whose reset gate acts on the product. Dropout between layers, never between tokens
(Zaremba et al. 2014, arXiv:1409.2329). Head and embedding may be one matrix (Press and Wolf 2017, arXiv:1608.05859).

What was read is a state of one size, whatever its length: a step costs the same after a million tokens as after one.

Shapes below: B rows, T tokens, L layers, H hidden units, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

READ_AT_ONCE = 2048
"""Tokens of a row that are read in one piece, so that a long text takes no more memory than this many."""


@dataclass(frozen=True)
class RNNConfig:
    """Everything that tells one network from another."""

    vocab_size: int
    cell: Literal["lstm", "gru"] = "lstm"
    n_layers: int = 2
    hidden_size: int = 256
    tie_embeddings: bool = True
    dropout: float = 0.0  # on embeddings and on what each layer gives the next, in training

    context_length: ClassVar[int] = 2**20
    """Tokens a text may have. The state bounds nothing; this is more than any request can hold."""


Weights = Sequence[Tensor]
"""Of one layer, as torch has them: input (gates x H, H), hidden (gates x H, H), and the bias of each."""


def lstm_cell(x: Tensor, state: tuple[Tensor, Tensor], weights: Weights) -> tuple[Tensor, Tensor]:
    """One token: x (B, H) and (hidden, cell) before it to those after it."""
    hidden, cell = state
    of_input, of_hidden, input_bias, hidden_bias = weights
    gates = F.linear(x, of_input, input_bias) + F.linear(hidden, of_hidden, hidden_bias)
    write, keep, new, show = gates.chunk(4, dim=-1)
    cell = keep.sigmoid() * cell + write.sigmoid() * new.tanh()
    return show.sigmoid() * cell.tanh(), cell


def gru_cell(x: Tensor, state: tuple[Tensor], weights: Weights) -> tuple[Tensor]:
    """One token: x (B, H) and the hidden state before it to that after it."""
    (hidden,) = state
    of_input, of_hidden, input_bias, hidden_bias = weights
    reset, keep, new = F.linear(x, of_input, input_bias).chunk(3, dim=-1)
    hidden_reset, hidden_keep, hidden_new = F.linear(hidden, of_hidden, hidden_bias).chunk(3, dim=-1)
    keep = (keep + hidden_keep).sigmoid()
    new = (new + (reset + hidden_reset).sigmoid() * hidden_new).tanh()
    return (keep * hidden + (1 - keep) * new,)


@dataclass(frozen=True)
class Cell:
    """A kind of layer: `step` says what it computes, and torch's `layers` compute it of whole texts.

    Those are what is trained: with one thread they take 0.5 to 0.9 of the time that `step` in a loop does.
    """

    step: Callable[[Tensor, Any, Weights], tuple[Tensor, ...]]
    layers: Callable[..., nn.RNNBase]
    n_states: int
    forget: slice | None
    """Where in the bias, in multiples of H, the gate lies that forgets unless it is told not to."""


CELLS = {
    "lstm": Cell(lstm_cell, nn.LSTM, 2, slice(1, 2)),
    "gru": Cell(gru_cell, nn.GRU, 1, None),
}


class RNNState:
    """What rows have left behind: hidden state and, of an LSTM, cells, each (L, B, H)."""

    def __init__(self, parts: tuple[Tensor, ...]):
        self.parts = parts

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order; one may be named more than once."""
        self.parts = tuple(part[:, list(rows)] for part in self.parts)

    def take(self, rows: Sequence[int]) -> RNNState:
        """A copy of these rows, in this order."""
        return RNNState(tuple(part[:, list(rows)] for part in self.parts))

    def join(self, other: RNNState, rows: Sequence[int]) -> None:
        """Add a copy of these rows of `other`."""
        added = other.take(rows).parts
        self.parts = tuple(torch.cat(pair, dim=1) for pair in zip(self.parts, added, strict=True))


class RNN(nn.Module):
    """Token ids (B, T) to next-token logits (B, T, V)."""

    def __init__(self, config: RNNConfig):
        super().__init__()
        self.config, self.cell = config, CELLS[config.cell]
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        between = config.dropout if config.n_layers > 1 else 0.0
        size = config.hidden_size
        self.rnn = self.cell.layers(size, size, config.n_layers, batch_first=True, dropout=between)
        self.head = nn.Linear(size, config.vocab_size, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        if config.tie_embeddings:
            self.head.weight = self.embedding.weight
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Glorot and Bengio 2010 for what comes from below, orthogonal for what comes from before (Saxe et al. 2014,
        arXiv:1312.6120), biases of 0, of an LSTM's forget gate 1 (Jozefowicz et al. 2015, section 2.2)."""
        H = self.config.hidden_size
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        if not self.config.tie_embeddings:
            nn.init.uniform_(self.head.weight, -0.1, 0.1)
        for name, parameter in self.rnn.named_parameters():
            if name.startswith("bias"):
                nn.init.zeros_(parameter)
                if self.cell.forget and name.startswith("bias_ih"):
                    parameter[self.cell.forget.start * H : self.cell.forget.stop * H] = 1.0
                continue
            for gate in parameter.split(H):  # each gate is a matrix of its own
                (nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_)(gate)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits for `tokens` (B, T), from an empty state."""
        out, _ = self._read(tokens, self._empty(len(tokens)))
        return self.head(self.dropout(out))

    def prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[RNNState, Tensor]:
        """Read rows of any lengths: their state, and the logits (B, V) of what follows each.

        All are read to the end of the shortest, which then stays behind, and so on: nothing is padded.
        """
        rows = sorted(range(len(prompts)), key=lambda row: -len(prompts[row]))
        running, done = self._empty(len(rows)), 0
        which, states, last = list[int](), list[RNNState](), list[Tensor]()  # of those that have ended
        while rows:
            end = min(len(prompts[rows[-1]]), done + READ_AT_ONCE)
            tokens = torch.tensor([prompts[row][done:end] for row in rows], device=self.embedding.weight.device)
            out, running = self._read(tokens, running)
            still = sum(len(prompts[row]) > end for row in rows)
            if still < len(rows):
                which += rows[still:]
                states.append(running.take(range(still, len(rows))))
                last.append(out[still:, -1])
                running.select(range(still))
            rows, done = rows[:still], end
        back = sorted(range(len(which)), key=which.__getitem__)
        state = RNNState(tuple(torch.cat(parts, dim=1) for parts in zip(*(one.parts for one in states), strict=True)))
        return state.take(back), self.head(torch.cat(last)[back])

    def step(self, state: RNNState, tokens: Tensor) -> Tensor:
        """Add tokens (B, T) to the rows; the logits (B, V) of what follows."""
        out, after = self._read(tokens, state)
        state.parts = after.parts
        return self.head(out[:, -1])

    def score(self, state: RNNState, tokens: Tensor) -> Tensor:
        """The logits (B, T, V) of what would follow each of these tokens (B, T). The rows stay as they are."""
        return self.head(self._read(tokens, state)[0])

    def _empty(self, rows: int) -> RNNState:
        weight = self.embedding.weight
        shape = (self.config.n_layers, rows, self.config.hidden_size)
        return RNNState(tuple(weight.new_zeros(shape) for _ in range(self.cell.n_states)))

    def _read(self, tokens: Tensor, before: RNNState) -> tuple[Tensor, RNNState]:
        """What the last layer says to each token, (B, T, H), and the state after the last one."""
        x = self.dropout(self.embedding(tokens))
        # A token alone is sooner done without laying out the weights; torch has no bfloat16 layers on most CPUs.
        if not self.training and (tokens.shape[1] == 1 or (x.device.type == "cpu" and x.dtype != torch.float32)):
            return self._read_stepwise(x, before)
        out, after = self.rnn(x, before.parts if self.cell.n_states > 1 else before.parts[0])
        return out, RNNState(after if self.cell.n_states > 1 else (after,))

    def _read_stepwise(self, x: Tensor, before: RNNState) -> tuple[Tensor, RNNState]:
        """The same by the equations, layer after layer. It drops nothing, so it is not for training."""
        after = []
        for layer, weights in enumerate(self.rnn.all_weights):
            state, out = tuple(part[layer] for part in before.parts), []
            for token in x.unbind(1):
                state = self.cell.step(token, state, weights)
                out.append(state[0])
            x = torch.stack(out, dim=1)
            after.append(state)
        return x, RNNState(tuple(torch.stack(part) for part in zip(*after, strict=True)))
