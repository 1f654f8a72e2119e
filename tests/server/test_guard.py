"""Hostile use: each protection is met here by what it protects from."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import resource
import socket
import struct
import threading
import time
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest
from PIL import Image

from genarium import files
from genarium.checkpoints.store import catalogue
from genarium.errors import BadInput
from genarium.ledger import Ledger
from genarium.server import jobs, keys, uploads
from genarium.server import serve as serving
from genarium.server.settings import ServerSettings
from genarium.tasks import tasks
from tests.latent_models import latent_folder
from tests.server.conftest import Running, Serve
from tests.server.test_jobs import until

KEY = "a-long-enough-key"
TEXT = {"prompt": "The fox", "model": "tiny", "max_new_tokens": 2}


def head_of(length: int, path: str = "/v1/tasks/text") -> bytes:
    """Of a request for a text."""
    kind = "Content-Type: application/json"
    return f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{kind}\r\nContent-Length: {length}\r\n\r\n".encode()


def connected(server: Running, *, receive_buffer: int | None = None) -> socket.socket:
    host, port = server.address.removeprefix("http://").split(":")
    client = socket.socket()
    client.settimeout(600)
    if receive_buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.connect((host, int(port)))
    return client


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_it_listens_to_other_machines_only_with_a_key(host: str) -> None:
    with pytest.raises(BadInput, match="--api-key"):
        ServerSettings(host=host)
    assert ServerSettings(host=host, keys=(KEY,)).host == host
    with pytest.raises(BadInput, match="8 letters"):
        ServerSettings(keys=("short",))


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.evil.example", ""]
)
def test_a_page_whose_name_is_made_to_resolve_here_gets_nothing(server: Running, host: str) -> None:
    for path in ("/v1/history", "/v1/models", "/health", "/"):
        answered = server.http.get(path, headers={"Host": host})
        assert answered.status_code == 421, path
    known = server.http.get("/health", headers={"Host": "localhost:8000"})
    assert known.status_code == 200
    assert server.http.get("/health", headers={"Host": "[::1]:8000"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},  # another server of this machine
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
def test_another_site_s_page_can_neither_post_nor_embed(server: Running, headers: dict[str, str]) -> None:
    assert server.http.post("/v1/tasks/text", json=TEXT, headers=headers).status_code == 403
    assert server.http.get("/v1/history", headers=headers).status_code == 403
    with Ledger() as ledger:
        assert ledger.count() == 0
    own = {"Origin": server.address, "Sec-Fetch-Site": "same-origin"}
    assert server.http.post("/v1/tasks/text", json=TEXT, headers=own).status_code == 200
    # A page may send a form, or bytes of no type, without being asked first; neither is taken for JSON.
    for form in ({"Content-Type": "text/plain"}, {}):
        assert server.http.post("/v1/tasks/text", content=json.dumps(TEXT), headers=form).status_code == 400


def test_an_allowed_origin_may_and_is_told_so(serve: Serve) -> None:
    server = serve(allowed_origins=("https://app.example",))
    headers = {"Origin": "https://app.example"}
    answered = server.http.post("/v1/tasks/text", json=TEXT, headers=headers)
    assert answered.status_code == 200
    assert answered.headers["access-control-allow-origin"] == "https://app.example"
    preflight = headers | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    assert server.http.options("/v1/tasks/text", headers=preflight).status_code == 200
    assert server.http.get("/v1/models", headers={"Origin": "https://other.example"}).status_code == 403


def test_without_its_key_nothing_is_told_and_keys_are_compared_in_constant_time(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(keys=(KEY, "another-long-key"))
    compared: list[Any] = []
    compare = keys.hmac.compare_digest
    monkeypatch.setattr(keys.hmac, "compare_digest", lambda a, b: compared.append(a) or compare(a, b))
    for path in ("/v1/models", "/v1/history", "/metrics", "/openapi.json", "/v1/artefacts/x/content", "/nowhere"):
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": KEY},
            {"Cookie": "genarium_session=x"},
        ):
            answered = server.http.get(path, headers=headers)
            assert answered.status_code == 401, (path, headers)
            assert answered.json()["error"]["type"] == "authentication_error"
    assert compared, "keys are compared some other way"
    compared.clear()
    assert server.http.get("/v1/models", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
    assert len(compared) == 2, "the time tells which key it was"
    assert server.http.get("/health").status_code == 200
    assert server.http.get("/v1/models", headers={"Authorization": b"Bearer \xff\xfe"}).status_code == 401  # type: ignore[dict-item]


def test_a_browser_changes_the_key_for_a_cookie_that_scripts_can_t_read(serve: Serve) -> None:
    server = serve(keys=(KEY,))
    assert server.http.post("/session", json={"key": "wrong-wrong"}).status_code == 401
    answered = server.http.post("/session", json={"key": KEY})
    said = answered.headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=strict" in said
    assert KEY not in said
    cookie = {"Cookie": answered.headers["set-cookie"].partition(";")[0]}
    assert server.http.get("/v1/models", headers=cookie).status_code == 200
    assert server.http.get("/v1/models", headers=cookie | {"Origin": "https://evil.example"}).status_code == 403


def test_a_large_body_is_refused_before_it_is_read_whole(serve: Serve) -> None:
    server = serve(max_body=100_000)
    with connected(server) as client:
        client.sendall(head_of(200_000))  # and nothing of the body
        assert b" 413 " in client.recv(4096).split(b"\r\n")[0]
    sent = 0

    def pieces() -> Any:
        nonlocal sent
        for _ in range(1000):  # a hundred megabytes, of unknown length
            sent += 100_000
            yield b"x" * 100_000

    try:
        headers = {"Content-Type": "application/json"}
        assert server.http.post("/v1/tasks/text", content=pieces(), headers=headers).status_code == 413
    except httpx2.HTTPError:
        pass  # the connection was closed on it
    assert sent < 20_000_000
    assert server.http.get("/health").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"prompt": ' + b"9" * 10_000 + b"}",
        b'{"prompt": "\\ud800", "model": "tiny"}',
        b'{"prompt": 1, "model": "tiny"}',
        b'{"prompt": "x", "model": "tiny", "temperature": NaN}',
        b'{"prompt": "x", "model": "tiny", "temperature": 1e999}',
        b'{"prompt": "x", "model": "tiny", "seed": 1e30}',
        b'{"prompt": "x", "model": "tiny", "seed": -1}',
        b'{"prompt": "x", "model": "tiny", "n": 1000000}',
        b'{"prompt": "x", "model": "tiny", "max_new_tokens": 1000000000}',
        b'{"prompt": "x", "model": "tiny", "max_tokens": 1000000000}',
        b'{"prompt": "x", "model": "tiny", "max_new_tokens": true}',
        b'{"prompt": "x", "model": {"a": 1}}',
        b'{"prompt": "x", "model": "../../etc"}',
        b'{"prompt": "x", "model": "tiny", "\\ud800": 1}',
        b'{"prompt": "x", "model": "tiny", "self": 1, "task": 2, "args": 3}',
    ],
    ids=range(21),
)
def test_malformed_and_excessive_requests_get_one_sentence(server: Running, body: bytes) -> None:
    for path in ("/v1/tasks/text", "/v1/completions"):
        if path == "/v1/tasks/text":  # whose usual length is more than the small model holds: that is not what is wrong
            body = body.replace(b'"model": "tiny"', b'"model": "tiny", "max_new_tokens": 2')
        answered = server.http.post(path, content=body, headers={"Content-Type": "application/json"})
        if path == "/v1/completions" and answered.status_code == 200:
            assert b"max_new" in body or b"self" in body or b"\\ud800" in body  # fields nobody knows are left out there
            continue
        assert answered.status_code in (400, 404), (path, answered.text)
        assert answered.json()["error"]["message"]


def test_an_image_that_unpacks_into_more_than_memory_is_refused_wherever_it_is_sent(
    serve: Serve, home: Path, tmp_path: Path
) -> None:
    server = serve(models={"painter": str(latent_folder(tmp_path / "painter"))})

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    side = 60_000
    pixels = zlib.compress(b"\0" * (side * 100))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    identifier = server.http.post("/v1/files", files={"file": ("bomb.png", bomb)}).json()["id"]
    data = f"data:image/png;base64,{base64.b64encode(bomb).decode()}"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for task, photo in (
        ("image", {"prompt": "a bat", "init": identifier, "model": "painter"}),
        ("caption", {"photos": [identifier]}),
        ("explain", {"photo": data, "caption": "a bat"}),
    ):
        answered = server.http.post(f"/v1/tasks/{task}", json=photo)
        assert answered.status_code == 400, (task, answered.text)
        assert "more than the 100,000,000 pixels" in answered.text, answered.text
        assert str(home) not in answered.text
    sent = {"image": ("bomb.png", bomb), "mask": ("bomb.png", bomb)}
    edited = server.http.post("/v1/images/edits", data={"prompt": "a bat", "model": "painter"}, files=sent)
    assert edited.status_code == 400, edited.text
    assert "more than the 100,000,000 pixels" in edited.text
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # KiB
    assert grown < 4 * 2**20, "10.8 GB were unpacked"


@pytest.mark.parametrize(
    "identifier",
    [
        "..",
        "../ledger.sqlite",
        "..%2f..%2fledger.sqlite",
        "%2e%2e%2fledger.sqlite",
        "..%5cledger.sqlite",
        "a%00b",
        "x'--",
        "%25",
    ],
)
def test_tricks_with_paths_find_nothing(server: Running, identifier: str) -> None:
    made = server.http.post("/v1/tasks/text", json=TEXT)
    assert made.status_code == 200
    uploads.keep(b"so that there is a folder to go up from", "x.txt")
    with pytest.raises(BadInput):
        uploads.find(unquote(identifier))
    for path in (
        f"/v1/artefacts/{identifier}/content",
        f"/v1/artefacts/{identifier}",
        f"/v1/files/{identifier}",
        f"/static/{identifier}",
    ):
        with connected(server) as client:  # as it is: a client would tidy the path up
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            answered = b"".join(iter(lambda: client.recv(65536), b""))
        assert answered.split(b" ")[1] == b"404", (path, answered[:300])
        assert b"SQLite" not in answered


def test_clients_name_only_the_models_they_may(serve: Serve) -> None:
    folder = str(catalogue.starters()["text"].path)
    assert serve().http.post("/v1/tasks/text", json=TEXT | {"model": folder}).status_code == 404
    assert serve(any_model=True).http.post("/v1/tasks/text", json=TEXT | {"model": folder}).status_code == 200


def test_that_holds_for_the_models_beside_a_task_s_own_too(server: Running) -> None:
    named = {name: task.model_arguments[1:] for name, task in tasks().items() if len(task.model_arguments) > 1}
    assert named == {"ask": ["ranker"], "explain": ["captioner"], "image": ["matcher"]}
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "navy").save(out, "png")
    photo = "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
    folder = str(catalogue.starters()["caption"].path)
    asked = {"photo": photo, "captioner": folder}
    assert server.http.post("/v1/tasks/explain", json=asked).status_code == 404
    assert server.http.post("/v1/tasks/explain", json=asked | {"captioner": "starter"}).status_code == 200


@pytest.mark.parametrize(
    "named", ["/etc/hostname", "/", "-", ".", "~", "file:///etc/hostname", "http://127.0.0.1:{port}/health"]
)
@pytest.mark.parametrize("task", ["caption", "explain"])
def test_a_photo_is_never_a_place_on_the_server_or_beside_it(server: Running, task: str, named: str) -> None:
    named = named.replace("{port}", server.address.rpartition(":")[2])
    photo: dict[str, object] = {"photos": [named]} if task == "caption" else {"photo": named, "caption": "a bat"}
    for more in ({}, {"allow_private": True}):
        answered = server.http.post(f"/v1/tasks/{task}", json=photo | more)
        assert answered.status_code == 400, answered.text
        assert not (files.home() / "photos").exists()
    listed = server.http.get("/v1/tasks").json()["data"]
    [schema] = [one for one in listed if one["url"] == f"/v1/tasks/{task}"]
    told = schema["properties"]["photos" if task == "caption" else "photo"]
    assert told.get("items", told)["format"] == "file-reference"


def test_a_photo_that_was_sent_is_captioned_and_named_without_its_place_on_the_server(
    server: Running, home: Path
) -> None:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "navy").save(out, "png")
    data = "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
    answered = server.http.post("/v1/tasks/caption", json={"photos": [data]})
    assert answered.status_code == 200, answered.text
    assert hashlib.sha256(out.getvalue()).hexdigest() in answered.text
    [made] = answered.json()["artefacts"]
    recipe = server.http.get(f"/v1/artefacts/{made['id']}/recipe").text
    assert str(home) not in answered.text + recipe
    again = server.http.post(f"/v1/artefacts/{made['id']}/again", json={}).json()
    assert again["recipe_sha256"] == answered.json()["recipe_sha256"]
    assert again["artefacts"][0]["rows"] == made["rows"]


def test_what_was_made_is_shown_without_running_anything_in_it(server: Running) -> None:
    made = server.http.post("/v1/tasks/text", json=TEXT | {"prompt": "<script>alert(1)</script>"}).json()
    shown = server.http.get(made["artefacts"][0]["url"])
    assert shown.headers["content-type"].startswith("text/plain")
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in shown.headers["content-security-policy"]
    assert (
        server.http.get(made["artefacts"][0]["url"] + "?download=1")
        .headers["content-disposition"]
        .startswith("attachment")
    )


def test_connections_that_say_nothing_or_little_end_and_a_thousand_keep_nobody_out(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "HEADERS_WITHIN", 2.0)
    serving._allow_many_connections()
    idle = [connected(server) for _ in range(1000)]
    idle[0].sendall(b"GET /health HTTP/1.1\r\nHost: 127")  # and never more
    assert server.http.post("/v1/tasks/text", json=TEXT).status_code == 200
    for client in idle:
        assert client.recv(1) == b"", "it is still open"
        client.close()
    assert server.http.get("/health").status_code == 200


def test_a_body_that_comes_too_slowly_is_not_waited_for(serve: Serve) -> None:
    server = serve(body_within=0.5)
    with connected(server) as client:
        client.sendall(head_of(50) + b"{")
        assert b" 408 " in client.recv(4096).split(b"\r\n")[0]


def test_a_client_that_does_not_read_holds_nobody_up_and_is_told_what_it_missed(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "KEPT_EVENTS", 1024)
    server.server.servers[0].sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    asked = {"model": "tiny", "prompt": "The fox", "max_tokens": 90, "n": 128, "logprobs": 20, "stream": True}
    with connected(server, receive_buffer=4096) as client:
        body = json.dumps(asked).encode()
        client.sendall(head_of(len(body), "/v1/completions") + body)
        assert until(lambda: server.desk.queue.running() == 1)
        assert server.http.post("/v1/tasks/text", json=TEXT).status_code == 200
        assert until(lambda: server.desk.queue.running() == 0), "it waits for who does not read"
        [job] = server.desk.jobs.values()
        assert len(job.events) == 1024, "what nobody reads is kept without end"
        read = bytearray()
        while not read.endswith(b"0\r\n\r\n"):
            read += client.recv(2**20)
    _, said, done = bytes(read).rsplit(b"data: ", 2)
    assert b"faster than this stream is read" in said
    assert done.startswith(b"[DONE]")


def test_clients_that_hang_up_at_any_moment_leave_nothing_running(server: Running) -> None:
    body = json.dumps(TEXT | {"max_new_tokens": 60, "n": 4}).encode()
    head = head_of(len(body))
    whole = head + body

    def hang_up(sent: int, pause: float) -> None:
        with connected(server) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, not a goodbye
            client.sendall(whole[:sent])
            time.sleep(pause)

    cuts = [(sent, pause) for sent in (0, 1, 40, len(head), len(head) + 5, len(whole)) for pause in (0, 0.01, 0.1)]
    threads = [threading.Thread(target=hang_up, args=cut) for cut in cuts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert until(lambda: server.desk.queue.running() == len(server.desk.queue) == len(server.desk.jobs) == 0)
    assert server.http.post("/v1/tasks/text", json=TEXT).status_code == 200


def test_the_log_has_a_line_a_request_and_prompts_only_where_asked(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    from genarium.server.logs import JsonLines

    def logged(server: Running) -> str:
        caplog.clear()
        with caplog.at_level("INFO", logger="genarium.server"):
            server.http.post("/v1/tasks/text", json=TEXT | {"prompt": "my secret"}, headers={"X-Request-Id": "seven"})
            server.http.get("/v1/history?search=secret")
        lines = [JsonLines().format(record) for record in caplog.records]
        told = [json.loads(line) for line in lines]
        assert [(one["route"], one["status"]) for one in told] == [("/v1/tasks/text", 200), ("/v1/history", 200)]
        assert told[0]["request"] == "seven"
        return "\n".join(lines)

    assert "secret" not in logged(serve())
    assert "my secret" in logged(serve(log_prompts=True))


def test_metrics_count_what_happened_under_the_routes_names(server: Running) -> None:
    server.http.post("/v1/tasks/text", json=TEXT)
    server.http.get("/v1/artefacts/nothing")
    told = server.http.get("/metrics").text
    assert 'genarium_requests_total{method="POST",route="/v1/tasks/text",status="200"} 1.0' in told
    assert 'genarium_requests_total{method="GET",route="/v1/artefacts/{artefact}",status="404"} 1.0' in told
    assert 'genarium_jobs_total{status="done",task="text"} 1.0' in told
    assert 'genarium_tokens_total{kind="completion"} 2.0' in told
    assert "nothing" not in told


def test_an_error_of_ours_tells_nothing_and_is_logged(
    server: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from genarium.server import queue

    def broken(*args: object, **how: object) -> None:
        raise RuntimeError("a path of ours: /home/ada")

    monkeypatch.setattr(queue, "run", broken)
    answered = server.http.post("/v1/tasks/text", json=TEXT)
    assert answered.status_code == 500
    assert "ada" not in answered.text
    assert "/home/ada" in caplog.text


def test_an_upload_is_named_by_its_content(server: Running) -> None:
    for name in ("../../evil.sh", "a.PNG", "x" * 300, "a.b;rm", ""):
        sent = server.http.post("/v1/files", files={"file": (name or "f", io.BytesIO(b"same"))}).json()
        assert set(sent["id"].removeprefix("file-")) <= set("0123456789abcdef.shpng")
