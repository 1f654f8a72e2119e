"""py3langid's model, unpacked once: unpacking takes longer than the rest of a short command.

What is unpacked lies in the data folder (`languages/`) under the packed file's digest, and is mapped, so that of its 69
MB only what a text touches is read. A file there is only a shortcut: one that is damaged is made again; where none can
be written, all is as if there were none.
"""

from __future__ import annotations

import contextlib
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genarium import files
from genarium.errors import StorageError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from py3langid.langid import LanguageIdentifier

ARRAYS = ("ptc", "pc", "classes", "nextmove", "row", "output")
"""The probabilities of features by language, those of languages, their names, and the automaton that finds features."""


def identifier() -> LanguageIdentifier:
    """What ranks the languages of a text."""
    from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

    packed = Path(MODEL_DIR, MODEL_FILE)
    folder = files.home() / "languages" / files.sha256(packed)[:16]
    try:
        arrays = {name: _mapped(folder / f"{name}.npy") for name in ARRAYS}
        _check(folder, arrays)
    except (OSError, ValueError):
        arrays = _unpacked(packed)
        if files.home().is_dir():
            with contextlib.suppress(StorageError):
                _write(folder, arrays)
    return LanguageIdentifier(
        arrays["ptc"],
        np.asarray(arrays["pc"]),
        arrays["classes"].tolist(),
        arrays["nextmove"].data,  # whose elements are Python's integers, as the automaton takes them
        arrays["output"].tolist(),
        tk_row=arrays["row"].tolist(),
    )


def _unpacked(packed: Path) -> dict[str, NDArray[Any]]:
    from py3langid.modelio import load_model

    return {name: np.asarray(array) for name, array in zip(ARRAYS, load_model(packed), strict=True)}


def _mapped(file: Path) -> NDArray[Any]:
    array: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    return array


def _check(folder: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Raises ValueError where the files are not those that were written together, by their types and shapes."""
    if (folder / "whole").read_text("ascii") != _sign(arrays):
        raise ValueError


def _sign(arrays: dict[str, NDArray[Any]]) -> str:
    told = [f"{name} {array.dtype} {array.shape}" for name, array in arrays.items()]
    return f"{zlib.crc32(chr(10).join(told).encode()):08x}"


def _write(folder: Path, arrays: dict[str, NDArray[Any]]) -> None:
    for name, array in arrays.items():
        files.write_atomically(folder / f"{name}.npy", _as_file(array))
    files.write_atomically(folder / "whole", _sign(arrays).encode())  # last: without it the others are not read


def _as_file(array: NDArray[Any]) -> Iterator[bytes | memoryview]:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(array))
    yield head.getvalue()
    yield np.ascontiguousarray(array).view(np.uint8).data
