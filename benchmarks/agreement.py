"""Whether pictures show what was asked: a folder's pictures of held-out prompts, judged by the checker of scenes.

    python benchmarks/agreement.py [FOLDER] [-n 500] [--steps 20] [--guidance 3] [--peer] [--sheet SHEET.png]

FOLDER is what `genarium train diffusion` wrote; without it the starter `image`. `--steps` and `--guidance` take lists
(`4,8,20`): a line each for every pair. Prompt k is drawn with seed k. `--peer` draws the same prompts with diffusers'
own classes on the same weights, in its pipelines' defaults (50 steps, guidance 7.5, float32). Seconds are those of a
picture, median; use a machine that does nothing else. `--sheet` keeps the first 40 pictures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from genarium.checkpoints import catalogue
from genarium.data.pictures import to_pictures
from genarium.data.scenes import World
from genarium.data.scenes.checker import Checker
from genarium.engines.image import ImageRequest, settle
from genarium.engines.latent import LatentImage

Draw = Callable[[str, int], np.ndarray]


def ours(engine: LatentImage, steps: int, guidance: float, sampler: str | None) -> Draw:
    def draw(prompt: str, seed: int) -> np.ndarray:
        request = ImageRequest(prompt, (seed,), steps=steps, guidance=guidance, sampler=sampler)
        return next(iter(engine.generate(settle(request, engine)))).pixels

    return draw


def theirs(folder: Path, engine: LatentImage, steps: int, guidance: float) -> Draw:
    """What a user of diffusers writes for these parts; the states of the prompt come from our text encoder."""
    from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
    vae = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32)
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler")
    prompts = engine._parts[2]

    @torch.inference_mode()
    def draw(prompt: str, seed: int) -> np.ndarray:
        states, real = prompts.states(*prompts.tokens([prompt, ""]))
        scheduler.set_timesteps(steps)
        side = unet.config.sample_size
        x = torch.randn(1, unet.config.in_channels, side, side, generator=torch.Generator().manual_seed(seed))
        for t in scheduler.timesteps:
            both = unet(torch.cat((x, x)), t, encoder_hidden_states=states, encoder_attention_mask=real).sample
            asked, unasked = both.chunk(2)
            x = scheduler.step(unasked + guidance * (asked - unasked), t, x).prev_sample
        shift = vae.config.shift_factor or 0.0
        return to_pictures(vae.decode(x / vae.config.scaling_factor + shift).sample)[0]

    return draw


def measure(draw: Draw, n: int, checker: Checker, sheet: Path | None = None) -> dict[str, object]:
    asked = World(64, snap=8).prompts("heldout", n)
    pictures, seconds = [], []
    for seed, (prompt, _) in enumerate(asked):
        began = time.perf_counter()
        pictures.append(draw(prompt, seed))
        seconds.append(time.perf_counter() - began)
    verdicts = checker.check(np.stack(pictures), [ask for _, ask in asked])
    if sheet is not None:
        rows = [np.concatenate(pictures[first : first + 8], axis=1) for first in range(0, min(n, 40), 8)]
        Image.fromarray(np.concatenate([row for row in rows if row.shape[1] == 8 * 64])).resize(
            (1024, 128 * len(rows)), Image.Resampling.NEAREST
        ).save(sheet)
        for (prompt, _), verdict in zip(asked[:40], verdicts, strict=False):
            print(prompt, "|", ", ".join(verdict.wrong) or "right")
    return {
        "right": sum(verdict.right for verdict in verdicts) / n,
        "n": n,
        "wrong": dict(Counter(fault for verdict in verdicts for fault in verdict.wrong).most_common()),
        "seconds": round(statistics.median(seconds), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=None)
    parser.add_argument("-n", type=int, default=500, help="prompts")
    parser.add_argument("--steps", default="20")
    parser.add_argument("--guidance", default="3")
    parser.add_argument("--sampler")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = options.folder or catalogue.starter("image").path
    engine, checker = LatentImage(folder), Checker()
    for steps in map(int, options.steps.split(",")):
        for guidance in map(float, options.guidance.split(",")):
            found = measure(ours(engine, steps, guidance, options.sampler), options.n, checker, options.sheet)
            print(json.dumps({"steps": steps, "guidance": guidance, **found}), flush=True)
    if options.peer:
        found = measure(theirs(folder, engine, 50, 7.5), options.n, checker)
        print(json.dumps({"diffusers": "50 steps, guidance 7.5", **found}), flush=True)


if __name__ == "__main__":
    main()
