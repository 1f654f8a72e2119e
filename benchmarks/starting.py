"""Processor time and memory of short commands on their starters, beside an earlier checkout.

    python benchmarks/starting.py [--before CHECKOUT] [--repeats 5] [--only embed ask …]

Each command runs in a process of its own, with one thread, once unmeasured (so that Python's own files are compiled),
then in turns with the earlier checkout's. Printed are medians of user and system seconds, the least of them, and the
largest resident memory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

TEXT = "The lighthouse was built in 1862. Its keeper wrote down the weather of every evening. The museum has the books."
COMMANDS = {
    "embed": ["embed", TEXT],
    "classify": ["classify", "it was a lovely film and the end of it is good", "--model", "starter/sentiment"],
    "rank": ["rank", "who wrote down the weather", TEXT, "the cat sat on the mat"],
    "answer": ["answer", "Who wrote down the weather?", "--context", TEXT],
    "ask": ["ask", "What did the keeper write down of the evening?"],
    "summarize": ["summarize", TEXT, "--sentences", "1"],
}
RUN = """
import resource, sys
from genarium.__main__ import start
ended = 0
try:
    start()
except SystemExit as error:
    ended = error.code
used = resource.getrusage(resource.RUSAGE_SELF)
print("USED", used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, "torch" in sys.modules, ended or 0, file=sys.stderr)
"""


def run(tree: Path, folder: Path, command: list[str]) -> tuple[float, float, str]:
    """Seconds, MB, and whether torch was imported."""
    environment = dict(os.environ, PYTHONPATH=str(tree), OMP_NUM_THREADS="1", GENARIUM_HOME=str(folder / "home"))
    environment |= {"PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", RUN, *command], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    used = done.stderr.rpartition("USED ")[2].split()
    if len(used) != 4 or used[3] != "0":
        raise SystemExit(f"{' '.join(command)} failed in {tree}:\n{done.stdout}{done.stderr}")
    return float(used[0]), float(used[1]), used[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=list(COMMANDS), default=list(COMMANDS))
    options = parser.parse_args()
    trees = {"now": Path(__file__).resolve().parent.parent}
    if options.before is not None:
        trees = {"before": options.before.resolve()} | trees
    with tempfile.TemporaryDirectory() as made:
        folders = {name: Path(made) / name for name in trees}
        for name, folder in folders.items():
            (folder / "documents").mkdir(parents=True)
            (folder / "documents" / "lighthouse.txt").write_text(TEXT)
            run(trees[name], folder, ["index", str(folder / "documents")])
        for command in options.only:
            found: dict[str, list[tuple[float, float, str]]] = {name: [] for name in trees}
            for _ in range(options.repeats + 1):
                for name, tree in trees.items():
                    found[name].append(run(tree, folders[name], COMMANDS[command]))
            for name, times in found.items():
                seconds, megabytes = [one[0] for one in times[1:]], [one[1] for one in times[1:]]
                print(
                    f"{command:10} {name:7} {statistics.median(seconds):.2f} s, at least {min(seconds):.2f}; "
                    f"{statistics.median(megabytes):.0f} MB; torch imported: {times[-1][2]}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
