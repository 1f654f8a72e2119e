"""Speech heard back, and how fast: `speak` and `transcribe` beside kokoro-onnx and faster-whisper used directly.

    python benchmarks/speech.py --data ../shared/data --english 200 --chinese 100 [--peers FOLDER] [--out FILE.json]

Sentences are evenly chosen, so that of any number the same ones are said each time. Word error rate is of all edits
over all words (characters in Chinese), as `speak --check` gives it, of the first try and of what was kept. PEERS is a
folder that pip installed kokoro-onnx into (--target); it is given the same network and our phonemes, so that only what
runs them differs. Everything is timed alternately, in one process; ratios are medians of those of single sentences.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from genarium.checkpoints.store import catalogue
from genarium.data.sentences import sentences
from genarium.engines import registry
from genarium.engines.audio.hearing import Hearing, checked, resampled
from genarium.engines.audio.protocol import SpeechRequest

WORDS = 6, 25
HELD_OUT = ("the-crimson-fairy-book.txt", "the-railway-children.txt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--english", type=int, default=200)
    parser.add_argument("--chinese", type=int, default=100)
    parser.add_argument("--timed", type=int, default=5, help="sentences that the peers are timed on")
    parser.add_argument("--minutes", type=float, default=1e9, help="after these no further sentence is begun")
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    until = time.monotonic() + 60 * asked.minutes
    found: dict[str, Any] = {"start": start()}
    books = english(asked.data, asked.english)
    if asked.peers:
        sys.path.append(str(asked.peers))
        found["beside"] = beside(books[: asked.timed])
    keep(found, asked.out)
    for name, chosen in (("english", books), ("chinese", chinese(asked.data, asked.chinese))):
        half = time.monotonic() + (until - time.monotonic()) * (0.6 if name == "english" else 1)
        found[name] = heard_back(chosen, half)
        found["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        keep(found, asked.out)


def keep(found: dict[str, Any], out: Path | None) -> None:
    text = json.dumps(found, indent=1, ensure_ascii=False)
    if out:
        out.write_text(text)
    brief = {
        name: {k: v for k, v in one.items() if k != "rows"} if isinstance(one, dict) else one
        for name, one in found.items()
    }
    print(json.dumps(brief, ensure_ascii=False), flush=True)


def spread(items: list[str], count: int) -> list[str]:
    """So many of them, from all over, in an order in which the first few are from all over as well."""
    places = sorted(range(len(items)), key=lambda place: (place * 0x9E3779B1) % 2**32)
    return [items[place] for place in places[:count]]


def english(data: Path, count: int) -> list[str]:
    found = []
    for name in HELD_OUT:
        text = (data / "books" / name).read_text("utf-8")
        for start, end in sentences(text):
            one = " ".join(text[start:end].split())
            if WORDS[0] <= len(one.split()) <= WORDS[1] and one[0].isalpha() and one[-1] in ".!?":
                found.append(one)
    return spread(found, count)


def chinese(data: Path, count: int) -> list[str]:
    rows = next((data / "tatoeba-en-zh").glob("*.t*")).read_text("utf-8").splitlines()
    both = [row.split("\t") for row in rows]
    return spread([row[1] for row in both if len(row) > 1 and 6 <= len(row[1]) <= 30], count)


def start() -> dict[str, float]:
    """Seconds until the models are there and the first sound of a long text is; no file is cold."""
    began = time.perf_counter()
    engine = registry.open_speech("starter")
    next(iter(engine.speak(SpeechRequest("Good morning, this is a test. " * 100))))
    first = time.perf_counter() - began
    began = time.perf_counter()
    next(iter(engine.speak(SpeechRequest("Good morning, this is a test. " * 100))))
    return {"first_sound_s": round(first, 2), "first_sound_when_open_s": round(time.perf_counter() - began, 2)}


def heard_back(chosen: list[str], until: float) -> dict[str, Any]:
    speech, ears = registry.open_speech("starter"), registry.open_transcriber("starter")
    rows = []
    for text in chosen:
        if time.monotonic() > until:
            break
        for part, row in checked(speech, ears, SpeechRequest(text)):
            rows.append(row | {"seconds": len(part.samples) / speech.rate})
    words = sum(row["words"] for row in rows)
    errors = sum(row["errors"] for row in rows)
    return {
        "sentences": len(rows),
        "words": words,
        "word_error_rate": round(errors / max(1, words), 4),
        "word_error_rate_of_first_tries": round(sum(row["first_errors"] for row in rows) / max(1, words), 4),
        "without_error": sum(not row["errors"] for row in rows),
        "said_again": sum(row["again"] for row in rows),
        "rows": rows,
    }


def beside(chosen: list[str]) -> dict[str, Any]:
    """Ratios of seconds, ours over theirs, on the same sentences."""
    from faster_whisper import WhisperModel
    from kokoro_onnx import Kokoro

    from genarium.checkpoints.layouts import kokoro as layout
    from genarium.engines.audio.reader import Mixed
    from genarium.engines.audio.said import written

    folder = catalogue.starter("speech").path
    network = folder / "kokoro-v1.0.int8.onnx"
    voices = Path("/tmp/speech-voices.npz")
    np.savez(voices, af_heart=layout.read(folder).voices["af_heart"]()[:, None])
    theirs = Kokoro(str(network), str(voices))
    whisper = WhisperModel(str(catalogue.starter("transcribe").path), device="cpu", compute_type="int8")
    ours, ears = registry.open_speech("starter"), registry.open_transcriber("starter")
    reader = Mixed(folder, "us", {}, "en")
    next(iter(ours.speak(SpeechRequest("Good morning.", voice="af_heart"))))  # opened before anything is timed
    theirs.create("ɡʊd mˈɔɹnɪŋ.", "af_heart", is_phonemes=True, trim=False)
    rows: dict[str, list[tuple[float, float, float]]] = {"speak": [], "transcribe": []}
    for text in chosen:
        clock, parts = timed(lambda text=text: list(ours.speak(SpeechRequest(text, voice="af_heart"))))
        line = written(reader(text, 0, len(text)))[0]
        other, _ = timed(lambda line=line: theirs.create(line, "af_heart", is_phonemes=True, trim=False))
        samples = np.concatenate([part.samples for part in parts])
        rows["speak"].append((clock[0] / other[0], clock[1] / other[1], clock[0] / (len(samples) / ours.rate)))
        sound = resampled(samples, ours.rate)
        clock, _ = timed(lambda sound=sound: ears.hear(sound, Hearing()))
        other, _ = timed(
            lambda sound=sound: list(whisper.transcribe(sound, vad_filter=True, condition_on_previous_text=False)[0])
        )
        rows["transcribe"].append((clock[0] / other[0], clock[1] / other[1], clock[0] / (len(sound) / 16_000)))
    return {"sentences": len(chosen)} | {
        name: dict(
            zip(("seconds_over", "cpu_over", "real_time_factor"), map(_median, zip(*some, strict=True)), strict=True)
        )
        for name, some in rows.items()
    }


def timed(work: Callable[[], Any]) -> tuple[tuple[float, float], Any]:
    """Seconds, those of processors, and what came of it: on a busy machine the latter say more."""
    began, busy = time.perf_counter(), time.process_time()
    made = work()
    return (time.perf_counter() - began, time.process_time() - busy), made


def _median(values: tuple[float, ...]) -> float:
    return round(statistics.median(values), 3)


if __name__ == "__main__":
    main()
