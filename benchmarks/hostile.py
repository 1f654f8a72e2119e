"""Hostile inputs over the command line and HTTP, kills, and what came of each.

    python benchmarks/hostile.py [--only command-line|http|kills] [--seconds 20] [--every 1] [--kills 40]

The package measured is the one that is imported: set PYTHONPATH to another checkout to measure that. Inputs are in
`hostile_inputs/`, a module a kind: add one with `inputs(folder)` and name it in `KINDS`.

An input is held where the answer is a result or one plain sentence: on the command line exit code 0, 1 or 2 and, but
for 0, one line that begins `genarium:`, without control characters; over HTTP 200 to 499 (503 and 507 too) with an
`error` of OpenAI's shape. Each within `--seconds` (of processor time on the command line, where it is stopped after
three times as long; of waiting over HTTP) and 1 GB more than before, leaving pipes, devices and links as they were.
Every command runs in a process of its own, forked from one that has imported the libraries and opened the starters: so
an input takes what it takes itself, not the seconds of importing torch.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from hostile_inputs import arguments, contents, http, names  # noqa: E402

KINDS = (names, arguments, contents)
MOST_BYTES = 10**9
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202e]")


@dataclass
class Came:
    """What came of one input; `fault` is empty where it was held."""

    kind: str
    name: str
    fault: str
    said: str = ""

    def tell(self) -> None:
        """What did not hold, as it comes."""
        if self.fault:
            print(f"{self.kind} | {self.name} | {self.fault} | {self.said!r}", file=sys.stderr, flush=True)


# The command line


@dataclass
class Ended:
    code: int | None
    out: str
    error: str
    seconds: float
    bytes: int


def in_a_fork(
    words: list[str], given: bytes, folder: Path, seconds: float, *, kill_after: float | None = None
) -> Ended:
    """Run `genarium WORDS` in a fork of this process, in `folder`. `code` is None where it was stopped."""
    with (folder.parent / "out").open("w+b") as out, (folder.parent / "err").open("w+b") as error:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(write)
            os.dup2(read, 0)
            os.dup2(out.fileno(), 1)
            os.dup2(error.fileno(), 2)
            os.chdir(folder)
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 1))
            _child(words)
        os.close(read)
        if (feeder := os.fork()) == 0:
            with contextlib.suppress(OSError), os.fdopen(write, "wb") as into:
                into.write(given)
            os._exit(0)
        os.close(write)
        ended = _waited(child, seconds * 3 if kill_after is None else kill_after)
        with contextlib.suppress(ProcessLookupError):
            os.kill(feeder, signal.SIGKILL)
        os.waitpid(feeder, 0)
        for file in (out, error):
            file.seek(0)
        said = [file.read(10**6).decode("utf-8", "replace") for file in (out, error)]
    return Ended(ended[0], *said, *ended[1:])


def _child(words: list[str]) -> None:
    code = 1
    try:
        sys.stdin = io.TextIOWrapper(io.FileIO(0), encoding="utf-8")
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w"), encoding="utf-8")
        sys.stderr = io.TextIOWrapper(
            io.FileIO(2, "w"), encoding="utf-8", errors="backslashreplace", write_through=True
        )
        sys.argv = ["genarium", *words]
        from genarium.cli.main import main

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(code)


def _waited(child: int, seconds: float) -> tuple[int | None, float, int]:
    """Exit code (negative for a signal), processor seconds and most memory of a child, stopped after `seconds`."""
    until, most, floor = time.monotonic() + seconds, 0, psutil.Process().memory_info().rss
    while True:
        done, status, used = os.wait4(child, os.WNOHANG)
        if done:
            code: int | None = os.waitstatus_to_exitcode(status)
            break
        with contextlib.suppress(psutil.Error):
            most = max(most, psutil.Process(child).memory_info().rss - floor)
        if time.monotonic() > until or most > 2 * MOST_BYTES:
            os.killpg(child, signal.SIGKILL)
            _, _, used = os.wait4(child, 0)
            code = None
            break
        time.sleep(0.02)
    return code, used.ru_utime + used.ru_stime, max(most, used.ru_maxrss * 1024 - floor if done else most)


def fault_of(ended: Ended, seconds: float) -> str:
    """What is wrong with how a command ended; empty where nothing is."""
    if ended.bytes > MOST_BYTES:
        return f"{ended.bytes / 1e9:.1f} GB"
    if ended.code is None or ended.code == -signal.SIGXCPU or ended.seconds > seconds:
        return "too long"
    if "Traceback" in ended.error or "panicked" in ended.error:
        return "a traceback"
    if ended.code not in (0, 1, 2):
        return f"exit code {ended.code}"
    if CONTROLS.search(ended.error):
        return "control characters"
    if ended.code:
        lines = [line for line in ended.error.splitlines() if not line.startswith("note: ")]
        if len(lines) != 1 or not lines[0].startswith("genarium: ") or len(lines[0]) > 1500:
            return "no plain sentence" if not lines or len(lines) > 1 else "a sentence without end"
    return ""


def nature(folder: Path) -> dict[str, int]:
    """The kind of every file that is none or is a link: what a program must leave as it is."""
    kinds = {file.name: stat.S_IFMT(file.lstat().st_mode) for file in folder.iterdir()}
    return {name: kind for name, kind in kinds.items() if kind not in (stat.S_IFREG, stat.S_IFDIR)}


def warm_up() -> None:
    """Import what commands import, and open the small starters: every fork then has them."""
    import importlib
    import pkgutil

    import torch

    import genarium
    from genarium.run import call

    torch.set_num_threads(1)
    for module in pkgutil.walk_packages(genarium.__path__, "genarium."):
        if "__main__" not in module.name:
            importlib.import_module(module.name)
    call("text", "The fox", max_new_tokens=2)
    call("classify", ["fine"], labels=["good", "bad"])
    call("answer", ["Who ran?"], context="The fox ran.")


def command_line(work: Path, seconds: float, every: int) -> list[Came]:
    inputs, found = work / "inputs", list[Came]()
    inputs.mkdir()
    for module in KINDS:
        for kind, given in module.inputs(inputs).items():
            for name, words, content in given[::every]:
                here = work / "a" / "b" / "c"
                here.mkdir(parents=True, exist_ok=True)
                before = nature(inputs)
                ended = in_a_fork(words, content, here, seconds)
                fault = fault_of(ended, seconds)
                if nature(inputs) != before:
                    fault = "replaced what was there"
                    for lost in before:
                        (inputs / lost).unlink(missing_ok=True)
                    shutil.rmtree(work / "again", ignore_errors=True)
                    (work / "again").mkdir()
                    names.names(work / "again")
                    for lost in before:
                        (work / "again" / lost).rename(inputs / lost)
                found.append(Came(kind, name, fault, (ended.error or ended.out)[-300:].strip()))
                found[-1].tell()
                shutil.rmtree(work / "a")
    return found


# HTTP


@contextlib.contextmanager
def server(home: Path, *options: str):
    """The address of a server in a process of its own, and the process."""
    command = [sys.executable, "-m", "genarium.cli.main", "serve", "--port", "0", *options]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"GENARIUM_HOME": str(home)}
    )
    assert process.stderr is not None
    log = home.parent / "server.log"
    try:
        for line in process.stderr:
            if found := re.search(r"Genarium is at http://(\S+):(\d+)", line):
                break
        else:
            raise SystemExit("the server does not start")
        writer = os.fork()
        if writer == 0:
            with log.open("w") as out:
                shutil.copyfileobj(process.stderr, out)
            os._exit(0)
        yield (found[1], int(found[2])), psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()
        with contextlib.suppress(NameError, ChildProcessError):
            os.waitpid(writer, 0)


def asked(where: tuple[str, int], request: bytes, host: str, seconds: float) -> tuple[bytes, float]:
    """The whole answer, and the seconds it took. Raises OSError."""
    host = f"{where[0]}:{where[1]}" if host == "HERE" else host
    first, _, rest = request.partition(b"\r\n")
    head = first + b"\r\nHost: " + host.encode() + b"\r\nConnection: close\r\n" + rest
    head += b"" if b"\r\n\r\n" in head else b"\r\n"
    began, got = time.monotonic(), bytearray()
    with socket.create_connection(where, timeout=seconds) as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(head)
        with contextlib.suppress(ConnectionResetError):
            while piece := client.recv(2**16):
                got += piece
                if time.monotonic() - began > seconds:
                    raise TimeoutError
    return bytes(got), time.monotonic() - began


def http_fault(kind: str, answer: bytes) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    found = re.match(rb"HTTP/1.1 (\d{3}) ", head)
    if found is None:
        return "" if kind == "headers" and not answer else "no answer"  # what is no HTTP may be hung up on
    status = int(found[1])
    if kind == "hosts":
        return "" if status in (400, 421) else f"status {status}"
    if status >= 500 and status not in (503, 507):
        return f"status {status}"
    if b"text/event-stream" in head:
        return "" if b"[DONE]" in body[-30:] and b'"error"' not in body else "a stream that begins to fail"
    if status >= 400 and b"application/json" in head:
        try:
            said = json.loads(_unchunked(head, body))["error"]["message"]
        except (ValueError, KeyError, TypeError):
            return "no sentence"
        return "" if said and len(said) < 2000 else "a sentence without end"
    return ""


def _unchunked(head: bytes, body: bytes) -> bytes:
    if b"transfer-encoding: chunked" not in head.lower():
        return body
    whole = bytearray()
    while body:
        size, _, body = body.partition(b"\r\n")
        whole += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
    return bytes(whole)


def over_http(work: Path, seconds: float, every: int) -> list[Came]:
    found = []
    (work / "served").mkdir()
    with server(work / "served") as (where, process):
        asked(where, http.post("tasks/text", json.dumps(http.TEXT).encode()), "HERE", 300)
        floor = process.memory_info().rss
        for kind, given in http.inputs().items():
            for name, request, host in given[::every]:
                health = os.fork()
                if health == 0:  # somebody else, meanwhile
                    waited = 60.0
                    with contextlib.suppress(OSError):
                        time.sleep(0.3)
                        _, waited = asked(where, b"GET /health HTTP/1.1\r\n", "HERE", 60)
                    os._exit(0 if waited < 5 else 1)
                try:
                    answer, _ = asked(where, request, host, seconds)
                    fault = http_fault(kind, answer)
                except OSError as error:
                    answer, fault = b"", "too long" if isinstance(error, TimeoutError) else "no answer"
                if os.waitstatus_to_exitcode(os.waitpid(health, 0)[1]):
                    fault = fault or "held up others"
                grown = process.memory_info().rss - floor
                if grown > MOST_BYTES:
                    fault, floor = fault or f"{grown / 1e9:.1f} GB", floor + grown
                found.append(Came(kind, name, fault, answer[:200].decode("utf-8", "replace")))
                found[-1].tell()
    return found


# Kills


def kills(work: Path, count: int) -> list[Came]:
    """Kill each kind of work at random moments until it is done; the bytes must be those of a run left alone."""
    stories = work / "stories"
    stories.mkdir()
    for number in range(30):
        (stories / f"{number}.txt").write_text(f"The fox {number} ran over the hill and sang to the moon. " * 30)
    rows = "".join(f'"A film of {number} parts that I liked."\n' for number in range(300))
    (work / "reviews.csv").write_text("text\n" + rows)
    train = ["train", "gpt", "--data", str(stories), "--preset", "tiny", "--tokenizer", "char", "--steps", "60"]
    works = {
        "training": ([*train, "--checkpoint-minutes", "0", "--device=cpu", "--out", "OUT"], "model.safetensors"),
        "indexing": (["index", str(stories), "--name", "kills"], ""),
        "labelling": (["classify", "--file", str(work / "reviews.csv"), "--labels", "good,bad", "-o", "OUT"], "."),
        "drawing": (["image", "a red bus", "-n", "3", "--seed", "1", "-o", "OUT"], "."),
    }
    found = []
    for kind, (words, result) in works.items():
        whole = _finished(work, f"{kind}-whole", words, result, [])
        dice, left = random.Random(kind), count // (len(works) + 1)
        spans = [dice.uniform(0.05, 1.0) * whole.seconds for _ in range(left)]
        killed = _finished(work, f"{kind}-killed", words, result, spans)
        for number in range(left):
            found.append(Came(f"kills: {kind}", str(number), whole.fault or killed.fault))
        if not whole.content:
            found[-1].fault = "nothing was made"
        elif killed.content != whole.content:
            found[-1].fault = "other bytes"
    return found + _served_kills(work, count - 4 * (count // 5))


@dataclass
class Finished:
    content: bytes
    seconds: float
    fault: str


def _finished(work: Path, name: str, words: list[str], result: str, spans: list[float]) -> Finished:
    """Run to the end after as many kills as there are spans; what the ledger has must be whole after each."""
    ending = ".png" if words[0] == "image" else ".jsonl" if words[0] == "classify" else ""
    home, out, here = work / f"{name}-home", work / f"{name}-out{ending}", work / name / "x"
    here.mkdir(parents=True)
    os.environ["GENARIUM_HOME"] = str(home)
    words, fault = [str(out) if word == "OUT" else word for word in words], ""
    for span in spans:
        in_a_fork(words, b"", here, 600, kill_after=span)
        fault = fault or _broken(home)
    began = time.monotonic()
    ended = in_a_fork(words, b"", here, 600)
    seconds = time.monotonic() - began
    if ended.code != 0:
        fault = f"exit code {ended.code}"
    if list(home.glob("artefacts/.*")) or list((home / "unfinished").glob("*")):
        fault = fault or "what was killed is left lying"
    if not result:
        return Finished(_index_of(home), seconds, fault)
    file = out if result == "." else out / result
    return Finished(file.read_bytes() if file.is_file() else b"", seconds, fault)


def _index_of(home: Path) -> bytes:
    """The index's digest and every passage, whatever order they came in."""
    from genarium.retrieval.store import Index

    with Index("kills") as opened:
        asked = "SELECT path, start, end, context, text FROM passages JOIN files ON files.id = passages.file"
        passages = sorted(opened.connection.execute(f"{asked} ORDER BY path, start").fetchall())
        assert passages, "nothing was indexed"
        return repr((opened.digest(), passages)).encode()


