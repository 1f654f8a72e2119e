"""A decoder as a GGUF file: what llama.cpp, Ollama, LM Studio and transformers open.

Tensors have llama.cpp's names and order of rows (`checkpoints/store/gguf_names.py` reads them), and its rules of what
stays in float32: vectors and learned positions. The `gguf` package quantises and writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genarium.checkpoints.store import gguf, gguf_header, gguf_names
from genarium.errors import BadInput
from genarium.export import gguf_keys, gguf_words
from genarium.export.floats import SIZES, encoded
from genarium.export.source import Source
from genarium.progress import emit, note

if TYPE_CHECKING:
    from gguf import GGUFWriter

KINDS = {
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "q8_0": "Q8_0",
    "q5_1": "Q5_1",
    "q5_0": "Q5_0",
    "q4_1": "Q4_1",
    "q4_0": "Q4_0",
}
DTYPES = tuple(KINDS)
FEW_BITS = ("Q4_0", "Q4_1", "Q5_0", "Q5_1")
HEADS = ("token_embd", "output")
"""They cost most in loss, and keep 8 bits where others have fewer."""
WHOLE = ("position_embd",)


@dataclass(frozen=True)
class Written:
    """A tensor to be: its name in the file, shape, GGML's kind, and what gives its bytes when their turn comes."""

    name: str
    shape: tuple[int, ...]
    kind: str
    make: Callable[[], NDArray[Any]]


def write(source: Source, file: Path, dtype: str) -> None:
    """Write `file`; `dtype` is one of `DTYPES`, or `as stored` for a GGUF file's. Raises BadInput, BadCheckpoint."""
    from gguf import GGUFWriter
    from gguf.constants import GGMLQuantizationType

    arch = gguf_keys.architecture(source)
    metadata = gguf_keys.of_file(source) if source.is_gguf else _metadata(source, arch)
    tensors = list(_of_file(source, dtype) if source.is_gguf else _of_folder(source, dtype))
    _tell_unquantised(tensors, dtype)
    writer = GGUFWriter(file, arch)
    for key, value in metadata.items():
        _add(writer, key, value)
    writer.add_quantization_version(2)
    writer.add_file_type(_file_type(tensors))
    for one in tensors:
        size = math.prod(one.shape) // gguf_header.VALUES[one.kind] * gguf_header.BYTES[one.kind]
        writer.add_tensor_info(one.name, one.shape, np.dtype(np.float32), size, GGMLQuantizationType[one.kind])
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for number, one in enumerate(tensors):
            emit("exporting", number, len(tensors))
            writer.write_tensor_data(one.make())
    finally:
        writer.close()


def _metadata(source: Source, arch: str) -> dict[str, Any]:
    return gguf_keys.general(source) | gguf_keys.of_config(source, arch) | gguf_words.keys(source)


def _of_folder(source: Source, dtype: str) -> Iterator[Written]:
    heads = {"attn_q": source.config.n_heads, "attn_k": source.config.n_kv_heads}
    permuted = source.kind in ("llama", "mistral")
    for part in source.parts:
        name, module = gguf_names.stored_name(part.name, source.kind)
        kind = _kind(module, part.shape, dtype, source)

        def make(part: Any = part, kind: str = kind, module: str = module) -> NDArray[Any]:
            values = gguf_names.rows_as_stored(source.scaled(part), heads.get(module, 0) if permuted else 0)
            return _encoded(values, kind, part.name)

        yield Written(name, part.shape, kind, make)
    for name, values in gguf_keys.frequencies(source).items():
        yield Written(name, values.shape, "F32", lambda values=values: values)  # type: ignore[misc]


def _of_file(source: Source, dtype: str) -> Iterator[Written]:
    """A GGUF file's own tensors, in its order of rows; those that keep their kind are copied."""
    file = gguf.read(source.path)
    for name, tensor in file.tensors.items():
        module = name.rpartition(".")[0].rpartition(".")[2]
        kept = dtype == "as stored" or len(tensor.shape) == 1
        kind = tensor.kind if kept else _kind(module, tensor.shape, dtype, source)

        def make(name: str = name, kind: str = kind) -> NDArray[Any]:
            if file.tensors[name].kind == kind:
                return file.blocks(name)
            return _encoded(file.values(name), kind, name)

        yield Written(name, tensor.shape, kind, make)


def _kind(module: str, shape: tuple[int, ...], dtype: str, source: Source) -> str:
    """GGML's kind for a tensor of this module where matrices are to be `dtype`."""
    if len(shape) == 1 or module in WHOLE:
        return "F32"
    kind = KINDS[dtype]
    head = "token_embd" if source.config.tie_embeddings else "output"
    if kind in FEW_BITS and module == head:
        kind = "Q8_0"
    return kind if shape[-1] % gguf_header.VALUES[kind] == 0 else "F16"


def _tell_unquantised(tensors: list[Written], dtype: str) -> None:
    if dtype not in KINDS or dtype in SIZES:
        return
    kept = [one for one in tensors if one.kind == "F16"]
    if kept:
        note(
            f"{len(kept)} of {len(tensors)} tensors stay float16, such as {kept[0].name}: blocks have "
            f"{gguf_header.VALUES[KINDS[dtype]]} values, which do not divide its rows of {kept[0].shape[-1]}"
        )
    if len(kept) == sum(len(one.shape) > 1 and one.kind != "F32" for one in tensors):
        raise BadInput(f"no matrix of this model has rows that blocks of {dtype} divide; export it as float16")


def _encoded(values: NDArray[np.float32], kind: str, name: str) -> NDArray[Any]:
    by_kind = {ours: dtype for dtype, ours in KINDS.items()}
    if by_kind[kind] in SIZES:
        return encoded(values, by_kind[kind], name)
    from gguf.constants import GGMLQuantizationType
    from gguf.quants import quantize

    stored = quantize(np.ascontiguousarray(values), GGMLQuantizationType[kind])
    return np.asarray(stored)


def _file_type(tensors: list[Written]) -> int:
    """llama.cpp's name for what most matrices are."""
    from gguf.constants import LlamaFileType

    sizes: dict[str, int] = {}
    for one in tensors:
        if len(one.shape) > 1 and not one.name.startswith(WHOLE):
            sizes[one.kind] = sizes.get(one.kind, 0) + math.prod(one.shape)
    most = max(sizes, key=lambda kind: sizes[kind])
    name = "ALL_F32" if most == "F32" else f"MOSTLY_{most}"
    others = {"MOSTLY_Q4_K": LlamaFileType.MOSTLY_Q4_K_M, "MOSTLY_Q5_K": LlamaFileType.MOSTLY_Q5_K_M}
    return int(others[name] if name in others else LlamaFileType[name])


def _add(writer: GGUFWriter, key: str, value: Any) -> None:
    """A key with the type that llama.cpp reads it as."""
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        (writer.add_uint32 if value >= 0 else writer.add_int32)(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)
