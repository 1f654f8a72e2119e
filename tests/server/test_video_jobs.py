"""`/v1/videos` with the official `openai` package: made, polled, read in ranges, deleted; a restart loses none."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import openai
import pytest
from PIL import Image

import genarium
from genarium import files
from genarium.ledger import Ledger
from genarium.progress import Event
from genarium.server.openai.video_jobs import MOST_STARTS, VideoJob
from tests.moving import moving_folder
from tests.server.conftest import Running, Serve
from tests.server.test_openai_client import client_of

__all__ = ["moving_folder"]
pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")
SMALL = {"seed": 7, "frames": 4, "fps": 8, "steps": 3}


@pytest.fixture
def serve_clips(serve: Serve, moving_folder: Path) -> Callable[..., Running]:
    return lambda **settings: serve(models={"clips": str(moving_folder)}, **settings)


def ask(client: openai.OpenAI, prompt: str, **more: Any) -> Any:
    return client.videos.create(model="clips", prompt=prompt, extra_body=SMALL, **more)


def content(client: openai.OpenAI, video: str, variant: Any = "video") -> bytes:
    return bytes(client.videos.download_content(video, variant=variant).read())


def test_a_video_is_made_seen_and_deleted(serve_clips: Callable[..., Running], moving_folder: Path) -> None:
    server = serve_clips()
    client = client_of(server)
    made = client.videos.create_and_poll(model="clips", prompt="a flying bird", size="32x32", extra_body=SMALL)  # type: ignore[arg-type]
    assert (made.status, made.progress, made.seconds, made.size) == ("completed", 100, "0.5", "32x32")
    assert made.prompt == "a flying bird"
    whole = content(client, made.id)
    same = genarium.video("a flying bird", model=str(moving_folder), size="32x32", **SMALL)  # type: ignore[arg-type]
    assert same[0].content() == whole, "it is the task's video"
    with av.open(io.BytesIO(whole), "r") as opened:
        assert len(list(opened.decode(video=0))) == 4
    with Image.open(io.BytesIO(content(client, made.id, "thumbnail"))) as poster:
        assert (poster.format, poster.size) == ("PNG", (32, 32))
    with Image.open(io.BytesIO(content(client, made.id, "spritesheet"))) as sheet:
        assert sheet.width > 3 * 32
    url = f"/v1/videos/{made.id}/content"
    part = server.http.get(url, headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, whole[4:8])
    assert part.headers["content-range"] == f"bytes 4-7/{len(whole)}"

    remixed = client.videos.poll(client.videos.remix(made.id, prompt="a red fox").id)
    assert remixed.remixed_from_video_id == made.id
    assert remixed.model_extra is not None
    with Ledger() as ledger:
        before, after = (ledger.find(one.model_extra["artefact"]).recipe for one in (made, remixed))
    assert after.arguments == before.arguments | {"prompt": "a red fox"}
    assert after.seed == 7

    again = {"prompt": "a third", "video": {"id": made.id}}
    third = client.videos.poll(server.http.post("/v1/videos/edits", json=again).json()["id"])
    ids = [made.id, remixed.id, third.id]
    assert [one.id for one in client.videos.list(limit=2)] == ids[::-1], "page after page"
    assert [one.id for one in client.videos.list(order="asc", after=made.id)] == ids[1:]

    assert client.videos.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.videos.retrieve(made.id)
    with Ledger() as ledger:
        assert made.model_extra is not None
        assert made.model_extra["artefact"] not in {entry.id for entry in ledger.history()}


def test_other_files_of_a_kept_video(serve_clips: Callable[..., Running]) -> None:
    server = serve_clips()
    asked = {"prompt": "a bird", "model": "clips", "frames": 4, "fps": 8, "steps": 2}
    [made] = server.http.post("/v1/tasks/video?wait=600", json=asked).json()["artefacts"]
    poster = server.http.get(made["poster_url"])
    assert poster.headers["content-type"] == "image/png"
    assert server.http.get(f"/v1/artefacts/{made['id']}").json()["poster_url"] == made["poster_url"]
    for form, kind in (("gif", "image/gif"), ("webm", "video/webm")):
        found = server.http.get(made["url"], params={"form": form, "download": True})
        assert found.headers["content-type"] == kind
        assert found.headers["content-disposition"] == f'attachment; filename="video-{made["id"]}.{form}"'
        with av.open(io.BytesIO(found.content), "r") as opened:
            assert len(list(opened.decode(video=0))) == 4
    text = server.http.post("/v1/tasks/rank?wait=600", json={"query": "x", "passages": ["x"]}).json()["artefacts"][0]
    assert server.http.get(f"{text['url']}?form=gif").status_code == 400


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(out, "PNG")
    return out.getvalue()


def test_a_first_picture_comes_in_every_way_that_openai_has(serve_clips: Callable[..., Running]) -> None:
    server = serve_clips()
    client = client_of(server)
    sent = server.http.post("/v1/files", files={"file": ("a.png", png())}).json()["id"]
    inline = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    asked = {"prompt": "x", "model": "clips", **SMALL}
    form = {name: str(value) for name, value in asked.items()}
    ids = [ask(client, "x", input_reference=("a.png", png())).id]
    for way in ({"file_id": sent}, {"image_url": inline}, sent):
        ids.append(server.http.post("/v1/videos", json=asked | {"input_reference": way}).json()["id"])
    for name, value in (("input_reference[file_id]", sent), ("input_reference", inline)):
        ids.append(server.http.post("/v1/videos", data=form | {name: value}).json()["id"])
    digests = set()
    for one in ids:
        assert client.videos.poll(one).status == "completed"
        with av.open(io.BytesIO(content(client, one)), "r") as opened:
            first, second, *_ = (frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0))
        assert abs(first.astype(int) - (255, 0, 0)).mean() < 10, "it begins with the picture"
        assert abs(second.astype(int) - (255, 0, 0)).mean() > 10
        digests.add(client.videos.retrieve(one).model_extra["recipe_sha256"])  # type: ignore[index]
    assert len(digests) == 1
    with pytest.raises(openai.BadRequestError, match="input_reference is no picture"):
        ask(client, "x", input_reference=("a.png", b"no picture"))
    for wrong in (
        {"file_id": "file-../x"},
        {"file_id": sent, "image_url": inline},
        {"image_url": "http://127.0.0.1/x"},
    ):
        assert server.http.post("/v1/videos", json=asked | {"input_reference": wrong}).status_code == 400, wrong


def test_what_is_refused(serve_clips: Callable[..., Running]) -> None:
    server = serve_clips()
    client = client_of(server)
    failed = client.videos.poll(client.videos.create(model="clips", prompt="x", seconds="4").id)  # type: ignore[arg-type]
    assert failed.status == "failed"
    assert failed.error is not None
    assert "at most 24 frames" in failed.error.message
    with pytest.raises(openai.BadRequestError, match="at most 24 frames"):
        content(client, failed.id)
    assert client.videos.delete(failed.id).deleted
    for wrong in ({"seconds": "0"}, {"frames": "0"}, {"fps": "nan"}, {"seed": -1}, {"prompt": ""}, {"size": 7}):
        answered = server.http.post("/v1/videos", json={"prompt": "x", "model": "clips"} | wrong)
        assert answered.status_code == 400, wrong
        assert answered.json()["error"]["type"] == "invalid_request_error"
    assert server.http.post("/v1/videos", data={"model": "clips"}, files={"prompt": ("x", b"x")}).status_code == 400
    with pytest.raises(openai.NotFoundError, match="/v1/models"):
        client.videos.create(model="sora-2", prompt="x")
    for unknown in ("video_" + "0" * 24, "..%2F..%2Fledger", "video_x"):
        assert server.http.get(f"/v1/videos/{unknown}").status_code == 404
        assert server.http.delete(f"/v1/videos/{unknown}/content").status_code in (404, 405)
    assert server.http.get("/v1/videos?after=video_x").status_code == 404
    assert server.http.get("/v1/videos?limit=0").status_code == 400
    with pytest.raises(openai.BadRequestError, match="longer"):
        client.videos.extend(prompt="x", seconds="4", video=b"x")
    with pytest.raises(openai.BadRequestError, match="video can't be a file"):
        client.videos.edit(prompt="x", video=b"x")
    with pytest.raises(openai.BadRequestError, match="characters"):
        client.videos.create_character(name="x", video=b"x")
    (files.home() / "videos" / f"video_{'0' * 24}.json").write_text('{"id":')
    assert list(client.videos.list()) == [], "what can't be read is left out"


class Held:
    """Holds every video at its first step until the server stops it, or it is let on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.reached, self.on = threading.Event(), threading.Event()
        listen = VideoJob.listen

        def held(job: VideoJob, event: Event) -> None:
            listen(job, event)
            if event.stage == "denoising":
                self.reached.set()
                while not job._stop.wait(0.01) and not self.on.is_set():
                    pass
                listen(job, event)

        monkeypatch.setattr(VideoJob, "listen", held)


