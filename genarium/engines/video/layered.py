"""The native engine of moving pictures: a planner says what stands where and goes where, diffusion draws each once.

Frames lay the things over the background on their ways, so that each keeps its look, and a clip of any length takes one
drawing. Everything of a clip is computed by itself, from a generator of its own: its bytes are the same however many
are asked for. Float32 throughout, as pictures of this size.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genarium.checkpoints.layouts import scheduler
from genarium.checkpoints.layouts import text_to_image as layout
from genarium.conditioning.prompts import PromptEncoder
from genarium.data.layers import Way, clear, clip, moments, overlaid
from genarium.devices import pick_device
from genarium.diffusion.guidance import guided
from genarium.diffusion.samplers import SAMPLERS
from genarium.diffusion.schedules import draw_noise
from genarium.engines.drawing import tell
from genarium.engines.trained import is_shown, load_parts, read_index, read_prompts, watched
from genarium.engines.video.protocol import ELSEWHERE, GeneratedVideo, VideoLimits, VideoRequest
from genarium.engines.vision.word_maps import Attribution, WordMaps, of_tokens, spans_of
from genarium.errors import BadCheckpoint
from genarium.models.moving_plan import MovingPlan, MovingPlanWords, atlas_size, parts_of
from genarium.models.text_to_image import Conditioning
from genarium.models.thumbnails import ThumbnailDiffusion, ThumbnailsConfig
from genarium.progress import emit
from genarium.scenes import worlds

FRAMES, MOST_FRAMES, FPS = 24, 1024, 12.0
PLANS = 8
"""At most so many plans are written of a clip, until things don't meet on their ways, and move as their motions say."""
PLAN_TOP_P = 0.6
"""Tokens of plans are drawn from the likeliest that together have this probability."""
AT_ONCE = 64
"""Frames that are put together at a time."""


@dataclass(frozen=True)
class Drawn:
    """What the frames of a clip are made of: backgrounds (3, H, H), layers (4, s, s), from 0 to 1, and their ways in
    cells. `looked` is what the atlas's cells looked at, for each token (S, height, width)."""

    plan: MovingPlan
    first: Tensor
    last: Tensor
    layers: list[Tensor]
    looked: np.ndarray | None = None

    @property
    def ways(self) -> list[Way]:
        return ways_of(self.plan)