def _broken(home: Path) -> str:
    """What is wrong with the ledger there."""
    import hashlib

    from genarium.ledger import Ledger

    if not home.is_dir():
        return ""
    with Ledger(home) as ledger:
        for entry in ledger.history(10_000):
            if not entry.path.is_file() or hashlib.sha256(entry.path.read_bytes()).hexdigest() != entry.sha256:
                return f"{entry.id} is not whole"
    return ""


def _served_kills(work: Path, count: int) -> list[Came]:
    """Kill a server while it answers: what was answered is in the ledger."""
    home, found, dice = work / "killed-server", list[Came](), random.Random("serving")
    home.mkdir()
    told: list[str] = []
    for number in range(count):
        with server(home) as (where, process):
            asked(where, http.post("tasks/text", json.dumps(http.TEXT).encode()), "HERE", 300)
            until = time.monotonic() + dice.uniform(0.1, 3)
            with contextlib.suppress(OSError, ValueError, KeyError):
                while time.monotonic() < until:
                    answer, _ = asked(where, http.post("tasks/text", json.dumps(http.TEXT).encode()), "HERE", 60)
                    head, _, body = answer.partition(b"\r\n\r\n")
                    told.append(json.loads(_unchunked(head, body))["artefacts"][0]["id"])
            process.kill()
        fault = _broken(home)
        from genarium.ledger import Ledger

        with Ledger(home) as ledger:
            kept = {entry.id for entry in ledger.history(100_000)}
        found.append(
            Came("kills: serving", str(number), fault or ("" if set(told) <= kept else "lost what was answered"))
        )
    return found


def table(found: list[Came]) -> str:
    kinds: dict[str, list[Came]] = defaultdict(list)
    for came in found:
        kinds[came.kind].append(came)
    lines = ["| kind | inputs | held | what did not hold |", "|---|---|---|---|"]
    for kind, all_of_it in [*kinds.items(), ("**all**", found)]:
        faults = Counter(came.fault for came in all_of_it if came.fault)
        told = ", ".join(f"{count} {fault}" for fault, count in faults.most_common())
        lines.append(f"| {kind} | {len(all_of_it)} | {len(all_of_it) - sum(faults.values())} | {told} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["command-line", "http", "kills"])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--every", type=int, default=1, help="only every so many inputs of a kind")
    parser.add_argument("--kills", type=int, default=40)
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    found: list[Came] = []
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        work = Path(folder).resolve()
        os.environ["GENARIUM_HOME"] = str(work / "home")

        if options.only in (None, "http"):  # before this process is large: it forks
            found += over_http(work, options.seconds, options.every)
        if options.only != "http":
            warm_up()
        if options.only in (None, "command-line"):
            found += command_line(work, options.seconds, options.every)
        if options.only in (None, "kills"):
            found += kills(work, options.kills)
    print(table(found))


if __name__ == "__main__":
    main()
