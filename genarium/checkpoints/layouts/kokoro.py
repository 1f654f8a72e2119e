"""Folders of Kokoro as ONNX: the starter's, kokoro-onnx's (`voices-v1.0.bin`), and the hub's (`onnx/`, `voices/*.bin`).

A voice is (510, 1, 256) float32 or half, a row for each number of phonemes. `config.json` may have the `vocab`, the
number of each sign; without one it is that of Kokoro v1.0.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genarium import devices
from genarium.errors import BadCheckpoint, first_line

RATE = 24_000
STYLE = 256
MOST_ROWS = 4096
SAFE_VOICES = "voices.safetensors"
PREFERRED = ("int8", "quantized", "model.onnx", "fp16", "f16")
"""Of several networks in one folder, the one whose name has the first of these."""
DURATIONS = "/encoder/Clip_output_0"
"""The tensor of frames that each token lasts, in graphs exported from hexgrad's code."""
FLOAT = 1

Voice = Callable[[], NDArray[np.float32]]


@dataclass(frozen=True)
class Files:
    """`voices` read a voice when they are called, (rows, 256) float32."""

    model: Path
    vocabulary: dict[str, int]
    voices: dict[str, Voice]


def model_of(path: Path) -> Path | None:
    """The network in a folder, where there are voices beside it."""
    if not path.is_dir() or not _has_voices(path):
        return None
    found = sorted([*path.glob("*.onnx"), *(path / "onnx").glob("*.onnx")])
    order = {file: next((n for n, part in enumerate(PREFERRED) if part in file.name), 99) for file in found}
    return min(found, key=lambda file: order[file], default=None)


def _has_voices(path: Path) -> bool:
    return (path / SAFE_VOICES).is_file() or (path / "voices").is_dir() or any(path.glob("voices*.bin"))


def read(path: Path) -> Files:
    """Raises BadCheckpoint where a part is missing or not as it should be."""
    model = model_of(path)
    if model is None:
        raise BadCheckpoint(f"{path} has no network (.onnx) with voices beside it; fetch starter/speech")
    voices = _voices(path)
    if not voices:
        raise BadCheckpoint(f"{path} has no voice; get its voices (voices/NAME.bin) as well")
    return Files(model, _vocabulary(path), voices)


def _vocabulary(path: Path) -> dict[str, int]:
    try:
        config = json.loads((path / "config.json").read_text("utf-8"))
        vocabulary = config.get("vocab") if isinstance(config, dict) else None
    except FileNotFoundError:
        vocabulary = None
    except (OSError, ValueError) as error:
        raise BadCheckpoint(f"{path / 'config.json'} is damaged ({first_line(error)}); get it again") from None
    if vocabulary is None:
        from genarium.checkpoints.store import catalogue

        shipped = catalogue.FOLDER / "speech" / "config.json"
        vocabulary = json.loads(shipped.read_text("utf-8"))["vocab"]
    if not isinstance(vocabulary, dict) or not all(isinstance(number, int) for number in vocabulary.values()):
        raise BadCheckpoint(f"{path / 'config.json'}: vocab is no object of numbers; get it again")
    return vocabulary


def _voices(path: Path) -> dict[str, Voice]:
    if (path / SAFE_VOICES).is_file():
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path / SAFE_VOICES, "np") as opened:
                names = sorted(opened.keys())
        except (SafetensorError, OSError) as error:
            raise BadCheckpoint(f"{path / SAFE_VOICES} is damaged ({first_line(error)}); get it again") from None
        return {name: partial(_safe_voice, path / SAFE_VOICES, name) for name in names}
    found: dict[str, Voice] = {
        file.stem: partial(_raw_voice, file) for file in sorted((path / "voices").glob("*.bin")) if file.is_file()
    }
    for file in sorted(path.glob("voices*.bin")):  # kokoro-onnx's: numpy's archive of all
        try:
            with np.load(file, allow_pickle=False) as archive:
                names = sorted(archive.files)
        except (OSError, ValueError, AttributeError) as error:
            raise BadCheckpoint(f"{file} is no archive of voices ({first_line(error)}); get it again") from None
        found |= {name: partial(_archived_voice, file, name) for name in names}
    return found


