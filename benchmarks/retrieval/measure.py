"""How well questions find their passages, and how fast: dense, keyword, fused, and ranked again.

    python benchmarks/retrieval/measure.py quality --books BOOKS     nDCG@10 and recall@5 over both bodies
    python benchmarks/retrieval/measure.py tuning --books BOOKS      what the thresholds were chosen on
    python benchmarks/retrieval/measure.py answers --books BOOKS     sentences of `ask`, and questions without answer
    python benchmarks/retrieval/measure.py speed --books BOOKS       passages a second; latencies at 1k, 10k, 100k

Indexes are made under GENARIUM_HOME when they are not there, with what `genarium index` does (the books take half an
hour on one core). A question names its file and a quote from the passage that answers it; a passage is right if it
holds half of the quote or more. recall@5 is the share of questions with a right passage among the first five. The
questions were written by hand for this and nothing is trained on them; thresholds are chosen on others (tuning.jsonl).
"""

from __future__ import annotations

import argparse
import json
import math
import re
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from corpora import documentation

from genarium import files
from genarium.artefacts import Answer
from genarium.checkpoints.store.find import find
from genarium.engines import registry
from genarium.retrieval import documents
from genarium.retrieval.asking import embedder, vectors_digest
from genarium.retrieval.build import build
from genarium.retrieval.conditions import read
from genarium.retrieval.extract import judge
from genarium.retrieval.hits import Hit, Kept
from genarium.retrieval.passages import Passage
from genarium.retrieval.places import create, names, writing
from genarium.retrieval.rank import by_sentences, rank
from genarium.retrieval.retrieve import by_words, fuse, standing
from genarium.retrieval.search import search
from genarium.retrieval.store import Index
from genarium.retrieval.tables import FORMAT
from genarium.retrieval.vectors import DEPTH, PassageVectors, highest
from genarium.run import prepare, run

HERE = Path(__file__).parent
SIGNS = {"'": "['’‘]", '"': '["“”]'}
Embed = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class Question:
    """`ranges` are where its quote stands in the file, in characters; none where the documents don't answer it."""

    body: str
    text: str
    file: str
    ranges: list[tuple[int, int]]

    def right(self, file: str, start: int, end: int) -> bool:
        """Whether these characters hold half of the quote or more."""
        inside = (min(end, last) - max(start, first) for first, last in self.ranges)
        lengths = (last - first for first, last in self.ranges)
        return file == self.file and any(2 * got >= length for got, length in zip(inside, lengths, strict=True))


def load(name: str, folders: dict[str, Path], bodies: Sequence[str] = ("books", "docs")) -> list[Question]:
    """The questions of a file about these bodies, their quotes found in the documents."""
    texts: dict[Path, str] = {}
    found = []
    for line in (HERE / name).read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["body"] not in bodies:
            continue
        ranges = []
        if row["quote"] is not None:
            path = folders[row["body"]] / row["file"]
            if path not in texts:
                texts[path] = documents.parse(path.name, path.read_bytes()).text
            words = [re.escape(word) for word in row["quote"].split()]
            pattern = r"\s+".join("".join(SIGNS.get(sign, sign) for sign in word) for word in words)
            ranges = [match.span() for match in re.finditer(pattern, texts[path])]
            assert ranges, f"{row['quote']!r} is not in {path}"
        found.append(Question(row["body"], row["question"], row["file"] or "", ranges))
    return found


def name_of(body: str, encoder: str) -> str:
    """The index of a body by an encoder."""
    return body if encoder == "starter/encoder" else f"{body}-{re.sub(r'[^a-z0-9]+', '-', encoder.lower())}"


def made(folders: dict[str, Path], encoder: str) -> None:
    """Make the indexes that are not there."""
    found = find(encoder, default="encoder")
    for body, folder in folders.items():
        began = time.perf_counter()
        report = build(
            folder,
            embedder(found.reference),
            encoder=found.reference,
            encoder_digest=vectors_digest(found),
            name=name_of(body, encoder),
        )
        if report.new_passages:
            seconds = time.perf_counter() - began
            print(f"{body}: {report.new_passages} passages in {seconds:.0f} s")


