"""Plans of pictures: what stands where, written by a Transformer before anything is drawn.

A caption settles little of a picture's layout, and a denoiser decides the rest late, here and there differently. Stated
first, as boxes in a sequence, it is decided once (Gupta et al. 2021, arXiv:2006.14615; from a prompt, Lian et al. 2023,
arXiv:2305.13655); the denoiser then reads at every cell what stands there (Li et al. 2023, arXiv:2301.07093).

A plan is a row of tokens: a background, then kind, colour, side and place of each thing, and zeros after the last one.
Only zeros are no plan. Boxes are squares of whole cells.

Shapes: B batch, L tokens of a plan, V their vocabulary, S words, C their width, M model width, n cells along a side.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genarium.models.vit import ViTBlock, ViTConfig

NONE = 0
"""The token of what is not said, and after the last thing."""
OF_A_THING = 4


@dataclass(frozen=True)
class Planned:
    """A thing to be drawn: `left` and `top` of its box, and its `side`, in cells."""

    kind: str
    colour: str | None
    left: int
    top: int
    side: int


@dataclass(frozen=True)
class Plan:
    background: str
    things: tuple[Planned, ...]

    def __str__(self) -> str:
        named = (
            f"{thing.colour + ' ' if thing.colour else ''}{thing.kind} at {thing.left},{thing.top} ({thing.side})"
            for thing in self.things
        )
        return "; ".join((self.background, *named))


def slots_of(*counts: int) -> tuple[tuple[int, int], ...]:
    """First token, and the one after the last, of slots that hold so many tokens each, after NONE."""
    return tuple(pairwise(accumulate(counts, initial=1)))


@dataclass(frozen=True)
class PlanWords:
    """What plans can say, and the tokens of it: NONE, then backgrounds, kinds, colours (a thing's own first), sides,
    and places, row by row."""

    backgrounds: tuple[str, ...]
    kinds: tuple[str, ...]
    colours: tuple[str, ...]
    side: int = 8  # n
    most: int = 4  # things

    @property
    def length(self) -> int:
        return 1 + OF_A_THING * self.most

    @property
    def slots(self) -> tuple[tuple[int, int], ...]:
        """First token, and the one after the last, of backgrounds, kinds, colours, sides and places."""
        return slots_of(len(self.backgrounds), len(self.kinds), 1 + len(self.colours), self.side, self.side**2)

    @property
    def n_tokens(self) -> int:
        return self.slots[-1][1]

    def slot(self, position: int) -> int:
        """Which of the slots a position of a plan is."""
        return 0 if position == 0 else 1 + (position - 1) % OF_A_THING

    def writing(self) -> Writing:
        return _Writing(self)

    def embedding(self, d_model: int) -> nn.Module:
        return PlanEmbedding(self, d_model)

    def write(self, plan: Plan) -> list[int]:
        """L tokens. Raises ValueError for what plans can't say."""
        (background, _), (kind, _), (colour, _), (side, _), (place, _) = self.slots
        if len(plan.things) > self.most:
            raise ValueError(f"a plan has at most {self.most} things, not {len(plan.things)}")
        row = [background + self.backgrounds.index(plan.background)]
        for thing in plan.things:
            row += [
                kind + self.kinds.index(thing.kind),
                colour + (1 + self.colours.index(thing.colour) if thing.colour else 0),
                side + thing.side - 1,
                place + thing.top * self.side + thing.left,
            ]
        return row + [NONE] * (self.length - len(row))

    def read(self, row: list[int]) -> Plan:
        """What L tokens with a background say."""
        (background, _), (kind, _), (colour, _), (side, _), (place, _) = self.slots
        things = []
        for first in range(1, self.length, OF_A_THING):
            k, c, s, p = row[first : first + OF_A_THING]
            if k == NONE:
                break
            top, left = divmod(p - place, self.side)
            own = c == colour
            things.append(
                Planned(self.kinds[k - kind], None if own else self.colours[c - colour - 1], left, top, s - side + 1)
            )
        return Plan(self.backgrounds[row[0] - background], tuple(things))


class PlanEmbedding(nn.Module):
    """Plans (B, L) to what each of n² cells is told (B, n², M): its background, and which part of which thing it is."""

    def __init__(self, words: PlanWords, d_model: int):
        super().__init__()
        self.words = words
        self.token_embedding = nn.Embedding(words.n_tokens, d_model)
        self.row_embedding = nn.Embedding(words.side**2, d_model)
        self.column_embedding = nn.Embedding(words.side**2, d_model)
        self.up = nn.Linear(d_model, 2 * d_model)
        self.down = nn.Linear(2 * d_model, d_model)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, plans: Tensor) -> Tensor:
        n = self.words.side
        things = plans[:, 1:].view(len(plans), -1, OF_A_THING)  # (B, most, 4)
        there = things[..., 0] != NONE
        side = (things[..., 2] - self.words.slots[3][0] + 1).clamp(min=1)
        place = (things[..., 3] - self.words.slots[4][0]).clamp(min=0)
        cells = torch.arange(n, device=plans.device)
        row = cells - (place // n)[..., None]  # (B, most, n), of the box
        column = cells - (place % n)[..., None]
        in_row, in_column = ((part >= 0) & (part < side[..., None]) for part in (row, column))
        inside = there[..., None, None] & in_row[..., :, None] & in_column[..., None, :]  # (B, most, n, n)
        of_side = (side - 1)[..., None] * n
        named = self.token_embedding(things[..., 0]) + self.token_embedding(things[..., 1])
        rows = self.row_embedding(of_side + row.clamp(0, n - 1))
        columns = self.column_embedding(of_side + column.clamp(0, n - 1))
        parts = named[:, :, None, None] + rows[:, :, :, None] + columns[:, :, None]
        said = (inside[..., None] * parts).sum(dim=1) + self.token_embedding(plans[:, 0])[:, None, None]
        told = self.down(F.silu(self.up(said.flatten(1, 2))))
        return told * (plans[:, 0] != NONE)[:, None, None]


class Words(Protocol):
    """What the plans of a kind of pictures or clips can say; NONE is a token of all of them."""

    @property
    def side(self) -> int:
        """n"""

    @property
    def length(self) -> int:
        """L"""

    @property
    def n_tokens(self) -> int:
        """V"""

    @property
    def slots(self) -> tuple[tuple[int, int], ...]:
        """First token, and the one after the last, of each sort of token; kinds of things are the second."""

    def slot(self, position: int) -> int:
        """Which of the slots a position of a plan is."""

    def writing(self) -> Writing: ...

    def embedding(self, d_model: int) -> nn.Module:
        """From plans (B, L) to what each place of what is drawn is told (B, N, M)."""


class Writing(Protocol):
    """A plan as it is written, token by token: what may come next, so that things have room."""

    def fits(self, position: int) -> Tensor:
        """Which tokens of the position's slot may come, bool, one for each or one for all."""

    def wrote(self, position: int, index: int) -> None:
        """A token came: the one of this index in the position's slot."""


@dataclass(frozen=True)
class PlannerConfig:
    """Everything that tells one of these networks from another."""

    words: Words
    d_model: int = 256  # M
    n_layers: int = 3
    n_heads: int = 4
    cross_attention_dim: int = 384  # C

    @property
    def block(self) -> ViTConfig:
        return ViTConfig(d_model=self.d_model, n_layers=self.n_layers, n_heads=self.n_heads, d_ff=4 * self.d_model)


class Planner(nn.Module):
    """Writes plans of captions, token by token, after the states of their words."""

    def __init__(self, config: PlannerConfig):
        super().__init__()
        self.config = config
        M, words = config.d_model, config.words
        self.word_embedding = nn.Linear(config.cross_attention_dim, M)
        self.token_embedding = nn.Embedding(words.n_tokens, M)
        self.position_embedding = nn.Embedding(words.length, M)
        self.blocks = nn.ModuleList(ViTBlock(config.block) for _ in range(config.n_layers))
        self.norm = nn.LayerNorm(M)
        self.head = nn.Linear(M, words.n_tokens)
        for embedding in (self.token_embedding, self.position_embedding):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, plans: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        """Scores (B, T + 1, V) of each token of the first T of plans (B, T), and of the one after them.

        `words` (B, S, C) are read where `mask` (B, S) is true. What a slot can't hold scores minus infinity.
        """
        S, T = words.shape[1], plans.shape[1] + 1
        # The first token is asked for by NONE.
        tokens = self.token_embedding(F.pad(plans, (1, 0), value=NONE)) + self.position_embedding.weight[:T]
        x = torch.cat((self.word_embedding(words), tokens), dim=1)
        earlier = torch.ones(S + T, S + T, dtype=torch.bool, device=x.device).tril()
        earlier[:S, :S] = True
        looked_at = F.pad(mask, (0, T), value=True)[:, None, None, :] & earlier
        for block in self.blocks:
            x = block(x, looked_at)
        scores = self.head(self.norm(x[:, S:])).float()
        return scores.masked_fill(~self._possible(T, x.device), float("-inf"))

    def loss(self, plans: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        """Cross-entropy of whole plans (B, L), in nats a plan, mean over the batch; zeros after the first are free."""
        scores = self(plans[:, :-1], words, mask)
        behind = F.pad(plans[:, :-1], (1, 0), value=1) == NONE
        each = F.cross_entropy(scores.transpose(1, 2), plans, reduction="none")
        return each.masked_fill(behind, 0).sum(dim=1).mean()

    @torch.no_grad()
    def write(self, words: Tensor, mask: Tensor, generator: torch.Generator, *, top_p: float = 0.9) -> Tensor:
        """A plan (1, L) of one caption's words (1, S, C), whose boxes don't overlap.

        Each token is drawn from the likeliest that together have `top_p` (Holtzman et al. 2019, arXiv:1904.09751).
        """
        allowed = self.config.words
        plan = torch.zeros(1, 0, dtype=torch.long, device=words.device)
        written = allowed.writing()
        for position in range(allowed.length):
            scores = self(plan, words, mask)[0, -1].cpu()
            first, end = allowed.slots[allowed.slot(position)]
            scores[first:end] = scores[first:end].masked_fill(~written.fits(position), float("-inf"))
            token = int(_nucleus(scores.softmax(-1), top_p).multinomial(1, generator=generator))
            plan = F.pad(plan, (0, 1), value=token)
            if token == NONE:
                break
            written.wrote(position, token - first)
        return F.pad(plan, (0, allowed.length - plan.shape[1]), value=NONE)

    def _possible(self, T: int, device: torch.device) -> Tensor:
        words = self.config.words
        possible = torch.zeros(T, words.n_tokens, dtype=torch.bool)
        for position in range(T):
            first, end = words.slots[words.slot(position)]
            possible[position, first:end] = True
            possible[position, NONE] = words.slot(position) == 1  # no more things
        return possible.to(device)


class Boxes:
    """Squares of whole cells that don't overlap, `n` cells along a side of the picture."""

    def __init__(self, n: int):
        self.free = torch.ones(n, n, dtype=torch.bool)
        self.side = 1

    def sides(self) -> Tensor:
        """Which sides have room, (n,)."""
        return torch.stack([_room(self.free, side).any() for side in range(1, len(self.free) + 1)])

    def places(self) -> Tensor:
        """Where there is room for a box of the side chosen, (n²,)."""
        return _room(self.free, self.side).flatten()

    def take(self, place: int) -> None:
        """Put a box of the side chosen there."""
        top, left = divmod(place, len(self.free))
        self.free[top : top + self.side, left : left + self.side] = False


class _Writing:
    """Of `PlanWords`: things whose boxes don't overlap."""

    def __init__(self, words: PlanWords):
        self.words, self.boxes = words, Boxes(words.side)

    def fits(self, position: int) -> Tensor:
        slot = self.words.slot(position)
        if slot == 1:
            return self.boxes.free.any()
        return self.boxes.sides() if slot == 3 else self.boxes.places() if slot == 4 else ANY

    def wrote(self, position: int, index: int) -> None:
        slot = self.words.slot(position)
        if slot == 3:
            self.boxes.side = index + 1
        elif slot == 4:
            self.boxes.take(index)


ANY = torch.tensor(True)


def _room(free: Tensor, side: int) -> Tensor:
    """Where the top left of a free square of `side` cells is, (n, n), of free cells (n, n)."""
    room = F.max_pool2d((~F.pad(free, (0, side - 1, 0, side - 1), value=False)).float()[None], side, 1)
    return room[0] == 0


def _nucleus(chances: Tensor, top_p: float) -> Tensor:
    """The chances (V,) of the likeliest tokens that together have `top_p`, zero elsewhere."""
    ordered, places = chances.sort(descending=True)
    ordered[(ordered.cumsum(0) - ordered) >= top_p] = 0
    return torch.zeros_like(chances).scatter(0, places, ordered)