def test_what_was_not_done_when_the_server_stopped_is_made_by_the_next(
    serve_clips: Callable[..., Running], moving_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    first = serve_clips(grace=0.0)
    client = client_of(first)
    running, waiting = ask(client, "one"), ask(client, "two")
    assert held.reached.wait(600)
    assert [client.videos.retrieve(one.id).status for one in (running, waiting)] == ["in_progress", "queued"]
    assert 0 < client.videos.retrieve(running.id).progress < 100
    with pytest.raises(openai.BadRequestError, match="not completed"):
        content(client, running.id)
    beside = client_of(serve_clips())
    assert [one.status for one in beside.videos.list()] == ["queued", "queued"]
    with pytest.raises(openai.ConflictError, match="another server"):
        beside.videos.delete(running.id)
    first.stop()
    held.on.set()
    for one, prompt in ((running, "one"), (waiting, "two")):
        assert beside.videos.poll(one.id).status == "completed", "it is taken up by who is asked for it"
        same = genarium.video(prompt, model=str(moving_folder), **SMALL)  # type: ignore[arg-type]
        assert content(beside, one.id) == same[0].content()
    assert not list((files.home() / "videos").glob("*.lock"))


def test_what_a_killed_server_left_is_made_unless_it_killed_it(
    serve_clips: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    first = serve_clips(grace=0.0)
    client = client_of(first)
    ids = [ask(client, prompt).id for prompt in ("one", "two", "three")]
    assert held.reached.wait(600)
    deleted = client.videos.delete(ids[2])
    assert deleted.deleted
    folder = files.home() / "videos"
    # As a kill leaves them: not ended, and held by nobody.
    left = {one: json.loads((folder / f"{one}.json").read_text()) for one in ids[:2]}
    assert [one["starts"] for one in left.values()] == [1, 0]
    first.stop()
    left[ids[1]]["starts"] = MOST_STARTS
    for one, said in left.items():
        (folder / f"{one}.json").write_text(json.dumps(said))
    held.on.set()
    client = client_of(serve_clips())
    assert client.videos.poll(ids[0]).status == "completed"
    broken = client.videos.retrieve(ids[1])
    assert broken.status == "failed"
    assert broken.error is not None
    assert "3 times" in broken.error.message
    assert {one.id for one in client.videos.list()} == set(ids[:2])


def test_one_that_is_being_made_is_stopped_when_it_is_deleted(
    serve_clips: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    server = serve_clips()
    client = client_of(server)
    video = ask(client, "one")
    assert held.reached.wait(600)
    assert client.videos.delete(video.id).deleted
    held.on.set()
    server.stop()
    assert not list((files.home() / "videos").iterdir())
    with Ledger() as ledger:
        assert ledger.count() == 0
