"""Genarium, txtai and LlamaIndex over 1,000 to 100,000 passages with the same vectors, in one run.

    python benchmarks/retrieval/scale.py PYTHON [--passages 1000 10000 100000] [--cpu-time]

PYTHON is an interpreter that has torch, txtai, faiss-cpu and llama-index-core. Needs the index `books` (measure.py
makes it): its passages drawn again and again, each with its vector and a little noise. Vectors are given, of passages
and of questions, so that the libraries are compared and no encoder. Genarium and txtai search by vectors and words,
LlamaIndex, with what it comes with, by vectors. One thread; milliseconds of 30 questions, the ten best passages read.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measure import HERE, filled
from peers import asked_of

from genarium.engines import registry
from genarium.retrieval.places import names, remove
from genarium.retrieval.retrieve import by_words, fuse, standing
from genarium.retrieval.store import Index
from genarium.retrieval.vectors import DEPTH, PassageVectors, highest

ASKED, DRAWN = 30, 5000

PEER = """
import json, sys, time
import numpy as np
given, which = json.load(open(sys.argv[1])), sys.argv[2]
clock = getattr(time, sys.argv[3])
import torch; torch.set_num_threads(1)
import faiss; faiss.omp_set_num_threads(1)
vectors, asked, texts = np.load(given["vectors"]), np.load(given["asked"]), given["texts"]
questions = given["questions"]
if which == "txtai":
    from txtai import Embeddings
    known = dict(zip(questions, asked))
    state = {"next": 0}
    def transform(batch):
        if isinstance(batch, str): return known[batch]
        if all(one in known for one in batch): return np.stack([known[one] for one in batch])
        first = state["next"]; state["next"] += len(batch)
        return vectors[first:first + len(batch)]
    index = Embeddings(method="external", transform=transform, hybrid=True, content=True)
    began = clock()
    index.index([(n, t, None) for n, t in enumerate(texts)])
    def ask(n): return index.search(questions[n], 10)
else:
    from llama_index.core import Settings, VectorStoreIndex
    from llama_index.core.embeddings import MockEmbedding
    from llama_index.core.schema import QueryBundle, TextNode
    Settings.embed_model, Settings.llm = MockEmbedding(embed_dim=vectors.shape[1]), None
    began = clock()
    index = VectorStoreIndex([TextNode(text=t, embedding=v.tolist()) for t, v in zip(texts, vectors)])
    retriever = index.as_retriever(similarity_top_k=10)
    def ask(n): return retriever.retrieve(QueryBundle(questions[n], embedding=asked[n].tolist()))
built = clock() - began
assert len(ask(0)) == 10; times = []
for n in range(len(questions)):
    began = clock(); ask(n); times.append(1000 * (clock() - began))
print("FOUND" + json.dumps({"built": built, "times": times}))
"""


def ours(name: str, questions: list[str], asked: np.ndarray, clock: Callable[[], float]) -> list[float]:
    """Milliseconds of each question, as `search` goes about it."""
    times = []
    with Index(name) as index:
        known = PassageVectors(index)
        for question, vector in zip([questions[0], *questions], asked[[0, *range(len(asked))]], strict=True):
            began = clock()
            numbers, cosines = known.cosines(vector)
            stands = standing(cosines)
            dense = {int(numbers[at]): float(stands[at]) for at in highest(cosines, numbers, DEPTH)}
            words = by_words(index, question)
            found = index.hits([*fuse(dense, words, index.file_of([*dense, *words]))][:10])
            times.append(1000 * (clock() - began))
            assert len(found) == 10
    return times[1:]


def told(which: str, size: int, built: float, times: list[float]) -> None:
    middle, late = np.median(times), np.percentile(times, 95)
    print(
        f"{size:7} passages  {which:12} {size / built:8.0f} a second  question {middle:.1f} / {late:.1f} ms", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python")
    parser.add_argument("--passages", nargs="+", type=int, default=[1000, 10_000, 100_000])
    parser.add_argument("--cpu-time", action="store_true", help="seconds of each process, on a machine others use too")
    given = parser.parse_args()
    clock = time.process_time if given.cpu_time else time.perf_counter
    rows = [json.loads(line) for line in (HERE / "tuning.jsonl").read_text("utf-8").splitlines()]
    questions = [row["question"] for row in rows if row["body"] == "books"][:ASKED]
    encoder = registry.open_encoder("starter/encoder")
    asked = np.concatenate([encoder.embed_search(question) for question in questions])
    with Index("books") as index:
        known = PassageVectors(index)
        drawn = np.random.default_rng(0).choice(known.numbers, DRAWN, replace=False)
        texts = index.hits([int(number) for number in drawn])
    for size in given.passages:
        name = f"scale-{size}"
        if name in names():
            remove(name)
        began = clock()
        filled(name, texts, known, size, np.random.default_rng(1))
        told("Genarium", size, clock() - began, ours(name, questions, asked, clock))
        with tempfile.TemporaryDirectory() as made, Index(name) as index:
            vectors = PassageVectors(index)
            every = [
                hit.text
                for first in range(0, size, 500)
                for hit in index.hits(vectors.numbers[first : first + 500].tolist())
            ]
            np.save(Path(made) / "vectors.npy", vectors.matrix)
            np.save(Path(made) / "asked.npy", asked)
            content = {
                "vectors": f"{made}/vectors.npy",
                "asked": f"{made}/asked.npy",
                "texts": every,
                "questions": questions,
            }
            (Path(made) / "given.json").write_text(json.dumps(content), "utf-8")
            for which in ("txtai", "LlamaIndex"):
                result = asked_of(given.python, PEER, f"{made}/given.json", which, clock.__name__)
                told(which, size, result["built"], result["times"])
        remove(name)


if __name__ == "__main__":
    main()
