"""Files whose content is not what their ending says, or far more than it looks."""

from __future__ import annotations

import json
from pathlib import Path

CSV = {
    "nothing": b"",
    "only a header": b"text,label\n",
    "NULs": b"text\n\0\0\0\n",
    "binary": bytes(range(256)) * 50,
    "an open quote": b'text\n"never closed' + b"x" * 500_000,
    "one long field": b"text\n" + b"a" * 900_000 + b"\n",
    "a hundred thousand columns": b"a," * 100_000 + b"text\n" + b"1," * 100_000 + b"x\n",
    "UTF-16": "text\nA good film.\n".encode("utf-16"),
    "escapes": b"text\n\x1b[31mred\n",
}
JSONL = {
    "deep": b"[" * 100_000,
    "numbers": b"1\n2\n",
    "NaN": b'{"text": NaN}\n',
    "a huge number": b'{"text": ' + b"9" * 5000 + b"}\n",
    "half a pair": b'{"text": "\\ud800"}\n',
    "lists as texts": b'{"text": ["a"]}\n',
    "twice": b'{"text": "a", "text": "b"}\n',
    "no end": b'{"text": "a',
}
CONFIGS = {
    "nothing": b"",
    "a list": b"[]",
    "deep": b"[" * 100_000,
    "deep object": b'{"a":' * 50_000,
    "NaN": b'{"model_type": "gpt2", "n_layer": NaN}',
    "a list as type": b'{"model_type": ["gpt2"]}',
    "a number as type": b'{"model_type": 7}',
    "a billion layers": b'{"model_type": "gpt2", "n_layer": 1000000000}',
    "negative": b'{"model_type": "gpt2", "n_layer": -1, "n_head": 0}',
    "escapes": b'{"model_type": "\\u001b[31mred"}',
    "a text as number": b'{"model_type": "llama", "hidden_size": "x"}',
    "not UTF-8": b"\xff\xfe",
}


def inputs(folder: Path) -> dict[str, list[tuple[str, list[str], bytes]]]:
    """By kind: what it is, the arguments, and standard input."""
    tables = []
    for ending, contents in (("csv", CSV), ("jsonl", JSONL)):
        for name, content in contents.items():
            file = folder / f"{name.replace(' ', '-')}.{ending}"
            file.write_bytes(content)
            tables.append((f"{ending}: {name}", ["classify", "--file", str(file), "--labels", "good,bad"], b""))
    configs = []
    for name, content in CONFIGS.items():
        model = folder / f"config-{name.replace(' ', '-')}"
        model.mkdir()
        (model / "config.json").write_bytes(content)
        (model / "model.safetensors").write_bytes((8).to_bytes(8, "little") + json.dumps({}).encode().ljust(8))
        configs.append((name, ["text", "The fox", "--max-new-tokens", "2", "--model", str(model)], b""))
    return {"tables": tables, "config.json": configs}
