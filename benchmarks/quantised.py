"""Weights of 8 and 4 bits on onnxruntime: what they cost in loss, and how fast they are beside llama.cpp and torch.

usage: quantised.py quality MODEL [--text FILE] [--tokens 4096]
       quantised.py speed MODEL.gguf [--llama PYTHON Q8.gguf Q4.gguf] [--ctranslate2 FOLDER]

`quality` reads a text the model never saw, in windows of its context or 512 tokens, with float32, int8 and int4: the
loss, and how often the likeliest token is float32's. What is read at once stands for what steps give: equal within
1e-3 (tested), the products to the bit. `speed` writes 64 tokens after 16, one text and eight, all ways in turn, and
gives the median of three turns and the CPU time a step, in llama.cpp's of which is the reading of the prompt; beside
ours stands the limit, how often memory can deliver the weights a second. PYTHON is an interpreter that has the package
xllamacpp.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from genarium.checkpoints.processors import tokenizer as tokenizers
from genarium.checkpoints.store.find import find
from genarium.engines.backends.onnx.decoder import OnnxDecoder
from genarium.engines.backends.onnx.prepared import prepared

DTYPES = ("float32", "int8", "int4")
NEW, READ = 64, 16
LLAMA = """
import json, sys, time, xllamacpp as x
p = x.CommonParams(); p.model.path = sys.argv[1]; p.n_ctx = 256 * int(sys.argv[2]); p.n_parallel = int(sys.argv[2])
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = int(sys.argv[3])
server, threads = x.Server(p), int(sys.argv[2])
from concurrent.futures import ThreadPoolExecutor
def run(n, first):
    ask = {"prompt": list(range(300 + first, 316 + first)), "n_predict": n, "temperature": 0, "ignore_eos": True, "cache_prompt": False}
    server.handle_completions(ask)
def all_of(n):
    begin = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool: list(pool.map(lambda first: run(n, first), range(threads)))
    return time.perf_counter() - begin
all_of(4)
for line in sys.stdin:
    short, spent = all_of(4), time.process_time(); long = all_of(64)
    print(json.dumps([threads * 60 / (long - short), (time.process_time() - spent) / 64 * 1000]), flush=True)
"""  # noqa: E501


def quality(model: str, text: Path, count: int) -> None:
    path = find(model, default="text").path
    assert path is not None
    tokenizer = tokenizers.load(path)
    ids = tokenizer.encode(text.read_text("utf-8")).ids[:count]
    told: dict[str, list[np.ndarray]] = {}
    for dtype in DTYPES:
        decoder = OnnxDecoder(path, dtype)
        window = min(512, decoder.context_length)
        losses, best = [], []
        for at in range(0, len(ids) - window, window):
            piece = np.array(ids[at : at + window])
            state, first = decoder.prefill([piece[:1].tolist()])
            logits = np.concatenate([first, decoder.score(state, piece[None, 1:-1])[0]])
            losses.append(loss_of(logits, piece[1:]))
            best.append(logits.argmax(axis=-1))
        told[dtype] = [np.concatenate(losses), np.concatenate(best)]
    exact = told["float32"]
    for dtype in DTYPES:
        loss, same = told[dtype][0].mean(), (told[dtype][1] == exact[1]).mean()
        more = loss / exact[0].mean() - 1
        print(f"{model} {dtype}: loss {loss:.4f} ({more:+.2%}), likeliest token as float32's {same:.2%}", flush=True)


def loss_of(logits: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """(T,), in nats."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    found: np.ndarray = np.log(np.exp(shifted).sum(axis=-1)) - shifted[np.arange(len(tokens)), tokens]
    return found


def ours(decoder: Any, rows: int, cpu: list[float]) -> float:
    """Tokens a second; the CPU milliseconds of a step are added to `cpu`."""
    state, logits = decoder.prefill([list(range(300 + row, 300 + row + READ)) for row in range(rows)])
    begin, spent = time.perf_counter(), time.process_time()
    for _ in range(NEW):
        logits = decoder.step(state, logits.argmax(axis=-1)[:, None])
    cpu.append((time.process_time() - spent) / NEW * 1000)
    return rows * NEW / (time.perf_counter() - begin)


def bandwidth(threads: int) -> float:
    """Bytes a second that so many threads read at once, of arrays that no cache holds."""
    arrays = [np.ones(2**25, np.uint64) for _ in range(threads)]
    found = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            begin = time.perf_counter()
            list(pool.map(lambda array: array.max(), arrays))
            found.append(sum(array.nbytes for array in arrays) / (time.perf_counter() - begin))
    return max(found)


