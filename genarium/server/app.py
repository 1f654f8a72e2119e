"""The application: every route, behind the guard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware

from genarium import studio
from genarium.server import comparisons, decisions, errors, history, indexes, versions
from genarium.server import tasks as task_routes
from genarium.server.desk import Desk, desk_of
from genarium.server.errors import Json, RequestRefused
from genarium.server.guard import Guard, tried
from genarium.server.keys import COOKIE, SESSION_SECONDS, Guesses, Keys
from genarium.server.logs import Watch
from genarium.server.openai import audio as openai_audio
from genarium.server.openai import images as openai_images
from genarium.server.openai import responses as openai_responses
from genarium.server.openai import text as openai_text
from genarium.server.openai import vectors as openai_vectors
from genarium.server.openai import video_jobs
from genarium.server.openai import videos as openai_videos
from genarium.server.settings import ServerSettings

router = APIRouter()


class Session(BaseModel):
    key: Annotated[str, Field(max_length=1000)]


def application(settings: ServerSettings) -> FastAPI:
    """The server as an ASGI application. Made inside a running event loop, or by uvicorn's."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        from genarium.engines.cache import keep_within

        keep_within(settings.memory)
        desk.take_up_parked()
        video_jobs.take_up(desk)
        yield
        await asyncio.to_thread(desk.close)

    desk = Desk(settings)
    app = FastAPI(
        title="Genarium",
        version=version("genarium"),
        description="Generative AI on this machine: OpenAI's routes, and one for every task.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    keys, guesses = Keys(settings.keys), Guesses()
    app.state.desk, app.state.keys, app.state.guesses = desk, keys, guesses
    errors.install(app)
    tasks_router = APIRouter()
    task_routes.add_tasks(tasks_router)
    for part in (
        router,
        task_routes.router,
        tasks_router,
        history.router,
        comparisons.router,
        versions.router,
        indexes.router,
        openai_text.router,
        openai_responses.router,
        openai_vectors.router,
        decisions.router,
        openai_audio.router,
        openai_images.router,
        openai_videos.router,
    ):
        app.include_router(part)
    _add_studio(app)
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Last-Event-ID", "Prefer"],
        )
    app.add_middleware(Guard, settings=settings, keys=keys, guesses=guesses)
    app.add_middleware(Watch, metrics=desk.metrics, log_prompts=settings.log_prompts)
    return app


def _add_studio(app: FastAPI) -> None:
    """The web page at `/`, its files under `/static/`."""

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        return FileResponse(studio.FOLDER / "index.html", headers=studio.HEADERS)

    app.mount("/static", Static(directory=studio.FOLDER / "static"), name="static")


class Static(StaticFiles):
    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        found = super().file_response(*args, **kwargs)
        found.headers.update(studio.HEADERS)
        return found


@router.get("/health", tags=["server"])
async def health(request: Request) -> dict[str, Any]:
    """Whether the server is up."""
    return {"status": "ok", "version": version("genarium")}


@router.get("/metrics", tags=["server"])
async def metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    return Response(desk_of(request).metrics.written(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/v1/models", tags=["OpenAI"])
def models(request: Request) -> Response:
    """The models that may be named."""
    return Json({"object": "list", "data": desk_of(request).models.listed()})


@router.get("/v1/models/{model:path}", tags=["OpenAI"])
def model(request: Request, model: str) -> Response:
    """One of the models."""
    for listed in desk_of(request).models.listed():
        if listed["id"] == model:
            return Json(listed)
    raise RequestRefused(404, f"no model {model[:100]!r}; GET /v1/models lists them", code="model_not_found")


@router.post("/session", tags=["server"])
async def session(request: Request, given: Session) -> Response:
    """Change a key for a cookie, for the web page: pictures and event streams can't send a key in a header."""
    keys: Keys = request.app.state.keys
    address = request.client.host if request.client is not None else "unknown"
    if tried(keys, request.app.state.guesses, address, given.key) is None:
        raise RequestRefused(401, "this is no key that the server was started with")
    answered = Json({"status": "ok"})
    secure = request.url.scheme == "https"
    answered.set_cookie(
        COOKIE,
        keys.new_session(given.key),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=secure,
    )
    return answered


@router.delete("/session", tags=["server"])
async def leave(request: Request) -> Response:
    """End the session: its cookie is of no use any more, wherever it is kept."""
    await run_in_threadpool(request.app.state.keys.end_session, request.headers)
    answered = Json({"status": "ok"})
    answered.delete_cookie(COOKIE)
    return answered
