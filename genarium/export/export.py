"""Write a decoder in another layout: what is asked for is held against what can be, then written whole or not."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from genarium import files
from genarium.errors import BadInput

if TYPE_CHECKING:
    from genarium.export.source import Source

FORMATS = ("gguf", "onnx", "safetensors")


@dataclass(frozen=True)
class Exported:
    """What was written: a file or a folder, in which precision, and the bytes of each of its files."""

    path: Path
    dtype: str
    sizes: dict[str, int]

    @property
    def size(self) -> int:
        return sum(self.sizes.values())


def export(
    reference: str, layout: str, *, dtype: str = "auto", output: str | None = None, overwrite: bool = False
) -> Exported:
    """The model as `layout`, one of `FORMATS`, at `output` or in this folder.

    `dtype` auto is as stored where the layout can hold that. Raises ModelNotFound, BadCheckpoint, BadInput,
    StorageError.
    """
    from genarium.export.place import placed
    from genarium.export.source import Source

    check(layout, dtype)
    source = Source(reference)
    if dtype == "auto":
        dtype = _usual(source, layout)
    folder = layout != "gguf"
    suffix = f"-{layout}" if folder else ".gguf"
    named = dtype.replace(" ", "-")
    target = files.named(output) if output else Path(f"{source.name}-{named}{suffix}")
    with placed(target, folder=folder, overwrite=overwrite, source=source.path) as place:
        writer(layout).write(source, place, dtype)
    written = sorted(target.iterdir()) if folder else [target]
    return Exported(target, dtype, {file.name: file.stat().st_size for file in written})


def writer(layout: str) -> ModuleType:
    """The module that writes this layout."""
    return import_module(f"genarium.export.{layout}")


def dtypes(layout: str) -> tuple[str, ...]:
    """What its numbers may be."""
    return tuple(writer(layout).DTYPES)


def check(layout: str, dtype: str) -> None:
    """Raises BadInput where the layout is none of these, or can't hold such numbers."""
    if layout not in FORMATS:
        raise BadInput(f"no format {layout!r}; there are {', '.join(FORMATS)}")
    if dtype != "auto" and dtype not in dtypes(layout):
        raise BadInput(f"{layout} is written in {', '.join(dtypes(layout))}, got {dtype}")


def _usual(source: Source, layout: str) -> str:
    if layout == "onnx":
        from genarium.engines.text.decoders import auto_dtype

        return auto_dtype(source.path)
    return "as stored" if layout == "gguf" and source.is_gguf else source.dtype
