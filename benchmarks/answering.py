"""Answering at DistilBERT size, and embedding at MiniLM size, against plain transformers in float32, in one run.

    python benchmarks/answering.py FOLDER [--repeats 15] [--threads 2] [--clock wall|cpu]

FOLDER is a DistilBERT question-answering checkpoint; where it is not there yet, one of random weights (66M parameters,
the published size) is written to it with the tokenizer of starter/encoder. Texts are cut to 32, 128 and 384 tokens
with their question. Each round asks transformers and Genarium the same question one after the other, tokenizing and
choosing the best span included; figures are medians of milliseconds. `batch` asks 16 questions of 30 to 384 tokens at
once: transformers pads them to the longest, Genarium lays them end to end. `same` counts equal answers, `again` those
that Genarium read a second time in float32 because bfloat16 could have been wrong. Genarium computes on onnxruntime
(`onnx`), in torch in float32 and, where the processor has instructions for it, in torch in bfloat16.

`embedding` is of passages of 20 to 250 tokens by starter/encoder: passages a second, and the largest difference of a
number between transformers' vectors (batches of 32 of like length) and ours.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertModel, DistilBertConfig, DistilBertForQuestionAnswering, PreTrainedTokenizerFast

from genarium.checkpoints.store import catalogue
from genarium.checkpoints.store.folder import copy_tokenizer
from genarium.devices import cpu_bfloat16
from genarium.engines.answer.question_answering import AnswerRequest, NativeQuestionAnswering
from genarium.engines.embed.encoder import NativeEncoder

LENGTHS = (32, 128, 384)
MAX_ANSWER_LEN = 15
Pair = tuple[str, str]


def make(folder: Path) -> None:
    torch.manual_seed(0)
    DistilBertForQuestionAnswering(DistilBertConfig()).save_pretrained(folder)
    copy_tokenizer(catalogue.starter("encoder").path, folder)


class Peer:
    """What a user of transformers writes: tokenizer, model, softmax over start and end, the best span."""

    def __init__(self, folder: Path):
        self.tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]")
        self.model = DistilBertForQuestionAnswering.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.inference_mode()
    def read(self, pairs: list[Pair]) -> list[tuple[str, int]]:
        questions, contexts = zip(*pairs, strict=True)
        batch = self.tokenizer(list(questions), list(contexts), padding=True, return_tensors="pt")
        out = self.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
        found = []
        for row, (_, context) in enumerate(pairs):
            encoding = batch.encodings[row]
            inside = [place for place, part in enumerate(encoding.sequence_ids) if part == 1]
            kept = [0, *inside]
            start, end = (np.exp(s[row].numpy()[kept]) for s in (out.start_logits, out.end_logits))
            products = np.tril(np.triu(np.outer(start[1:], end[1:])), MAX_ANSWER_LEN - 1)
            first, last = divmod(int(products.argmax()), len(inside))
            begins = encoding.word_to_chars(encoding.token_to_word(inside[first]), 1)[0]
            ends = encoding.word_to_chars(encoding.token_to_word(inside[last]), 1)[1]
            found.append((context[begins:ends], begins))
        return found


def questions(reader: NativeQuestionAnswering, length: int, count: int, draw: random.Random) -> list[Pair]:
    """Words of the vocabulary, as many as make `length` tokens with a question of six."""
    words = [word for word in reader.tokenizer.get_vocab() if word.isalpha() and word.isascii() and len(word) > 2]
    words.sort()
    framed = length - 3 - 6
    return [(" ".join(draw.choices(words, k=6)), " ".join(draw.choices(words, k=framed))) for _ in range(count)]


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def timed(read: Callable[[], Any], clock: str) -> tuple[float, Any]:
    began = CLOCKS[clock]()
    found = read()
    return 1000 * (CLOCKS[clock]() - began), found


def compare(peer: Peer, reader: NativeQuestionAnswering, rounds: list[list[Pair]], clock: str) -> dict[str, Any]:
    times: dict[str, list[float]] = {"transformers": [], "genarium": []}
    same = again = asked = 0
    how = AnswerRequest(max_answer_len=MAX_ANSWER_LEN)
    for pairs in rounds:
        theirs_took, theirs = timed(lambda pairs=pairs: peer.read(pairs), clock)
        ours_took, ours = timed(lambda pairs=pairs: reader.read(pairs, how), clock)
        times["transformers"].append(theirs_took)
        times["genarium"].append(ours_took)
        same += sum((one.answers[0].text, one.answers[0].start) == a for one, a in zip(ours, theirs, strict=True))
        again += sum(bool(one.reread) for one in ours)
        asked += len(pairs)
    medians = {who: round(statistics.median(values), 1) for who, values in times.items()}
    totals = {who: sum(values) for who, values in times.items()}
    return {
        **medians,
        "ratio": round(medians["transformers"] / medians["genarium"], 2),
        "ratio_of_totals": round(totals["transformers"] / totals["genarium"], 2),
        "same": f"{same}/{asked}",
        "again": again,
    }


def embedding(folder: Path, backend: str, repeats: int, clock: str, draw: random.Random) -> dict[str, Any]:
    """Passages a second of transformers and of Genarium, one after the other, each batch first once unmeasured."""
    ours = NativeEncoder(folder, backend=backend)
    theirs = BertModel.from_pretrained(folder, dtype=torch.float32).eval()
    cut = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]")
    words = sorted(word for word in ours.tokenizer.get_vocab() if word.isalpha() and word.isascii() and len(word) > 2)
    texts = [" ".join(draw.choices(words, k=draw.randint(18, 248))) for _ in range(64)]

    @torch.inference_mode()
    def peer() -> np.ndarray:
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        out = np.zeros((len(texts), theirs.config.hidden_size), np.float32)
        for first in range(0, len(order), 32):
            part = order[first : first + 32]
            batch = cut(
                [texts[i] for i in part], padding=True, truncation=True, max_length=ours.context, return_tensors="pt"
            )
            hidden = theirs(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
            mask = batch["attention_mask"][..., None]
            out[part] = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1).numpy()
        return out

    off = float(np.abs(peer() - ours.embed(texts)).max())
    took = [(timed(peer, clock)[0], timed(lambda: ours.embed(texts), clock)[0]) for _ in range(max(3, repeats // 5))]
    seconds = [statistics.median(times) / 1000 for times in zip(*took, strict=True)]
    return {
        "transformers": round(len(texts) / seconds[0], 1),
        "genarium": round(len(texts) / seconds[1], 1),
        "ratio": round(seconds[0] / seconds[1], 2),
        "off": float(f"{off:.1e}"),
    }


def answering(options: argparse.Namespace, backend: str, dtype: str, peer: Peer, draw: random.Random) -> None:
    clock, named = options.clock, {"backend": backend, "dtype": dtype}
    opening, reader = timed(
        lambda: NativeQuestionAnswering(options.folder, dtype=dtype, backend=backend),
        clock,
    )
    for length in LENGTHS:
        rounds = [[pair] for pair in questions(reader, length, options.repeats + 1, draw)]
        compare(peer, reader, rounds[:1], clock)
        print(json.dumps({**named, "tokens": length, **compare(peer, reader, rounds[1:], clock)}), flush=True)
    mixed = [
        [questions(reader, draw.randint(30, 384), 1, draw)[0] for _ in range(16)]
        for _ in range(max(1, options.repeats // 5))
    ]
    print(json.dumps({**named, "batch": 16, **compare(peer, reader, mixed, clock)}), flush=True)
    print(json.dumps({**named, "opened_ms": round(opening), "error": round(reader.error, 4)}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if not (options.folder / "config.json").exists():
        make(options.folder)
    peer, draw = Peer(options.folder), random.Random(0)
    ways = [("onnx", "float32"), ("torch", "float32")]
    if cpu_bfloat16() != "plain":
        ways.append(("torch", "bfloat16"))
    for backend, dtype in ways:
        answering(options, backend, dtype, peer, draw)
    for backend in ("onnx", "torch"):
        found = embedding(catalogue.starter("encoder").path, backend, options.repeats, options.clock, draw)
        print(json.dumps({"embedding": backend, **found}), flush=True)


if __name__ == "__main__":
    main()
