"""Small mutations of every kind of file that is read, and what came of each.

    python benchmarks/fuzz.py [--only NAME …] [--first 0] [--inputs 100] [--seconds 20] [--kept FOLDER]

The package measured is the one that is imported: set PYTHONPATH to another checkout to measure that. Input number n of
a format is the same in every run, so `--first` continues an earlier one. Each format runs in a process of its own,
which is started again after a crash, or where an input takes longer than `--seconds` (of processor time; three times
that of the clock) or 1 GB more memory than the one before it.

An input is held where it gives a result, or one sentence of less than 600 characters (a GenariumError). All else is a
finding: told with its last line of our code, and its content kept in `--kept`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
sys.path.append(str(HERE.parent))
from fuzz_inputs import contents, folders  # noqa: E402
from fuzz_inputs.folders import Format  # noqa: E402

FORMATS = {one.name: one for one in (*folders.FORMATS, *contents.FORMATS)}
MOST_BYTES = 10**9
TOLD = "worker.jsonl"
LONGEST_SENTENCE = 600


def work(one: Format, first: int, last: int, kept: Path) -> None:
    """In a process of its own: a line of JSON before each input and one after."""
    out = (kept / TOLD).open("w", buffering=1)
    with (kept / "worker.err").open("w") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    scratch = Path(tempfile.mkdtemp(dir=kept))
    run = one.open(one.name, scratch)
    whole = one.whole() if one.whole else run.whole  # type: ignore[attr-defined]
    run(whole)
    held = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (_data() + MOST_BYTES, held))
    for number in range(first, last):
        content = one.mutation(whole, Random(f"{one.name} {number}"))
        (scratch / "input").write_bytes(content)
        print(json.dumps({"begin": number}), file=out)
        fault, said = outcome(run, content)
        if fault:
            (kept / f"{one.name.replace('/', '-')}-{number}").write_bytes(content)
        print(json.dumps({"end": number, "fault": fault, "said": said}), file=out)


def outcome(run: folders.Run, content: bytes) -> tuple[str, str]:
    """What is wrong (nothing where the input is held), and what was said."""
    from genarium.errors import GenariumError
    from genarium.retrieval.documents import Unreadable

    try:
        run(content)
    except (GenariumError, Unreadable) as error:
        said = str(error)
        if len(said) >= LONGEST_SENTENCE:
            return f"{len(said)} characters: {said[:80]}", said
        return ("more than one line: " + said[:80] if "\n" in said else ""), said
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "/genarium/" in frame.filename]
        at = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
        return f"{type(error).__name__} at {at}: {' '.join(str(error).split())[:160]}", ""
    return "", ""


def _data() -> int:
    """Bytes of this process' own memory."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmData:")[2].split()[0]) * 1024


def measure(one: Format, first: int, last: int, seconds: float, kept: Path) -> tuple[Counter[str], list[str]]:
    """How many inputs gave a result, a sentence and a finding; and the findings."""
    count: Counter[str] = Counter()
    faults: list[str] = []
    told = kept / TOLD
    while first < last:
        told.write_bytes(b"")
        process = multiprocessing.get_context("fork").Process(target=work, args=(one, first, last, kept))
        process.start()
        stopped = _watch(process, told, seconds)
        lines = [json.loads(line) for line in told.read_text().splitlines() if line.endswith("}")]
        ended = [line for line in lines if "end" in line]
        for line in ended:
            count["findings" if line["fault"] else "sentences" if line["said"] else "results"] += 1
            if line["fault"]:
                faults.append(f"{one.name} {line['end']}: {line['fault']}")
        begun = [line["begin"] for line in lines if "begin" in line]
        if not begun:
            raise SystemExit(f"{one.name} did not start: " + (kept / "worker.err").read_text()[-2000:])
        if len(ended) < len(begun):
            count["findings"] += 1
            why = "took too long" if stopped else f"the process ended with {process.exitcode}"
            faults.append(f"{one.name} {begun[-1]}: {why}")
            for left in kept.glob("tmp*/input"):
                shutil.copy(left, kept / f"{one.name.replace('/', '-')}-{begun[-1]}")
        first = begun[-1] + 1
        for left in kept.glob("tmp*"):
            folders.clear(left)
    return count, faults


def _watch(process: BaseProcess, told: Path, seconds: float) -> bool:
    """Waits until the process ends; True where it was stopped since one input took too long."""
    import psutil

    seen, since, used = -1, time.monotonic(), 0.0
    while process.is_alive():
        process.join(0.1)
        size = told.stat().st_size
        try:
            times = psutil.Process(process.pid).cpu_times()
        except psutil.Error:
            continue
        if size != seen:
            seen, since, used = size, time.monotonic(), times.user + times.system
        starting = 10 if not size else 1
        if times.user + times.system - used > seconds * starting or time.monotonic() - since > 3 * seconds * starting:
            process.kill()
            process.join()
            return True
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=list(FORMATS), help="beginnings of the formats' names")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--inputs", type=int, default=100, help="of each format")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--kept", type=Path, default=Path(tempfile.gettempdir()) / "genarium-fuzz")
    asked = parser.parse_args()
    asked.kept.mkdir(parents=True, exist_ok=True)
    os.environ |= {"GENARIUM_HOME": str(asked.kept / "home"), "HF_HUB_OFFLINE": "1"}
    import diffusers  # noqa: F401 - once for all processes, which are forked from this one
    import torch
    import transformers  # noqa: F401

    torch.set_num_threads(1)
    total: Counter[str] = Counter()
    for name, one in FORMATS.items():
        if not name.startswith(tuple(asked.only)):
            continue
        begun = time.monotonic()
        count, faults = measure(one, asked.first, asked.first + asked.inputs, asked.seconds, asked.kept)
        total += count
        taken = time.monotonic() - begun
        row = [name, count.total(), count["results"], count["sentences"], count["findings"], f"{taken:.0f} s"]
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
        for fault in faults:
            print("  ", fault, flush=True)
    print(f"{total.total()} inputs: {dict(total)}")


if __name__ == "__main__":
    main()
