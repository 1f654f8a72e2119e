"""`genarium serve` as a process: two on one data folder, one killed in the middle of writing, one told to go."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2

from genarium.ledger import Ledger
from tests.conftest import Command


class Process:
    """A server in a process of its own, its output read as it comes."""

    def __init__(self, home: Path, tiny: Path, *options: str):
        command = [
            sys.executable,
            "-m",
            "genarium.cli.main",
            "serve",
            "--port",
            "0",
            "--model",
            f"tiny={tiny}",
            *options,
        ]
        env = os.environ | {"GENARIUM_HOME": str(home)}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=env)
        self.said: list[str] = []
        self.up = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        assert self.up.wait(600), self.said
        [address] = [found[0] for line in self.said if (found := re.search(r"http://\S+", line))]
        self.http = httpx2.Client(base_url=address, timeout=600)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if "Genarium is at" in line:
                self.up.set()


def test_two_servers_on_one_folder_a_kill_while_writing_and_an_orderly_end(home: Path, tiny: Path) -> None:
    killed, told = Process(home, tiny), Process(home, tiny, "--grace", "600")
    answered: list[str] = []
    lost = 0

    def ask(server: Process) -> None:
        nonlocal lost
        asked = {"prompt": "The fox", "model": "tiny", "max_new_tokens": 3}
        for _ in range(40):
            try:
                made = server.http.post("/v1/tasks/text", json=asked)
            except httpx2.HTTPError:
                lost += 1
                return
            assert made.status_code == 200, made.text
            answered.append(made.json()["artefacts"][0]["id"])

    threads = [threading.Thread(target=ask, args=(server,)) for server in (killed, killed, killed, told)]
    for thread in threads:
        thread.start()
    while len(answered) < 40:
        time.sleep(0.005)
    killed.process.kill()
    threads[3].join(600)
    for thread in threads:
        thread.join(600)
    assert lost == 3
    with Ledger() as ledger:
        entries = {entry.id: entry for entry in ledger.history(10_000)}
    assert set(answered) <= entries.keys(), "who was told that it is kept finds it"
    for entry in entries.values():
        assert hashlib.sha256(entry.path.read_bytes()).hexdigest() == entry.sha256
        assert json.loads((entry.path.parent / "recipe.json").read_text())["id"] == entry.id

    slow = {"prompt": "The fox", "model": "tiny", "max_new_tokens": 90, "n": 64}
    made: list[httpx2.Response] = []
    waiting = threading.Thread(target=lambda: made.append(told.http.post("/v1/tasks/text?wait=60", json=slow)))
    waiting.start()
    while "genarium_queue_running 1.0" not in told.http.get("/metrics").text:
        time.sleep(0.005)
    told.process.send_signal(signal.SIGTERM)
    waiting.join(600)
    assert made[0].status_code == 200, "the grace was long enough"
    assert told.process.wait(600) == 0
    assert "Traceback" not in "".join(told.said)


def test_mistakes_in_starting_it_are_one_sentence(genarium: Command, tmp_path: Path) -> None:
    open_to_all = genarium("serve", "--host", "0.0.0.0")
    assert open_to_all.returncode == 2
    assert "--api-key" in open_to_all.stderr
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = genarium("serve", "--port", str(taken.getsockname()[1]))
    assert busy.returncode == 2
    assert "--port" in busy.stderr
    assert genarium("serve", "--memory", "lots").returncode == 2
    (tmp_path / "file").write_text("x")
    assert genarium("serve", env={"GENARIUM_HOME": str(tmp_path / "file" / "home")}).returncode == 1
