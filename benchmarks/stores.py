"""Embedded stores for passages and their vectors, measured side by side; why SQLite was taken stands in docs/asking.md.

    pip install --target /tmp/stores lancedb pyarrow tantivy bm25s faiss-cpu
    PYTHONPATH=/tmp/stores python benchmarks/stores.py --texts BOOKS --passages 1000 10000 100000

Texts are real (windows of 800 characters drawn from the books), vectors random: exact search costs the same for any.
Each store keeps all passages, answers 20 questions of eight words from the text, and is asked for the best 50.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

WIDTH, BEST = 384, 50
Search = Callable[[str, np.ndarray], object]


def sqlite_fts5(texts: list[str], vectors: np.ndarray, folder: Path) -> tuple[Search | None, Search | None]:
    """Text in FTS5, vectors as half-precision blobs of 500, multiplied by NumPy."""
    database = sqlite3.connect(folder / "index.sqlite")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = 'porter unicode61')")
    database.execute("CREATE TABLE vectors (number INTEGER PRIMARY KEY, block BLOB)")
    for first in range(0, len(texts), 500):  # a file a transaction, as an index grows
        with database:
            database.executemany("INSERT INTO words VALUES (?)", [(t,) for t in texts[first : first + 500]])
            block = vectors[first : first + 500].astype(np.float16).tobytes()
            database.execute("INSERT INTO vectors (block) VALUES (?)", (block,))
    blocks = [row[0] for row in database.execute("SELECT block FROM vectors ORDER BY number")]
    matrix = np.frombuffer(b"".join(blocks), np.float16).reshape(-1, WIDTH).astype(np.float32)

    def keyword(question: str, _: np.ndarray) -> object:
        match = " OR ".join(f'"{word}"' for word in question.split())
        return database.execute("SELECT rowid FROM words (?) ORDER BY rank LIMIT ?", (match, BEST)).fetchall()

    def dense(_: str, vector: np.ndarray) -> object:
        return np.argpartition(-(matrix @ vector), BEST)[:BEST]

    return keyword, dense


def tantivy_index(texts: list[str], vectors: np.ndarray, folder: Path) -> tuple[Search | None, Search | None]:
    import tantivy

    schema = tantivy.SchemaBuilder()
    schema.add_text_field("text", stored=True, tokenizer_name="en_stem")
    schema.add_integer_field("number", stored=True)
    index = tantivy.Index(schema.build(), path=str(folder))
    for first in range(0, len(texts), 5000):
        writer = index.writer(num_threads=1)
        for number, text in enumerate(texts[first : first + 5000], first):
            writer.add_document(tantivy.Document(text=text, number=number))
        writer.commit()
        writer.wait_merging_threads()
    index.reload()
    searcher = index.searcher()

    def keyword(question: str, _: np.ndarray) -> object:
        hits = searcher.search(index.parse_query(question, ["text"]), BEST).hits
        return [searcher.doc(address)["number"] for _, address in hits]

    return keyword, None


def bm25s_index(texts: list[str], vectors: np.ndarray, folder: Path) -> tuple[Search | None, Search | None]:
    import bm25s

    retriever = bm25s.BM25()
    retriever.index(bm25s.tokenize(texts, show_progress=False), show_progress=False)
    retriever.save(folder, corpus=texts)

    def keyword(question: str, _: np.ndarray) -> object:
        return retriever.retrieve(bm25s.tokenize([question], show_progress=False), k=BEST, show_progress=False)

    return keyword, None


def lance(texts: list[str], vectors: np.ndarray, folder: Path) -> tuple[Search | None, Search | None]:
    import lancedb

    database = lancedb.connect(str(folder))
    rows = [{"text": text, "vector": vector} for text, vector in zip(texts, vectors, strict=True)]
    table = database.create_table("passages", rows[:5000])
    for first in range(5000, len(rows), 5000):
        table.add(rows[first : first + 5000])
    table.create_fts_index("text")

    def keyword(question: str, _: np.ndarray) -> object:
        return table.search(question, query_type="fts").limit(BEST).to_list()

    def dense(_: str, vector: np.ndarray) -> object:
        return table.search(vector).limit(BEST).to_list()

    return keyword, dense


def faiss_flat(texts: list[str], vectors: np.ndarray, folder: Path) -> tuple[Search | None, Search | None]:
    import faiss

    index = faiss.IndexFlatIP(WIDTH)
    index.add(vectors)
    faiss.write_index(index, str(folder / "index.faiss"))
    return None, lambda _, vector: index.search(vector[None], BEST)


STORES = {
    "sqlite fts5 + numpy": sqlite_fts5,
    "tantivy": tantivy_index,
    "bm25s": bm25s_index,
    "lancedb": lance,
    "faiss flat": faiss_flat,
}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--texts", type=Path, required=True, help="a folder of .txt files")
    asked.add_argument("--passages", type=int, nargs="+", default=[1000, 10000])
    asked.add_argument("--stores", nargs="+", default=list(STORES), choices=list(STORES))
    options = asked.parse_args()
    whole = "\n".join(path.read_text("utf-8") for path in sorted(options.texts.glob("*.txt")))
    draw = random.Random(0)
    for n in options.passages:
        starts = [draw.randrange(len(whole) - 800) for _ in range(n)]
        texts = [whole[start : start + 800] for start in starts]
        vectors = np.random.default_rng(0).standard_normal((n, WIDTH), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        questions = [" ".join(w for w in text.split() if w.isalpha())[:60].rsplit(" ", 1)[0] for text in texts[:20]]
        for name in options.stores:
            print(
                json.dumps({"store": name, "passages": n} | measure(STORES[name], texts, vectors, questions)),
                flush=True,
            )


def measure(
    store: Callable[..., tuple[Search | None, Search | None]],
    texts: list[str],
    vectors: np.ndarray,
    questions: list[str],
) -> dict[str, float]:
    """Build seconds, MiB on disk, and the median milliseconds of a keyword and a vector search."""
    folder = Path(tempfile.mkdtemp(prefix="store"))
    try:
        began = time.perf_counter()
        keyword, dense = store(texts, vectors, folder)
        figures = {"build_s": round(time.perf_counter() - began, 2)}
        size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
        figures["mib"] = round(size / 2**20, 1)
        for what, search in (("keyword_ms", keyword), ("dense_ms", dense)):
            if search is not None:
                times = []
                for number, question in enumerate(questions):
                    began = time.perf_counter()
                    search(question, vectors[number])
                    times.append(time.perf_counter() - began)
                figures[what] = round(1000 * statistics.median(times), 1)
        return figures
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
