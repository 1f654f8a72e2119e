"""Values of arguments, and what comes on standard input."""

from __future__ import annotations

from pathlib import Path

TEXT = ["text", "The fox", "--seed", "1", "--max-new-tokens"]
NUMBERS = ["-1", "0", "1e3", "nan", "inf", "9" * 400, "0x10", "１２", "--", "", "1_0", "99999999999"]
OPTIONS = ["--temperature", "--top-p", "--top-k", "-n", "--seed", "--max-new-tokens", "--repetition-penalty"]
PIPED = {
    "nothing": b"",
    "a NUL": b"a\0b",
    "not UTF-8": b"\xff\xfe\xfd" * 100,
    "escapes": b"\x1b[31mred\x1b]0;owned\x07",
    "one long word": b"a" * 900_000,
    "two megabytes": b"the fox ran. " * 160_000,
    "80 megabytes": b"x" * 80 * 2**20,
    "spaces": b" " * 900_000,
    "lines": b"\n" * 500_000,
    "deep brackets": b"[" * 200_000,
    "combining marks": b"e" + "\u0301".encode() * 200_000,
}
READERS = {
    "text": ["text", "-", "--max-new-tokens", "2", "--seed", "1"],
    "summarize": ["summarize", "-"],
    "answer": ["answer", "Who ran?", "--context", "-"],
    "caption": ["caption", "-"],
}


def inputs(folder: Path) -> dict[str, list[tuple[str, list[str], bytes]]]:
    """By kind: what it is, the arguments, and standard input."""
    numbers = [
        (f"{option} {number[:12]}", ["text", "The fox", "--max-new-tokens", "2", "--seed", "1", option, number], b"")
        for option in OPTIONS
        for number in NUMBERS
    ]
    stops = [(f"{count} of {size}", [*TEXT, "8", *["--stop", "a" * size] * count], b"") for count, size in
             ((1, 100_000), (1, 1001), (65, 3), (64, 1000), (3000, 1))]  # fmt: skip
    schemas = [
        (name, [*TEXT, "4", "--json-schema", schema], b"")
        for name, schema in {
            "no JSON": "{",
            "deep": '{"a":' * 5000 + "1" + "}" * 5000,
            "deep lists": "[" * 100_000,
            "a text": '"x"',
            "of no type": '{"type": "nothing"}',
            "a circle": '{"$ref": "#"}',
            "a far reference": '{"$ref": "http://127.0.0.1:1/x"}',
            "a bad pattern": '{"type": "string", "pattern": "(((("}',
            "a slow pattern": '{"type": "string", "pattern": "(a*)*$"}',
            "huge": '{"type": "array", "minItems": 1000000000}',
            "NaN": '{"minimum": NaN}',
        }.items()
    ]
    piped = [
        (f"{reader}: {name}", words, content) for reader, words in READERS.items() for name, content in PIPED.items()
    ]
    return {"numbers": numbers, "stop strings": stops, "schemas": schemas, "standard input": piped}
