"""Sequence-to-sequence checkpoints (T5, BART, Pegasus …) on the transformers library, which is an extra."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from genarium.checkpoints.store import folder
from genarium.devices import pick_device
from genarium.engines.summarize.summary import SummaryRequest
from genarium.engines.text.protocol import Clock, Completion
from genarium.errors import BadCheckpoint, first_line
from genarium.extras import require
from genarium.progress import note

USUAL_CONTEXT = 512
"""What T5 was trained on: a network with relative positions names no limit of its own."""
USUAL_LENGTH = 142
"""BART's on CNN/DailyMail, for a checkpoint that names none."""


def quiet_transformers(name: str) -> Any:
    """The transformers library, saying nothing of its own, for the model `name`. Raises MissingPackage."""
    require(name, "transformers")
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


class Seq2SeqSummary:
    """Writes summaries with an encoder-decoder folder. Raises BadCheckpoint, also where transformers is missing."""

    def __init__(self, path: Path, *, name: str = "", device: str | None = None):
        self.name = name or str(path)
        folder.weight_files(path)  # pickles are refused before anything opens them
        library = quiet_transformers(self.name)
        self.device = device or pick_device("auto")
        settings = {"local_files_only": True, "trust_remote_code": False}
        try:
            self.tokenizer = library.AutoTokenizer.from_pretrained(path, **settings)
            model = library.AutoModelForSeq2SeqLM.from_pretrained(
                path, use_safetensors=True, dtype=torch.float32, **settings
            )
        except Exception as error:  # whatever the library says of a folder that it can't open
            raise BadCheckpoint(f"{self.name} can't be opened by transformers: {first_line(error)}") from None
        self.model: Any = model.to(self.device).eval()
        self.raw = folder.read_config(path)
        self.published: dict[str, Any] = dict((self.raw.get("task_specific_params") or {}).get("summarization") or {})
        t5 = "summarize: " if self.raw["model_type"] == "t5" else ""
        self.prefix: str = self.published.pop("prefix", t5)
        # As transformers' own summaries did: what its generation has no name for does nothing.
        self.published = {k: v for k, v in self.published.items() if hasattr(self.model.generation_config, k)}
        if self.model.generation_config.do_sample or self.published.get("do_sample"):
            note(f"{self.name} asks to draw words at random; here the likeliest are taken, the same every time")

    @property
    def context(self) -> int:
        """How many tokens it reads, the special ones included."""
        limits = [self.raw.get("max_position_embeddings"), self.raw.get("n_positions"), self.tokenizer.model_max_length]
        known = [limit for limit in limits if isinstance(limit, int) and 0 < limit < 10**6]
        return min(known, default=USUAL_CONTEXT)

    def room(self, request: SummaryRequest) -> int:
        return self.context - len(self.tokenizer(self._prefix(request))["input_ids"])

    def count(self, text: str) -> int:
        return len(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    @torch.inference_mode()
    def write(self, text: str, request: SummaryRequest) -> Completion:
        """By beam search, with the settings the checkpoint was published with where none are given."""
        clock = Clock()
        inputs = self.tokenizer(
            self._prefix(request) + text, truncation=True, max_length=self.context, return_tensors="pt"
        ).to(self.device)
        settings = self.published | {"do_sample": False}
        for name in ("max_new_tokens", "num_beams", "length_penalty"):
            if (value := getattr(request, name)) is not None:
                settings[name] = value
        limits = self.model.generation_config
        if request.max_new_tokens is not None:
            settings.pop("max_length", None)  # of the two limits the one asked for counts; a least length stays
        elif not (settings.keys() & {"max_length", "max_new_tokens"} or limits.max_new_tokens or limits.max_length):
            settings["max_new_tokens"] = USUAL_LENGTH  # the library's own default of 20 cuts in mid-sentence
        made = self._generate(inputs, settings)
        ids = made[0].tolist()
        end = limits.eos_token_id
        ended = ids[-1] in (end if isinstance(end, list) else [end])
        written = self.tokenizer.decode(ids, skip_special_tokens=True)
        clock.tokens = len(ids) - 1  # without the one that starts the decoder
        return Completion(
            0,
            written,
            "stop" if ended else "length",
            inputs["input_ids"].shape[1],
            clock.tokens,
            clock.stats(0),
        )

    def _generate(self, inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
        """Raises BadCheckpoint where the checkpoint asks for a way to generate that the library does not have."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a least length beyond the longest: the longest counts
            try:
                return self.model.generate(
                    input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], **settings
                )
            except (ValueError, TypeError, NotImplementedError) as error:
                raise BadCheckpoint(
                    f"{self.name} can't be generated with as its generation_config.json says: {first_line(error)}"
                ) from None

    def _prefix(self, request: SummaryRequest) -> str:
        return self.prefix if request.prefix is None else request.prefix
