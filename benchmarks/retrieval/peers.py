"""Search over the same documents, questions and encoder: Genarium, txtai and LlamaIndex, in one run.

    python benchmarks/retrieval/peers.py PYTHON

PYTHON is an interpreter that has torch, sentence-transformers, txtai and llama-index-core. The documents are those of
packages (corpora.py), the encoder `starter/encoder` (all-MiniLM-L6-v2), float32 on the CPU in all three, one thread.
txtai is given Genarium's passages and its hybrid search; LlamaIndex cuts by itself (SentenceSplitter, 256 tokens) and
compares vectors. A passage is right if it holds half of a question's quote. Milliseconds are of one question, with its
vector.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from corpora import documentation
from measure import Question, load, ndcg

from genarium import files
from genarium.checkpoints.store.find import find
from genarium.retrieval import documents
from genarium.retrieval.asking import embedder, vectors_digest
from genarium.retrieval.build import about, build
from genarium.retrieval.conditions import read
from genarium.retrieval.passages import passages
from genarium.retrieval.places import names, remove
from genarium.retrieval.search import search

PEER = """
import json, sys, time
given = json.load(open(sys.argv[1])); which = sys.argv[2]
import torch; torch.set_num_threads(1)
from sentence_transformers import SentenceTransformer
began = time.perf_counter(); found = []
if which == "txtai":
    from txtai import Embeddings
    index = Embeddings(path=given["encoder"], hybrid=True, content=False)
    began = time.perf_counter()
    index.index([(number, one["searched"], None) for number, one in enumerate(given["passages"])])
    built = time.perf_counter() - began
    count = len(given["passages"])
    def ask(question):
        return [[given["passages"][n][k] for k in ("file", "start", "end")] for n, _ in index.search(question, 10)]
else:
    from llama_index.core import Document, Settings, VectorStoreIndex
    from llama_index.core.embeddings import BaseEmbedding
    from llama_index.core.node_parser import SentenceSplitter
    model = SentenceTransformer(given["encoder"], device="cpu")
    class Encoder(BaseEmbedding):
        def _get_query_embedding(self, query): return model.encode(query, show_progress_bar=False).tolist()
        async def _aget_query_embedding(self, query): return self._get_query_embedding(query)
        def _get_text_embedding(self, text): return self._get_query_embedding(text)
        def _get_text_embeddings(self, texts): return model.encode(texts, show_progress_bar=False).tolist()
    Settings.embed_model, Settings.llm = Encoder(embed_batch_size=32), None
    began = time.perf_counter()
    cut = SentenceSplitter(chunk_size=256, chunk_overlap=32)
    nodes = cut.get_nodes_from_documents([Document(text=t, metadata={"file": f}, excluded_embed_metadata_keys=[]) for f, t in given["texts"].items()])
    index = VectorStoreIndex(nodes)
    built = time.perf_counter() - began
    count = len(nodes); retriever = index.as_retriever(similarity_top_k=10)
    def ask(question):
        return [[n.node.metadata["file"], n.node.start_char_idx, n.node.end_char_idx] for n in retriever.retrieve(question)]
ask("what is it"); times = []
for question in given["questions"]:
    began = time.perf_counter(); found.append(ask(question)); times.append(1000 * (time.perf_counter() - began))
print("FOUND" + json.dumps({"found": found, "times": times, "built": built, "count": count}))
"""  # noqa: E501


def asked_of(python: str, script: str, *given: str) -> Any:
    """What a peer's script found, run by its own interpreter."""
    done = subprocess.run([python, "-c", script, *given], capture_output=True, text=True, check=False)
    if "FOUND" not in done.stdout:
        sys.exit(done.stderr[-2000:])
    return json.loads(done.stdout.partition("FOUND")[2])


def told(name: str, asked: list[Question], result: dict[str, Any], everything: list[tuple[str, int, int]]) -> None:
    """Quality over the right passages among `everything` that this library could find."""
    gains, recalls = [], []
    for question, found in zip(asked, result["found"], strict=True):
        marks = [question.right(*one) for one in found]
        total = sum(question.right(*one) for one in everything) or 1
        gains.append(ndcg(marks, total))
        recalls.append(any(marks[:5]))
    times = np.array(result["times"])
    print(
        f"{name:10} nDCG@10 {np.mean(gains):.3f}  recall@5 {np.mean(recalls):.3f}  {result['count']} passages, "
        f"{result['count'] / result['built']:.1f} a second  question {np.median(times):.1f} / "
        f"{np.percentile(times, 95):.1f} ms (median / 95th percentile)",
        flush=True,
    )


def ours(folder: Path, asked: list[Question]) -> dict[str, Any]:
    encoder = find("starter/encoder", default="encoder")
    if "peers" in names():
        remove("peers")
    embed = embedder(encoder.reference)
    began = time.perf_counter()
    report = build(folder, embed, encoder=encoder.reference, encoder_digest=vectors_digest(encoder), name="peers")
    built = time.perf_counter() - began
    conditions = read([], None)
    search(["peers"], "what is it", conditions=conditions)
    found, times = [], []
    for question in asked:
        began = time.perf_counter()
        hits = search(["peers"], question.text, conditions=conditions).hits[:10]
        times.append(1000 * (time.perf_counter() - began))
        found.append([(hit.file, hit.start, hit.end) for hit in hits])
    return {"found": found, "times": times, "built": built, "count": report.passages}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python")
    options = parser.parse_args()
    folder = documentation(files.home() / "documentation")
    asked = [one for one in load("questions.jsonl", {"docs": folder, "books": Path()}, bodies=("docs",)) if one.ranges]
    texts, cut = dict[str, str](), list[dict[str, Any]]()
    for file in sorted(folder.iterdir()):
        document = documents.parse(file.name, file.read_bytes())
        texts[file.name] = document.text
        for one in passages(document):
            searched = f"{about(file.name, one.heading)}\n{one.searched}"
            cut.append({"file": file.name, "start": one.start, "end": one.end, "searched": searched})
    everything = [(one["file"], one["start"], one["end"]) for one in cut]
    told("Genarium", asked, ours(folder, asked), everything)
    encoder = find("starter/encoder", default="encoder").path
    with tempfile.TemporaryDirectory() as made:
        given = Path(made) / "given.json"
        questions = [one.text for one in asked]
        content = {"encoder": str(encoder), "passages": cut, "texts": texts, "questions": questions}
        given.write_text(json.dumps(content), "utf-8")
        for which in ("txtai", "llama-index"):
            told(which, asked, asked_of(options.python, PEER, str(given), which), everything)


if __name__ == "__main__":
    main()
