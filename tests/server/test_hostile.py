"""Hostile use of the server that once got in, or held others up."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from genarium.engines.cpu.batching import by_length
from genarium.engines.text.protocol import StopWatcher
from genarium.ledger import Ledger
from genarium.server import keys as keys_module
from genarium.server import queue as queues
from genarium.server.keys import Guesses
from tests.server.conftest import Running, Serve
from tests.server.test_guard import KEY, TEXT, connected, head_of
from tests.server.test_jobs import slow, until

__all__ = ["slow"]
COMPLETION = {"model": "tiny", "prompt": "The fox", "max_tokens": 2}


@pytest.mark.parametrize(
    "host",
    [
        "[::1].evil.com",
        "[::1]evil.com",
        "[::1]:80:evil.com",
        "[::1%evil.com]",
        "[evil.com]",
        "127.0.0.1:evil.com",
        "127.0.0.1:80:evil.com",
        "127.0.0.1@evil.com",
        "evil.com@127.0.0.1",
        "localhost.evil.com",
        "localhost evil.com",
        "2130706433",
        "0x7f.1",
        "[",
        "[]",
        ":80",
    ],
)
def test_a_host_that_only_begins_as_an_address_is_another_one(server: Running, host: str) -> None:
    assert server.http.get("/v1/models", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["[::1]", "[::1]:80", "127.0.0.1:8000", "LOCALHOST", "192.168.1.5:1", "[fe80::1]"])
def test_addresses_and_its_own_names_are_known(server: Running, host: str) -> None:
    assert server.http.get("/v1/models", headers={"Host": host}).status_code == 200


def test_a_session_that_was_ended_is_of_no_use_anywhere(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server, beside = serve(keys=(KEY,)), serve(keys=(KEY,))

    def cookie() -> dict[str, str]:
        said = server.http.post("/session", json={"key": KEY}).headers["set-cookie"]
        server.http.cookies.clear()
        return {"Cookie": said.partition(";")[0]}

    def status(of: dict[str, str], where: Running = server) -> int:
        return where.http.get("/v1/models", headers={"Cookie": of["Cookie"].encode()}).status_code  # type: ignore[dict-item]

    mine, other = cookie(), cookie()
    assert mine != other
    assert (status(mine), status(other), status(mine, beside)) == (200, 200, 200)
    assert server.http.delete("/session", headers=mine).status_code == 200
    assert (status(mine), status(other), status(mine, beside)) == (401, 200, 401)
    name, _, value = mine["Cookie"].partition("=")
    identifier, begun, seal = other["Cookie"].partition("=")[2].split(".")
    for forged in (f"{identifier}.{int(begun) + 9}.{seal}", f"{value}.{value}", "..", f"{identifier}..{seal}", "é.1.2"):
        assert status({"Cookie": f"{name}={forged}"}) == 401, forged
    monkeypatch.setattr(keys_module, "SESSION_SECONDS", -1)
    assert status(other) == 401, "it has no end"


def test_who_tries_keys_waits_ever_longer_and_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    guesses = Guesses(lambda: now)
    for _ in range(keys_module.GUESSES - 1):
        guesses.say("192.0.2.1", None)
        assert guesses.wait("192.0.2.1") == 0
    waits = []
    for _ in range(9):
        guesses.say("192.0.2.1", None)
        waits.append(guesses.wait("192.0.2.1"))
        now += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    guesses.say("192.0.2.1", None)
    assert guesses.wait("192.0.2.2") == 0
    now += keys_module.FORGOTTEN_AFTER + 60
    guesses.say("192.0.2.1", None)
    assert guesses.wait("192.0.2.1") == 0, "it is never forgotten"
    for number in range(20):  # one household's network
        guesses.say(f"2001:db8::{number}", None)
    assert guesses.wait("2001:db8::ffff") > 0
    monkeypatch.setattr(keys_module, "MOST_ADDRESSES", 100)
    for number in range(300):
        guesses.say(f"10.0.{number // 250}.{number % 250}", None)
        guesses.say(f"10.1.{number // 250}.{number % 250}", "key-1")
    assert len(guesses.wrong) == len(guesses.right) == 100, "it takes memory without end"


def test_a_guessed_key_is_held_up_and_a_known_one_is_not(serve: Serve) -> None:
    server = serve(keys=(KEY, "another-long-key"))
    right = {"Authorization": f"Bearer {KEY}"}
    assert server.http.get("/v1/models", headers=right).status_code == 200
    for _ in range(5):
        assert server.http.get("/v1/models", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert server.http.post("/session", json={"key": "wrong-wrong"}).status_code == 401
    held = server.http.get("/v1/models", headers={"Authorization": "Bearer another-long-key"})
    assert held.status_code == 429, "the tenth guess in a row would have been told to be right"
    assert int(held.headers["retry-after"]) >= 1
    assert server.http.post("/session", json={"key": "another-long-key"}).status_code == 429
    assert server.http.get("/v1/models", headers=right).status_code == 200, "who worked here is locked out by others"
    assert server.http.get("/v1/models").status_code == 401


def test_a_full_queue_is_told_before_a_stream_begins(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    def run(*_: object, **__: object) -> None:
        go.wait(600)
        raise ValueError

    server = serve(waiting=1, together=1)
    monkeypatch.setattr(queues, "run", run)
    try:
        for _ in range(2):
            assert server.http.post("/v1/tasks/text?wait=0", json=TEXT).status_code == 202
        chat = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "template": "plain", "stream": True}
        for path, asked in (
            ("/v1/completions", COMPLETION | {"stream": True}),
            ("/v1/chat/completions", chat),
            ("/v1/responses", {"model": "tiny", "input": "Hi", "template": "plain", "stream": True}),
        ):
            full = server.http.post(path, json=asked)
            assert full.status_code == 429, (path, full.text)
            assert int(full.headers["retry-after"]) >= 1
        assert server.http.post("/v1/completions", json=COMPLETION | {"prompt": ["a"] * 9}).status_code == 400
        assert len(server.desk.jobs) == 2
    finally:
        go.set()


def test_what_is_wrong_is_told_before_a_stream_begins_and_what_fails_later_ends_it(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = COMPLETION | {"stream": True}
    for path, wrong in (
        ("/v1/completions", asked | {"max_tokens": 90_000}),
        ("/v1/chat/completions", {"model": "tiny", "messages": [{"role": "user", "content": "x"}], "stream": True}),
    ):
        refused = server.http.post(path, json=wrong)
        assert refused.status_code == 400, refused.text
        assert refused.json()["error"]["message"]
    whole, read = queues.run, threading.Event()

    def broken(recipe: Any, *, listener: Any) -> Any:
        whole(recipe, listener=listener, keep=False)
        read.wait(60)  # what fails before anything is read is answered with its status instead
        raise RuntimeError("midway")

    monkeypatch.setattr(queues, "run", broken)
    lines = []
    with server.http.stream("POST", "/v1/completions", json=asked) as failed:
        assert failed.status_code == 200
        for line in failed.iter_lines():
            lines.append(line)
            read.set()
    *pieces, error, done = [line for line in lines if line.startswith("data: ")]
    assert pieces
    assert json.loads(error.removeprefix("data: "))["error"]["type"] == "server_error"
    assert done == "data: [DONE]"
    assert until(lambda: not server.desk.jobs)


def test_more_than_one_request_may_ask_for_is_refused_before_work_begins(serve: Serve) -> None:
    server = serve(max_text=1000, max_texts=64, max_tokens=2000)
    for path, asked, said in (
        ("/v1/completions", COMPLETION | {"prompt": ["x"] * 64, "n": 128}, "8,192 texts"),
        ("/v1/completions", COMPLETION | {"n": 64, "max_tokens": 90}, "5,760 new tokens"),
        ("/v1/completions", COMPLETION | {"prompt": "x" * 1001}, "1,005 characters"),
        ("/v1/tasks/text", TEXT | {"n": 256}, "256 texts"),
        ("/v1/tasks/embed", {"texts": ["x" * 600, "y" * 600]}, "1,20"),
        (
            "/v1/decisions",
            {"model": "tiny", "input": "x" * 100, "questions": [{"type": "predicate", "question": "?"}] * 64},
            "characters",
        ),
        ("/v1/tasks/text", TEXT | {"stop": ["x"] * 65}, "stop has 65 items"),
    ):
        refused = server.http.post(path, json=asked)
        assert refused.status_code == 400, (path, refused.text)
        assert said in refused.json()["error"]["message"], refused.text
    with Ledger() as ledger:
        assert ledger.count() == 0
    assert server.http.post("/v1/tasks/text", json=TEXT | {"n": 64}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"model": "tiny", "prompt": [' + b"[]," * 500_000 + b"[]]}",
        b'{"model": "tiny", "prompt": [' + b"null," * 600_000 + b"1]}",
        b'{"model": "tiny", "prompt": "x", "logit_bias": {' + b'"a":1,' * 600_000 + b'"a":1}}',
    ],
    ids=["lists", "nulls", "object"],
)
def test_a_body_that_unpacks_into_much_more_is_refused_as_it_comes(server: Running, body: bytes) -> None:
    began = time.process_time()
    answered = server.http.post("/v1/completions", content=body, headers={"Content-Type": "application/json"})
    assert answered.status_code == 413
    assert time.process_time() - began < 20


def test_a_long_prompt_holds_nobody_up(server: Running) -> None:
    waits: list[float] = []
    asked = COMPLETION | {"prompt": "漢字" * 400_000}
    sent = threading.Thread(target=lambda: server.http.post("/v1/completions", json=asked))
    sent.start()
    with httpx2.Client(base_url=server.address, timeout=600) as other:
        while sent.is_alive():
            began = time.monotonic()
            assert other.get("/health").status_code == 200
            waits.append(time.monotonic() - began)
            time.sleep(0.01)
    assert len(waits) > 3, "it was answered only when the prompt was read"


def test_nested_too_deeply_is_the_sender_s_mistake(server: Running) -> None:
    deep = "[" * 100_000
    for task, named in (("answer", "questions"), ("classify", "file")):
        asked = {named: f"data:application/jsonl,{deep}", "labels": ["a", "b"]}
        asked = asked if task == "classify" else {named: asked[named], "context": "x"}
        refused = server.http.post(f"/v1/tasks/{task}", json=asked)
        assert refused.status_code == 400, refused.text


def test_an_error_of_ours_is_logged_as_what_it_was_and_answered_once(
    server: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(server.desk.models, "listed", broken)
    with caplog.at_level("INFO", logger="genarium.server"):
        answered = server.http.get("/v1/models")
        # The line is written when the answer has gone.
        assert until(lambda: any(hasattr(record, "facts") for record in caplog.records))
    assert answered.status_code == 500
    assert answered.json()["error"]["code"] == "internal_error"
    assert answered.headers["x-request-id"]
    assert [record.facts["status"] for record in caplog.records if hasattr(record, "facts")] == [500]  # type: ignore[attr-defined]
    assert 'status="500"} 1.0' in server.http.get("/metrics").text


def test_stop_strings_take_time_linear_in_what_is_written() -> None:
    watcher = StopWatcher(["a" * 64_000 + "b"])
    began = time.process_time()
    for _ in range(3000):
        assert watcher.add("aaaa") == ""
    assert watcher.rest() == "a" * 12_000
    assert time.process_time() - began < 5, "each token takes time for each character of the stop string"


def test_a_stop_string_is_found_wherever_it_is_cut(tmp_path: Path) -> None:
    for stops, text, shown in (
        (["abab"], "aababab", "a"),
        (["xy", "axyz"], "baxyz", "ba"),
        (["axyz", "y"], "baxyz", "bax"),
        (["aab"], "aaaab", "aa"),
        (["", "b"], "ab", "a"),
        ([], "ab", "ab"),
    ):
        for size in (1, 2, 3, 9):
            watcher = StopWatcher(stops)
            pieces = [text[at : at + size] for at in range(0, len(text), size)]
            said = ""
            for piece in pieces:
                said += watcher.add(piece)
                if watcher.stopped:
                    break
            said += watcher.rest()
            # A stop string that ends in an earlier piece comes first, one that begins earlier where they end in one.
            if size == 1 or len(stops) < 2:
                assert said == shown, (stops, text, size)


def test_finished_jobs_take_no_more_memory_than_is_kept_for_them(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genarium.server import desk

    for _ in range(6):
        made = server.http.post("/v1/tasks/text?wait=0", json=TEXT).headers["location"]
        assert until(lambda made=made: server.http.get(made).json()["status"] == "done")  # type: ignore[misc]
    one = next(iter(server.desk.jobs.values()))
    assert one.size > len(json.dumps(one.answer))
    monkeypatch.setattr(desk, "KEPT_BYTES", int(one.size * 2.5))
    assert server.http.post("/v1/tasks/text?wait=0", json=TEXT).status_code == 202
    assert len([job for job in server.desk.jobs.values() if job.ended]) <= 3


def test_work_that_tells_nothing_ends_after_its_client_left(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = 0

    def run(*_: object, **__: object) -> None:
        nonlocal batches
        while True:
            for _batch in by_length([4096] * 100):  # as encoders go through texts
                batches += 1
                time.sleep(0.01)

    monkeypatch.setattr(queues, "run", run)
    body = b'{"texts": ["a film"]}'
    with connected(server) as client:
        client.sendall(head_of(len(body), "/v1/tasks/embed") + body)
        assert until(lambda: batches > 0)
    assert until(lambda: server.desk.queue.running() == 0), "it continues for nobody"
