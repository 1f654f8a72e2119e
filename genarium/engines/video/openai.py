"""Videos by any endpoint that speaks OpenAI's `/videos`: a job is asked for, waited for, and its MP4 fetched.

The protocol says a prompt, a size, seconds and a first picture; what it has no words for is refused by name. A job may
take many minutes, and goes on at the endpoint where the connection fails: what is said then names it.
"""

from __future__ import annotations

import io
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genarium.engines.drawing import written
from genarium.engines.endpoint import Endpoint
from genarium.engines.video.protocol import GeneratedVideo, VideoLimits, VideoRequest
from genarium.errors import BadInput, RemoteError
from genarium.progress import emit, note

if TYPE_CHECKING:
    from PIL.Image import Image

    from genarium.data.videos import Film

FPS = 24.0
"""Frames a second by which frames that are asked for become seconds: which it will be, the endpoint alone knows."""
LONGEST = 600
"""Seconds."""
WAITS = 0.1, 5.0
"""Seconds before a job is asked after: at first, and at most."""
LOST = 5
"""Questions without an answer, one after another, after which the connection is taken for lost."""
RUNNING = ("queued", "in_progress")


class OpenAIVideo(Endpoint):
    """Makes videos with the model called `model` behind the endpoint's `/videos`. Raises RemoteError."""

    def __init__(self, model: str):
        super().__init__(model)
        self.name = f"openai:{model}"

    @property
    def limits(self) -> VideoLimits:
        return VideoLimits(
            size=(1280, 720), init=True, frames=int(4 * FPS), most_frames=int(LONGEST * FPS), fps=FPS, elsewhere=True
        )

    def memory(self, request: VideoRequest) -> int:
        return 0

    def generate(self, request: VideoRequest) -> Iterator[GeneratedVideo]:
        """As the protocol says; one job for each seed. Raises BadInput, RemoteError."""
        import openai

        form, files = self._form(request)
        if self.is_openai:
            note(f"{self.client.base_url} takes no seed: the same recipe gives another video each time")
        for row, seed in enumerate(request.seeds):
            began = time.perf_counter()
            more = {} if self.is_openai else {"seed": str(seed)}
            try:
                job = self._asked("post", "/videos", body=form | more, files=files, options=AS_FORM)
                film = self._film(self._finished(job, row))
            except (openai.OpenAIError, json.JSONDecodeError) as error:
                raise RemoteError(self.explained(error)) from None
            self._tell_what_differs(request, film)
            yield GeneratedVideo(row, seed, film.frames, film.fps, {"seconds": time.perf_counter() - began})

    def _form(self, request: VideoRequest) -> tuple[dict[str, str], list[Any]]:
        """The request's fields, and the files beside them. Raises BadInput."""
        if request.fps is not None:
            raise BadInput(f"{self.name} chooses its own frames a second; leave out fps")
        form = {"model": self.model, "prompt": request.prompt}
        if request.size is not None:
            form["size"] = written(request.size)
        if request.frames is not None:
            seconds, beyond = divmod(request.frames, int(FPS))
            if beyond or not seconds:
                near = [f"{one * int(FPS)}" for one in (seconds, seconds + 1) if one]
                raise BadInput(
                    f"{self.name} is asked for whole seconds, which are {FPS:g} frames each, got {request.frames} "
                    f"frames; try {' or '.join(near)}"
                )
            form["seconds"] = str(seconds)
        files = [] if request.init is None else [("input_reference", ("first.png", _png(request.init), "image/png"))]
        return form, files

    def _finished(self, job: dict[str, Any], row: int) -> str:
        """The id of the job, when it has made its video. Raises RemoteError."""
        name, wait, lost = str(job.get("id")), WAITS[0], 0
        while job.get("status") in RUNNING:
            emit("denoising", int(job.get("progress") or 0), 100, item=row)
            time.sleep(wait)
            wait = min(wait * 1.5, WAITS[1])
            job, lost = self._asked_after(name, job, lost)
        if job.get("status") != "completed":
            error = job.get("error")
            said = error.get("message") if isinstance(error, dict) else error
            why = f": {str(said).splitlines()[0][:300]}" if said else ""
            raise RemoteError(f"{self.client.base_url} made no video, its job {name} is {job.get('status')}{why}")
        emit("denoising", 100, 100, item=row)
        return name

    def _asked_after(self, name: str, job: dict[str, Any], lost: int) -> tuple[dict[str, Any], int]:
        """The job as it is now, and how often there was no answer to that."""
        import openai

        try:
            return self._asked("get", f"/videos/{name}"), 0
        except openai.APIConnectionError as error:
            if lost + 1 < LOST:
                return job, lost + 1
            raise RemoteError(f"{self.explained(error)} (its job {name} may finish there)") from None

    def _asked(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        answer = getattr(self.client, method)(path, cast_to=object, **given)
        if not isinstance(answer, dict) or "status" not in answer or not str(answer.get("id", "")):
            raise RemoteError(
                f"{self.client.base_url} answered with no job of a video; name an endpoint that makes videos"
            )
        return answer

    def _film(self, name: str) -> Film:
        """The frames of the finished job. Raises RemoteError where its file can't be read."""
        import openai

        from genarium.data.videos import read_video

        got = self.client.get(
            f"/videos/{name}/content",
            cast_to=openai.HttpxBinaryResponseContent,
            options={"headers": {"Accept": "application/binary"}},
        )
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "video.mp4"
            file.write_bytes(got.content)
            try:
                film = read_video(file, name="it")
            except BadInput as error:
                raise RemoteError(
                    f"{self.client.base_url} sent a file that is no video as it should be: {error}"
                ) from None
        if not film.fps:
            raise RemoteError(f"{self.client.base_url} sent a video that doesn't say how fast it plays")
        return film

    def _tell_what_differs(self, request: VideoRequest, film: Film) -> None:
        frames, (height, width) = len(film.frames), film.frames.shape[1:3]
        if request.size is not None and request.size != (width, height):
            note(f"{self.name} made {written((width, height))} where {written(request.size)} was asked")
        wanted = None if request.frames is None else request.frames / FPS
        if wanted is not None and abs(frames / film.fps - wanted) > 0.5:
            note(f"{self.name} made {frames / film.fps:.2g} seconds where {wanted:g} were asked")


AS_FORM: dict[str, Any] = {"headers": {"Content-Type": "multipart/form-data"}}
"""As OpenAI's own client asks, with a picture or without."""


def _png(image: Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
