"""Models that judge answers while another learns: a classifier's probability of a label, a reward model's score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from genarium import files
from genarium.checkpoints.layouts import encoder as layout
from genarium.checkpoints.layouts import encoder_config, scorer, scorer_files
from genarium.checkpoints.processors import tokenizer, tokenizer_config
from genarium.checkpoints.processors.answers import Answers
from genarium.checkpoints.store.find import Found, find
from genarium.checkpoints.store.folder import read_config
from genarium.data.conversations import Prompt
from genarium.errors import BadInput
from genarium.training.sources.inputs import by_length, padded

AT_ONCE = 64
"""Texts that are judged together."""
Judge = Callable[[Sequence[Prompt], Sequence[str]], np.ndarray]
"""From prompts and their answers to a score each, (n,) float64."""


def open_model(bare: str, *, device: str) -> tuple[Judge, Found, str]:
    """The judge that `MODEL` or `MODEL:LABEL` means, what it is, and its label as the head spells it.

    Raises BadInput, ModelNotFound, BadCheckpoint.
    """
    whole = bare.startswith("openai:") or files.named(bare).is_dir()
    reference, _, label = (bare, "", "") if whole else bare.rpartition(":")
    if not reference:
        reference, label = label, ""
    found = find(reference, default="sentiment")
    if found.path is None:
        raise BadInput(f"{reference} is behind an endpoint; a reward must be a model on this machine")
    if scorer_files.is_scorer(found.path):
        if label:
            raise BadInput(f"{reference} gives a score and has no labels; leave out :{label}")
        return _scorer(found.path, reference, device), found, ""
    judge, label = _classifier(found.path, reference, label, device)
    return judge, found, label


def _classifier(path: Path, reference: str, label: str, device: str) -> tuple[Judge, str]:
    """The probability of the label, and how the head spells it."""
    if read_config(path)["model_type"] not in encoder_config.MODEL_TYPES or not encoder_config.has_classifier(path):
        raise BadInput(f"{reference} judges nothing: name a classifier with a label, or a reward model")
    raw = encoder_config.described(path)
    labels = encoder_config.labels(raw)
    if len(labels) < 2 or raw.get("problem_type") in ("regression", "multi_label_classification"):
        raise BadInput(f"{reference} does not give a text one of several labels; name a classifier that does")
    if not label:
        raise BadInput(f"say which label of {reference} is good, as in {reference}:{labels[-1]}")
    alike = [one for one in labels if one == label] or [one for one in labels if one.casefold() == label.casefold()]
    if len(alike) != 1:
        raise BadInput(f"{reference} has no label {label!r}; it has {', '.join(labels)}")
    network = layout.load_classifier(path, device=device)
    reader = tokenizer.load(path, network.config.vocab_size)
    cutting = tokenizer_config.read(tokenizer.folder_of(path))
    longest = min(network.config.context_length, cutting.max_length or network.config.context_length)
    reader.enable_truncation(longest, direction=cutting.truncation_side)
    return partial(_probabilities, network, reader, labels.index(alike[0])), alike[0]


@torch.no_grad()
def _probabilities(
    network: nn.Module, reader: Tokenizer, output: int, prompts: Sequence[Prompt], answers: Sequence[str]
) -> np.ndarray:
    texts = [read_by_a_person(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
    rows = [encoding.ids for encoding in reader.encode_batch(texts)]

    def scores(tokens: Tensor, lengths: Tensor) -> Tensor:
        return network(tokens, lengths=lengths).float().softmax(-1)[:, output]

    return _in_batches(scores, rows, next(network.parameters()).device)


def read_by_a_person(prompt: Prompt, answer: str) -> str:
    """What a classifier judges: a text that was continued as a whole, a reply alone."""
    return prompt + answer if isinstance(prompt, str) else answer


def _scorer(path: Path, reference: str, device: str) -> Judge:
    """A reward model's own score: of the text, or of the conversation through the template."""
    network = scorer.load(path, device=device)
    reader = Answers.load(path, reference, network.config.vocab_size)
    chats = (scorer_files.reads(path) or ("chat" if reader.chats else "text")) == "chat"
    context = network.config.context_length

    def read(prompt: Prompt, answer: str) -> list[int]:
        whole: Prompt = ({"role": "user", "content": prompt},) if chats and isinstance(prompt, str) else prompt
        ids = reader.whole(whole, answer)
        if len(ids) > context:
            raise BadInput(
                f"{reference} reads {context} tokens at once, and {answer[:60]!r} has {len(ids)} with its prompt; ask "
                "for shorter answers, or name another reward"
            )
        return ids

    @torch.no_grad()
    def judge(prompts: Sequence[Prompt], answers: Sequence[str]) -> np.ndarray:
        rows = [read(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
        return _in_batches(lambda tokens, lengths: network(tokens, lengths).float(), rows, torch.device(device))

    return judge


def _in_batches(
    scores: Callable[[Tensor, Tensor], Tensor], rows: Sequence[Sequence[int]], device: torch.device
) -> np.ndarray:
    """A score for each row of tokens, those of like length together."""
    out = np.zeros(len(rows))
    for places in by_length(list(map(len, rows)), AT_ONCE):
        tokens, lengths = (part.to(device) for part in padded([rows[place] for place in places]))
        out[places] = scores(tokens, lengths).cpu().double().numpy()
    return out