class LayeredVideo:
    """Makes clips with a folder that `genarium train video` wrote. Raises BadCheckpoint."""

    def __init__(self, path: Path, *, name: str = "", dtype: str = "auto", device: str | None = None):
        self.path, self.name = path, name or str(path)
        self.device = device or pick_device("auto")
        self.index = read_index(path)
        config: Any = layout.read_config(path)  # refused before anything is loaded
        if not isinstance(config, ThumbnailsConfig) or not isinstance(config.plan, MovingPlanWords):
            raise BadCheckpoint(f"{self.name} draws no layers by plans of clips; get the folder again")
        self.config, self.words = config, config.plan
        process = scheduler.read(path / "scheduler")
        self.process = replace(process, sampler=self.index.get("sampler", process.sampler))

    @property
    def limits(self) -> VideoLimits:
        side = self.config.sample_size
        return VideoLimits(
            size=(side, side),
            multiple=2,
            enlarges=True,
            options={
                "steps": int(self.index["steps"]),
                "sampler": self.process.sampler,
                "guidance": float(self.index["guidance"]),
            },
            samplers=(self.process.sampler, *(name for name in SAMPLERS if name != self.process.sampler)),
            negative=True,
            explain=True,
            frames=FRAMES,
            most_frames=MOST_FRAMES,
            fps=FPS,
        )

    def memory(self, request: VideoRequest) -> int:
        """Weights, the drawing, and every frame with what puts it together."""
        width, height = request.size or self.limits.size
        weights = sum(file.stat().st_size * 2 for file in self.path.glob("*/*.safetensors"))
        rows, columns = (self.config.factor * side for side in atlas_size(self.words))
        drawing = self.config.working_memory(columns, rows, int(self.index["context"]))
        frames = request.frames or FRAMES
        return weights + drawing + width * height * (3 * frames + 4 * 4 * 8 * min(frames, AT_ONCE))

    def generate(self, request: VideoRequest) -> Iterator[GeneratedVideo]:
        """As the protocol says."""
        if request.explain:
            spans_of(request.prompt)  # a prompt without a word is refused before anything is loaded
        for remark in worlds.remarks(self.index.get("world"), request.prompt, name=self.name, elsewhere=ELSEWHERE):
            tell(remark.sentence, request.strict and remark.outside)
        model, prompts = self._parts
        both = read_prompts(request, prompts, self.name)
        times = moments(request.frames or FRAMES)
        for row, seed in enumerate(request.seeds):
            began = time.perf_counter()
            generator = torch.Generator().manual_seed(seed)
            with torch.inference_mode():
                drawn = self._draw(request, row, generator, model, both)
                frames = self._frames(drawn, times, (request.size or self.limits.size)[0])
                explained = self._explained(request, prompts, drawn, times) if request.explain else None
            stats = {"seconds": time.perf_counter() - began}
            yield GeneratedVideo(row, seed, frames, request.fps or FPS, stats, explained)

    def _draw(
        self, request: VideoRequest, row: int, generator: torch.Generator, model: ThumbnailDiffusion, both: Conditioning
    ) -> Drawn:
        """Plan one clip, and draw its layers."""
        plan, written = self._planned(model, both.rows(slice(1)), generator)
        looked = Attribution(atlas_size(self.words)) if request.explain else None
        first, layers = self._drawn(request, row, generator, model, both, written, plan, looked)
        last = first
        if plan.then != plan.background:
            alone = MovingPlan(plan.then, plan.then, ())
            last, _ = self._drawn(request, row, generator, model, both, self._written(alone), alone, None)
        maps = None if looked is None else looked.maps()
        return Drawn(plan, first[:3], last[:3], layers[: len(plan.things)], maps)

    def _planned(
        self, model: ThumbnailDiffusion, asked: Conditioning, generator: torch.Generator
    ) -> tuple[MovingPlan, Tensor]:
        """A plan and its tokens (1, L); the last one written where none is as it should be."""
        assert model.planner is not None
        for _ in range(PLANS):
            written = model.planner.write(asked["words"], asked["mask"], generator, top_p=PLAN_TOP_P)
            plan = self.words.read(written[0].tolist())
            if plan.things and all(thing.keeps() for thing in plan.things) and clear(ways_of(plan)):
                break
        return plan, written

    def _written(self, plan: MovingPlan) -> Tensor:
        return torch.tensor([self.words.write(plan)], device=self.device)

    def _drawn(
        self,
        request: VideoRequest,
        row: int,
        generator: torch.Generator,
        model: ThumbnailDiffusion,
        both: Conditioning,
        written: Tensor,
        plan: MovingPlan,
        looked: Attribution | None,
    ) -> tuple[Tensor, list[Tensor]]:
        """A background (4, H, H) and layers (4, s, s) by a plan's tokens, from 0 to 1."""
        asked = both.rows(slice(1)).also(plan=written)
        not_asked = both.rows(slice(1, None)).also(plan=torch.zeros_like(written))
        # At 1 and below nothing is compared (0 would be a clip of the negative prompt).
        guidance = request.option("guidance", self.limits.options["guidance"])
        denoise = guided(model.denoiser, asked, not_asked, max(1.0, float(guidance)))
        if looked is not None:
            denoise = watched(denoise, model, looked)
        steps, sampler = request.option("steps", self.limits.options["steps"]), request.option("sampler")
        levels = self.process.levels(steps, sampler=sampler)
        x = draw_noise([generator], (self.config.latent_channels, *atlas_size(self.words)), device=self.device)

        def parts(latents: Tensor) -> tuple[Tensor, list[Tensor]]:
            atlas = model.from_latents(latents, asked)[0]
            return parts_of((atlas / 2 + 0.5).clamp(0, 1), self.words)

        def on_step(step: int, total: int, x0: Tensor) -> None:
            shown = None
            if is_shown(step, total):
                first, layers = parts(x0)
                seen = Drawn(plan, first[:3], first[:3], layers[: len(plan.things)])
                shown = self._frames(seen, [0.5], self.config.sample_size)[0]
            emit("denoising", step, total, preview=shown, item=row)

        latents = self.process.sample(denoise, x, levels, sampler=sampler, generators=[generator], on_step=on_step)
        return parts(latents)

    def _frames(self, drawn: Drawn, times: list[float], side: int) -> np.ndarray:
        """(F, side, side, 3) uint8."""
        larger = side / self.config.sample_size
        first, last, *layers = (_enlarged(part, larger) for part in (drawn.first, drawn.last, *drawn.layers))
        made = []
        for begin in range(0, len(times), AT_ONCE):
            shown = clip(first, last, layers, drawn.ways, times[begin : begin + AT_ONCE], self.words.side)
            made.append((shown * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
        return np.concatenate(made)

    def _explained(
        self, request: VideoRequest, prompts: PromptEncoder, drawn: Drawn, times: list[float]
    ) -> list[WordMaps]:
        """Where each frame looked for each word: what the atlas looked at, moved as its layers are."""
        assert drawn.looked is not None
        under, over = parts_of(torch.from_numpy(drawn.looked), self.words)
        layers = []
        for heat, layer in zip(over, drawn.layers, strict=False):
            cover = layer[3:].cpu()
            layers.append(torch.cat((F.interpolate(heat[None], size=cover.shape[1:])[0] * cover, cover)))
        side = self.config.sample_size
        below = F.interpolate(under[None], size=(side, side), mode="bilinear").expand(len(times), -1, -1, -1)
        poses = [[way.pose(t, self.words.side) for t in times] for way in drawn.ways]
        return [of_tokens(request.prompt, prompts.tokenizer, frame.numpy()) for frame in overlaid(below, layers, poses)]

    @cached_property
    def _parts(self) -> tuple[ThumbnailDiffusion, PromptEncoder]:
        parts: Any = load_parts(self.path, self.index, self.name, self.config, self.device)
        if parts[0].planner is None:
            raise BadCheckpoint(f"{self.name} has no planner, and without one nothing moves; get the folder again")
        return parts  # type: ignore[no-any-return]


def ways_of(plan: MovingPlan) -> list[Way]:
    return [Way(*one) for one in plan.ways()]  # type: ignore[arg-type]


def _enlarged(part: Tensor, larger: float) -> Tensor:
    if larger == 1:
        return part
    size = [round(larger * side) for side in part.shape[1:]]
    return F.interpolate(part[None], size=size, mode="bicubic", align_corners=False)[0].clamp(0, 1)
