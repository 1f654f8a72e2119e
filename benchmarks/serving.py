"""Text over HTTP at GPT-2 size: `genarium serve` against `transformers serve` and llama.cpp's server, in one run; load;
cold start.

    python benchmarks/serving.py FOLDER [--clients 1 8 32] [--tokens 64] [--rounds 2] [--llama PYTHON FILE.gguf]
    python benchmarks/serving.py FOLDER --mixed 600
    python benchmarks/serving.py FOLDER --cold 3

FOLDER is a GPT-2 checkpoint; where it is not there, one of random weights is made (124M parameters, 50,257 tokens).

PYTHON is an interpreter that has the package xllamacpp, which is llama.cpp with its server; FILE.gguf, the same model,
is then served by both.

Throughput: each server is started, warmed up with one request, and asked by 1, 8 and 32 clients at once, each of which
streams one text after the other. Tokens a second are all tokens over the whole time; the time to first token is that
of the first piece of text a client reads. A request is lost where it does not answer 200 with a finished text. Tokens
a second of the server's own processor time are told beside: they say the same on a machine that does other work too.

Mixed load: texts, vectors, ranking, labels and decisions, first by eight clients that wait for each answer (the
capacity), then twice as many a second, whether or not the server keeps up. Only 200 and 429 may come, every artefact
that was answered must be in the ledger, and memory must not grow.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import string
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil

WORDS = "the fox ran over a hill and sang to the moon while nobody in the village below could sleep at all".split()
START_WITHIN = 180.0


def make_gpt2(folder: Path) -> None:
    """GPT-2 of random weights; its tokens are bytes and 50,000 pieces of two and three letters.

    So whatever the network draws can be read: a server that holds back half a character would else seem late.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    usual = f"{string.ascii_lowercase}{string.digits}\u0120"  # how these tokenizers write a space
    twos = [(a, b) for a in usual for b in usual]
    pairs = [*twos, *((a + b, c) for a, b in twos for c in usual)][:50_000]
    vocab = {piece: number for number, piece in enumerate([*letters, *(a + b for a, b in pairs)])}
    tokenizer = Tokenizer(models.BPE(vocab, pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True)])
    folder.mkdir(parents=True)
    GPT2LMHeadModel(GPT2Config()).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(named))