def _safe_voice(file: Path, name: str) -> NDArray[np.float32]:
    from safetensors import safe_open

    with safe_open(file, "np") as opened:
        return _rows(opened.get_tensor(name), f"{file}: {name}")


def _archived_voice(file: Path, name: str) -> NDArray[np.float32]:
    with np.load(file, allow_pickle=False) as archive:
        return _rows(archive[name], f"{file}: {name}")


def _raw_voice(file: Path) -> NDArray[np.float32]:
    return _rows(np.fromfile(file, np.float32), str(file))


def _rows(values: NDArray[Any], where: str) -> NDArray[np.float32]:
    if not values.size or values.size % STYLE or values.size > MOST_ROWS * STYLE:
        raise BadCheckpoint(f"{where} is no voice of Kokoro's: rows of {STYLE} numbers; get it again")
    rows = values.reshape(-1, STYLE).astype(np.float32)
    if not np.isfinite(rows).all():
        raise BadCheckpoint(f"{where} has values that are no numbers; get it again")
    return rows


class Session:
    """The network, run by onnxruntime: tokens, a style (256,) and a speed to samples and the frames of each token."""

    def __init__(self, session: Any, path: Path):
        self.session, self.path = session, path
        inputs = {one.name: one.type for one in session.get_inputs()}
        self.tokens = next((name for name in ("tokens", "input_ids") if name in inputs), None)
        self.outputs = [one.name for one in session.get_outputs()]
        if self.tokens is None or not {"style", "speed"} <= set(inputs):
            raise BadCheckpoint(f"{path} is no network of Kokoro's: it takes {', '.join(inputs)}; get it again")
        self.speed = np.int32 if "int32" in inputs["speed"] else np.float32
        frames = [name for name in self.outputs if name == DURATIONS or "duration" in name]
        self.frames = frames[0] if frames else None

    def run(
        self, tokens: list[int], style: NDArray[np.float32], speed: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        if self.speed is np.int32 and speed != int(speed):
            raise BadCheckpoint(f"{self.path} speaks at whole speeds alone; choose speed 1, or another network")
        given = {
            self.tokens: np.array([tokens], np.int64),
            "style": style[None].astype(np.float32),
            "speed": np.array([speed], self.speed),
        }
        wanted = [self.outputs[0], *([self.frames] if self.frames else [])]
        made = self.session.run(wanted, given)
        samples = np.asarray(made[0], np.float32).ravel()
        if not np.isfinite(samples).all():
            raise BadCheckpoint(f"{self.path} made sound that is no numbers; its file may be damaged, get it again")
        frames = np.asarray(made[1], np.float32).ravel() if self.frames else None
        return samples, frames if frames is not None and len(frames) == len(tokens) else None


def open(file: Path) -> Session:
    """Raises BadCheckpoint."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = devices.threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    model = file.read_bytes()
    if DURATIONS.encode() in model:
        model += _with_output(DURATIONS)
    try:
        return Session(ort.InferenceSession(model, options, providers=["CPUExecutionProvider"]), file)
    except BadCheckpoint:
        raise
    except Exception as error:  # the library raises its own kinds, which have no common one
        raise BadCheckpoint(f"{file}: onnxruntime refuses it ({first_line(error)}); get it again") from None


def _with_output(name: str) -> bytes:
    """What, written after a serialised network, makes a tensor of it one more output: a message whose parts come twice
    is the sum of them (Protocol Buffers, encoding, "last one wins")."""
    import onnx

    graph = onnx.GraphProto()
    graph.output.append(onnx.helper.make_tensor_value_info(name, FLOAT, None))
    return onnx.ModelProto(graph=graph).SerializeToString()
