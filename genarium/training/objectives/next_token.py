"""The next-token objective: maximise the likelihood of text, one token after another."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from typing import Any

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from genarium.data.text import Measured, Windows
from genarium.decoding.generate import generate
from genarium.decoding.sampling import Sampling
from genarium.decoding.torch_decoder import TorchDecoder
from genarium.training.objective import Objective


class NextToken(Objective):
    """Cross-entropy of the next token (Bengio et al. 2003, eq. 1), over a network with `config.context_length`."""

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Tokenizer,
        train: Tensor,
        validation: Measured,
        *,
        context: int,
        batch_size: int,
        seed: int,
        prompt: str,
    ):
        self.model, self.tokenizer, self.validation, self.prompt = model, tokenizer, validation, prompt
        self.context, self.seed = context, seed
        self.windows = Windows(train, context, batch_size, seed)
        digest = hashlib.sha256(train.numpy().tobytes() + validation.tokens.numpy().tobytes()).hexdigest()
        words = hashlib.sha256(tokenizer.to_str().encode()).hexdigest()  # of other texts the tokens can be the same
        config: Any = model.config
        self.identity: dict[str, Any] = {
            "data": digest,
            "network": asdict(config) if is_dataclass(config) and not isinstance(config, type) else {},
            "tokenizer": {"sha256": words},
            "watched": {"tokens": len(validation.tokens), "bytes": validation.n_bytes},
            "windows": {"context": context, "batch_size": batch_size},
        }

    def batch(self, index: int) -> tuple[Tensor, ...]:
        return self.windows.batch(index)

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        logits = self.model(tokens)
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())

    def evaluate(self) -> dict[str, float]:
        if len(self.validation.tokens) < 2:
            return {}
        return likelihood(self.model, self.validation, context=self.context)

    def preview(self, step: int) -> str:
        ids = self.tokenizer.encode(self.prompt).ids or [0]
        room = self.context - len(ids)
        if room < 1 or not hasattr(self.model, "prefill"):
            return ""
        sampling = Sampling(max_new_tokens=min(60, room), temperature=0.8, top_p=0.95, seed=self.seed)
        tokens = [new.token for new in generate(TorchDecoder(self.model), [ids], sampling)]
        return " ".join((self.prompt + self.tokenizer.decode(tokens)).split())


@torch.inference_mode()
def likelihood(
    model: Callable[[Tensor], Tensor] | nn.Module,
    measured: Measured,
    *,
    context: int,
    stride: int | None = None,
    batch_tokens: int = 8192,
) -> dict[str, float]:
    """Mean negative log-likelihood of a text's tokens: `loss` in nats a token, `bits_per_byte` of its UTF-8.

    Windows of `context` tokens begin every `stride` (default: `context`); each token counts once, with as much
    before it as its first window gives. The first token of all is not predicted.
    """
    stride = stride or context
    device = next(model.parameters()).device if isinstance(model, nn.Module) else torch.device("cpu")
    tokens = measured.tokens.long()
    starts = [0]
    while starts[-1] + context < len(tokens) - 1:
        starts.append(starts[-1] + stride)
    nats, counted = 0.0, 0
    width = min(context, len(tokens) - 1)
    rows_at_once = max(1, batch_tokens // width)
    for first in range(0, len(starts), rows_at_once):
        group = starts[first : first + rows_at_once]
        rows = [tokens[s : s + width + 1] for s in group]
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=0).to(device)
        logits = model(padded[:, :-1]).float()
        losses = F.cross_entropy(logits.flatten(0, 1), padded[:, 1:].flatten(), reduction="none").view(len(rows), -1)
        for row, start in enumerate(group):
            fresh = 0 if start == 0 else context - stride
            part = losses[row, fresh : len(rows[row]) - 1]
            nats += float(part.double().sum())
            counted += len(part)
    return {"loss": nats / counted, "bits_per_byte": nats / math.log(2) / max(1, measured.n_bytes)}
