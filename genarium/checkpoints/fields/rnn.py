"""Recurrent language models. The layout is Genarium's own, so that what it does not name is refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from genarium.checkpoints.fields import Declared, Flag, Layers, Size, TokenId, TokenIds, Unneeded, shown
from genarium.errors import BadCheckpoint


class RNNFields(Declared):
    model_type: Literal["rnn"]
    cell_type: Literal["lstm", "gru"]
    vocab_size: Size
    hidden_size: Size
    num_hidden_layers: Layers
    tie_word_embeddings: Flag
    dropout: Annotated[float, Field(strict=True, ge=0, lt=1)] = 0.0
    bos_token_id: TokenId | None = None
    eos_token_id: TokenIds = None
    architectures: Unneeded = None
    dtype: Unneeded = None

    @classmethod
    def _others(cls, extra: dict[str, Any], where: str) -> list[str]:  # type: ignore[override]
        for name in sorted(extra):
            raise BadCheckpoint(
                f"{where}: config.json has {shown(name, quoted=False)} {shown(extra[name])}, which no recurrent "
                "network here has, so it would run as another one; take it out, or run it with the program that made it"
            )
        return []
