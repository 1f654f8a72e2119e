"""Every task over HTTP; long work as a job that is watched, resumed, ended; work nobody waits for stops."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest

from genarium import tasks
from genarium.ledger import Ledger
from tests.server.conftest import Running, Serve

LONG = {"prompt": "The fox", "max_new_tokens": 90, "temperature": 0, "n": 8}


def events(lines: Iterator[str]) -> list[tuple[int, str, dict[str, Any]]]:
    """(id, name, data) of a stream's events."""
    found, name, data = [], "", {}
    for line in lines:
        kind, _, value = line.partition(": ")
        if kind == "event":
            name = value
        elif kind == "data":
            data = json.loads(value)
        elif kind == "id":
            found.append((int(value), name, data))
    return found


def until(true: Callable[[], bool], seconds: float = 600.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of the network that take a hundredth of a second at least."""
    from genarium.decoding.continuous import ContinuousBatch

    step = ContinuousBatch._step

    def slowly(batch: ContinuousBatch) -> None:
        time.sleep(0.01)
        step(batch)

    monkeypatch.setattr(ContinuousBatch, "_step", slowly)


def test_every_task_has_a_route_and_a_schema_of_its_signature(server: Running) -> None:
    listed = {one["title"]: one for one in server.http.get("/v1/tasks").json()["data"]}
    assert listed.keys() == tasks.tasks().keys()
    paths = server.http.get("/openapi.json").json()["paths"]
    for name, schema in listed.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["properties"].keys() == {parameter.name for parameter in tasks.find(name).parameters}
        assert schema["url"] in paths
    assert listed["image"]["properties"]["init"]["anyOf"][0]["format"] == "file-reference"


def test_a_task_s_answer_has_what_made_it_and_is_in_the_ledger(server: Running) -> None:
    made = server.http.post("/v1/tasks/text", json={"prompt": "The fox", "model": "tiny", "max_new_tokens": 5}).json()
    [artefact] = made["artefacts"]
    with Ledger() as ledger:
        entry = ledger.find(artefact["id"])
    assert entry.recipe.digest == made["recipe_sha256"]
    assert entry.recipe.seed == made["seed"]
    assert server.http.get(artefact["url"]).text == "The fox" + artefact["text"]
    again = server.http.post(f"/v1/artefacts/{entry.id}/again", json={}).json()
    assert again["artefacts"][0]["text"] == artefact["text"]
    other = server.http.post(f"/v1/artefacts/{entry.id}/again", json={"arguments": {"seed": None, "n": 2}}).json()
    assert other["seed"] != made["seed"]
    assert len(other["artefacts"]) == 2


def test_a_reply_of_unsaid_length_fits_a_small_context(server: Running) -> None:
    said = {"message": "Hi", "model": "tiny", "template": "plain", "temperature": 0}
    made = server.http.post("/v1/tasks/chat", json=said)
    assert made.status_code == 200, made.text
    # Half of its context of 96.
    assert 0 < made.json()["artefacts"][0]["completion_tokens"] <= 48
    asked = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "template": "plain"}
    assert server.http.post("/v1/chat/completions", json=asked | {"max_tokens": 10**9}).status_code == 400
    shown = server.http.post("/v1/chat/completions", json=asked | {"temperature": 0})
    assert shown.json()["usage"]["completion_tokens"] <= 48


def test_files_come_by_upload_by_artefact_and_in_place_never_by_path(server: Running) -> None:
    story = "Ada lives in Oslo. Ben lives in Rome."
    sent = server.http.post("/v1/files", files={"file": ("../../story.txt", story.encode())}).json()
    assert server.http.get(f"/v1/files/{sent['id']}").json()["bytes"] == len(story)
    asked = {"question": ["Where does Ada live?"], "model": "starter/answer"}
    for reference in (sent["id"], f"data:text/plain,{story}"):
        made = server.http.post("/v1/tasks/answer", json=asked | {"context_file": reference}).json()
        assert made["artefacts"][0]["rows"][0]["answer"].startswith("Oslo")
        assert made["recipe"]["arguments"]["context_file"]["path"].startswith("uploads/file-")
    made = server.http.post("/v1/tasks/text", json={"prompt": story, "model": "tiny", "max_new_tokens": 1}).json()
    named = f"artefact:{made['artefacts'][0]['id']}"
    made = server.http.post("/v1/tasks/answer", json=asked | {"context_file": named}).json()
    assert made["artefacts"][0]["rows"][0]["answer"].startswith("Oslo")
    for path in ("/etc/passwd", "file-../../etc/passwd", "file:///etc/passwd", "artefact:../../x", "data:,", 7, ["x"]):
        refused = server.http.post("/v1/tasks/answer", json=asked | {"context_file": path})
        assert refused.status_code == 400, path
        assert "root:" not in refused.text


def test_a_job_is_watched_and_its_stream_taken_up_where_it_broke(server: Running, slow: None) -> None:
    accepted = server.http.post("/v1/tasks/text?wait=0", json=LONG | {"model": "tiny"})
    assert accepted.status_code == 202
    job = accepted.headers["location"]
    with server.http.stream("GET", f"{job}/events") as stream:
        first = []
        for line in stream.iter_lines():
            first.append(line)
            if line == "id: 40":
                break
    head = events(iter(first))
    assert server.http.get(job).json()["status"] == "running"
    with server.http.stream("GET", f"{job}/events", headers={"Last-Event-ID": str(head[-1][0])}) as stream:
        tail = events(stream.iter_lines())
    whole = [*head, *tail]
    assert [number for number, _, _ in whole] == list(range(1, len(whole) + 1))
    assert whole[-1][1] == "end"
    texts = [""] * LONG["n"]  # type: ignore[operator]
    for _, name, data in whole:
        if name == "writing":
            texts[data["item"]] += data["text"]
    result = server.http.get(job).json()
    assert result["status"] == "done"
    assert texts == [artefact["text"] for artefact in result["result"]["artefacts"]]
    assert job.rpartition("/")[2] in [one["id"] for one in server.http.get("/v1/jobs").json()["data"]]


def test_what_takes_longer_than_was_waited_for_goes_on_as_a_job(server: Running, slow: None) -> None:
    late = server.http.post("/v1/tasks/text", json=LONG | {"model": "tiny"}, headers={"Prefer": "wait=0"})
    assert late.status_code == 202
    later = server.http.post("/v1/tasks/text?wait=0.2", json=LONG | {"model": "tiny"})
    assert later.status_code == 202
    assert until(lambda: server.http.get(later.headers["location"]).json()["status"] == "done")


def test_a_cancelled_job_stops_within_a_moment_and_nothing_of_it_is_kept(server: Running, slow: None) -> None:
    job = server.http.post("/v1/tasks/text?wait=0", json=LONG | {"model": "tiny"}).headers["location"]
    assert until(lambda: server.http.get(job).json()["status"] == "running")
    assert server.http.delete(job).status_code in (200, 202)
    assert until(lambda: server.http.get(job).json()["status"] == "cancelled")
    with Ledger() as ledger:
        assert ledger.count() == 0
    assert server.http.delete(job).status_code == 200
    assert server.http.get("/v1/jobs/job-none").status_code == 404


@pytest.mark.parametrize("route", ["/v1/tasks/text", "/v1/completions", "stream", "events"])
def test_work_stops_when_its_client_goes(server: Running, slow: None, route: str) -> None:
    # Greedy: with a seed of its own one of the eight may end itself at once, and what is whole is kept.
    asked: dict[str, Any] = {"model": "tiny", "prompt": "The fox", "n": 8, "temperature": 0}
    accept = ""
    if route in ("/v1/completions", "stream"):
        asked |= {"max_tokens": 90, "stream": route == "stream"}
    else:
        asked |= {"max_new_tokens": 90}
        accept = "Accept: text/event-stream\r\n" if route == "events" else ""
    path = {"stream": "/v1/completions", "events": "/v1/tasks/text"}.get(route, route)
    body = json.dumps(asked)
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{accept}"
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        assert until(lambda: server.desk.queue.running() == 1)
        if route in ("stream", "events"):
            assert client.recv(100)
    assert until(lambda: server.desk.queue.running() == 0)
    with Ledger() as ledger:
        assert ledger.count() == 0, "it was written to its end"


def test_a_client_that_goes_while_it_waits_leaves_the_queue(serve: Serve, slow: None) -> None:
    server = serve(together=1)
    job = server.http.post("/v1/tasks/text?wait=0", json=LONG | {"model": "tiny"}).headers["location"]
    host, port = server.address.removeprefix("http://").split(":")
    body = json.dumps(LONG | {"model": "tiny"})
    with socket.create_connection((host, int(port))) as client:
        head = f"POST /v1/tasks/text HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        assert until(lambda: len(server.desk.queue) == 1)
    assert until(lambda: len(server.desk.queue) == 0)
    assert server.http.get(job).json()["status"] == "running", "it kept its place until its turn came"
    assert until(lambda: server.http.get(job).json()["status"] == "done")
    assert until(lambda: server.desk.queue.running() == 0)
    with Ledger() as ledger:
        assert ledger.count() == LONG["n"], "what nobody waited for was written too"


def test_history_is_searched_and_paged(server: Running) -> None:
    for number in range(5):
        asked = {"prompt": f"The fox {number}", "model": "tiny", "max_new_tokens": 1}
        assert server.http.post("/v1/tasks/text", json=asked).status_code == 200
    page = server.http.get("/v1/history?limit=2").json()
    assert [entry["title"][:9] for entry in page["data"]] == ["The fox 4", "The fox 3"]
    assert page["has_more"]
    rest = server.http.get(f"/v1/history?before={page['data'][-1]['id']}").json()
    assert [entry["title"][:9] for entry in rest["data"]] == ["The fox 2", "The fox 1", "The fox 0"]
    assert not rest["has_more"]
    [found] = server.http.get("/v1/history?search=FOX 3&task=text").json()["data"]
    assert "path" not in found
    assert server.http.get(found["recipe_url"]).json()["arguments"]["prompt"] == "The fox 3"


def test_ratings_from_the_server_are_the_ledger_s(server: Running) -> None:
    asked = {"prompt": "The fox", "model": "tiny", "max_new_tokens": 4, "n": 2}
    one, two = [made["id"] for made in server.http.post("/v1/tasks/text", json=asked).json()["artefacts"]]
    for said in ({"artefact": one, "rating": "up"}, {"artefact": two, "rating": 3}, {"chosen": one, "rejected": two}):
        assert server.http.post("/v1/feedback", json=said | {"note": "so"}).status_code == 200
    with Ledger() as ledger:
        assert [str(rating) for rating in ledger.find(one).ratings] == ["up", f"better than {two}"]
        assert [str(rating) for rating in ledger.find(two).ratings] == ["3/5"]
    for said in (
        {},
        {"artefact": one},
        {"artefact": one, "rating": 6},
        {"chosen": one, "rejected": one},
        {"chosen": one},
    ):
        assert server.http.post("/v1/feedback", json=said).status_code == 400, said


def test_an_edit_is_kept_beside_what_was_made(server: Running) -> None:
    asked = {"prompt": "The fox", "model": "tiny", "max_new_tokens": 4}
    [made] = server.http.post("/v1/tasks/text", json=asked).json()["artefacts"]
    where = f"/v1/artefacts/{made['id']}"
    answered = server.http.post(f"{where}/edits", json={"text": " sleeps", "note": "calmer"}).json()
    assert (answered["artefact"], answered["text"], answered["note"]) == (made["id"], " sleeps", "calmer")
    found = server.http.get(where).json()
    assert (found["text"], [edit["text"] for edit in found["edits"]]) == (made["text"], [" sleeps"])
    assert server.http.get("/v1/history?rated=true").json()["data"][0]["id"] == made["id"]
    for text, status in ((made["text"], 400), ("", 400)):
        assert server.http.post(f"{where}/edits", json={"text": text}).status_code == status
    assert server.http.post("/v1/artefacts/0123456789/edits", json={"text": "x"}).status_code == 404


def test_decisions_have_probabilities_of_every_answer(server: Running) -> None:
    questions = [
        {"type": "predicate", "question": "Is {text} a fox?", "name": "fox"},
        {"type": "choice", "question": "What?", "options": ["fox", "hill", "moon"]},
        {"type": "score", "question": "How much?", "min": 0, "max": 3},
    ]
    told = server.http.post("/v1/decisions", json={"model": "tiny", "input": "Fox!", "questions": questions})
    fox, choice, score = told.json()["answers"]
    for answer in (fox, choice, score):
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert fox["answer"] == (fox["probability"] > 0.5)
    assert choice["answer"] == max(choice["probabilities"], key=choice["probabilities"].get)
    assert score["expected"] == pytest.approx(sum(int(k) * p for k, p in score["probabilities"].items()), abs=1e-4)
    for wrong in ({"type": "choice", "question": "x"}, {"type": "score", "question": "x", "min": 1, "max": 99}):
        asked = {"model": "tiny", "input": "x", "questions": [wrong]}
        assert server.http.post("/v1/decisions", json=asked).status_code == 400


def test_rerank_puts_documents_in_order(server: Running) -> None:
    documents = ["an engine", {"text": "a dog"}, "a stone"]
    told = server.http.post("/v1/rerank", json={"query": "pets", "documents": documents, "top_n": 2}).json()
    best = told["results"][0]
    assert (best["index"], best["document"]) == (1, {"text": "a dog"})
    assert best["relevance_score"] > told["results"][1]["relevance_score"]
    assert len(told["results"]) == 2


def test_many_at_once_share_the_network_s_steps_and_none_is_lost(server: Running) -> None:
    asked = {"model": "tiny", "prompt": "The fox", "max_tokens": 20, "temperature": 0}
    alone = server.http.post("/v1/completions", json=asked).json()["choices"][0]["text"]
    said: list[str] = []

    def ask() -> None:
        said.append(server.http.post("/v1/completions", json=asked).json()["choices"][0]["text"])

    threads = [threading.Thread(target=ask) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(600)
    assert said == [alone] * 32
    with Ledger() as ledger:
        assert ledger.count() == 33
