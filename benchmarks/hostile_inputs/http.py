"""Requests: bodies, sizes, paths, hosts, headers. Each is what it is, and the bytes of a request without its Host."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

DEEP = "[" * 100_000
TEXT: dict[str, Any] = {"prompt": "The fox", "max_new_tokens": 2}
COMPLETION: dict[str, Any] = {"model": "starter/text", "prompt": "The fox", "max_tokens": 2}
QUESTION = {"type": "predicate", "question": "?"}
JSON = b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
ROUTES = ["tasks/text", "completions", "chat/completions", "responses", "embeddings", "rerank", "moderations",
          "decisions", "images/generations", "feedback"]  # fmt: skip
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "half": b"{",
    "null": b"null",
    "a list": b"[]",
    "deep lists": DEEP.encode(),
    "deep objects": b'{"a":' * 100_000,
    "not UTF-8": b"\xff\xfe",
    "a huge number": b'{"n": ' + b"9" * 10_000 + b"}",
    "half a pair": b'{"prompt": "\\ud800", "input": "\\ud800"}',
    "ten megabytes of lists": b'{"prompt": [' + b"[]," * 3_500_000 + b"[]]}",
    "two million nulls": b'{"prompt": [' + b"null," * 2_000_000 + b'1], "input": "x"}',
}
PATHS = ["/v1/artefacts/../../etc/passwd", "/v1/artefacts/%2e%2e%2f/content", "/v1/files/file-..", "/static/../app.py",
         "/static/%2e%2e/__init__.py", "/v1/artefacts/a%00b", "/v1/artefacts/%ff", "/v1/jobs/" + "a" * 5000,
         "/v1/history?limit=-1", "/v1/history?limit=1e9", "/v1/history?search=%00", "/v1/history?before=%ff",
         "/v1/history?task=" + "a" * 9000, "/v1/models/" + "a" * 5000, "/v1/indexes/../passages?file=a&start=0&end=1",
         "/v1/indexes/x/passages?file=a&start=9&end=99999999999999999999", "/v1/responses/resp_%00", "/" + "a" * 30_000,
         "/v1/files/file-" + "0" * 64, "/v1/artefacts/last/content", "//evil.example/",
         "/v1/jobs/x/events?after=-1"]  # fmt: skip
HOSTS = ["evil.example", "[::1].evil.com", "127.0.0.1.evil.com", "", "localhost:80:80", "[::1", "a" * 300, "127.1",
         "2130706433", "[::1%eth0.evil.com]", "localhost@evil.com"]  # fmt: skip
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "64 prompts of 128 texts": ("completions", COMPLETION | {"prompt": ["x"] * 64, "n": 128}),
    "64 prompts of 128 texts, streamed": ("completions", COMPLETION | {"prompt": ["x"] * 64, "n": 128, "stream": True}),
    "a prompt of 31 MB": ("completions", COMPLETION | {"prompt": "fox " * 8_000_000}),
    "a prompt of 31 MB of one letter": ("tasks/text", TEXT | {"prompt": "a" * 31_000_000}),
    "a stop string of 64,000": ("tasks/text", TEXT | {"max_new_tokens": 100, "stop": ["a" * 64_000]}),
    "100,000 stop strings": ("tasks/text", TEXT | {"stop": ["a"] * 100_000}),
    "max_tokens 10^9": ("completions", COMPLETION | {"max_tokens": 10**9}),
    "max_tokens 10^9, streamed": ("completions", COMPLETION | {"max_tokens": 10**9, "stream": True}),
    "2,048 texts of 10,000": ("embeddings", {"input": ["word " * 2000] * 2048}),
    "a data URL of 100,000 [": ("tasks/classify", {"file": f"data:application/jsonl,{DEEP}", "labels": ["a", "b"]}),
    "questions of 100,000 [": ("tasks/answer", {"questions": f"data:application/jsonl,{DEEP}", "context": "x"}),
    "a picture of 100,000 [": ("tasks/caption", {"photos": [f"data:image/png,{DEEP}"]}),
    "a picture that is none": ("tasks/caption", {"photos": ["data:image/png;base64,AAAA"]}),
    "a broken data URL": ("tasks/caption", {"photos": ["data:image/png;base64,%%%"]}),
    "a path": ("tasks/caption", {"photos": ["/etc/passwd"]}),
    "a private address": ("tasks/caption", {"photos": ["http://127.0.0.1:22/"]}),
    "a metadata address": ("tasks/caption", {"photos": ["http://169.254.169.254/latest"]}),
    "bfloat16": ("tasks/text", TEXT | {"dtype": "bfloat16"}),
    "a slow schema": ("tasks/text", TEXT | {"json_schema": '{"type": "string", "pattern": "(a*)*b"}'}),
    "a deep schema": ("tasks/text", TEXT | {"json_schema": '{"a":' * 10_000}),
    "a schema in a circle": ("tasks/text", TEXT | {"json_schema": '{"$ref": "#"}'}),
    "another's model": ("tasks/text", TEXT | {"model": "/etc"}),
    "a model of 5,000": ("tasks/text", TEXT | {"model": "a" * 5000}),
    "a model of an unknown user": ("tasks/text", TEXT | {"model": "~nosuchuser"}),
    "64 decisions of a long text": ("decisions", {"input": "x" * 100_000, "questions": [QUESTION] * 64}),
    "a picture of 100,000 pixels": ("images/generations", {"prompt": "x", "size": "100000x100000"}),
    "a picture of no size": ("images/generations", {"prompt": "x", "size": "0x-1"}),
    "a million steps": ("tasks/image", {"prompt": "x", "steps": 1_000_000}),
    "braces": ("tasks/classify", {"texts": ["{0.__class__}"], "labels": ["{x}", "b"], "template": "{text.__class__}"}),
    "labels of one name": ("tasks/classify", {"texts": ["x"], "labels": ["a", "a"]}),
    "10,000 labels": ("tasks/classify", {"texts": ["x"], "labels": [str(n) for n in range(10_000)]}),
}  # fmt: skip
HEADERS = {
    "a huge header": b"GET /health HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n",
    "ten thousand headers": b"GET /health HTTP/1.1\r\n" + b"X: a\r\n" * 10_000,
    "two lengths": b"POST /v1/tasks/text HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
    "a length of 10^30": b"POST /v1/tasks/text HTTP/1.1\r\nContent-Length: 1" + b"0" * 30 + b"\r\n",
    "a negative length": b"POST /v1/tasks/text HTTP/1.1\r\nContent-Length: -1\r\n",
    "no such method": b"BREW /health HTTP/1.1\r\n",
    "no such version": b"GET /health HTTP/9.9\r\n",
    "a cookie of rubbish": b"GET /v1/models HTTP/1.1\r\nCookie: genarium_session=\xff;;;=\r\n",
    "an id of rubbish": b"GET /health HTTP/1.1\r\nX-Request-Id: ${jndi:ldap://x}\r\n",
    "Last-Event-ID of rubbish": b"GET /v1/jobs/x/events HTTP/1.1\r\nLast-Event-ID: -9e9\r\n",
    "waiting for nan": b"POST /v1/tasks/text?wait=nan HTTP/1.1\r\n" + JSON,
    "waiting for ever": b"POST /v1/tasks/text?wait=1e300 HTTP/1.1\r\n" + JSON,
}  # fmt: skip


def bomb() -> bytes:
    """A PNG of 3.6 gigapixels in a few kilobytes."""
    chunk = lambda kind, data: len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")  # noqa: E731
    header = (60_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1_000_000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def post(route: str, body: bytes) -> bytes:
    head = f"POST /v1/{route} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def inputs() -> dict[str, list[tuple[str, bytes, str]]]:
    """By kind: what it is, the request, and its Host (`HERE` is the server's own)."""
    sent = ASKED | {
        "a picture bomb": ("tasks/caption", {"photos": ["data:image/png;base64," + base64.b64encode(bomb()).decode()]})
    }
    return {
        "bodies": [(f"{route}: {n}", post(route, body), "HERE") for route in ROUTES for n, body in BODIES.items()],
        "what is asked": [(n, post(route, json.dumps(asked).encode()), "HERE") for n, (route, asked) in sent.items()],
        "paths": [(path[:60], f"GET {path} HTTP/1.1\r\n".encode(), "HERE") for path in PATHS],
        "hosts": [(host[:60], b"GET /v1/models HTTP/1.1\r\n", host) for host in HOSTS],
        "headers": [(name, head, "HERE") for name, head in HEADERS.items()],
    }
