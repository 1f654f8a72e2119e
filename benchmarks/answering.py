"""Answering at DistilBERT size: Genarium's reader against plain transformers in float32, in one run.

    python benchmarks/answering.py FOLDER [--repeats 15] [--threads 2] [--clock wall|cpu]

FOLDER is a DistilBERT question-answering checkpoint; where it is not there yet, one of random weights (66M parameters,
the published size) is written to it with the tokenizer of starter/encoder. Texts are cut to 32, 128 and 384 tokens
with their question. Each round asks transformers and Genarium the same question one after the other, tokenizing and
choosing the best span included; figures are medians of milliseconds. `batch` asks 16 questions of 30 to 384 tokens at
once: transformers pads them to the longest, Genarium lays them end to end. `same` counts equal answers, `again` those
that Genarium read a second time in float32 because bfloat16 could have been wrong.
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
from transformers import DistilBertConfig, DistilBertForQuestionAnswering, PreTrainedTokenizerFast

from genarium.checkpoints.store import catalogue
from genarium.checkpoints.store.folder import copy_tokenizer
from genarium.engines.answer.question_answering import AnswerRequest, NativeQuestionAnswering

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall")
    options = parser.parse_args()
    clock = options.clock
    torch.set_num_threads(options.threads)
    if not (options.folder / "config.json").exists():
        make(options.folder)
    peer, draw = Peer(options.folder), random.Random(0)
    for dtype in ("float32", "bfloat16"):
        opening, reader = timed(
            lambda dtype=dtype: NativeQuestionAnswering(options.folder, dtype=dtype, device="cpu"), clock
        )
        for length in LENGTHS:
            rounds = [[pair] for pair in questions(reader, length, options.repeats + 1, draw)]
            compare(peer, reader, rounds[:1], clock)
            print(
                json.dumps({"dtype": dtype, "tokens": length, **compare(peer, reader, rounds[1:], clock)}), flush=True
            )
        mixed = [
            [questions(reader, draw.randint(30, 384), 1, draw)[0] for _ in range(16)]
            for _ in range(max(1, options.repeats // 5))
        ]
        print(json.dumps({"dtype": dtype, "batch": 16, **compare(peer, reader, mixed, clock)}), flush=True)
        print(json.dumps({"dtype": dtype, "opened_ms": round(opening), "error": round(reader.error, 4)}), flush=True)


if __name__ == "__main__":
    main()
