"""ModelScope's text-to-video at its true size: diffusers with its defaults beside Genarium with its own, in one run.

    python benchmarks/video.py FOLDER [--step] [--clip] [--threads 2] [--frames 16] [--size 256] [--steps 25]
                               [--peer-steps 50] [--widths 320,640,1280,1280] [--bfloat16]

FOLDER is a folder of random weights in the published sizes (1.4 billion in the U-Net; 5.7 GB in float32), made where
it is not there yet; with smaller `--widths` it tries the program out. `--step` times one guided call of the denoiser
on the same latents: diffusers in float32 (with `--bfloat16` in that, too) and ours as the engine loads it, and prints
the PSNR between the clips that the two predictions decode to. `--clip` times whole clips: diffusers' own pipeline with
its 50 steps, and `genarium video` with its 25, and the PSNR between ours and diffusers' at our number of steps.

`seconds` is wall time and `processor` what the threads computed, which another program that runs at the same time
does not lengthen much. Each is measured in a process of its own, whose largest resident memory is `peak`, in GiB.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from images import autoencoder, write_tokenizer

PROMPT, NEGATIVE = "flying bird", "low quality"
WIDTHS = (320, 640, 1280, 1280)
SAME_STEPS = "diffusers at our steps"


def make(folder: Path, widths: tuple[int, ...]) -> None:
    """Its classes and sizes."""
    from diffusers import DDIMScheduler, TextToVideoSDPipeline, UNet3DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    write_tokenizer(folder / "tokenizer")
    torch.manual_seed(0)
    text = CLIPTextConfig(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16, hidden_act="gelu"
    )
    unet = UNet3DConditionModel(sample_size=32, block_out_channels=widths)
    with torch.no_grad():  # what training starts from zero would be idle
        for name, parameter in unet.named_parameters():
            if "temp_convs" in name and ".conv4." in name:
                parameter.normal_(std=0.01)
    TextToVideoSDPipeline(
        unet=unet,
        vae=autoencoder(256),
        text_encoder=CLIPTextModel(text),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer", model_max_length=77),
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
    ).save_pretrained(folder)


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    wall, processor = time.perf_counter(), time.process_time()
    made = work()
    return made, {"seconds": time.perf_counter() - wall, "processor": time.process_time() - processor}


def step_of(who: str, options: argparse.Namespace) -> tuple[np.ndarray, dict[str, float]]:
    """One guided prediction (1, 4, F, h, w), after a small one that prepares what is made once."""
    g = torch.Generator().manual_seed(1)
    x = torch.randn(1, 4, options.frames, options.size // 8, options.size // 8, generator=g)
    words, t = torch.randn(2, 77, 1024, generator=g), torch.tensor([500.0])
    if who == "genarium":
        from genarium.checkpoints.layouts import modelscope as layout
        from genarium.engines.cpu.clips import use_clip_kernels

        ours = layout.load_unet(layout.read_config(options.folder))
        use_clip_kernels(ours)

        def call(x: torch.Tensor) -> torch.Tensor:
            return ours(x, t, words)
    else:
        from diffusers import UNet3DConditionModel

        dtype = torch.bfloat16 if who.endswith("bfloat16") else torch.float32
        theirs = UNet3DConditionModel.from_pretrained(options.folder / "unet", torch_dtype=dtype).eval()

        def call(x: torch.Tensor) -> torch.Tensor:
            return theirs(torch.cat([x, x]).to(dtype), t[0], words.to(dtype)).sample.float()

    with torch.inference_mode():
        call(x[:, :, :2, :8, :8])
        (against, towards), figures = timed(lambda: call(x).chunk(2))
    return (against + 9 * (towards - against)).numpy(), figures


def clip_of(who: str, options: argparse.Namespace) -> tuple[np.ndarray, dict[str, float]]:
    """A whole clip (F, H, W, 3) uint8, the loading included."""
    if who == "genarium":
        from genarium.engines.registry import open_video
        from genarium.engines.video.protocol import VideoRequest, settle

        def work() -> np.ndarray:
            engine, given = open_video(str(options.folder)), {"steps": options.steps}
            size = (options.size, options.size)
            request = VideoRequest(PROMPT, (1,), size, NEGATIVE, frames=options.frames, options=given)
            return next(engine.generate(settle(request, engine))).frames
    else:
        import diffusers

        def work() -> np.ndarray:
            pipeline = diffusers.TextToVideoSDPipeline.from_pretrained(options.folder)
            steps = options.peer_steps
            if who == SAME_STEPS:
                steps, kind = options.steps, diffusers.DPMSolverMultistepScheduler
                pipeline.scheduler = kind.from_config(pipeline.scheduler.config)
            made = pipeline(
                PROMPT,
                height=options.size,
                width=options.size,
                negative_prompt=NEGATIVE,
                num_frames=options.frames,
                num_inference_steps=steps,
                generator=torch.Generator().manual_seed(1),
            ).frames[0]
            return np.round(made * 255).astype(np.uint8)

    return timed(work)


def psnr(ours: np.ndarray, theirs: np.ndarray, largest: float) -> float:
    error = np.square(ours.astype(np.float64) - theirs).mean()
    return float(10 * np.log10(largest**2 / max(error, 1e-30)))


def decoded(latents: np.ndarray, options: argparse.Namespace) -> np.ndarray:
    """The first frame of latents."""
    from genarium.checkpoints.layouts import modelscope as layout
    from genarium.data.images import to_images

    autoencoder = layout.load_autoencoder(layout.read_config(options.folder))
    with torch.inference_mode():
        return to_images(autoencoder.from_latents(torch.from_numpy(latents[:, :, 0])))


def alone(what: str, who: str, options: argparse.Namespace) -> np.ndarray:
    """What one of them makes in a process of its own; its figures are printed."""
    out = options.folder / "made.npy"
    subprocess.run([sys.executable, __file__, *sys.argv[1:], "--alone", what, who], check=True)
    made: np.ndarray = np.load(out)
    out.unlink()
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--step", action="store_true")
    parser.add_argument("--clip", action="store_true")
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--peer-steps", type=int, default=50)
    parser.add_argument("--widths", type=lambda text: tuple(map(int, text.split(","))), default=WIDTHS)
    parser.add_argument("--alone", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if not options.folder.exists():
        make(options.folder, options.widths)
    if options.alone:
        what, who = options.alone
        made, figures = (step_of if what == "step" else clip_of)(who, options)
        figures["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps({"what": what, "who": who} | {key: round(value, 2) for key, value in figures.items()}))
        sys.stdout.flush()
        np.save(options.folder / "made.npy", made)
        return
    if options.step:
        ours = alone("step", "genarium", options)
        for who in ("diffusers float32", *(["diffusers bfloat16"] if options.bfloat16 else [])):
            theirs = alone("step", who, options)
            scale = float(theirs.std())  # a clip's latents have a spread of about one
            first = psnr(decoded(ours / scale, options), decoded(theirs / scale, options), 255)
            latents = psnr(ours / scale, theirs / scale, 1.0)
            print(json.dumps({"psnr": round(first, 1), "of latents": round(latents, 1), "against": who}))
    if options.clip:
        ours = alone("clip", "genarium", options)
        same = alone("clip", SAME_STEPS, options)
        print(json.dumps({"psnr": round(psnr(ours, same, 255), 1), "against": SAME_STEPS}))
        alone("clip", "diffusers", options)


if __name__ == "__main__":
    main()
