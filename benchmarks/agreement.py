"""Whether pictures show what was asked: a folder's pictures of held-out prompts, judged by the checker of scenes.

    python benchmarks/agreement.py [FOLDER] [-n 500] [--steps 20] [--guidance 3] [--best-of 1] [--peer] [--sheet X.png]

FOLDER is what `genarium train diffusion` wrote; without it the starter `image`. `--steps` and `--guidance` take lists
(`4,8,20`): a line each for every pair. Prompt k is drawn with seed k. `--peer` draws the same prompts as its pipelines
do by default (50 steps, guidance 7.5, float32) with diffusers' scheduler and, of latent diffusion, its networks on the
same weights, by the same plans where there are any. Thumbnails have no network there: ours is called for what they
show, and for the time a Transformer of diffusers with as many weights or a few more (`PixArtTransformer2DModel`,
random), without a decoder. Seconds are those of a picture, median; use a machine that does nothing else. `--sheet`
keeps the first 40 pictures.
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

from genarium.checkpoints.store import catalogue
from genarium.data.images import to_images
from genarium.engines.image.best_of import best_of
from genarium.engines.image.latent import LatentImage
from genarium.engines.image.protocol import ImageRequest, settle
from genarium.engines.registry import open_matcher
from genarium.models.latent_diffusion import LatentDiffusion
from genarium.models.thumbnails import ThumbnailDiffusion, Thumbnails
from genarium.scenes import Ask, World
from genarium.scenes.checker import Checker

Draw = Callable[[str, int], np.ndarray]


def ours(engine: LatentImage, steps: int, guidance: float, sampler: str | None, candidates: int) -> Draw:
    def draw(prompt: str, seed: int) -> np.ndarray:
        seeds = tuple(range(seed * candidates, (seed + 1) * candidates))
        options = {"steps": steps, "guidance": guidance} | ({"sampler": sampler} if sampler else {})
        request = settle(ImageRequest(prompt, seeds, options=options), engine)
        if candidates > 1:
            return next(best_of(engine, request, candidates, open_matcher("starter"))).pixels
        return next(iter(engine.generate(request))).pixels

    return draw


def theirs(folder: Path, engine: LatentImage, steps: int, guidance: float, *, timed: bool = False) -> Draw:
    """What a user of diffusers writes for these parts; the states of the prompt come from our text encoder."""
    from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, UNet2DConditionModel

    model, prompts = engine._parts
    latents = model.kind == LatentDiffusion.kind
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler")
    denoise: Callable[..., torch.Tensor] = model.denoiser
    if latents:
        unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
        vae = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32)

        def denoise(x: torch.Tensor, t: torch.Tensor, words: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return unet(x, t, encoder_hidden_states=words, encoder_attention_mask=mask).sample

    elif timed:
        denoise = as_large(model.denoiser)
    side = model.config.sample_size // model.config.factor

    @torch.inference_mode()
    def draw(prompt: str, seed: int) -> np.ndarray:
        both = prompts.conditioning(*prompts.tokens([prompt, ""]))
        scheduler.set_timesteps(steps)
        source = torch.Generator().manual_seed(seed)
        asked, negative = model.planned(both.rows(slice(1)), both.rows(slice(1, None)), source)
        told = {name: torch.cat((part, negative[name])) for name, part in asked.items()}
        x = torch.randn(1, model.config.latent_channels, side, side, generator=source)
        for t in scheduler.timesteps:
            towards, against = denoise(torch.cat((x, x)), t.expand(2), **told).chunk(2)
            x = scheduler.step(against + guidance * (towards - against), t, x).prev_sample
        if timed and not latents:
            return np.zeros((64, 64, 3), np.uint8)
        if not latents:
            return to_images(model.from_latents(x, asked))[0]
        shift = vae.config.shift_factor or 0.0
        return to_images(vae.decode(x / vae.config.scaling_factor + shift).sample)[0]

    return draw


def as_large(network: Thumbnails) -> Callable[..., torch.Tensor]:
    """The smallest of diffusers' Transformers of this width that has as many weights."""
    from diffusers import PixArtTransformer2DModel

    config, wanted = network.config.network, sum(weight.numel() for weight in network.parameters())
    for layers in range(1, 100):
        theirs = PixArtTransformer2DModel(
            num_attention_heads=config.n_heads,
            attention_head_dim=config.d_model // config.n_heads,
            in_channels=4,
            out_channels=4,
            num_layers=layers,
            sample_size=config.sample_size,
            patch_size=1,
            cross_attention_dim=config.d_model,
            caption_channels=config.cross_attention_dim,
            use_additional_conditions=False,
        ).eval()
        if (have := sum(weight.numel() for weight in theirs.parameters())) >= wanted:
            break
    print(f"ours has {wanted:,} weights, diffusers' {have:,} in {layers} blocks")

    def denoise(
        x: torch.Tensor, t: torch.Tensor, words: torch.Tensor, mask: torch.Tensor, **_: torch.Tensor
    ) -> torch.Tensor:
        none = {"resolution": None, "aspect_ratio": None}
        told = {"encoder_hidden_states": words, "encoder_attention_mask": mask.long()}
        return theirs(x, timestep=t, added_cond_kwargs=none, **told).sample

    return denoise


