"""Endpoints that speak the OpenAI protocol: here a small server that does, on this machine."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from genarium.engines.text.openai import OpenAIText
from genarium.engines.text.protocol import ChatRequest, TextRequest
from genarium.errors import RemoteError
from genarium.messages import Message, conversation
from genarium.progress import listening

EARLIER: list[Message] = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]


class Endpoint(BaseHTTPRequestHandler):
    """Streams the last message back, word by word; the model's name says what shall go wrong."""

    protocol_version = "HTTP/1.1"
    requests: list[dict[str, Any]]

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append(asked | {"path": self.path})
        if self.headers["Authorization"] != "Bearer secret":
            return self._refuse(401, "Incorrect API key provided")
        if asked["model"] == "busy":
            return self._refuse(429, "Rate limit reached")
        if asked["model"] == "unknown":
            return self._refuse(404, "The model `unknown` does not exist")
        if asked["model"] == "strict":
            return self._refuse(400, "maximum context length is 10 tokens")
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        said = asked["messages"][-1]["content"] if "messages" in asked else asked["prompt"]
        for place, word in enumerate(said.split(" ")):
            if asked["model"] in ("cut", "drops") and place == 2:
                break
            if asked["model"] == "fails" and place == 2:
                self._event({"error": {"message": "the GPU is gone"}})
            if asked["model"] == "garbles" and place == 2:
                self._chunk(b"data: {not json\n\n")
            self._event(self._piece(asked, word if place == 0 else " " + word, None))
        if asked["model"] == "drops":  # the connection dies inside a chunk
            self.wfile.write(b"ff\r\ndata: {")
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return None
        if asked["model"] != "cut":  # `cut` ends as a server that was stopped does: in order, but too soon
            self._event(self._piece(asked, "", "length" if asked["model"] == "short" else "stop"))
            usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
            self._event({"id": "1", "object": "chunk", "created": 0, "model": "m", "choices": [], "usage": usage})
            self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")
        return None

    def _piece(self, asked: dict[str, Any], text: str, reason: str | None) -> dict[str, Any]:
        content = {"delta": {"content": text}} if "messages" in asked else {"text": text}
        choice = {"index": 0, "finish_reason": reason, **content}
        return {"id": "1", "object": "chunk", "created": 0, "model": asked["model"], "choices": [choice]}

    def _event(self, value: dict[str, Any]) -> None:
        self._chunk(f"data: {json.dumps(value)}\n\n".encode())

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _refuse(self, status: int, message: str) -> None:
        body = json.dumps({"error": {"message": message, "type": "error"}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """The endpoint, running; what it was asked."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    Endpoint.requests = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "secret")
        yield Endpoint.requests
        server.shutdown()


def test_a_reply_is_streamed_and_counted(requests: list[dict[str, Any]]) -> None:
    pieces: list[str] = []
    asked = ChatRequest(max_new_tokens=50, temperature=0.5, top_p=0.9, stop=("\n",), seed=9)
    said = conversation("Be kind.", EARLIER, "one two three")
    with listening(lambda event: pieces.append(event.preview)):
        [done] = OpenAIText("echo").reply(said, asked)
    assert pieces == ["one", " two", " three"]
    assert (done.text, done.finish_reason) == ("one two three", "stop")
    assert (done.prompt_tokens, done.completion_tokens) == (7, 3)
    [sent] = requests
    assert sent["path"] == "/v1/chat/completions"
    assert sent["messages"] == said
    expected = {"model": "echo", "max_tokens": 50, "temperature": 0.5, "top_p": 0.9, "stop": ["\n"], "seed": 9}
    assert {name: sent[name] for name in expected} == expected


def test_each_of_several_replies_has_a_seed_of_its_own(requests: list[dict[str, Any]]) -> None:
    done = list(OpenAIText("short").reply(conversation(None, [], "a b"), ChatRequest(n=3, seed=5)))
    assert [completion.row for completion in done] == [0, 1, 2]
    assert {completion.finish_reason for completion in done} == {"length"}
    assert [sent["seed"] for sent in requests] == [5, 6, 7]


def test_prompts_are_continued_by_completions(requests: list[dict[str, Any]]) -> None:
    done = list(OpenAIText("echo").write(["one two", "three"], TextRequest(n=2, seed=1)))
    assert [(completion.row, completion.text) for completion in done] == [
        (0, "one two"),
        (1, "one two"),
        (2, "three"),
        (3, "three"),
    ]
    assert {sent["path"] for sent in requests} == {"/v1/completions"}


def test_what_the_protocol_lacks_is_left_out_and_said(requests: list[dict[str, Any]]) -> None:
    notes: list[str] = []
    request = ChatRequest(top_k=5, min_p=0.1, repetition_penalty=1.2, template="plain")
    with listening(lambda event: notes.append(event.preview) if event.stage == "note" else None):
        list(OpenAIText("echo").reply(conversation(None, [], "a"), request))
    for name in ("top_k", "min_p", "repetition_penalty", "template"):
        assert any(name in note for note in notes)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("busy", "asks for fewer requests.*Rate limit reached"),
        ("unknown", "has no model 'unknown'"),
        ("strict", "maximum context length is 10 tokens"),
        ("cut", r"broke off in the middle of a text \(after 7 characters\)"),
        ("drops", "the connection to .* failed"),
        ("fails", "the GPU is gone"),
        ("garbles", "answered"),
    ],
)
def test_what_goes_wrong_is_a_sentence(requests: list[dict[str, Any]], model: str, words: str) -> None:
    with pytest.raises(RemoteError, match=words) as caught:
        list(OpenAIText(model).reply(conversation(None, [], "one two three"), ChatRequest()))
    assert "\n" not in str(caught.value)


def test_a_key_it_does_not_know_is_a_sentence(requests: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "wrong")
    with pytest.raises(RemoteError, match=r"refused the key: Incorrect API key provided; set OPENAI_API_KEY"):
        list(OpenAIText("echo").reply(conversation(None, [], "Hello"), ChatRequest()))


def test_where_nothing_listens_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{port}/v1")
    with pytest.raises(RemoteError, match=r"failed.*OPENAI_BASE_URL is right"):
        list(OpenAIText("echo").reply(conversation(None, [], "Hello"), ChatRequest()))


def test_without_an_address_or_a_key_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(RemoteError, match="set OPENAI_BASE_URL"):
        OpenAIText("gpt-4o-mini")
