"""A folder of Kokoro's with a small network: every token lasts (its number modulo 5) + 1 frames, and sounds as loud."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from genarium.checkpoints.layouts.kokoro import DURATIONS
from genarium.data.lexicon import ACCENTS

FRAME = 600
WORDS = {
    "hello": "həlˈO",
    "world": "wˈɜɹld",
    "the": "ði",
    "a": "A",
    "i": "ˈI",
    "to": "tu",
    "read": {"DEFAULT": "ɹˈid", "VBD": "ɹˈɛd", "VBN": "ɹˈɛd"},
    "record": {"DEFAULT": "ɹˈɛkəɹd", "VERB": "ɹəkˈɔɹd"},
    "that": {"DEFAULT": "ðæt", "DT": "ðˈæt"},
    "have": {"DEFAULT": "hæv", "None": "hˈæv"},
    "they": "ðA",
    "use": {"DEFAULT": "jˈuz", "NOUN": "jˈus"},
    "used": {"DEFAULT": "jˈuzd", "VBD": "jˈust"},
    "boss": "bˈɔs",
    "try": "tɹˈI",
    "wait": "wˈAt",
    "stop": "stˈɑp",
    "apple": "ˈæpᵊl",
    "it": "ɪt",
    "NASA": "nˈæsə",
    "is": "ɪz",
    "one": "wˈʌn",
    "two": "tˈu",
    "three": "θɹˈi",
    "five": "fˈIv",
    "dollar": "dˈɑləɹ",
    "dollars": "dˈɑləɹz",
    "and": "ænd",
    "cents": "sˈɛnts",
    **{
        letter.upper(): f"ˈ{sound}" for letter, sound in zip("abcnsu", ["A", "bi", "si", "ɛn", "ɛs", "ju"], strict=True)
    },
}


def lexicon(folder: Path) -> Path:
    """The four files of a lexicon of a few words."""
    folder.mkdir(parents=True, exist_ok=True)
    for accent in ACCENTS:
        (folder / f"{accent}_gold.json").write_text(json.dumps(WORDS))
        (folder / f"{accent}_silver.json").write_text(json.dumps({"zebra": "zˈibɹə"}))
    return folder


def folder(path: Path, voices: tuple[str, ...] = ("af_one", "zf_two")) -> Path:
    """The whole: network, voices and lexicon."""
    import onnx
    from onnx import TensorProto, helper
    from safetensors.numpy import save_file

    lexicon(path)
    save_file(
        {name: np.full((510, 256), number, np.float16) for number, name in enumerate(voices)},
        path / "voices.safetensors",
    )
    signs = "".join(json.loads((SHIPPED / "config.json").read_text("utf-8"))["vocab"])
    (path / "config.json").write_text(
        json.dumps({"model_type": "kokoro", "vocab": {s: n for n, s in enumerate(signs, 1)}})
    )
    constants = {"five": 5, "frame": FRAME, "zero": 0, "one": 1}
    nodes = [
        helper.make_node("Constant", [], [name], value=helper.make_tensor(name, TensorProto.INT64, [], [value]))
        for name, value in constants.items()
    ]
    nodes += [
        helper.make_node("Squeeze", ["tokens"], ["flat"]),
        helper.make_node("Mod", ["flat", "five"], ["part"]),
        helper.make_node("Add", ["part", "one"], ["whole"]),
        helper.make_node("Cast", ["whole"], ["as_float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["as_float", "speed"], ["slow"]),
        helper.make_node("Ceil", ["slow"], [DURATIONS]),
        helper.make_node("Cast", [DURATIONS], ["counted"], to=TensorProto.INT64),
        helper.make_node("ReduceSum", ["counted"], ["frames"], keepdims=0),
        helper.make_node("Mul", ["frames", "frame"], ["length"]),
        helper.make_node("Range", ["zero", "length", "one"], ["places"]),
        helper.make_node("Cast", ["places"], ["as_floats"], to=TensorProto.FLOAT),
        helper.make_node("Sin", ["as_floats"], ["audio"]),
    ]
    inputs = [
        helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, None]),
        helper.make_tensor_value_info("style", TensorProto.FLOAT, [1, 256]),
        helper.make_tensor_value_info("speed", TensorProto.FLOAT, [1]),
    ]
    outputs = [helper.make_tensor_value_info("audio", TensorProto.FLOAT, [None])]
    graph = helper.make_graph(nodes, "small", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.save(model, path / "small.onnx")
    return path


SHIPPED = Path(__file__).parent.parent / "genarium" / "starters" / "speech"