def sort_of(ask: Ask) -> str:
    """What sort of prompt it is."""
    wanted = ask.things[0]
    if len(ask.things) > 1:
        return "two kinds"
    if wanted.group is not None:
        return "a group"
    return "one thing" if wanted.count == 1 else "several of a kind"


def measure(draw: Draw, n: int, checker: Checker, sheet: Path | None = None) -> dict[str, object]:
    asked = World(64, snap=8).prompts("heldout", n)
    images, seconds = [], []
    for seed, (prompt, _) in enumerate(asked):
        began = time.perf_counter()
        images.append(draw(prompt, seed))
        seconds.append(time.perf_counter() - began)
    verdicts = checker.check(np.stack(images), [ask for _, ask in asked])
    if sheet is not None:
        rows = [np.concatenate(images[first : first + 8], axis=1) for first in range(0, min(n, 40), 8)]
        Image.fromarray(np.concatenate([row for row in rows if row.shape[1] == 8 * 64])).resize(
            (1024, 128 * len(rows)), Image.Resampling.NEAREST
        ).save(sheet)
        for (prompt, _), verdict in zip(asked[:40], verdicts, strict=False):
            print(prompt, "|", ", ".join(verdict.wrong) or "right")
    by: dict[str, list[bool]] = {}
    for (_, ask), verdict in zip(asked, verdicts, strict=True):
        by.setdefault(sort_of(ask), []).append(verdict.right)
    return {
        "right": sum(verdict.right for verdict in verdicts) / n,
        "by": {sort: f"{sum(right)} of {len(right)}" for sort, right in by.items()},
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
    parser.add_argument("--best-of", type=int, default=1, help="as the command's, with starter/match")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    folder = options.folder or catalogue.starter("image").path
    engine, checker = LatentImage(folder), Checker()
    for steps in map(int, options.steps.split(",")):
        for guidance in map(float, options.guidance.split(",")):
            found = measure(
                ours(engine, steps, guidance, options.sampler, options.best_of), options.n, checker, options.sheet
            )
            print(json.dumps({"steps": steps, "guidance": guidance, **found}), flush=True)
    if options.peer:
        found = measure(theirs(folder, engine, 50, 7.5), options.n, checker)
        print(json.dumps({"diffusers": "50 steps, guidance 7.5", **found}), flush=True)
        if engine._parts[0].kind == ThumbnailDiffusion.kind:
            found = measure(theirs(folder, engine, 50, 7.5, timed=True), min(20, options.n), checker)
            print(json.dumps({"diffusers": "as large, 50 steps, without a decoder", "seconds": found["seconds"]}))


if __name__ == "__main__":
    main()
