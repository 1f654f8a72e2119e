"""Small mutations of bytes, of JSON, of zip archives and of safetensors files, drawn from one random generator."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

BITS = (
    *(b"<", b">", b'"', b"&", b"\0", b"9999999999", b"-1", b"\xff", b"</w:p>", b"<table>", b"&nbsp;", b"%9.%1"),
    *(b"<td colspan=99999 rowspan=0>", b"\xed\xa0\x80", "\uf0fc".encode(), b"1e309", b"NaN", b",", b"\n", b"{", b"["),
)
# What no JSON writer gives, put into the text afterwards.
RAW = ("NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "[" * 100_000, '{"a":' * 50_000, '"\\ud800"', "[" * 900)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, 10**9, 2**31 - 1, 2**31, 2**63, 2**64, 10**30, -(2**63), 0.5, -0.5, 1e308),
    *("", "x", "x" * 100_000, "\0", "../../etc/passwd", "/dev/zero", ".*(a+)+$", "(", "[UNK]", "<s>", "\x1b[31m"),
    *([], [[]], [1, 2], [[1], [2]], ["a"], [None], [0.5], list(range(5000)), {}, {"a": 1}, {"type": "x"}, {"": None}),
)


def of_bytes(content: bytes, random: Random) -> bytes:
    """Bytes changed, put in, taken out, repeated, or the end cut off."""
    out = bytearray(content)
    for _ in range(random.choice([1, 1, 2, 5, 20])):
        if not out:
            break
        at, kind = random.randrange(len(out)), random.random()
        if kind < 0.3:
            out[at] = random.randrange(256)
        elif kind < 0.6:
            out[at:at] = random.choice(BITS)
        elif kind < 0.75:
            del out[at : at + random.randrange(30)]
        elif kind < 0.8:
            del out[at:]
        else:
            out[at:at] = out[at : at + random.randrange(60)] * random.choice([1, 2, 5])
    return bytes(out)


def of_zip(content: bytes, random: Random) -> bytes:
    """One part of the archive changed, sometimes one left out; or the archive's own bytes."""
    if random.random() < 0.15:
        return of_bytes(content, random)
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        parts = {name: opened.read(name) for name in opened.namelist()}
    chosen = random.choice(list(parts))
    parts[chosen] = of_bytes(parts[chosen], random)
    if random.random() < 0.1:
        parts.pop(random.choice(list(parts)))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as written:
        for name, part in parts.items():
            written.writestr(name, part)
    return out.getvalue()


def of_json(content: bytes, random: Random) -> bytes:
    """One or two values replaced, removed, wrapped, doubled or moved; a seventh of the time its bytes."""
    if random.random() < 0.15:
        return of_bytes(content, random)
    loaded = [json.loads(content)]
    marks: dict[str, str] = {}
    for _ in range(random.choice([1, 1, 1, 2])):
        _change(loaded, random, marks)
    text = json.dumps(loaded[0])
    for mark, raw in marks.items():
        text = text.replace(json.dumps(mark), raw)
    if random.random() < 0.05 and text.startswith("{") and ":" in text:
        name = text[1 : text.index(":")]
        text = f"{{{name}: 3, {text[1:]}"  # the same name twice
    return text.encode("utf-8", "surrogatepass")


def _change(root: list[Any], random: Random, marks: dict[str, str]) -> None:
    holder, key = _place(root, random)
    old, kind = holder[key], random.random()
    if kind < 0.15 and holder is not root:
        del holder[key]
    elif kind < 0.25:
        holder[key] = [old] if random.random() < 0.5 else {"a": old}
    elif kind < 0.4:
        mark = f"raw {len(marks)}"
        marks[mark] = random.choice(RAW)
        holder[key] = mark
    elif kind < 0.55 and isinstance(old, int | float) and not isinstance(old, bool):
        holder[key] = random.choice([old + 1, old - 1, -old, old * 2, old * 1000, old / 2, float(old), str(old)])
    elif kind < 0.6 and isinstance(holder, dict):
        holder[random.choice(["x", "a" * 5000, "\n", *holder])] = old
    elif kind < 0.7:
        other, place = _place(root, random)
        holder[key] = json.loads(json.dumps(other[place]))  # a value of another field
    else:
        holder[key] = random.choice(VALUES)


def _place(root: list[Any], random: Random) -> tuple[Any, Any]:
    """A value's holder and its name there: short lists and objects as often as long ones."""
    holder: Any = root
    key: Any = 0
    while isinstance(holder[key], dict | list) and holder[key] and random.random() < 0.85:
        holder = holder[key]
        key = random.choice(list(holder)) if isinstance(holder, dict) else random.randrange(len(holder))
    return holder, key


def of_safetensors(content: bytes, random: Random) -> bytes:
    """The header or its length changed, offsets past the end, other types, values that are no numbers, a cut."""
    size = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + size], content[8 + size :]
    kind = random.random()
    if kind < 0.1:
        lie = random.choice([0, 1, size - 1, size + 1, 2**31, 2**63, 2**64 - 1, 100_000_001, len(content)])
        return lie.to_bytes(8, "little") + header + data
    if kind < 0.2:
        return content[: random.randrange(len(content))]
    if kind < 0.35:
        at = random.randrange(max(len(data) - 4, 1))
        odd = random.choice([b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\x7f\x7f", b"\xff\xff\xff\xff"])
        return content[: 8 + size] + data[:at] + odd + data[at + 4 :]
    header = _tensors(json.loads(header), random) if kind < 0.7 else of_json(header, random)
    return len(header).to_bytes(8, "little") + header + data


def _tensors(header: dict[str, Any], random: Random) -> bytes:
    name = random.choice([name for name in header if name != "__metadata__"])
    one = header[name]
    kind = random.randrange(7)
    if kind == 0:
        one["dtype"] = random.choice(["I8", "U8", "I32", "I64", "C64", "F64", "F16", "BF16", "F8_E4M3", "BOOL", "X"])
    elif kind == 1:  # half as many numbers, of twice the size
        one["dtype"] = random.choice(["C64", "F64", "I64"])
        one["shape"] = [*one["shape"][:-1], one["shape"][-1] // 2] if one["shape"] else []
    elif kind == 2:
        one["data_offsets"] = [random.choice([0, 10**6, 2**63, -1]), random.choice([10**12, 2**64, 8, -1])]
    elif kind == 3:
        one["shape"] = random.choice([[], [0], [2**32, 2**32], [-1], [1, *one["shape"]], one["shape"][::-1]])
    elif kind == 4:
        header[random.choice(["", "x" * 70_000, "a.b", "\n", "lm_head.scale", *header])] = header.pop(name)
    elif kind == 5:
        del header[name]
    else:
        header["__metadata__"] = random.choice([None, {"format": 3}, {"format": "tf"}, [], {"a": "x" * 10**6}])
    return json.dumps(header).encode()


Mutation = Callable[[bytes, Random], bytes]
