"""A text-to-image folder (Stable Diffusion and its like) on the diffusers library, which is an extra."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genarium.engines.diffusers import loading, samplers
from genarium.engines.diffusers.configs import DENOISERS, denoiser_of, setting
from genarium.engines.diffusers.memory import free, total
from genarium.engines.diffusers.pipelines import Pipelines, call
from genarium.engines.diffusers.prompts import tell_of_cuts
from genarium.engines.drawing import STRENGTH, tell_what_is_cut
from genarium.engines.image.diffusers import configs, memory
from genarium.engines.image.diffusers.families import Family
from genarium.engines.image.diffusers.folder_image import FolderImage
from genarium.engines.image.diffusers.memory import MemoryPlan
from genarium.engines.image.diffusers.refusals import family_of
from genarium.engines.image.protocol import NOTHING_TO_EXPLAIN, ImageRequest, Limits, with_unmasked
from genarium.engines.latents import preview
from genarium.engines.vision.word_maps import Attribution, WordMaps, join
from genarium.errors import BadInput
from genarium.progress import emit, note

STEPS = 20
TEXT_IN_FLOAT32 = 500_000_000
"""The largest text encoder, in weights, that runs in float32: it runs once an image, and the latents are its type."""
BINNED = (16, 32, 64, 128, 256)
"""The sides for which pipelines that draw at a shape that they were trained on have a list of those."""


class DiffusersImage(FolderImage):
    """Makes images with a pipeline's folder. Raises BadCheckpoint, also where diffusers is missing."""

    def __init__(self, path: Path, *, name: str = "", dtype: str = "auto", device: str | None = None):
        super().__init__(path, name=name, dtype=dtype, device=device)
        self.family: Family = family_of(self.folder.kind, self.name)
        self.modes = configs.modes(self.folder, self.family, self.name)
        loading.check_classes(self.folder, self.name)
        self._pipelines: Pipelines | None = None

    @cached_property
    def limits(self) -> Limits:
        family, folder = self.family, self.folder
        scheduler = folder.configs.get("scheduler", {})
        named = samplers.choices(scheduler, family, configs.channels(folder))
        plain = named[0] == "dpm++2m" and scheduler.get("_class_name") in samplers.REPLACED
        asked = self._call(self.modes.text or self.modes.init or self.modes.mask)
        embedded = self._embedded
        scale = "true_cfg_scale" if family.guidance == "beside" else "guidance_scale"
        reads_scale = embedded is not False and scale in asked
        options = {
            "steps": STEPS if plain else asked["num_inference_steps"].default,
            "sampler": named[0],
            "guidance": asked[scale].default if reads_scale else None,
            "strength": STRENGTH if family.strength else None,
        }
        return Limits(
            size=configs.usual_size(folder, family),
            multiple=configs.multiple(folder, family),
            fixed=family.fixed,
            options={name: usual for name, usual in options.items() if usual is not None},
            samplers=named,
            negative="negative_prompt" in asked and embedded is None,
            negative_above=family.compares_above,
            guidance_beside_negative=family.guidance == "beside",
            text=self.modes.text is not None,
            init=self.modes.init is not None,
            mask=self.modes.mask is not None,
            explain=family.explain and self.modes.text is not None and "tokenizer" in folder.configs,
        )

    @property
    def _embedded(self) -> bool | None:
        """Whether the network is told the guidance scale, so that nothing is compared; None where it is compared."""
        network = denoiser_of(self.folder)
        if self.family.guidance == "embedded" and "transformer" in self.folder.configs:
            return bool(setting(network, "guidance_embeds"))
        told = setting(network, "time_cond_proj_dim") is not None
        return told if told or self.family.guidance == "embedded" else None

    def _call(self, kind: str | None) -> Any:
        import diffusers

        return inspect.signature(getattr(diffusers, str(kind)).__call__).parameters

    def close(self) -> None:
        self._pipelines = None
        super().close()

    def _plan(self, request: ImageRequest) -> MemoryPlan:
        """How the image fits: in one piece, decoded in tiles, the denoiser's layers read from disk one by one.

        Tiles change an image a little, so that the machine's size decides on them, not what is free just now: the
        same recipe gives the same bytes. Reading from disk changes no byte.
        """
        if request.option("steps") == 1 and not self.family.one_step and self.limits.samplers != ("own",):
            raise BadInput(f"{self.name} takes at least 2 steps, got 1")
        work = memory.work(self.folder, request.size or self.limits.size, request.option("guidance"), self.dtype)
        tiled = work.tiles < work.whole and (self._weights + max(work.denoising, work.whole) > total(self.device) // 2)
        needed = max(work.denoising, work.tiles if tiled else work.whole)
        weights = 0 if self._loaded is not None else self._weights
        if weights + needed <= free(self.device) or not self.folder.parts.keys() & set(DENOISERS):
            return MemoryPlan(tiled, False, weights + needed)
        return MemoryPlan(tiled, True, weights - self._weights_of(DENOISERS) + needed)

    def _part_dtype(self, name: str, count: int) -> torch.dtype:
        small = name.startswith("text_encoder") and count <= TEXT_IN_FLOAT32
        plain = small or name == "safety_checker" or name.startswith("prior_")
        return torch.float32 if self.device == "cpu" and plain else self.dtype

    def _open(self, plan: MemoryPlan) -> Any:
        import diffusers

        parts = self.folder.parts
        given: dict[str, Any] = dict.fromkeys(self.folder.absent)
        if "safety_checker" in self.folder.absent:
            given["requires_safety_checker"] = False
        if plan.stream and self.device == "cpu":
            note("memory is short for this model: the denoiser's layers are read from disk as they are needed")
            for part in set(parts) & set(DENOISERS):
                given[part] = loading.streamed(parts[part], self.folder.path / part, self.dtype)
        kind = getattr(diffusers, self.folder.kind)
        dtypes = {name: self._part_dtype(name, part.count()) for name, part in parts.items()}
        loading.tell_what_is_not_read(self.folder, kind)
        pipeline = loading.open_pipeline(self.folder, kind, self.name, dtypes, given)
        if self.device == "cpu":
            loading.lay_out(pipeline, self.dtype)
        elif plan.stream:
            note("the model is larger than the GPU's memory: its parts are moved there one after another")
            largest = max(self._weights_of((name,)) for name in parts)
            fits = largest < 0.8 * free(self.device)
            (pipeline.enable_model_cpu_offload if fits else pipeline.enable_sequential_cpu_offload)()
        else:
            pipeline.to(self.device)
        return pipeline

    def _pipeline_for(self, request: ImageRequest) -> Any:
        """The pipeline of the class that does what is asked, at the sampler that is asked for."""
        modes = self.modes
        wanted = modes.mask if request.mask is not None else modes.init if request.init is not None else modes.text
        if self._pipelines is None:
            self._pipelines = Pipelines(self._loaded)
        return self._pipelines.at(str(wanted), request.option("sampler"))

    def _paint(self, request: ImageRequest, row: int, seed: int) -> np.ndarray:
        pipeline = self._pipeline_for(request)
        width, height = request.size or self.limits.size
        options = dict(self.family.options)
        if setting(denoiser_of(self.folder), "sample_size") not in BINNED:
            options["use_resolution_binning"] = False
        scale = "true_cfg_scale" if self.family.guidance == "beside" else "guidance_scale"
        given = options | {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt or None,
            "width": width,
            "height": height,
            "num_inference_steps": request.option("steps"),
            scale: request.option("guidance"),
            "image": request.init,
            "mask_image": request.mask,
            "strength": request.option("strength"),
            # Drawn on the CPU wherever it is computed: the same noise on every machine.
            "generator": torch.Generator("cpu").manual_seed(seed),
            "callback_on_step_end": lambda pipe, step, _, tensors: _tell(row, step, pipe.num_timesteps, tensors),
        }
        made = call(pipeline, self.name, given)
        if made.images[0].size != (width, height):
            drawn = "x".join(str(side) for side in made.images[0].size)
            raise BadInput(f"{self.name} draws {drawn} where {width}x{height} was asked; choose size {drawn}")
        flagged = getattr(made, "nsfw_content_detected", None) or getattr(made, "nsfw_detected", None)
        if flagged is not None and np.any(np.asarray(flagged, dtype=bool)):
            note(
                f"picture {row + 1} is black: the checkpoint's own safety checker took it for indecent; try a new seed"
            )
        return np.asarray(with_unmasked(made.images[0].convert("RGB"), request))

    def _tell_what_is_cut(self, request: ImageRequest) -> None:
        def tell(called: str, context: int, cut: str) -> None:
            tell_what_is_cut(self.name, called, context, cut, strict=request.strict)

        tell_of_cuts(self._pipeline_for(request), self.family.reads, request.prompt, request.negative_prompt, tell)

    @contextlib.contextmanager
    def _watching(self, request: ImageRequest) -> Iterator[Attribution | None]:
        """Inside the block, what the denoiser looks at is summed, where that is asked for."""
        if not request.explain:
            yield None
            return
        from genarium.engines.diffusers.attention import watched

        width, height = request.size or self.limits.size
        scale = configs.pixels_a_latent(self.folder)
        looked = Attribution((height // scale, width // scale))
        with watched(self._loaded.unet, looked) as layers:
            if not layers:
                raise BadInput(f"{self.name} {NOTHING_TO_EXPLAIN}; leave out explain")
            yield looked

    def _word_maps(self, prompt: str, looked: Attribution) -> WordMaps:
        tokenizer = self._loaded.tokenizer
        read = tokenizer(prompt, truncation=True, max_length=tokenizer.model_max_length, return_offsets_mapping=True)
        offsets = read["offset_mapping"]
        return WordMaps(prompt, *join(prompt, offsets, looked.maps()[: len(offsets)]))


def _tell(row: int, step: int, steps: int, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    emit("denoising", step + 1, steps, preview=preview(tensors.get("latents")), item=row)
    return {}