def ndcg(right: Sequence[bool], total: int, depth: int = 10) -> float:
    """Normalised discounted cumulative gain of one ranking (Jarvelin and Kekalainen 2002), gains 0 or 1."""
    gain = sum(1 / math.log2(place + 2) for place, good in enumerate(right[:depth]) if good)
    best = sum(1 / math.log2(place + 2) for place in range(min(total, depth)))
    return gain / best if best else 0.0


def quality(questions: Iterable[Question], encoder: str, rankers: Sequence[str], depth: int) -> None:
    """Print nDCG@10 and recall@5 of each way, body by body."""
    scores: dict[tuple[str, str], list[tuple[float, bool]]] = {}
    for body, asked in by_body(questions):
        with Index(name_of(body, encoder)) as index:
            known = PassageVectors(index)
            everything = index.hits([int(number) for number in known.numbers])
            embed = registry.open_encoder(encoder).embed_search
            for question in asked:
                vector = embed(question.text)[0]
                right = {hit.id for hit in everything if question.right(hit.file, hit.start, hit.end)}
                found = search([index.name], question.text, conditions=read([], None))
                fused = [hit.id for hit in found.hits]
                judged = judge(question.text, found.hits[:5], found.close.of)
                first = by_sentences(found.hits[:5], found.scores[:5], judged)
                ways = {
                    "dense": [number for number, _ in known.nearest(vector)],
                    "keyword": list(by_words(index, question.text)),
                    "fused": fused,
                    "fused, the first 5 by their sentences": [hit.id for hit in first] + fused[5:],
                }
                for reference in rankers:
                    ranked = rank(question.text, index.hits(fused[:depth]), registry.open_ranker(reference).scores)
                    ways[f"fused, ranked by {reference}"] = [hit.id for hit in ranked]
                for way, ranking in ways.items():
                    marks = [number in right for number in ranking]
                    scores.setdefault((body, way), []).append((ndcg(marks, len(right)), any(marks[:5])))
    for (body, way), found in scores.items():
        gain, recall = np.mean([one[0] for one in found]), np.mean([one[1] for one in found])
        print(f"{body:6} {len(found):4} questions  {way:40} nDCG@10 {gain:.3f}  recall@5 {recall:.3f}", flush=True)


def by_body(questions: Iterable[Question], *, answered: bool = True) -> list[tuple[str, list[Question]]]:
    chosen = [question for question in questions if bool(question.ranges) == answered]
    return [(body, [q for q in chosen if q.body == body]) for body in sorted({q.body for q in chosen})]


def tuning(questions: Sequence[Question], encoder: str) -> None:
    """Print, for the support of the best sentence, how many questions are answered with and without an answer there."""
    best: dict[bool, list[float]] = {True: [], False: []}
    conditions = read([], None)
    for answered in (True, False):
        for body, asked in by_body(questions, answered=answered):
            for question in asked:
                found = search([name_of(body, encoder)], question.text, conditions=conditions)
                judged = judge(question.text, found.hits[:5], found.close.of)
                best[answered].append(judged.support)
    for threshold in np.arange(0.2, 0.56, 0.05):
        with_one, without = (np.mean(np.array(best[answered]) >= threshold) for answered in (True, False))
        print(
            f"min_support {threshold:.2f}: answers {with_one:6.1%} of {len(best[True])} that have an answer, "
            f"{without:6.1%} of {len(best[False])} that have none"
        )


def answers(questions: Sequence[Question], encoder: str, model: str) -> None:
    """Print how often `ask` cites the right place, another, or says that there is no answer."""
    for answered in (True, False):
        for body, asked in by_body(questions, answered=answered):
            right = none = 0
            seconds = []
            for question in asked:
                began = time.perf_counter()
                [answer] = run(prepare("ask", question.text, index=name_of(body, encoder), model=model), keep=False)
                seconds.append(time.perf_counter() - began)
                assert isinstance(answer, Answer)
                none += not answer.supported
                right += any(question.right(c.file, c.start, c.end) for c in answer.citations)
            print(
                f"{body:6} {len(asked):4} questions {'with' if answered else 'without'} an answer: "
                f"{right / len(asked):.1%} cite the quote, {none / len(asked):.1%} get no answer; "
                f"median {statistics.median(seconds):.2f} s",
                flush=True,
            )


