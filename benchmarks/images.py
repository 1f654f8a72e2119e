"""Pictures at the size of Stable Diffusion 1.4: diffusers with its defaults beside Genarium with its own, in one run.

    python benchmarks/images.py FOLDER [--step] [--picture] [--threads 2] [--size 512] [--steps 20] [--peer-steps 50]

FOLDER is a pipeline folder of random weights (1.07 billion with the published sizes, about 2.1 GB in bfloat16), made
where it is not there yet. `--step` times one guided call of the denoiser (batch 2) at SIZE x SIZE, diffusers in
float32 and ours as the engine loads it, the same input one after the other, and prints the PSNR between the two
outputs and between the pictures decoded from them. `--picture` times whole pictures: diffusers' own pipeline class in
float32 with the folder's PNDM in 50 steps, and `genarium image` with its defaults (DPM-Solver++(2M), 20 steps).
`peak` is the largest resident memory so far, in GiB. Seconds are wall time: use a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genarium.engines.image.diffusers import DiffusersImage
from genarium.engines.image.protocol import ImageRequest, settle

PROMPT = "flying batman with colorful sky"


def write_tokenizer(folder: Path) -> None:
    """A byte-level tokenizer, which stands for CLIP's 49,408 words."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    names = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({name: at for at, name in enumerate(names)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")


def autoencoder(sample_size: int) -> Any:
    """Stable Diffusion's, of random weights."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        sample_size=sample_size,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )


def make(folder: Path) -> None:
    """Stable Diffusion 1.4's classes and sizes."""
    from diffusers import PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    write_tokenizer(folder / "tokenizer")
    torch.manual_seed(0)
    pipeline = StableDiffusionPipeline(
        unet=UNet2DConditionModel(
            sample_size=64, cross_attention_dim=768, attention_head_dim=8, block_out_channels=(320, 640, 1280, 1280)
        ),
        vae=autoencoder(512),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
        ),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer", model_max_length=77),
        scheduler=PNDMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            skip_prk_steps=True,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(dtype=torch.bfloat16).save_pretrained(folder)


def peer(folder: Path) -> Any:
    """What a user of diffusers writes; the published folder is in float32, as is asked for here."""
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = call()
    return time.perf_counter() - began, found


def psnr(found: Tensor, reference: Tensor) -> float:
    """In dB; the peak is the reference's range."""
    peak = float(reference.max() - reference.min())
    return 10 * math.log10(peak**2 / float((found - reference).square().mean()))


def peak() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)


@torch.inference_mode()
def step(theirs: Any, ours: Any, size: int, repeats: int) -> dict[str, Any]:
    draw = torch.Generator().manual_seed(0)
    latents = torch.randn(2, 4, size // 8, size // 8, generator=draw)
    text = torch.randn(2, 77, 768, generator=draw)
    seconds: dict[str, list[float]] = {"diffusers": [], "genarium": []}
    for _ in range(repeats + 1):  # the first warms up
        for who, pipeline in (("diffusers", theirs), ("genarium", ours)):
            took, (noise,) = timed(
                lambda pipeline=pipeline: pipeline.unet(latents, 500, encoder_hidden_states=text, return_dict=False)
            )
            seconds[who].append(took)
            if who == "diffusers":
                reference = noise
    best = {who: min(times[1:]) for who, times in seconds.items()}
    decoded = [p.vae.decode(latents[:1], return_dict=False)[0] for p in (theirs, ours)]
    guided = [one[:1] + 7.5 * (one[1:] - one[:1]) for one in (reference, noise)]
    images = [theirs.vae.decode(one / one.std() / 0.18215, return_dict=False)[0] for one in guided]
    return {
        **{f"{who}_seconds": round(took, 2) for who, took in best.items()},
        "ratio": round(best["diffusers"] / best["genarium"], 2),
        "psnr_denoiser": round(psnr(noise, reference), 1),
        "psnr_decoder": round(psnr(decoded[1], decoded[0]), 1),
        "psnr_decoded_guided": round(psnr(images[1], images[0]), 1),
        "peak": peak(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--step", action="store_true")
    parser.add_argument("--picture", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--peer-steps", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if not (options.folder / "model_index.json").exists():
        make(options.folder)
    engine = DiffusersImage(options.folder)
    size = (options.size, options.size)
    request = settle(ImageRequest(PROMPT, (1,), size=size, options={"steps": options.steps}), engine)
    print(json.dumps({"estimated_gib": round(engine.memory(request) / 2**30, 2)}), flush=True)
    if options.image:
        took, _ = timed(lambda: list(engine.generate(request)))
        ours = round(took, 1)
        print(json.dumps({"genarium_seconds": ours, "with_loading": True, "peak": peak()}), flush=True)
        theirs = peer(options.folder)
        took, _ = timed(lambda: theirs(PROMPT, width=size[0], height=size[1], num_inference_steps=options.peer_steps))
        print(json.dumps({"diffusers_seconds": round(took, 1), "ratio": round(took / ours, 2), "peak": peak()}))
    if options.step:
        # The engine's pipeline as its first picture loads it.
        list(engine.generate(settle(ImageRequest(PROMPT, (1,), size=(64, 64), options={"steps": 1}), engine)))
        print(json.dumps(step(peer(options.folder), engine._loaded, options.size, options.repeats)), flush=True)


if __name__ == "__main__":
    main()
