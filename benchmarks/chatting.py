"""What a chat model replies to 40 everyday prompts, as a Markdown table to be judged by hand.

    python benchmarks/chatting.py [--model starter/chat] [--seed 1] > replies.md

The prompts (`everyday_prompts.txt`) were written before any reply was seen. Each is asked on its own, with the settings
that `genarium chat` has without options, and at most 160 new tokens; a reply is shown up to 300 characters.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import genarium

PROMPTS = Path(__file__).with_name("everyday_prompts.txt")
SHOWN = 300


def in_a_cell(text: str) -> str:
    """One line of a table, what is left out of it marked."""
    line = " ".join(text.split()).replace("|", "\\|")
    return line if len(line) <= SHOWN else line[:SHOWN].rsplit(" ", 1)[0] + " …"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="starter/chat")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print("| | asked | reply |\n|---|---|---|")
    for number, prompt in enumerate(PROMPTS.read_text("utf-8").splitlines(), 1):
        [reply] = genarium.chat(prompt, model=asked.model, seed=asked.seed, max_new_tokens=160)
        cut = "" if reply.finish_reason == "stop" else " *(cut at 160 tokens)*"
        print(f"| {number} | {in_a_cell(prompt)} | {in_a_cell(reply.text)}{cut} |", flush=True)


if __name__ == "__main__":
    main()
