"""Captions by transformers' image-text-to-text classes: BLIP-2, LLaVA, SmolVLM, Qwen-VL … (an extra)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genarium.checkpoints.store import folder
from genarium.devices import pick_device
from genarium.engines.cpu.upcast import use_float32_products
from genarium.engines.summarize.seq2seq import quiet_transformers
from genarium.engines.vision.caption import Caption, CaptionRequest, distinct, pick_dtype
from genarium.errors import BadCheckpoint, BadInput, first_line

if TYPE_CHECKING:
    from PIL.Image import Image

ASKED = "Describe this picture in one sentence."
"""What a model that chats is asked where there is no --prompt."""


class ImageTextCaption:
    """Any folder that transformers' AutoModelForImageTextToText opens. Raises BadCheckpoint."""

    def __init__(self, path: Path, *, name: str = "", dtype: str = "auto", device: str | None = None):
        self.name = name or str(path)
        files = folder.weight_files(path)  # pickles are refused before anything opens them
        library = quiet_transformers(self.name)
        self.device = device or pick_device("auto")
        weights = pick_dtype(dtype, self.device, sum(file.stat().st_size // 2 for file in files))
        settings = {"local_files_only": True, "trust_remote_code": False}
        try:
            self.processor = library.AutoProcessor.from_pretrained(path, **settings)
            model = library.AutoModelForImageTextToText.from_pretrained(
                path, use_safetensors=True, dtype=weights, **settings
            )
        except Exception as error:  # whatever the library says of a folder that it can't open
            raise BadCheckpoint(f"{self.name} can't be opened by transformers: {first_line(error)}") from None
        self.dtype = weights
        self.model: Any = model.to(self.device).eval()
        if self.device == "cpu":
            use_float32_products(self.model)
        self.chats = bool(getattr(self.processor, "chat_template", None))

    @torch.inference_mode()
    def describe(self, images: Sequence[Image], request: CaptionRequest, *, first: int = 0) -> list[list[Caption]]:
        """One picture at a time: what models make of several of different sizes in a batch is their own matter."""
        return [self._one(image, request, first + row) for row, image in enumerate(images)]

    def _one(self, image: Image, request: CaptionRequest, number: int) -> list[Caption]:
        try:
            inputs = self._inputs(image, request.prompt)
        except (ValueError, TypeError, ZeroDivisionError) as error:  # the processor's own limits of shape
            size = f"{image.width}x{image.height}"
            raise BadInput(f"{self.name} can't take a picture of {size} pixels: {first_line(error)}") from None
        settings: dict[str, Any] = {"max_new_tokens": request.max_new_tokens, "num_return_sequences": request.n}
        if request.sample:
            torch.manual_seed((request.seed * 1_000_003 + number) % 2**63)
            settings |= {
                "do_sample": True,
                "num_beams": 1,
                "temperature": request.temperature,
                "top_p": request.top_p,
                "top_k": 0,
            }
        else:
            settings |= {
                "do_sample": False,
                "num_beams": max(request.n, request.n_beams),
                "length_penalty": 1.0,
                "temperature": None,
                "top_p": None,
                "top_k": None,
            }
        with torch.random.fork_rng():
            made = self.model.generate(
                **inputs, **settings, return_dict_in_generate=True, output_scores=True, output_logits=True
            )
        # Of most networks what comes back begins with the text they were given.
        given, new = inputs.get("input_ids"), made.sequences
        if given is not None and torch.equal(new[:1, : given.shape[1]], given):
            new = new[:, given.shape[1] :]
        found = []
        for row, tokens in enumerate(new.tolist()):
            kept, ended = self._until_end(tokens)
            if made.get("sequences_scores") is not None:  # of a beam search: that mean already
                score = float(made.sequences_scores[row])
            else:
                score = _mean_log_probability(made.logits, row, tokens[: len(kept) + ended])
            text = self.processor.decode(kept, skip_special_tokens=True).strip()
            if request.prompt and not self.chats:
                text = f"{request.prompt} {text}".strip()
            found.append(Caption(text, score, ended))
        return distinct(found, request.n)

    def _inputs(self, image: Image, prompt: str) -> dict[str, Tensor]:
        if self.chats:
            content = [{"type": "image"}, {"type": "text", "text": prompt or ASKED}]
            text = self.processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
            )
            made = self.processor(images=[image], text=[text], return_tensors="pt")
        elif prompt:
            made = self.processor(images=image, text=prompt, return_tensors="pt")
        else:
            made = self.processor(images=image, return_tensors="pt")
        return {
            name: value.to(self.device, self.dtype) if value.is_floating_point() else value.to(self.device)
            for name, value in made.items()
        }

    def _until_end(self, tokens: list[int]) -> tuple[list[int], bool]:
        named = self.model.generation_config.eos_token_id
        ends = set(named if isinstance(named, list) else [named])
        place = next((place for place, token in enumerate(tokens) if token in ends), None)
        return (tokens, False) if place is None else (tokens[:place], True)


def _mean_log_probability(logits: Sequence[Tensor], row: int, tokens: Sequence[int]) -> float:
    """Under the model's own distribution, whatever temperature and top-p made of it."""
    values = [float(step[row].float().log_softmax(dim=-1)[token]) for step, token in zip(logits, tokens, strict=False)]
    return sum(values) / max(1, len(values))
