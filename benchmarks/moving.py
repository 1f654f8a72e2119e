"""Whether clips show what was asked: a folder's clips of held-out prompts, judged by the follower of moving scenes.

    python benchmarks/moving.py [FOLDER] [-n 500] [--steps 8] [--guidance 2] [--frames 16] [--true] [--sheet X.png]

FOLDER is what `genarium train video` wrote; without it the starter `video`. `--steps` takes a list (`1,4,8`): a line
each. Prompt k is drawn with seed k. `--true` judges composed scenes themselves in place of drawn ones: what the judge
gets wrong. `--plans` judges the planner's plans alone. Seconds are those of a clip, median; use a machine that does
nothing else. A line says how much a thing's look changes from frame to frame: the mean difference of its pixels, of
255, along its way, of things that neither turn nor grow nor wave. `--sheet` keeps frames of the first 24 clips.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from genarium.checkpoints.store import catalogue
from genarium.data.layers import moments
from genarium.engines.video.layered import LayeredVideo
from genarium.engines.video.protocol import VideoRequest, settle
from genarium.scenes.ask import Ask
from genarium.scenes.checker import Verdict, judge
from genarium.scenes.follow import Follower, link
from genarium.scenes.moving import MovingScene, MovingWorld
from genarium.training.objectives.moving_plans import judge_moving_plan

SEED = 1_000_003
"""Of the prompts: no training sees held-out pairs, nor scenes of this seed."""


Options = dict[str, float]
SHOWN = 24


@dataclass(frozen=True)
class Asked:
    """A prompt, and of a true clip its scene."""

    number: int
    prompt: str
    ask: Ask
    scene: MovingScene | None = None


def drawn(engine: LayeredVideo, prompt: str, seed: int, frames: int, options: Options) -> np.ndarray:
    request = settle(VideoRequest(prompt, (seed,), frames=frames, options=options), engine)
    return next(iter(engine.generate(request))).frames


def of_motion(ask: Ask) -> str:
    """What sort of clip a prompt asks for."""
    motions = {wanted.motion for wanted in ask.things if wanted.motion}
    named = "+".join(sorted(motions)) if len(motions) < 2 else "several"
    return f"{named or 'nothing said'}{', turning background' * bool(ask.then)}"


def change(follower: Follower, clip: np.ndarray) -> float | None:
    """How much the look of what goes straight changes from a frame to the next, None where nothing does."""
    found = []
    side = clip.shape[1]
    for track in link(follower.look(clip)):
        if len(track.frames) < len(clip) - 2:
            continue
        middles = np.array([(seen.x, seen.y) for seen in track.seen]) * side
        way = [np.polyfit(track.frames, middles[:, axis], 1) for axis in (0, 1)]
        if np.abs(middles - np.stack([np.polyval(line, track.frames) for line in way], 1)).max() > 3:
            continue
        if len({seen.size for seen in track.seen}) > 1:
            continue
        crops = [_crop(clip[number], *(np.polyval(line, number) for line in way)) for number in track.frames]
        found.append(np.mean([np.abs(b - a).mean() for a, b in pairwise(crops)]))
    return float(np.mean(found)) if found else None


def _crop(frame: np.ndarray, x: float, y: float, n: int = 5) -> np.ndarray:
    """The (2 n)² pixels about a place between pixels."""
    across, down = np.meshgrid(x + np.arange(-n, n) + 0.5, y + np.arange(-n, n) + 0.5)
    grid = torch.from_numpy(np.stack([across, down], -1) / len(frame) * 2 - 1).float()
    pixels = torch.from_numpy(frame.astype(np.float32)).permute(2, 0, 1)
    return torch.nn.functional.grid_sample(pixels[None], grid[None], align_corners=False)[0].numpy()


def report(rights: list[tuple[Ask, tuple[str, ...]]], seconds: list[float], changes: list[float], named: str) -> None:
    right = sum(not wrong for _, wrong in rights)
    of_each = Counter(of_motion(ask) for ask, wrong in rights if not wrong)
    all_of = Counter(of_motion(ask) for ask, _ in rights)
    share, took = right / len(rights), statistics.median(seconds)
    print(f"{named}: {right} of {len(rights)} right ({share:.1%}), {took:.2f} s a clip, judged")
    print("  faults:", dict(Counter(fault for _, wrong in rights for fault in wrong).most_common()))
    print("  right by motion:", {name: f"{of_each[name]}/{n}" for name, n in sorted(all_of.items())})
    if changes:
        print(f"  look changes by {statistics.mean(changes):.2f} of 255 a frame, over {len(changes)} clips")


def asked_of(given: argparse.Namespace, world: MovingWorld) -> list[Asked]:
    """The prompts by number, from the first that is wanted."""
    wanted = range(given.first, given.first + given.n)
    if given.true:
        scenes = [world.moving(given.seed, number, "heldout") for number in wanted]
        return [Asked(number, one.caption, one.ask, one) for number, one in zip(wanted, scenes, strict=True)]
    prompts = world.prompts("heldout", wanted.stop, seed=given.seed)
    return [Asked(number, *prompts[number]) for number in wanted]


def judged(
    asked: Asked,
    engine: LayeredVideo | None,
    world: MovingWorld,
    follower: Follower,
    given: argparse.Namespace,
    options: Options,
) -> tuple[Verdict, np.ndarray | None]:
    """What is wrong of one, and its clip where one is made."""
    if engine is not None and given.plans:
        model, prompts = engine._parts
        words = prompts.conditioning(*prompts.tokens([asked.prompt]))
        plan, _ = engine._planned(model, words, torch.Generator().manual_seed(asked.number))
        return judge_moving_plan(asked.ask, plan, engine.words.side), None
    if engine is not None:
        clip = drawn(engine, asked.prompt, asked.number, given.frames, options)
    else:
        assert asked.scene is not None
        clip = world.frames(asked.scene, moments(given.frames))
    return judge(asked.ask, follower.follow(clip)), clip


def tried(given: argparse.Namespace, options: Options) -> None:
    """All prompts with these options, and the lines about them."""
    world, follower = MovingWorld(), Follower()
    engine = None if given.true else LayeredVideo(given.folder, name=str(given.folder))
    rights: list[tuple[Ask, tuple[str, ...]]] = []
    seconds, changes, rows, lines = list[float](), list[float](), list[np.ndarray](), list[str]()
    for asked in asked_of(given, world):
        began = time.perf_counter()
        verdict, clip = judged(asked, engine, world, follower, given, options)
        seconds.append(time.perf_counter() - began)
        rights.append((asked.ask, verdict.wrong))
        if verdict.wrong:
            lines.append(json.dumps({"number": asked.number, "prompt": asked.prompt, "wrong": verdict.wrong}))
        if clip is None:
            continue
        if (changed := change(follower, clip)) is not None:
            changes.append(changed)
        if len(rows) < SHOWN:
            rows.append(np.concatenate(list(clip[:: max(1, len(clip) // 5)][:6]), 1))
    report(rights, seconds, changes, f"{'true scenes' if engine is None else given.folder} {options or ''}")
    if given.sheet and rows:
        Image.fromarray(np.concatenate(rows).repeat(2, 0).repeat(2, 1)).save(given.sheet)
    if given.wrong:
        given.wrong.write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=catalogue.FOLDER / "video")
    parser.add_argument("-n", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="the number of the first prompt, to share them out")
    parser.add_argument("--steps", default="")
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--true", action="store_true")
    parser.add_argument("--plans", action="store_true")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--wrong", type=Path, help="what was wrong of which prompt, as lines of JSON")
    given = parser.parse_args()
    for steps in given.steps.split(",") if not given.true else [""]:
        options = {"steps": int(steps)} if steps else {}
        tried(given, options if given.guidance is None else options | {"guidance": given.guidance})


if __name__ == "__main__":
    main()
