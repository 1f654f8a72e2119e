"""A text-to-video or image-to-video folder (LTX-Video, Wan and their like) on the diffusers library, an extra."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genarium.engines.diffusers import loading, samplers
from genarium.engines.diffusers.configs import DENOISERS, decoder_of, denoiser_of, setting
from genarium.engines.diffusers.folder import FolderEngine
from genarium.engines.diffusers.memory import free, total
from genarium.engines.diffusers.pipelines import Pipelines, call
from genarium.engines.diffusers.prompts import read_as_written, tell_of_cuts
from genarium.engines.diffusers.turns import Turns
from genarium.engines.drawing import tell, tell_what_is_cut, written
from genarium.engines.latents import preview
from genarium.engines.video.diffusers import configs, memory
from genarium.engines.video.diffusers.families import VideoFamily
from genarium.engines.video.diffusers.memory import VideoPlan
from genarium.engines.video.diffusers.parts import by_turns, lay_out
from genarium.engines.video.diffusers.refusals import family_of
from genarium.engines.video.protocol import GeneratedVideo, VideoLimits, VideoRequest
from genarium.errors import BadCheckpoint, BadInput
from genarium.progress import emit, note

STEPS = 20
TEXT_IN_FLOAT32 = 500_000_000
"""The largest text encoder, in weights, that runs in float32 where the denoiser does not."""
FEW_FRAMES = 4
"""Frames of one piece that are decoded together where memory is short, of decoders that take no tiles."""


class DiffusersVideo(FolderEngine):
    """Makes videos with a pipeline's folder. Raises BadCheckpoint, also where diffusers is missing."""

    def __init__(self, path: Path, *, name: str = "", dtype: str = "auto", device: str | None = None):
        super().__init__(path, name=name, dtype=dtype, device=device)
        self.family: VideoFamily = family_of(self.folder.kind, self.name)
        self.modes = configs.modes(self.folder, self.family, self.name)
        self._scales = configs.scales(self.folder, self.name)
        loading.check_classes(self.folder, self.name)
        # A U-Net that was saved with its motion has the adapter's weights in it.
        self._unread = ("motion_adapter",) if denoiser_of(self.folder).get("_class_name") == "UNetMotionModel" else ()
        self.folder = replace(
            self.folder, parts={name: one for name, one in self.folder.parts.items() if name not in self._unread}
        )
        self._pipelines: Pipelines | None = None
        self._turns: Turns | None = None
        self._streams = False

    @cached_property
    def limits(self) -> VideoLimits:
        import diffusers

        family, folder = self.family, self.folder
        kind = getattr(diffusers, str(self.modes.text or self.modes.init))
        asked = inspect.signature(kind.__call__).parameters
        size, frames, fps = configs.usual(folder, family, kind, self.name)
        scheduler = folder.configs.get("scheduler", {})
        named = samplers.choices(scheduler, family, int(setting(decoder_of(folder), "latent_channels") or 4))
        plain = named[0] == "dpm++2m" and scheduler.get("_class_name") in samplers.REPLACED
        told = family.guidance == "embedded" and setting(denoiser_of(folder), "guidance_embeds") is False
        options = {
            "steps": STEPS if plain else asked["num_inference_steps"].default,
            "sampler": named[0],
            "guidance": None if told else asked[family.scale].default,
        }
        fixed = configs.is_fixed(folder)
        return VideoLimits(
            size=size,
            multiple=configs.multiple(folder, family, self.name),
            fixed=fixed,
            options={name: usual for name, usual in options.items() if usual is not None},
            samplers=named,
            text=self.modes.text is not None,
            negative="negative_prompt" in asked and family.guidance == "compared",
            init=self.modes.init is not None,
            last=self.modes.last,
            frames=frames,
            first_frame=frames if fixed else 1,
            most_frames=frames if fixed else configs.most_frames(folder, self._scales[1]),
            frame_step=self._scales[1] * (2 if family.pairs else 1),
            fps=fps,
        )

    def memory(self, request: VideoRequest) -> int:
        return self._plan(request).bytes

    def generate(self, request: VideoRequest) -> Iterator[GeneratedVideo]:
        """As the protocol says. Where memory runs out, what was loaded is let go. Raises BadInput, BadCheckpoint."""
        plan = self._plan(request)
        fps = self.limits.fps if request.fps is None else request.fps
        with self._letting_go_without_memory(f"{request.frames} frames of {written(request.size or self.limits.size)}"):
            self._load(plan)
            pipeline = self._pipeline_for(request)
            self._tell_what_is_not_read(pipeline, request)
            for row, seed in enumerate(request.seeds):
                began = time.perf_counter()
                frames = self._film(pipeline, request, plan, row, seed)
                yield GeneratedVideo(row, seed, frames, fps, {"seconds": time.perf_counter() - began})
            if self._turns is not None:
                self._turns.let_go()

    def close(self) -> None:
        self._pipelines = self._turns = None
        super().close()

    def _part_dtype(self, name: str, count: int) -> torch.dtype:
        if name in self.family.exact:
            return torch.float32
        small = name.startswith("text_encoder") and count <= TEXT_IN_FLOAT32
        plain = small or name in ("vae", "image_encoder")
        return torch.float32 if self.device == "cpu" and plain else self.dtype

    def _plan(self, request: VideoRequest) -> VideoPlan:
        """How the video fits: decoded in one piece, all parts loaded at once, none read from disk meanwhile.

        Tiles change a video a little, so that the machine's size decides on them, not what is free just now. Turns
        and reading from disk change no byte.
        """
        self._refuse(request)
        size, frames = request.size or self.limits.size, request.frames or self.limits.frames
        guidance = request.option("guidance") or 0
        guided = self.family.guidance == "compared" and guidance > 1
        work = memory.work(self.folder, self.family, size, frames, self._scales, guided=guided, dtype=self.dtype)
        weights = {name: self._weights_of((name,)) for name in self.folder.parts}
        least = self._weights + max(work.denoising, work.whole)
        tiled = work.tiles < work.whole and least > total(self.device) // 2
        if self._turns is not None or (self._loaded is None and self.device == "cpu"):
            can = self._turns is None or self._streams
            streamed = [name for name in self._taking_turns if name in DENOISERS and can]
            there = free(self.device) if self._loaded is None else 0  # as it was loaded, it stays
            found = memory.plan(weights, self._taking_turns, streamed, work, tiled=tiled, there=there)
            return found if self._loaded is None else replace(found, bytes=found.bytes - weights["vae"])
        needed = self._weights + max(work.denoising, work.tiles if tiled else work.whole)
        if self._loaded is not None:
            return VideoPlan(tiled, False, False, needed - self._weights)
        return VideoPlan(tiled, needed > free(self.device), False, needed)

    def _refuse(self, request: VideoRequest) -> None:
        """What limits have no words for. Raises BadInput."""
        if self.modes.needs_last and request.last is None:
            raise BadInput(f"{self.name} goes from a first picture to a last one; give both, as init and as last")
        if request.last is not None and request.frames == 1:
            raise BadInput("a first and a last picture are two frames at least, got 1")
        if request.option("steps") == 1 and not self.family.one_step:
            raise BadInput(f"{self.name} takes at least 2 steps, got 1")

    @cached_property
    def _taking_turns(self) -> list[str]:
        """The parts that can be read when they compute; a U-Net that is made of two parts is made when loaded."""
        made = ("unet", "motion_adapter") if "motion_adapter" in self.folder.parts else ()
        return [name for name in self.folder.parts if name not in ("vae", *made)]

    def _load(self, plan: VideoPlan) -> None:
        if self._loaded is None:
            emit("loading", preview=self.name)
            self._loaded = self._open(plan)
            self._pipelines = Pipelines(self._loaded)
        vae = self._loaded.vae
        if plan.tiled:
            note("memory is short for this size: the video is decoded in pieces, which can show at their seams")
        if hasattr(vae, "use_tiling"):
            (vae.enable_tiling if plan.tiled else vae.disable_tiling)()

    def _open(self, plan: VideoPlan) -> Any:
        import diffusers

        kind = getattr(diffusers, self.folder.kind)
        dtypes = {name: self._part_dtype(name, part.count()) for name, part in self.folder.parts.items()}
        loading.tell_what_is_not_read(self.folder, kind)
        given: dict[str, Any] = dict.fromkeys((*self.folder.absent, *self._unread))
        if plan.turns and self.device == "cpu":
            note("memory is short for this model: its parts are read one after another, as they are needed")
            self._turns, read = by_turns(self.folder, self.name, self._taking_turns, dtypes, stream=plan.stream)
            given |= read
            self._streams = plan.stream
        pipeline = loading.open_pipeline(self.folder, kind, self.name, dtypes, given)
        for half in loading.halves(pipeline):
            loading.take_any(half)
        if self.device == "cpu":
            lay_out(pipeline, self.dtype, self._turns)
        elif plan.turns:
            note("the model is larger than the GPU's memory: its parts are moved there one after another")
            largest = max(self._weights_of((name,)) for name in self.folder.parts)
            fits = largest < 0.8 * free(self.device)
            (pipeline.enable_model_cpu_offload if fits else pipeline.enable_sequential_cpu_offload)()
        else:
            pipeline.to(self.device)
        return pipeline

    def _pipeline_for(self, request: VideoRequest) -> Any:
        """The pipeline of the class that does what is asked, at the sampler that is asked for."""
        assert self._pipelines is not None
        wanted = self.modes.init if request.init is not None else self.modes.text
        pipeline = self._pipelines.at(str(wanted), request.option("sampler"))
        read_as_written(pipeline)
        return pipeline

    def _film(self, pipeline: Any, request: VideoRequest, plan: VideoPlan, row: int, seed: int) -> np.ndarray:
        """The frames of one video, (F, height, width, 3) uint8."""
        (width, height), frames, fps = request.size or self.limits.size, request.frames, request.fps
        given: dict[str, Any] = {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt or None,
            "width": width,
            "height": height,
            "num_frames": frames,
            "num_inference_steps": request.option("steps"),
            self.family.scale: request.option("guidance"),
            # Drawn on the CPU wherever it is computed: the same noise on every machine.
            "generator": torch.Generator("cpu").manual_seed(seed),
            "output_type": "np",
            "callback_on_step_end": lambda pipe, step, _, tensors: _tell(row, step, pipe.num_timesteps, tensors),
        }
        if self.family.told_fps and fps is not None:
            given[self.family.told_fps] = int(fps) if fps == int(fps) else fps
        if plan.tiled and not hasattr(pipeline.vae, "use_tiling"):
            given["decode_chunk_size"] = FEW_FRAMES
        made = call(pipeline, self.name, given | self._pictures(request, frames or self.limits.frames))
        shown = np.asarray(made.frames[0])
        if not np.isfinite(shown).all():
            raise BadCheckpoint(
                f"{self.name} gave frames that are no numbers, as in half precision some do; choose dtype float32"
            )
        if shown.shape[:3] != (frames, height, width):
            drawn = f"{shown.shape[0]} frames of {written((shown.shape[2], shown.shape[1]))}"
            raise BadInput(f"{self.name} makes {drawn} where {frames} of {width}x{height} were asked; choose those")
        return (shown * 255).round().astype(np.uint8)  # as diffusers rounds

    def _pictures(self, request: VideoRequest, frames: int) -> dict[str, Any]:
        """The first and the last picture, as this family's pipelines take them."""
        if self.modes.text != self.modes.init:
            return {"image": request.init, "last_image": request.last}
        from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

        shown = ((request.init, 0), (request.last, frames - 1))
        placed = [LTXVideoCondition(image=image, frame_index=at) for image, at in shown if image is not None]
        return {"conditions": placed or None}

    def _tell_what_is_not_read(self, pipeline: Any, request: VideoRequest) -> None:
        if not self.family.reads:
            tell(f"{self.name} reads no prompt: it sets the picture in motion as it was taught", request.strict)
            return

        def told(called: str, context: int, cut: str) -> None:
            tell_what_is_cut(self.name, called, context, cut, strict=request.strict)

        tell_of_cuts(pipeline, self.family.reads, request.prompt, request.negative_prompt, told)


def _tell(row: int, step: int, steps: int, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    emit("denoising", step + 1, steps, preview=preview(tensors.get("latents")), item=row)
    return {}
