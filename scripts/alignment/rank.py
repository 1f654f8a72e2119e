"""A simulated rater: to each prompt several answers of a model, ranked by a classifier, as `align reward` reads them.

    python scripts/alignment/rank.py prompts.jsonl --model runs/sft --rater runs/rater --out rankings.jsonl

Where people rank, this is the page they do it on. The rater is a head on `starter/encoder`, which learned from what
people called half of the reviews; it reads the prompt and its answer.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import genarium

LABEL = "positive"


def answers_to(prompt: str, model: str, count: int, seed: int) -> list[str]:
    """Different continuations of the prompt, as the policy draws them."""
    made = genarium.text(
        prompt, n=count, max_new_tokens=24, temperature=1.0, top_p=1.0, model=model, seed=seed, stop=["\n"]
    )
    return list(dict.fromkeys(text for one in made if (text := one.facts()["text"]).strip()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--rater", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--answers", type=int, default=6)
    parser.add_argument("--limit", type=int, default=1000, help="prompts, the file's first")
    options = parser.parse_args()
    prompts = [json.loads(line)["prompt"] for line in options.prompts.read_text(encoding="utf-8").splitlines()]
    answers = [
        answers_to(prompt, options.model, options.answers, seed) for seed, prompt in enumerate(prompts[: options.limit])
    ]
    whole = [prompt + answer for prompt, said in zip(prompts, answers, strict=False) for answer in said]
    scores = iter(row["probabilities"][LABEL] for row in genarium.classify(whole, model=options.rater)[0].rows)
    with options.out.open("w", encoding="utf-8") as out:
        for prompt, said in zip(prompts, answers, strict=False):
            best_first = [answer for _, answer in sorted(((next(scores), one) for one in said), reverse=True)]
            out.write(json.dumps({"prompt": prompt, "answers": best_first}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