def speed(body: str, sizes: Sequence[int], clock: Callable[[], float]) -> None:
    """Print the latency of each step over copies of an index's texts and vectors, a little noise on the vectors."""
    encoder = registry.open_encoder("starter/encoder")
    random = np.random.default_rng(0)
    asked = [json.loads(line) for line in (HERE / "questions.jsonl").read_text("utf-8").splitlines()]
    chosen = [row["question"] for row in asked if row["body"] == body][:50]
    with Index(body) as index:
        known = PassageVectors(index)
        texts = index.hits([int(number) for number in random.choice(known.numbers, 5000, replace=False)])
    for size in sizes:
        name = f"speed-{size}"
        if name not in names():
            filled(name, texts, known, size, random)
        with Index(name) as index:
            began, before = clock(), memory()
            vectors = PassageVectors(index)
            loading = clock() - began
            times: dict[str, list[float]] = {"embed": [], "dense": [], "keyword": [], "all": []}
            for question in chosen:
                marks = [clock()]
                vector = encoder.embed([question])[0]
                marks.append(clock())
                numbers, cosines = vectors.cosines(vector)
                stands = standing(cosines)
                dense = {int(numbers[at]): float(stands[at]) for at in highest(cosines, numbers, DEPTH)}
                marks.append(clock())
                words = by_words(index, question)
                marks.append(clock())
                index.hits([*fuse(dense, words, index.file_of([*dense, *words]))][:5])
                marks.append(clock())
                for step, (first, last) in zip(times, [(0, 1), (1, 2), (2, 3), (0, 4)], strict=True):
                    times[step].append(1000 * (marks[last] - marks[first]))
            steps = "  ".join(
                f"{step} {np.median(found):.1f}/{np.percentile(found, 95):.1f}" for step, found in times.items()
            )
            megabytes = index.file.stat().st_size / 2**20
            print(
                f"{size:7} passages, {megabytes:.0f} MiB, vectors read in {loading:.2f} s, "
                f"{memory() - before:.0f} MiB of memory; ms median/p95: {steps}",
                flush=True,
            )


def memory() -> float:
    """MiB that this process took at most so far; Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def filled(name: str, texts: Sequence[Hit], known: PassageVectors, size: int, random: np.random.Generator) -> None:
    """An index of `size` passages: real texts again and again, each with a real vector and noise."""
    with writing(name):
        create(name, {"folder": "", "encoder": "", "encoder_digest": "", "format": str(FORMAT)})
        with Index(name) as index:
            for first in range(0, size, 500):
                drawn = [texts[n] for n in random.integers(len(texts), size=min(500, size - first))]
                vectors = known.matrix[random.integers(len(known.matrix), size=len(drawn))]
                vectors = vectors + 0.02 * random.standard_normal(vectors.shape, dtype=np.float32)
                vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
                found = [Passage(hit.start, hit.end, hit.text) for hit in drawn]
                with index.transaction():
                    index.put(Kept(f"{first}.txt", 0, 0, ""), found, [hit.context for hit in drawn], vectors)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("what", choices=["quality", "tuning", "answers", "speed"])
    asked.add_argument("--books", type=Path, required=True, help="the folder of plain-text books")
    asked.add_argument("--ranker", nargs="*", default=[], help="models to rank again with")
    asked.add_argument("--depth", type=int, default=20, help="how many fused passages are ranked again")
    asked.add_argument("--model", default="starter", help="what answers")
    asked.add_argument("--cpu-time", action="store_true", help="seconds of this process, on a machine others use too")
    asked.add_argument("--encoder", default="starter/encoder", help="what makes the vectors")
    asked.add_argument("--bodies", nargs="*", default=["books", "docs"], choices=["books", "docs"])
    options = asked.parse_args()
    folders = {"books": options.books, "docs": documentation(files.home() / "documentation")}
    made({body: folders[body] for body in options.bodies}, options.encoder)
    questions = load("questions.jsonl", folders, options.bodies)
    if options.what == "quality":
        quality(questions, options.encoder, options.ranker, options.depth)
    elif options.what == "tuning":
        tuning(load("tuning.jsonl", folders), options.encoder)
    elif options.what == "answers":
        answers(questions, options.encoder, options.model)
    else:
        speed("books", [1000, 10_000, 100_000], time.process_time if options.cpu_time else time.perf_counter)


if __name__ == "__main__":
    main()
