"""Processor time and memory of short commands on their starters, beside an earlier checkout.

    python benchmarks/starting.py [--before CHECKOUT] [--repeats 5] [--only embed ask …]

Each command runs in a process of its own, with one thread, once unmeasured (so that Python's own files are compiled
and weights are kept), then in turns with the earlier checkout's. Printed are medians of user and system seconds, from
the command to what it first writes to standard output and to its end, and the largest resident memory. `chat` needs
`genarium models pull starter/chat`; its file is copied from the data folder.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from genarium import files

TEXT = "The lighthouse was built in 1862. Its keeper wrote down the weather of every evening. The museum has the books."
COMMANDS = {
    "help": ["--help"],
    "text": ["text", "Once upon a time", "--max-new-tokens", "60", "--seed", "1"],
    "chat": ["chat", "What is the capital of France?", "--max-new-tokens", "20", "--seed", "1"],
    "embed": ["embed", TEXT],
    "classify": ["classify", "it was a lovely film and the end of it is good", "--model", "starter/sentiment"],
    "rank": ["rank", "who wrote down the weather", TEXT, "the cat sat on the mat"],
    "answer": ["answer", "Who wrote down the weather?", "--context", TEXT],
    "ask": ["ask", "What did the keeper write down of the evening?"],
    "summarize": ["summarize", TEXT, "--sentences", "1"],
}
RUN = """
import resource, sys

class First:  # a terminal that remembers when it was first written to
    def __init__(self, to, used): self.to, self.used, self.at = to, used, None
    def write(self, text):
        if self.at is None and text: self.at = self.used()
        return self.to.write(text)
    def isatty(self): return True
    def __getattr__(self, name): return getattr(self.to, name)

def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

sys.stdout = shown = First(sys.stdout, cpu)
from genarium.__main__ import start
ended = 0
try:
    start()
except SystemExit as error:
    ended = error.code
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print("USED", shown.at or cpu(), cpu(), memory, "torch" in sys.modules, ended or 0, file=sys.stderr)
"""


def run(tree: Path, folder: Path, command: list[str]) -> tuple[float, float, float, str]:
    """Seconds to the first output and in all, MB, and whether torch was imported."""
    environment = dict(os.environ, PYTHONPATH=str(tree), OMP_NUM_THREADS="1", GENARIUM_HOME=str(folder / "home"))
    environment |= {"PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", RUN, *command], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    used = done.stderr.rpartition("USED ")[2].split()
    if len(used) != 5 or used[4] != "0":
        raise SystemExit(f"{' '.join(command)} failed in {tree}:\n{done.stdout}{done.stderr}")
    return float(used[0]), float(used[1]), float(used[2]), used[3]


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
            if name == "now" and "chat" in options.only:
                shutil.copytree(files.home() / "starters", folder / "home" / "starters")
            run(trees[name], folder, ["index", str(folder / "documents")])
        for command in options.only:
            found: dict[str, list[tuple[float, float, float, str]]] = {name: [] for name in trees}
            for _ in range(options.repeats + 1):
                for name, tree in trees.items():
                    found[name].append(run(tree, folders[name], COMMANDS[command]))
            for name, times in found.items():
                first, whole, megabytes = (statistics.median(one[at] for one in times[1:]) for at in range(3))
                least = min(one[0] for one in times[1:])
                print(
                    f"{command:10} {name:7} first output at {first:.2f} s (least {least:.2f}), "
                    f"ended at {whole:.2f} s; {megabytes:.0f} MB; torch imported: {times[-1][3]}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
