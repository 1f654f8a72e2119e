"""Measure readers and rankers on the hand-written questions, which nothing here was trained on.

    python scripts/reading/measure.py answer starter/answer
    python scripts/reading/measure.py rank starter/rank

`answer`: exact match and F1 as SQuAD counts them (its normalisation: lower case, no punctuation, no articles; the best
over the accepted answers), over the questions that have an answer; then over all, with "no answer" allowed.
`rank`: every sentence of every passage is ranked for each question; the one that holds the answer is relevant. nDCG@10
and mean reciprocal rank of the bi-encoder alone, and of the cross-encoder over the bi-encoder's first 20.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentences import sentences

from genarium.checkpoints.layouts import encoder as layout
from genarium.checkpoints.processors import tokenizer
from genarium.checkpoints.store.find import find
from genarium.engines.answer.question_answering import AnswerRequest, NativeQuestionAnswering
from genarium.engines.cpu.batching import by_length, pad
from genarium.engines.registry import open_encoder, open_question_answering
from genarium.training.objectives.span import normalised, overlap

FILE = Path(__file__).parents[2] / "tests" / "data" / "questions.jsonl"
FIRST = 20


def best(score: Any, found: str, accepted: list[str]) -> float:
    return max(float(score(found, one)) for one in accepted or [""])


def exact(found: str, accepted: str) -> bool:
    return normalised(found) == normalised(accepted)


def measure_answers(reference: str, rows: list[dict[str, Any]]) -> None:
    reader = open_question_answering(reference, dtype="float32")
    answerable = [row for row in rows if row["answers"]]
    for name, part, no_answer in (("answerable", answerable, False), ("all", rows, True)):
        found = [
            reader.read([(row["question"], row["context"])], AnswerRequest(no_answer=no_answer))[0].answers[0].text
            for row in part
        ]
        pairs = list(zip(found, (row["answers"] for row in part), strict=True))
        em = 100 * np.mean([best(exact, *pair) for pair in pairs])
        f1 = 100 * np.mean([best(overlap, *pair) for pair in pairs])
        line = f"{name}: {len(part)} questions, exact match {em:.1f}, F1 {f1:.1f}"
        if no_answer:
            silent = [not text for text in found]
            without = [not row["answers"] for row in part]
            right = sum(a and b for a, b in zip(silent, without, strict=True))
            line += f"; silent {sum(silent)} times, {right} of {sum(without)} rightly"
        print(line)
    measure_scores(reader, rows)
    if "-v" in sys.argv:
        for row in rows:
            answer = reader.read([(row["question"], row["context"])], AnswerRequest(no_answer=True))[0].answers[0]
            mark = " " if best(exact, answer.text, row["answers"]) else "x"
            print(f"{mark} {row['question']} -> {answer.text!r} ({answer.score:.2f}); {row['answers'][:1]}")


def measure_scores(reader: NativeQuestionAnswering, rows: list[dict[str, Any]]) -> None:
    """Whether scores are the chance to be right, over all questions: calibrated, and as the network gives them."""
    calibration = reader.calibration
    for name in ("calibrated", "as they come") if calibration is not None else ("as they come",):
        reader.calibration = calibration if name == "calibrated" else None
        answers = [reader.read([(row["question"], row["context"])], AnswerRequest())[0].answers[0] for row in rows]
        score = np.array([min(answer.score, 1.0) for answer in answers])
        right = np.array([best(exact, a.text, row["answers"]) for a, row in zip(answers, rows, strict=True)])
        tenths = np.minimum((score * 10).astype(int), 9)
        gaps = [abs((score - right)[tenths == tenth].sum()) for tenth in range(10)]
        line = f"scores {name}: ECE {sum(gaps) / len(rows):.3f}, Brier {((score - right) ** 2).mean():.3f}"
        for least in (0.8, 0.65, 0.5):
            kept = score >= least
            line += f"; {kept.mean():.0%} score {least} or more, {right[kept].mean():.0%} of them right"
        kept = score < 0.5
        print(f"{line}; {right[kept].mean():.0%} of the others")
    reader.calibration = calibration


def measure_ranks(reference: str, rows: list[dict[str, Any]]) -> None:
    pool, asked = [], []
    for context in dict.fromkeys(row["context"] for row in rows):
        pool += [(context, sentence) for sentence in sentences(context)]
    for row in rows:
        if row["answers"]:
            at = row["context"].index(row["answers"][0])
            begins = [(place, row["context"].index(s)) for place, (c, s) in enumerate(pool) if c == row["context"]]
            asked.append((row["question"], max((start, place) for place, start in begins if start <= at)[1]))
    encoder = open_encoder("starter/encoder")
    similar = encoder.embed([question for question, _ in asked]) @ encoder.embed([s for _, s in pool]).T
    path = find(reference, default="rank").path
    assert path is not None
    model, cut = layout.load_classifier(path), tokenizer.load(path)
    places: dict[str, list[int]] = {"bi-encoder": [], "cross-encoder over its first 20": []}
    for number, (question, relevant) in enumerate(asked):
        order = np.argsort(-similar[number], kind="stable")
        places["bi-encoder"].append(int(np.flatnonzero(order == relevant)[0]))
        first = order[:FIRST]
        pairs = cut.encode_batch([(question, pool[place][1]) for place in first])
        scores = np.zeros(len(first))
        for batch in by_length([len(pair) for pair in pairs]):
            tokens, lengths = pad([pairs[place].ids for place in batch])
            types, _ = pad([pairs[place].type_ids for place in batch])
            with torch.inference_mode():
                scores[batch] = model(tokens, lengths=lengths, types=types)[:, -1].numpy()
        again = [*first[np.argsort(-scores, kind="stable")], *order[FIRST:]]
        places["cross-encoder over its first 20"].append(again.index(relevant))
    print(f"{len(asked)} questions, {len(pool)} sentences")
    for name, found in places.items():
        gain = np.mean([1 / math.log2(place + 2) if place < 10 else 0.0 for place in found])
        print(f"{name}: nDCG@10 {gain:.3f}, MRR {np.mean([1 / (place + 1) for place in found]):.3f}")


def main() -> None:
    rows = [json.loads(line) for line in FILE.read_text("utf-8").splitlines()]
    {"answer": measure_answers, "rank": measure_ranks}[sys.argv[1]](sys.argv[2], rows)


if __name__ == "__main__":
    main()
