"""Fit what a reader's scores mean, on questions it did not learn from, and write it into its config.json.

    python scripts/reading/compose.py BOOKS composed --seed 4242 --facts 350 --stories 250 --books 400
    python scripts/reading/calibrate.py composed/answer.jsonl genarium/starters/answer

The composed questions are of another seed than those it was trained on; those of `written.txt` were written for this.
Each set counts as much as the other. An answer is right where it equals an accepted one (SQuAD's exact match). The
hand-written questions of `tests/data/questions.jsonl` are not read here: `measure.py answer` looks at them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from measure import best, exact

from genarium import files
from genarium.checkpoints.store import catalogue
from genarium.decoding.calibration import CONFIG
from genarium.decoding.spans import merge
from genarium.engines.answer.question_answering import AnswerRequest, NativeQuestionAnswering

HOW = AnswerRequest(no_answer=True)


def written(file: Path) -> list[dict[str, Any]]:
    """The questions of `written.txt`, with their passage and the accepted answers."""
    rows: list[dict[str, Any]] = []
    context = ""
    for line in file.read_text("utf-8").splitlines():
        if line.startswith("> "):
            context = line[2:]
        elif line and not line.startswith("#"):
            question, *answers = (part.strip() for part in line.split("|"))
            rows.append({"question": question, "context": context, "answers": answers})
    return rows


def composed(file: Path) -> list[dict[str, Any]]:
    rows = map(json.loads, file.read_text("utf-8").splitlines())
    return [row | {"answers": [row["text"]] if row["text"] else []} for row in rows]


def scores(reader: NativeQuestionAnswering, rows: list[dict[str, Any]]) -> np.ndarray:
    """(rows, 4): log score of the best answer and of none, whether that answer is right, and whether there is none."""
    reader.calibration = None
    found = []
    for row in rows:
        spans = reader._spans(reader.windows(row["question"], row["context"], HOW), reader.exact, HOW)
        answer = merge(spans, row["context"], no_answer=False)[0]
        right = bool(row["answers"]) and best(exact, answer.text, row["answers"])
        null = min(window.null_log_score for window in spans)
        found.append((np.log(answer.score), null, right, not row["answers"]))
    return np.array(found, dtype=float)


def fitted(log_scores: np.ndarray, right: np.ndarray, weights: np.ndarray) -> list[float]:
    """Offset and slope of the likeliest logistic function, by Newton's method."""
    inputs = np.stack([np.ones(len(right)), log_scores], axis=1)
    line = np.zeros(2)
    for _ in range(50):
        chance = 1 / (1 + np.exp(-inputs @ line))
        curvature = (inputs * (weights * chance * (1 - chance))[:, None]).T @ inputs
        line -= np.linalg.solve(curvature, inputs.T @ (weights * (chance - right)))
    return [round(float(number), 4) for number in line]


def main(file: Path, folder: Path) -> None:
    reader = NativeQuestionAnswering(folder, dtype="float32")
    sets = [scores(reader, rows) for rows in (composed(file), written(Path(__file__).with_name("written.txt")))]
    weights = np.concatenate([np.full(len(one), 1 / len(one)) for one in sets])
    log_scores, nulls, right, none = np.concatenate(sets).T
    found = {"answer": fitted(log_scores, right, weights), "no_answer": fitted(nulls, none, weights)}
    print(json.dumps(found))
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config[CONFIG] = found
    files.write_atomically(folder / "config.json", json.dumps(config, indent=2).encode() + b"\n")
    if folder.resolve().parent == catalogue.FOLDER.resolve():
        listed = json.loads((catalogue.FOLDER / "catalogue.json").read_text("utf-8"))
        listed[folder.name]["files"]["config.json"] = files.sha256(folder / "config.json")
        files.write_atomically(catalogue.FOLDER / "catalogue.json", json.dumps(listed, indent=2).encode() + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
