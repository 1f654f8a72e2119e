"""What of a prompt no text encoder reads, in the tokens that each pipeline gives its encoders."""

from __future__ import annotations

import html
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

MAX_SEQUENCE_LENGTH = "max_sequence_length"
"""As many tokens as the pipeline's call says, which is not what the tokenizer's own config says."""
Template = Literal["", "chat", "system", "instruction", "described", "filled"]
"""What stands around the prompt, whose tokens are not the prompt's."""
DESCRIBED_FROM = 34
"""Tokens that Qwen-Image drops in front, whatever its template is in this tokenizer's."""


@dataclass(frozen=True)
class Reads:
    """How many tokens the encoder behind a tokenizer is given; None is the tokenizer's own `model_max_length`."""

    tokens: int | str | None = None
    template: Template = ""


T5 = Reads(MAX_SEQUENCE_LENGTH)


def read_as_written(pipeline: Any) -> None:
    """Have a pipeline that mends its prompts by the package ftfy read them as they are, there or not.

    The same recipe gives the same bytes then; some pipelines of the library fail where it is not there.
    """
    module = sys.modules[type(pipeline).__module__]
    if hasattr(module, "basic_clean"):
        vars(module)["basic_clean"] = lambda text: html.unescape(html.unescape(text)).strip()


def tell_of_cuts(pipeline: Any, reads: Mapping[str, Reads], prompt: str, negative: str, tell: Any) -> None:
    """Call `tell(called, tokens, cut)` for each text whose end no encoder reads, of the one that reads most."""
    for text, called in ((prompt, "prompt"), (negative, "negative prompt")):
        cuts = [
            _cut(pipeline, getattr(pipeline, name), how, text, positive=called == "prompt")
            for name, how in reads.items()
            if getattr(pipeline, name, None) is not None
        ]
        if text and cuts and all(cut for _, cut in cuts):
            tell(called, *min(cuts, key=lambda found: len(found[1])))


def _cut(pipeline: Any, tokenizer: Any, reads: Reads, text: str, *, positive: bool) -> tuple[int, str]:
    """How many tokens are read, and the end of the text that is after them."""
    if hasattr(pipeline, "_text_preprocessing"):
        text = text.lower().strip()
    context, room = _room(pipeline, tokenizer, reads, positive=positive)
    ids = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
    return context, tokenizer.decode(ids[room:]).strip() if len(ids) > room else ""


def _room(pipeline: Any, tokenizer: Any, reads: Reads, *, positive: bool) -> tuple[int, int]:
    """How many tokens the encoder is given, and how many of them are the text's own."""
    call = inspect.signature(type(pipeline).__call__).parameters
    context = reads.tokens or int(tokenizer.model_max_length)
    if context == MAX_SEQUENCE_LENGTH:
        context = int(call[MAX_SEQUENCE_LENGTH].default)
    context = int(context)
    special = tokenizer.num_special_tokens_to_add()
    match reads.template:
        case "chat":
            before = tokenizer.apply_chat_template(
                [{"role": "user", "content": "\0"}], tokenize=False, add_generation_prompt=True, enable_thinking=True
            ).partition("\0")[0]
            return context, context - _length(tokenizer, before)
        case "described":
            before = pipeline.prompt_template_encode.partition("{}")[0]
            return context, DESCRIBED_FROM + context - _length(tokenizer, before)
        case "filled":
            template = call["prompt_template"].default
            before = template["template"].partition("{}")[0]
            return context, template["crop_start"] + context - special - _length(tokenizer, before)
        case "system" if positive:
            return context, context - special - _length(tokenizer, f"{pipeline.system_prompt} <Prompt Start> ")
        case "instruction" if positive:  # which is not counted, but for two tokens of the text's own
            return context, context - 2
    return context, context - special


def _length(tokenizer: Any, text: str) -> int:
    return len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
