"""Captions and matching on scenes nobody trained on; and a caption at GIT-base size against transformers.

    python benchmarks/captions.py [--caption starter/caption] [--match starter/match] [-n 500] [--snap 8]
    python benchmarks/captions.py --git FOLDER [--repeats 5]

The first writes a caption of each of n held-out scenes, parses it and compares it with the scene's annotation; then
asks the matcher about true captions and the same with one word made wrong. `--record` puts the figures into the
folders' training.json, for the cards. The second makes FOLDER, where it is not there yet, of random weights (177
million) and times a caption of 20 tokens, picture to tokens, one thread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from genarium.checkpoints.layouts import blip, git
from genarium.checkpoints.processors import image_processor
from genarium.checkpoints.processors import tokenizer as tokenizers
from genarium.checkpoints.store.find import find
from genarium.engines import registry
from genarium.engines.vision.caption import CaptionRequest
from genarium.files import write_atomically
from genarium.scenes import Scene, World
from genarium.scenes.captions import caption
from genarium.scenes.changes import CHANGES
from genarium.scenes.dice import Dice
from genarium.scenes.telling import told, wrong

SEED, SIZE, BATCH, TOKENS = 77, 64, 50, 20


def images_of(world: World, scenes: list[Scene]) -> list[Image.Image]:
    return [Image.fromarray(world.image(scene)) for scene in scenes]


def measure_captions(reference: str, world: World, n: int) -> dict[str, float]:
    """Shares of captions that have each attribute of every thing right, and all of them."""
    engine = registry.open_caption(reference)
    faults: Counter[str] = Counter()
    right = but_size = 0
    for first in range(0, n, BATCH):
        scenes = [world.scene(SEED, index, "heldout") for index in range(first, min(n, first + BATCH))]
        described = engine.describe(images_of(world, scenes), CaptionRequest())
        for scene, captions in zip(scenes, described, strict=True):
            found = wrong(captions[0].text, told(scene, SIZE))
            faults.update(found)
            right += not found
            but_size += not found - {"size"}
    figures = {name: 1 - faults[name] / n for name in ("kind", "count", "colour", "background", "place", "size")}
    whole = {"as many things": 1 - faults["extra"] / n, "all but size": but_size / n, "all of it": right / n}
    return figures | whole


def measure_match(reference: str, world: World, n: int) -> dict[str, float]:
    """Shares of judgements at one half that are right, and of pairs in which the true caption has the higher score."""
    folder = find(reference, default="match").path
    assert folder is not None
    model, tokenizer = blip.load_matcher(folder), tokenizers.load(folder)
    brought = image_processor.read(folder, model.config.image.image_size)
    judged: dict[str, list[bool]] = {name: [] for name in ("true captions", *(f"wrong {c}" for c in CHANGES), "pairs")}

    @torch.inference_mode()
    def score(states: torch.Tensor, texts: list[str]) -> list[float]:
        rows = [tokenizer.encode(text).ids for text in texts]
        longest = max(map(len, rows))
        tokens = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        lengths = torch.tensor([len(row) for row in rows])
        return model.judge(states, tokens, lengths=lengths)[0].softmax(dim=-1)[:, 1].tolist()

    for index in range(n):
        scene = world.scene(SEED, index, "heldout")
        with torch.inference_mode():
            states = model.image(brought.tensor(images_of(world, [scene])))
        ask = told(scene, SIZE)
        texts, names = [caption(ask, Dice(SEED, index))], list[str]()
        for name, change in CHANGES.items():
            changed = change(ask, Dice(SEED, 9, index))
            if changed is not None:
                texts.append(caption(changed, Dice(SEED, index)))
                names.append(name)
        true, *false = score(states, texts)
        judged["true captions"].append(true > 0.5)
        for name, value in zip(names, false, strict=True):
            judged[f"wrong {name}"].append(value <= 0.5)
            judged["pairs"].append(true > value)
    figures = {name: sum(values) / len(values) for name, values in judged.items()}
    false_right = [value for name, values in judged.items() if name.startswith("wrong") for value in values]
    # As many true ones as false: each side counts half.
    return figures | {"judged rightly": (figures["true captions"] + sum(false_right) / len(false_right)) / 2}


def make_git(folder: Path) -> None:
    from transformers import GitConfig, GitForCausalLM

    torch.manual_seed(0)
    model = GitForCausalLM(GitConfig())
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.0f} million random weights in {folder}")
    model.save_pretrained(folder)


def measure_git(folder: Path, repeats: int) -> dict[str, object]:
    """CPU seconds of one caption by transformers and by Genarium, in both types; Genarium by itself takes bfloat16."""
    from transformers import GitForCausalLM

    if not (folder / "config.json").exists():
        make_git(folder)
    torch.set_num_threads(1)
    plain = GitForCausalLM.from_pretrained(folder).eval()
    half = GitForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    ours = {dtype: git.load(folder, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)}
    image = image_processor.Pixels(224, crop=True).tensor([Image.effect_noise((320, 240), 90).convert("RGB")])
    config = ours[torch.float32].config

    def theirs(model: GitForCausalLM) -> list[int]:
        made = model.generate(
            pixel_values=image.to(model.dtype),
            input_ids=torch.tensor([[config.start_token]]),
            max_new_tokens=TOKENS,
            min_new_tokens=TOKENS,
            do_sample=False,
        )
        return made[0, 1:].tolist()

    def native(dtype: torch.dtype) -> list[int]:
        model = ours[dtype]
        seen = model.read(model.see(image.to(dtype)), TOKENS)
        token, found = torch.tensor([[config.start_token]]), list[int]()
        for _ in range(TOKENS):
            scores = model.step(seen, token)
            scores[:, config.end_token] = -torch.inf
            token = scores.argmax(dim=-1, keepdim=True)
            found.append(int(token))
        return found

    runs: dict[str, Callable[[], list[int]]] = {
        "transformers float32": lambda: theirs(plain),
        "transformers bfloat16": lambda: theirs(half),
        "genarium float32": lambda: native(torch.float32),
        "genarium bfloat16": lambda: native(torch.bfloat16),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    tokens: dict[str, list[int]] = {}
    with torch.inference_mode():
        for _ in range(repeats + 1):
            for name, run in runs.items():  # one after the other, so that a busy machine meets all alike
                began = time.process_time()
                tokens[name] = run()
                seconds[name].append(time.process_time() - began)
    medians = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    if tokens["genarium float32"] != tokens["transformers float32"]:
        raise SystemExit("in float32 the two write different tokens: one of them is wrong")
    return {
        "cpu_seconds": medians,
        "times_as_fast": medians["transformers float32"] / medians["genarium bfloat16"],
        "tokens": {name: len(found) for name, found in tokens.items()},
    }


def record(reference: str, title: str, figures: dict[str, float]) -> None:
    folder = find(reference, default="caption").path
    assert folder is not None
    recipe = json.loads((folder / "training.json").read_text("utf-8"))
    rounded = {name: round(share, 4) for name, share in figures.items()}
    recipe["measured"] = recipe.get("measured", {}) | {title: rounded}
    write_atomically(folder / "training.json", json.dumps(recipe, indent=2).encode() + b"\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--caption", default="starter/caption")
    parser.add_argument("--match", default="starter/match")
    parser.add_argument("-n", type=int, default=500)
    parser.add_argument("--snap", type=int, default=8, help="pixels of the grid that objects stand on")
    parser.add_argument("--record", action="store_true", help="keep the figures in the folders' training.json")
    parser.add_argument("--git", type=Path, help="time a caption at GIT-base size, with the weights in this folder")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    if given.git:
        print(json.dumps(measure_git(given.git, given.repeats), indent=2))
        return
    world = World(SIZE, snap=given.snap)
    for title, reference, measure in (
        ("captions", given.caption, measure_captions),
        ("matching", given.match, measure_match),
    ):
        if reference:
            print(f"{title} of {given.n} held-out scenes, {reference}")
            figures = measure(reference, world, given.n)
            for name, share in figures.items():
                print(f"  {name:16} {share:6.1%}")
            if given.record:
                record(reference, f"{given.n} held-out scenes, grid of {given.snap}", figures)


if __name__ == "__main__":
    main()