@contextmanager
def started(command: list[str], home: Path, port: int) -> Iterator[tuple[str, float, psutil.Process]]:
    """The server's address, the seconds until it answered, and its process."""
    env = os.environ | {"GENARIUM_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    with (home / "log.txt").open("ab") as log:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        address = f"http://127.0.0.1:{port}"
        try:
            while True:
                assert process.poll() is None, (home / "log.txt").read_text()[-3000:]
                assert time.perf_counter() - began < START_WITHIN, "the server does not come up"
                try:
                    httpx2.get(f"{address}/health", timeout=5).raise_for_status()
                    break
                except httpx2.HTTPError:
                    time.sleep(0.02)
            yield address, time.perf_counter() - began, psutil.Process(process.pid)
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


LLAMA = """
import sys, time, xllamacpp
asked = xllamacpp.CommonParams()
asked.model.path, asked.port, asked.n_parallel, asked.n_ctx = sys.argv[1], int(sys.argv[2]), 32, 32 * 256
asked.verbosity = 0
server = xllamacpp.Server(asked)
while True: time.sleep(1)
"""


def ours(folder: Path, port: int, *options: str) -> list[str]:
    command = [sys.executable, "-m", "genarium.cli.main", "serve", "--port", str(port), "--model", f"gpt2={folder}"]
    return [*command, *options]


def theirs(folder: Path, port: int, *options: str) -> list[str]:
    binary = str(Path(sys.executable).parent / "transformers")
    return [binary, "serve", str(folder), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu", *options]


@dataclass
class Measured:
    tokens: int = 0
    first: list[float] = field(default_factory=list)
    lost: int = 0
    why: Counter[str] = field(default_factory=Counter)


async def stream_one(client: httpx2.AsyncClient, model: str, number: int, tokens: int, into: Measured) -> None:
    """One streamed text."""
    dice = random.Random(number)
    asked = {
        "model": model,
        "prompt": " ".join(dice.choice(WORDS) for _ in range(dice.randint(8, 24))),
        "max_tokens": tokens,
        "temperature": 1.0,
        "seed": number,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    began, first, pieces, counted, finished = time.perf_counter(), 0.0, 0, 0, False
    try:
        async with client.stream("POST", "/v1/completions", json=asked) as answered:
            answered.raise_for_status()
            async for line in answered.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                chunk = json.loads(line.removeprefix("data: "))
                counted = (chunk.get("usage") or {}).get("completion_tokens", counted)
                for choice in chunk.get("choices", ()):
                    if choice.get("text"):
                        first = first or time.perf_counter() - began
                        pieces += 1
                    finished = finished or choice.get("finish_reason") is not None
    except httpx2.HTTPError as error:
        into.why[type(error).__name__] += 1
    if not finished:
        into.lost += 1
        return
    into.tokens += counted or pieces
    into.first.append(first)


async def crowd(address: str, model: str, clients: int, rounds: int, tokens: int) -> dict[str, Any]:
    measured = Measured()
    limits = httpx2.Limits(max_connections=clients)
    async with httpx2.AsyncClient(base_url=address, timeout=600, limits=limits) as client:

        async def one(place: int) -> None:
            for number in range(rounds):
                await stream_one(client, model, place * rounds + number, tokens, measured)

        began = time.perf_counter()
        await asyncio.gather(*(one(place) for place in range(clients)))
        seconds = time.perf_counter() - began
    first = sorted(measured.first) or [float("nan")]
    return {
        "clients": clients,
        "tokens": measured.tokens,
        "tokens_per_second": round(measured.tokens / seconds, 1),
        "ttft_p50": round(statistics.median(first), 3),
        "ttft_p95": round(first[min(len(first) - 1, int(0.95 * len(first)))], 3),
        "requests": clients * rounds,
        "lost": measured.lost,
        **({"why": dict(measured.why)} if measured.why else {}),
    }


def cpu_seconds(server: psutil.Process) -> float:
    """What the server has computed, whoever else had the processor meanwhile."""
    return sum(sum(one.cpu_times()[:2]) for one in (server, *server.children(recursive=True)))


def throughput(options: argparse.Namespace) -> None:
    servers = {
        "genarium": (ours(options.folder, options.port), "gpt2"),
        "transformers": (theirs(options.folder, options.port), str(options.folder)),
        "transformers, continuous batching": (
            theirs(options.folder, options.port, "--continuous-batching"),
            str(options.folder),
        ),
    }
    if options.llama:
        python, file = options.llama
        servers["genarium, the GGUF file"] = (ours(Path(file).resolve(), options.port), "gpt2")
        servers["llama.cpp"] = ([python, "-c", LLAMA, file, str(options.port)], "gpt2")
    for name, (command, model) in servers.items():
        if options.only and name not in options.only:
            continue
        with tempfile.TemporaryDirectory() as home, started(command, Path(home), options.port) as (address, _, server):
            warm = asyncio.run(crowd(address, model, 1, 1, 8))
            if warm["lost"]:
                print(json.dumps({"server": name, "refuses": (Path(home) / "log.txt").read_text()[-600:]}), flush=True)
                continue
            for clients in options.clients:
                before = cpu_seconds(server)
                found = asyncio.run(crowd(address, model, clients, options.rounds, options.tokens))
                own = round(found.pop("tokens") / (cpu_seconds(server) - before), 1)
                print(json.dumps({"server": name, **found, "tokens_per_cpu_second": own}), flush=True)


def requests(model: str) -> list[tuple[str, dict[str, Any]]]:
    """What is asked in the mixed load, in turn."""
    text = " ".join(WORDS)
    question = {"type": "predicate", "question": "Is it about a fox?"}
    return [
        ("/v1/completions", {"model": model, "prompt": text, "max_tokens": 16}),
        ("/v1/embeddings", {"model": "starter/encoder", "input": [text, text[:40]]}),
        ("/v1/completions", {"model": "starter/text", "prompt": text[:30], "max_tokens": 24, "n": 2}),
        ("/v1/rerank", {"query": "Who sang?", "documents": [text, text[:40], text[20:]]}),
        ("/v1/moderations", {"input": text}),
        ("/v1/decisions", {"input": text, "questions": [question]}),
        ("/v1/tasks/summarize?wait=600", {"text": f"{text}. Then it slept. {text}.", "sentences": 1}),
    ]


async def mixed(address: str, seconds: float) -> dict[str, Any]:
    kinds = requests("gpt2")
    statuses: Counter[int | str] = Counter()
    artefacts: set[str] = set()
    async with httpx2.AsyncClient(base_url=address, timeout=300, limits=httpx2.Limits(max_connections=500)) as client:

        async def ask(number: int) -> None:
            path, body = kinds[number % len(kinds)]
            try:
                answered = await client.post(path, json=body | ({"seed": number} if "prompt" in body else {}))
            except httpx2.HTTPError as error:
                statuses[type(error).__name__] += 1
                return
            statuses[answered.status_code] += 1
            if answered.status_code == 200:
                artefacts.update(re.findall(r'"artefact":"([0-9a-f]{10})"', answered.text))
                if path.startswith("/v1/tasks"):
                    artefacts.update(made["id"] for made in answered.json()["artefacts"])
            else:
                assert answered.status_code != 429 or answered.headers["retry-after"]

        async def resident() -> float:
            told = (await client.get("/metrics")).text
            return float(re.search(r"^genarium_resident_bytes (\S+)", told, re.M)[1]) / 2**20  # type: ignore[index]

        async def patient(place: int, rounds: int) -> None:
            for number in range(rounds):
                await ask(place * rounds + number)

        await asyncio.gather(*(patient(place, 7) for place in range(8)))  # every model is open now
        began = time.perf_counter()
        await asyncio.gather(*(patient(place, 14) for place in range(8)))
        capacity = 8 * 14 / (time.perf_counter() - began)
        before = await resident()
        memory = [before]
        running: set[asyncio.Task[None]] = set()
        began, sent = time.perf_counter(), 0
        while (now := time.perf_counter() - began) < seconds:
            while sent < 2 * capacity * now:
                task = asyncio.create_task(ask(sent))
                running.add(task)
                task.add_done_callback(running.discard)
                sent += 1
            if now > len(memory) * seconds / 10:
                memory.append(await resident())
            await asyncio.sleep(0.02)
        await asyncio.gather(*running)
        memory.append(await resident())
        in_ledger = 0
        for artefact in artefacts:
            in_ledger += (await client.get(f"/v1/artefacts/{artefact}")).status_code == 200
    return {
        "capacity_per_second": round(capacity, 2),
        "sent": sent,
        "statuses": {str(status): count for status, count in statuses.items()},
        "resident_mib": [round(value) for value in memory],
        "artefacts_answered": len(artefacts),
        "artefacts_in_ledger": in_ledger,
    }


def cold(options: argparse.Namespace) -> None:
    for _ in range(options.cold):
        with (
            tempfile.TemporaryDirectory() as home,
            started(ours(options.folder, options.port), Path(home), options.port) as (address, up, _),
        ):
            times = {}
            for name, model in (("first_answer_starter", "starter/text"), ("first_answer_gpt2", "gpt2")):
                began = time.perf_counter()
                asked = {"model": model, "prompt": "The fox", "max_tokens": 8}
                httpx2.post(f"{address}/v1/completions", json=asked, timeout=300).raise_for_status()
                times[name] = round(time.perf_counter() - began, 2)
        print(json.dumps({"server_up": round(up, 2), **times}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2, help="texts a client asks for")
    parser.add_argument("--only", nargs="+", help="which servers")
    parser.add_argument("--llama", nargs=2, metavar=("PYTHON", "FILE.gguf"), help="serve this file by llama.cpp, too")
    parser.add_argument("--mixed", type=float, help="seconds of mixed load at twice capacity")
    parser.add_argument("--cold", type=int, help="how many cold starts")
    parser.add_argument("--port", type=int, default=8765)
    options = parser.parse_args()
    if not options.folder.exists():
        make_gpt2(options.folder)
    options.folder = options.folder.resolve()
    if options.cold:
        cold(options)
    elif options.mixed:
        with (
            tempfile.TemporaryDirectory() as home,
            started(ours(options.folder, options.port), Path(home), options.port) as (address, _, _),
        ):
            print(json.dumps(asyncio.run(mixed(address, options.mixed))))
    else:
        throughput(options)


if __name__ == "__main__":
    main()
