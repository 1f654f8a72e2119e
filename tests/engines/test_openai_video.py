"""Endpoints with OpenAI's `/videos`: here a small server that makes some, on this machine."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from PIL import Image

from genarium.artefacts import encoding
from genarium.engines.video.openai import OpenAIVideo
from genarium.engines.video.protocol import GeneratedVideo, VideoRequest, settle
from genarium.errors import BadInput, RemoteError
from genarium.progress import Event, listening
from tests.moving import moving

FILM = moving(24, 64, 48)


class Endpoint(BaseHTTPRequestHandler):
    """Three answers until a video is there; the model's name says what shall go wrong."""

    protocol_version = "HTTP/1.1"
    jobs: dict[str, dict[str, Any]]

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        asked = self._form()
        if self.path != "/v1/videos" or asked["model"] == b"chat":
            return self._send(404, {"error": {"message": "Not Found"}})
        if self.headers["Authorization"] != "Bearer secret":
            return self._send(401, {"error": {"message": "Incorrect API key provided"}})
        if asked["model"] == b"strict":
            return self._send(400, {"error": {"message": "size must be one of 720x1280, 1280x720"}})
        if asked["model"] == b"odd":
            return self._send(200, {"object": "list"})
        name = f"video_{len(self.jobs)}"
        self.jobs[name] = {"asked": asked, "answers": 0}
        return self._send(200, {"id": name, "object": "video", "status": "queued", "progress": 0})

    def do_GET(self) -> None:
        name, _, content = self.path.removeprefix("/v1/videos/").partition("/")
        job = self.jobs[name]
        model = job["asked"]["model"]
        if content:
            film = encoding.written(FILM, 12, ".mp4", {})
            return self._send(
                200, film[: len(film) // 3] if model == b"cut" else b"<html>" if model == b"page" else film
            )
        job["answers"] += 1
        if model == b"drops" and job["answers"] > 1:
            self.close_connection = True
            return None
        status = "in_progress" if job["answers"] < 3 else "failed" if model == b"fails" else "completed"
        error = {"code": "moderation", "message": "the prompt was refused\nby a filter"} if status == "failed" else None
        about = {"id": name, "status": status, "progress": 33 * job["answers"], "error": error}
        return self._send(200, about)

    def _form(self) -> dict[str, bytes]:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = BytesParser().parsebytes(head + body).get_payload()
        names = [re.search(r'name="([^"]+)"', str(part["Content-Disposition"])) for part in parts]  # type: ignore[index,union-attr]
        return {name[1]: part.get_payload(decode=True) for name, part in zip(names, parts, strict=True) if name}  # type: ignore[misc,union-attr]

    def _send(self, status: int, body: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "video/mp4" if isinstance(body, bytes) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, dict[str, Any]]]:
    """The endpoint, running; what it was asked."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("genarium.engines.video.openai.WAITS", (0.01, 0.02))
    Endpoint.jobs = {}
    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "secret")
        yield Endpoint.jobs
        server.shutdown()


def films(model: str, **asked: Any) -> list[GeneratedVideo]:
    engine = OpenAIVideo(model)
    return list(engine.generate(settle(VideoRequest("a red square", **({"seeds": (7,)} | asked)), engine)))


def test_a_video_is_asked_for_waited_for_and_read(jobs: dict[str, dict[str, Any]]) -> None:
    heard: list[Event] = []
    with listening(heard.append):
        [film] = films("sora-2", frames=48, size=(64, 48), init=Image.new("RGB", (100, 100), "red"))
    sent = jobs["video_0"]["asked"]
    picture = sent.pop("input_reference")
    assert picture.startswith(b"\x89PNG")
    assert sent == {"model": b"sora-2", "prompt": b"a red square", "size": b"64x48", "seconds": b"2", "seed": b"7"}
    assert (film.frames.shape, film.fps) == (FILM.shape, 12.0)
    assert np.abs(film.frames.astype(int) - FILM).mean() < 8
    assert [one.done for one in heard if one.stage == "denoising"] == [0, 33, 66, 100]
    assert not [one for one in heard if one.stage == "note"]  # 24 frames at 12 a second are 2 seconds


def test_what_is_not_asked_for_is_the_endpoint_s_choice_and_each_video_is_a_job(
    jobs: dict[str, dict[str, Any]],
) -> None:
    assert [(film.row, film.seed) for film in films("sora-2", seeds=(1, 2))] == [(0, 1), (1, 2)]
    assert [set(job["asked"]) for job in jobs.values()] == [{"model", "prompt", "seed"}] * 2


def test_what_was_made_otherwise_is_said(jobs: dict[str, dict[str, Any]]) -> None:
    heard: list[Event] = []
    with listening(heard.append):
        films("sora-2", frames=96, size=(128, 96))
    said = [one.preview for one in heard if one.stage == "note"]
    assert said == [
        "openai:sora-2 made 64x48 where 128x96 was asked",
        "openai:sora-2 made 2 seconds where 4 were asked",
    ]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"frames": 50}, "asked for whole seconds, which are 24 frames each, got 50 frames; try 48 or 72"),
        ({"frames": 5}, "got 5 frames; try 24"),
        ({"fps": 30.0}, "chooses its own frames a second; leave out fps"),
        ({"negative_prompt": "sky"}, "takes no negative prompt; leave out negative prompt"),
        ({"options": {"steps": 4}}, "takes no steps; leave out steps"),
        ({"explain": True}, "leave out explain"),
    ],
)
def test_what_the_protocol_has_no_words_for_is_refused(
    jobs: dict[str, dict[str, Any]], asked: dict[str, Any], says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        films("sora-2", **asked)
    assert not jobs


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("chat", "has no model 'chat', or not this kind of request: Not Found"),
        ("strict", "answered: size must be one of 720x1280, 1280x720"),
        ("odd", "answered with no job of a video"),
        ("fails", "made no video, its job video_0 is failed: the prompt was refused$"),
        ("cut", "sent a file that is no video as it should be: it is damaged"),
        ("page", "sent a file that is no video as it should be: it is damaged"),
        ("drops", r"the connection to .* failed.*\(its job video_0 may finish there\)"),
    ],
)
def test_what_goes_wrong_is_a_sentence(jobs: dict[str, dict[str, Any]], model: str, says: str) -> None:
    with pytest.raises(RemoteError, match=says) as caught:
        films(model)
    assert "\n" not in str(caught.value)