def weight_bytes(model: Path, dtype: str) -> int:
    """Of all that a step multiplies with."""
    arrays = prepared(model, dtype).weights("steps")
    return sum(array.nbytes for name, array in arrays.items() if name not in ("cos", "sin"))


def speed(model: Path, llama: list[str], converted: Path | None, threads: int) -> None:
    ways: dict[str, Callable[[], float]] = {}
    decoders = {dtype: OnnxDecoder(model, dtype, threads=threads) for dtype in ("int8", "int4")}
    per_second = bandwidth(threads)
    for dtype in decoders:
        size = weight_bytes(model, dtype)
        limit = f"at {per_second / 1e9:.1f} GB/s {per_second / size:.0f} steps/s"
        print(f"onnx {dtype}: {size / 1e6:.0f} MB of weights, {limit}", flush=True)
    cpu: dict[str, list[float]] = {}
    for rows in (1, 8):
        for dtype, decoder in decoders.items():
            spent = cpu[f"onnx {dtype}, {rows}"] = []
            ways[f"onnx {dtype}, {rows}"] = partial(ours, decoder, rows, spent)
    try:
        from genarium.checkpoints.layouts import gpt
        from genarium.decoding.torch_decoder import TorchDecoder
        from genarium.engines.cpu.linear import use_decoding_linears

        network = gpt.load(model)
        use_decoding_linears(network)
        native = TorchDecoder(network)
        cpu |= {f"torch float32, {rows}": [] for rows in (1, 8)}
        ways |= {
            f"torch float32, {rows}": partial(ours, native, rows, cpu[f"torch float32, {rows}"]) for rows in (1, 8)
        }
    except ImportError as error:
        print(f"torch is not measured: {error}")
    if converted is not None:
        import ctranslate2

        whole = ctranslate2.Generator(str(converted), intra_threads=threads, compute_type="int8")
        peer = SimpleNamespace(whole=whole, words=json.loads((converted / "vocabulary.json").read_text("utf-8")))
        ways |= {f"CTranslate2 int8, {rows}": partial(ctranslate2s, peer, rows) for rows in (1, 8)}
    servers = []
    for file in llama[1:]:
        for rows in (1, 8):
            command = [llama[0], "-c", LLAMA, file, str(rows), str(threads)]
            pipe = subprocess.PIPE
            server = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
            servers.append(server)
            name = f"llama.cpp {Path(file).name}, {rows}"
            cpu[name] = []
            ways[name] = partial(asked, server, cpu[name])
    found: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(4):
        for name, way in ways.items():
            speed_now = way()
            if turn:  # the first warms up
                found[name].append(speed_now)
    for server in servers:
        server.terminate()
    for name, got in found.items():
        step = f", {statistics.median(cpu[name][1:]):.1f} ms of CPU time a step" if name in cpu else ""
        print(f"{name}: {statistics.median(got):.1f} tokens/s ({min(got):.1f} to {max(got):.1f}){step}", flush=True)


def ctranslate2s(generator: Any, rows: int) -> float:
    """Tokens a second of CTranslate2, without the reading of the prompts: the same prompts, the likeliest tokens."""
    prompts = [[generator.words[300 + row + place] for place in range(READ)] for row in range(rows)]

    def seconds(new: int) -> float:
        begin = time.perf_counter()
        generator.whole.generate_batch(
            prompts, max_length=new, min_length=new, sampling_topk=1, include_prompt_in_result=False
        )
        return time.perf_counter() - begin

    return rows * (NEW - 4) / (seconds(NEW) - seconds(4))


def asked(server: subprocess.Popen[str], cpu: list[float]) -> float:
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write("go\n")
    server.stdin.flush()
    for line in server.stdout:
        try:
            speed, spent = json.loads(line)
            cpu.append(spent)
            return float(speed)
        except (ValueError, TypeError):
            continue
    raise SystemExit("llama.cpp ended")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["quality", "speed"])
    parser.add_argument("model")
    parser.add_argument("--text", type=Path, default=Path("../shared/data/books/the-railway-children.txt"))
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--llama", nargs="+", default=[])
    parser.add_argument("--ctranslate2", type=Path, help="the same model, converted by CTranslate2 to int8")
    given = parser.parse_args()
    if given.what == "quality":
        quality(given.model, given.text, given.tokens)
    else:
        speed(Path(given.model), given.llama, given.ctranslate2, given.threads)


if __name__ == "__main__":
    main()
