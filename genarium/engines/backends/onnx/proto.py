"""An ONNX graph as its bytes: what `onnx.helper` makes, without the seventh of a second that importing it takes.

Field numbers are those of onnx.proto (IR version 10), which never change; the wire format is protobuf's: a key
(number << 3 | kind) before each value, whole numbers as varints, all else with its length.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7}
"""What ONNX numbers the types of elements."""


class Nodes:
    """A graph while it is made: its nodes, and by name the arrays that it reads."""

    def __init__(self) -> None:
        self.nodes: list[bytes] = []
        self.arrays: dict[str, NDArray[Any]] = {}

    def hold(self, name: str, array: NDArray[Any]) -> None:
        self.arrays[name] = np.ascontiguousarray(array)

    def node(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], domain: str = "", **more: Any) -> None:
        self.nodes.append(node(kind, inputs, outputs, domain, **more))


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str], domain: str = "", **attributes: float) -> bytes:
    """A NodeProto; attributes are whole numbers or floats."""
    return b"".join(
        [
            *(_bytes(1, name.encode()) for name in inputs),
            *(_bytes(2, name.encode()) for name in outputs),
            _bytes(4, kind.encode()),
            *(_bytes(5, _attribute(name, value)) for name, value in attributes.items()),
            _bytes(7, domain.encode()),
        ]
    )


def model(
    name: str,
    nodes: Sequence[bytes],
    inputs: Mapping[str, tuple[str, Sequence[int | str]]],
    outputs: Mapping[str, tuple[str, Sequence[int | str]]],
    held: Mapping[str, NDArray[Any]],
    domains: Mapping[str, int],
) -> bytes:
    """A ModelProto. Inputs and outputs are types of elements and shapes, in which a name is an open length.

    Of `held` only int64 arrays are inside, which shapes are read from; the others are handed over beside it.
    `domains` are the versions of the operators.
    """
    graph = b"".join(
        [
            *(_bytes(1, one) for one in nodes),
            _bytes(2, name.encode()),
            *(_bytes(5, _tensor(key, array)) for key, array in held.items()),
            *(_bytes(11, _value(key, *told)) for key, told in inputs.items()),
            *(_bytes(12, _value(key, *told)) for key, told in outputs.items()),
        ]
    )
    versions = [_bytes(8, _bytes(1, domain.encode()) + _whole(2, version)) for domain, version in domains.items()]
    return b"".join([_whole(1, 10), _bytes(7, graph), *versions])


def _attribute(name: str, value: float) -> bytes:
    if isinstance(value, int):
        return _bytes(1, name.encode()) + _whole(3, value) + _whole(20, 2)
    return _bytes(1, name.encode()) + bytes([2 << 3 | 5]) + struct.pack("<f", value) + _whole(20, 1)


def _tensor(name: str, array: NDArray[Any]) -> bytes:
    dims = b"".join(_whole(1, size) for size in array.shape)
    told = dims + _whole(2, KINDS[str(array.dtype)]) + _bytes(8, name.encode())
    if array.dtype == np.int64:
        return told + _bytes(9, array.tobytes())
    where = {"location": "weights", "offset": "0", "length": str(array.nbytes)}
    entries = [_bytes(13, _bytes(1, key.encode()) + _bytes(2, value.encode())) for key, value in where.items()]
    return told + b"".join(entries) + _whole(14, 1)


def _value(name: str, kind: str, shape: Sequence[int | str]) -> bytes:
    sizes = [_whole(1, size) if isinstance(size, int) else _bytes(2, size.encode()) for size in shape]
    dims = b"".join(_bytes(1, size) for size in sizes)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, _whole(1, KINDS[kind]) + _bytes(2, dims)))


def _whole(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value & (1 << 64) - 1)


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
