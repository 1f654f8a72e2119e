"""Clients take turns, the queue ends somewhere, and what waits is parked when the server goes down."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from genarium import files
from genarium.recipe import Recipe
from genarium.server import queue as queues
from genarium.server.errors import RequestRefused
from genarium.server.jobs import Job
from genarium.server.queue import Lane, Queue
from tests.server.conftest import Serve
from tests.server.test_jobs import LONG, slow, until

__all__ = ["slow"]


def job(client: str, number: int = 0, task: str = "embed") -> Job:
    return Job(Recipe.of(task, {"number": number}, None, 0), client)


@contextmanager
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Runs that wait until they are let go."""
    go = threading.Event()

    def run(recipe: Recipe, *, listener: object) -> None:
        assert go.wait(600)
        raise ValueError

    monkeypatch.setattr(queues, "run", run)
    yield go
    go.set()


def test_clients_take_turns() -> None:
    async def turns() -> list[str]:
        lane = Lane(1)
        for client, number in [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("c", 1), ("b", 2)]:
            lane.add(job(client, number))
        return [f"{taken.client}{taken.recipe.arguments['number']}" for taken in iter(lane.take, None)]

    assert asyncio.run(turns()) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_a_full_queue_says_when_to_come_again_and_one_client_can_t_fill_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def crowd() -> None:
        with held(monkeypatch) as go:
            queue = Queue(waiting=8, together=2)
            greedy = [job("greedy") for _ in range(8)]
            for one in greedy[:7]:  # one runs, six wait
                queue.submit(one)
            with pytest.raises(RequestRefused) as caught:
                queue.submit(greedy[7])
            assert caught.value.status == 429
            assert 1 <= int(caught.value.headers["Retry-After"]) <= 600
            others = [job(f"other-{number}") for number in range(3)]
            for one in others[:2]:
                queue.submit(one)
            assert queue.position(others[0]) == 1, "only one of the greedy client's comes before it"
            with pytest.raises(RequestRefused):
                queue.submit(others[2])
            texts = [job("text", task="text") for _ in range(2)]
            for one in texts:  # the other lane has workers free
                queue.submit(one)
            assert queue.running() == 3
            go.set()
            assert await asyncio.to_thread(until, lambda: queue.running() == 0)

    asyncio.run(crowd())


def test_a_server_that_goes_down_parks_jobs_for_the_next(serve: Serve, home: Path, slow: None) -> None:
    first = serve(together=1, grace=1.0)
    jobs = [first.http.post("/v1/tasks/text?wait=0", json=LONG | {"model": "tiny"}).json()["id"] for _ in range(3)]
    first.stop()
    parked = {file.stem for file in (files.home() / "parked").glob("*.json")}
    assert parked <= set(jobs)
    assert len(parked) >= 2, "no more than the one that ran can have been done"
    second, third = serve(), serve()  # two servers on one data folder: each job is one's alone

    def done(identifier: str) -> int:
        answers = [server.http.get(f"/v1/jobs/{identifier}").json() for server in (second, third)]
        return sum(answer.get("status") == "done" for answer in answers)

    assert until(lambda: all(done(identifier) == 1 for identifier in parked))
    assert not list((home / "parked").iterdir())
