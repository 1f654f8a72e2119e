"""A decoder as a Hugging Face folder: what transformers, vLLM and others open.

The file's layout is that of github.com/huggingface/safetensors: the header's length, the header, the tensors' bytes.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genarium.checkpoints.layouts.gpt_config import ARCHITECTURES
from genarium.checkpoints.processors import gguf_tokenizer, tokenizer
from genarium.checkpoints.store import adapters, folder
from genarium.checkpoints.store.find import base_of
from genarium.export.floats import SIZES, encoded
from genarium.export.source import Source
from genarium.progress import emit, note

DTYPES = tuple(SIZES)
PUBLISHED = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
CARRIED = ("*.json", "*.txt", "*.model", "*.jinja", "*.md", "LICENSE*")
"""Files beside the weights: tokenizer, template, how to write, card, and the recipe that trained it."""
TOKENIZER = (*(name for name in folder.TOKENIZER_FILES if name != "generation_config.json"), "tokenizer.model")
WRITTEN_ANEW = ("config.json", "adapter_config.json", folder.WEIGHTS + ".index.json")


def write(source: Source, place: Path, dtype: str) -> None:
    """Fill the empty folder `place`. Raises BadCheckpoint, BadInput."""
    beside(source, place)
    config = source.raw | {"architectures": [ARCHITECTURES[source.kind]], "dtype": dtype}
    config.pop("torch_dtype", None)
    (place / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    _write_tensors(source, place / folder.WEIGHTS, dtype)


def _write_tensors(source: Source, file: Path, dtype: str) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt", **source.origin}}
    end = 0
    for part in source.parts:
        begin, end = end, end + SIZES[dtype] * math.prod(part.shape)
        shape = part.shape[::-1] if part.transposed else part.shape
        header[part.name] = {"dtype": PUBLISHED[dtype], "shape": list(shape), "data_offsets": [begin, end]}
    told = json.dumps(header).encode()
    told += b" " * (-len(told) % 8)
    with file.open("wb") as out:
        out.write(len(told).to_bytes(8, "little") + told)
        for number, part in enumerate(source.parts):
            emit("exporting", number, len(source.parts))
            values = part.values()
            encoded(values.T if part.transposed else values, dtype, part.name).tofile(out)


def beside(source: Source, place: Path) -> None:
    """Tokenizer, chat template, generation settings and card into the folder, from wherever the source has them."""
    if source.is_gguf:
        _of_gguf(source, place)
        return
    tokenizer.load(source.path, source.config.vocab_size)  # what can't be read is refused here, not where it is opened
    for file in _carried(source.path):
        shutil.copyfile(file, place / file.name)


def _carried(path: Path) -> Iterator[Path]:
    """Files of the folder; what an adapter lacks is its base's."""
    names: set[str] = set()
    for where in (path, *([base_of(path)] if adapters.is_adapter(path) else [])):
        # A tokenizer of its own is whole: the base's files may contradict it.
        own_tokenizer = names & {"tokenizer.json", "vocab.json", "vocab.txt"}
        unwanted = {*WRITTEN_ANEW, *names}
        if where != path:
            unwanted |= {"README.md", "training.json"} | (set(TOKENIZER) if own_tokenizer else set())
        found = {file.name: file for pattern in CARRIED for file in sorted(where.glob(pattern)) if file.is_file()}
        for name in sorted(set(found) - unwanted):
            names.add(name)
            yield found[name]


def _of_gguf(source: Source, place: Path) -> None:
    path = source.path
    made = tokenizer.load(path, source.config.vocab_size)
    (place / "tokenizer.json").write_text(made.to_str(pretty=True), "utf-8")
    special = gguf_tokenizer.special_tokens(path)
    told: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", **special}
    told["model_max_length"] = source.config.context_length
    _write_json(place / "tokenizer_config.json", told)
    template = gguf_tokenizer.chat_template(path)
    if isinstance(template, str) and template.strip():
        (place / "chat_template.jinja").write_text(template, "utf-8")
    ends = sorted(gguf_tokenizer.end_tokens(path))
    how = {"bos_token_id": source.raw.get("bos_token_id"), "eos_token_id": ends or None} | sampling_of(path)
    _write_json(place / "generation_config.json", {name: value for name, value in how.items() if value is not None})


def _write_json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")


SAMPLING = {
    "temp": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "penalty_repeat": "repetition_penalty",
}
"""A GGUF file's keys after `general.sampling.` -> the fields of generation_config.json."""


def sampling_of(path: Path) -> dict[str, Any]:
    """How the authors of a GGUF file would have it write, as generation_config.json says it."""
    from genarium.checkpoints.store import gguf

    prefix = "general.sampling."
    told = {key[len(prefix) :]: value for key, value in gguf.read(path).metadata.items() if key.startswith(prefix)}
    if lost := sorted(set(told) - set(SAMPLING)):
        note(f"left out, as generation_config.json has no such field: {', '.join(prefix + name for name in lost)}")
    found = {SAMPLING[name]: value for name, value in told.items() if name in SAMPLING}
    return found | ({"do_sample": True} if found else {})
