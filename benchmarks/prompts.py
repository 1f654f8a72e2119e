"""Reading of a prompt: tokens a second of 512 tokens, beside llama.cpp, CTranslate2 and transformers, in one run.

usage: prompts.py MODEL.gguf [--folder HF_FOLDER] [--llama PYTHON FILE.gguf ...] [--ctranslate2 FOLDER] [--tokens 512]

Every way reads the same tokens, and gives the scores of what follows them; llama.cpp and CTranslate2 write one token,
which is a step more. All ways in turn, the median of five turns. PYTHON is an interpreter that has the package
xllamacpp; HF_FOLDER is the same model for transformers, read in float32.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from genarium.engines.backends.onnx.decoder import OnnxDecoder

TURNS = 5
LLAMA = """
import json, sys, time, xllamacpp as x
p = x.CommonParams(); p.model.path = sys.argv[1]; p.n_ctx = 1024; p.n_parallel = 1
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = int(sys.argv[3])
server, n = x.Server(p), int(sys.argv[2])
for line in sys.stdin:
    first = int(line)
    ask = {"prompt": list(range(300 + first, 300 + first + n)), "n_predict": 1, "temperature": 0, "cache_prompt": False}
    begin = time.perf_counter(); server.handle_completions(ask)
    print(json.dumps(time.perf_counter() - begin), flush=True)
"""


def tokens_of(turn: int, n: int) -> list[int]:
    return list(range(300 + turn, 300 + turn + n))


def prefill(decoder: Any, n: int, turn: int) -> float:
    begin = time.perf_counter()
    decoder.prefill([tokens_of(turn, n)])
    return time.perf_counter() - begin


def llama(server: subprocess.Popen[str], turn: int) -> float:
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(f"{turn}\n")
    server.stdin.flush()
    for line in server.stdout:
        try:
            return float(json.loads(line))
        except (ValueError, TypeError):
            continue
    raise SystemExit("llama.cpp ended")


def transformers_way(folder: Path, n: int) -> Callable[[int], float]:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def way(turn: int) -> float:
        begin = time.perf_counter()
        with torch.inference_mode():
            model(torch.tensor([tokens_of(turn, n)]), logits_to_keep=1)
        return time.perf_counter() - begin

    return way


def ctranslate2_way(folder: Path, n: int, threads: int) -> Callable[[int], float]:
    import ctranslate2

    whole = ctranslate2.Generator(str(folder), intra_threads=threads, compute_type="int8")
    words = json.loads((folder / "vocabulary.json").read_text("utf-8"))

    def way(turn: int) -> float:
        begin = time.perf_counter()
        prompt = [words[token] for token in tokens_of(turn, n)]
        whole.generate_batch([prompt], max_length=1, sampling_topk=1, include_prompt_in_result=False)
        return time.perf_counter() - begin

    return way


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--llama", nargs="+", default=[])
    parser.add_argument("--ctranslate2", type=Path)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    n, threads = given.tokens, given.threads
    ways: dict[str, Callable[[int], float]] = {
        f"onnx {dtype}": partial(prefill, OnnxDecoder(given.model, dtype, threads=threads), n)
        for dtype in ("int8", "int4")
    }
    if given.folder is not None:
        import torch

        from genarium.checkpoints.layouts import gpt
        from genarium.decoding.torch_decoder import TorchDecoder
        from genarium.engines.cpu.linear import use_decoding_linears

        torch.set_num_threads(threads)
        network = gpt.load(given.folder)
        use_decoding_linears(network)
        ways["torch float32"] = partial(prefill, TorchDecoder(network), n)
        ways["transformers float32"] = transformers_way(given.folder, n)
    if given.ctranslate2 is not None:
        ways["CTranslate2 int8"] = ctranslate2_way(given.ctranslate2, n, threads)
    servers = []
    for file in given.llama[1:]:
        command = [given.llama[0], "-c", LLAMA, file, str(n), str(threads)]
        pipe = subprocess.PIPE
        servers.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True))
        ways[f"llama.cpp {Path(file).name}"] = partial(llama, servers[-1])
    found: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS + 1):
        for name, way in ways.items():
            seconds = way(turn)
            if turn:  # the first warms up
                found[name].append(n / seconds)
    for server in servers:
        server.terminate()
    for name, got in found.items():
        print(f"{name}: {statistics.median(got):.0f} tokens/s ({min(got):.0f} to {max(got):.0f})", flush=True)


if __name__ == "__main__":
    main()
