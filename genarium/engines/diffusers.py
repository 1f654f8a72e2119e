"""Any text-to-image pipeline folder (Stable Diffusion and its like) on the diffusers library, which is an extra.

What is ours beside the library's defaults:

- DPM-Solver++(2M) in 20 steps (Lu et al. 2022, arXiv:2211.01095) for folders that name a plain scheduler.
- On a CPU that multiplies it, bfloat16 inside the networks alone: the latents, the sampler's sums and a small text
  encoder stay in float32. The denoiser lies channels-last.
- One picture at a time, each from a generator of its own, so that its bytes are the same however many are asked for.
- What memory is short of is picked from configs and headers before any weights are read, and said.
"""

from __future__ import annotations

import contextlib
import gc
import inspect
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genarium.checkpoints.pipeline import Part, Pipeline, is_pipeline, read_pipeline
from genarium.devices import available_memory, cpu_multiplies_bfloat16, pick_device, total_memory
from genarium.engines.image import (
    NOTHING_TO_EXPLAIN,
    ImageRequest,
    Limits,
    Picture,
    Size,
    is_out_of_memory,
    tell_what_is_cut,
    with_unmasked,
)
from genarium.engines.word_maps import Attribution, WordMaps, join, spans_of
from genarium.errors import BadCheckpoint, BadInput, first_line
from genarium.progress import emit, note

STEPS = 20
# Schedulers of the same noise levels, which may stand for each other; ours by default where the folder names an
# older one. Any other scheduler (distilled for few steps, say) is kept as it is, and called `own`.
SCHEDULERS = {
    "dpm++2m": "DPMSolverMultistepScheduler",
    "ddim": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler-a": "EulerAncestralDiscreteScheduler",
    "heun": "HeunDiscreteScheduler",
    "pndm": "PNDMScheduler",
    "unipc": "UniPCMultistepScheduler",
}
REPLACED = {"DDIMScheduler", "DDPMScheduler", "LMSDiscreteScheduler", "PNDMScheduler"}
FLOW_SCHEDULERS = {"euler": "FlowMatchEulerDiscreteScheduler", "heun": "FlowMatchHeunDiscreteScheduler"}
DENOISERS = ("unet", "transformer")
INPAINTING_CHANNELS = 9
"""Latents, the mask, and the latents of what is kept: a denoiser trained for inpainting alone."""
TEXT_IN_FLOAT32 = 500_000_000
"""The largest text encoder, in weights, that runs in float32: it runs once a picture, and the latents are its type."""
# Latents of Stable Diffusion 1 and 2 to colours, by least squares: a preview, not a decoding.
LATENT_RGB = ((0.298, 0.207, 0.208), (0.187, 0.286, 0.173), (-0.158, 0.189, 0.264), (-0.184, -0.271, -0.473))


# Memory beside the weights in copies of the widest feature map: a lower bound (docs/images.md has it beside the peak).
DENOISER_COPIES, DENOISER_WIDTH = 24, 1024
DECODER_COPIES, DECODER_WIDTH = 5, 128
RESULT_BYTES = 24


@dataclass(frozen=True)
class Plan:
    """How a picture fits into memory: `stream` reads the denoiser's layers from disk as they are needed."""

    tiled: bool
    stream: bool
    bytes: int


class DiffusersImage:
    """Makes pictures with a pipeline folder. Raises BadCheckpoint, also where diffusers is missing."""

    state_dicts = False  # whether `*.bin` is read where there is no safetensors file

    def __init__(self, path: Path, *, name: str = "", dtype: str = "auto", device: str | None = None):
        self.name = name or str(path)
        self.folder = read_pipeline(path, state_dicts=self.state_dicts)
        self.device = device or pick_device("auto")
        self.dtype = _dtype(dtype, self.device)
        self.kind = _pipeline_class(self.folder, self.name)
        self._asked = inspect.signature(self.kind.__call__).parameters
        self._loaded: Any = None
        self._streams = False

    @staticmethod
    def opens(path: Path) -> bool:
        return is_pipeline(path)

    @cached_property
    def limits(self) -> Limits:
        samplers = self._samplers()
        plain = samplers[0] == "dpm++2m" and self.folder.configs["scheduler"].get("_class_name") in REPLACED
        usual = self._asked["num_inference_steps"].default if "num_inference_steps" in self._asked else None
        guidance = self._asked["guidance_scale"].default if "guidance_scale" in self._asked else None
        inpaints = self._denoiser.get("in_channels") == INPAINTING_CHANNELS
        return Limits(
            size=self._usual_size(),
            multiple=self._scale * int(self._denoiser.get("patch_size") or 1),
            steps=STEPS if plain else usual,
            guidance=guidance,
            samplers=samplers,
            negative="negative_prompt" in self._asked,
            init=inpaints or self._variant("Image2Image") is not None,
            mask=inpaints or self._variant("Inpainting") is not None,
            explain=self._denoiser.get("_class_name") == "UNet2DConditionModel" and "tokenizer" in self.folder.configs,
        )

    def memory(self, request: ImageRequest) -> int:
        return self._plan(request).bytes

    def generate(self, request: ImageRequest) -> Iterator[Picture]:
        """As the protocol says. Where memory runs out, what was loaded is let go. Raises BadInput, BadCheckpoint."""
        if self._denoiser.get("in_channels") == INPAINTING_CHANNELS and request.mask is None:
            raise BadInput(f"{self.name} only paints parts of a picture anew; give one with --init and --mask")
        if request.explain:
            spans_of(request.prompt)  # a prompt without a word is refused before anything is loaded
        plan = self._plan(request)
        try:
            self._load(plan)
            self._tell_what_is_cut(request)
            for row, seed in enumerate(request.seeds):
                began = time.perf_counter()
                with self._watching(request) as looked:
                    pixels = self._paint(request, row, seed)
                explained = self._word_maps(request.prompt, looked) if looked is not None else None
                yield Picture(row, seed, pixels, {"seconds": time.perf_counter() - began}, explained)
        except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self.close()
            width, height = request.size or self.limits.size
            raise BadInput(
                f"memory ran out at {width}x{height} with {self.name}; choose a smaller --size or a smaller model, or "
                "close other programs (what was finished is kept)"
            ) from None

    def close(self) -> None:
        """Let go of what is loaded."""
        self._loaded = None
        gc.collect()
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    # What the folder's configs say.

    @property
    def _denoiser(self) -> dict[str, Any]:
        return next((self.folder.configs[name] for name in DENOISERS if name in self.folder.configs), {})

    @property
    def _scale(self) -> int:
        """Pixels a latent, along a side."""
        vae = self.folder.configs.get("vae") or self.folder.configs.get("vqvae") or {}
        channels = vae.get("block_out_channels") or vae.get("encoder_block_out_channels") or [0] * 4
        return int(2 ** (len(channels) - 1))

    def _usual_size(self) -> Size:
        side = self._denoiser.get("sample_size") or 128  # those that name none were trained at 1024 pixels
        height, width = side if isinstance(side, list | tuple) else (side, side)
        return width * self._scale, height * self._scale

    def _samplers(self) -> tuple[str, ...]:
        own = str(self.folder.configs.get("scheduler", {}).get("_class_name"))
        if own in FLOW_SCHEDULERS.values():
            return tuple(FLOW_SCHEDULERS)
        if own in REPLACED:
            return tuple(SCHEDULERS)
        named = next((name for name, kind in SCHEDULERS.items() if kind == own), "own")
        return (named, *(name for name in SCHEDULERS if name != named)) if named != "own" else ("own",)

    def _variant(self, task: str) -> Any:
        """The pipeline class that does `task` (Image2Image, Inpainting) with the same parts, or None."""
        from diffusers.pipelines import auto_pipeline

        mapping = {"Image2Image": "IMAGE2IMAGE", "Inpainting": "INPAINT"}[task]
        with contextlib.suppress(ValueError):
            return auto_pipeline._get_task_class(
                getattr(auto_pipeline, f"AUTO_{mapping}_PIPELINES_MAPPING"), self.kind.__name__
            )
        return None

    # Memory.

    def _plan(self, request: ImageRequest) -> Plan:
        """How the picture fits: in one piece, decoded in tiles, the denoiser's layers read from disk one by one.

        Tiles change a picture a little, so that the machine's size decides on them, not what is free just now: the
        same recipe gives the same bytes. Reading from disk changes no byte.
        """
        width, height = request.size or self.limits.size
        vae = self.folder.configs.get("vae", {})
        bytes_each = torch.finfo(self.dtype).bits // 8
        channels = int((self._denoiser.get("block_out_channels") or [DENOISER_WIDTH])[0])
        guided = 2 if (request.guidance or 0) > 1 else 1
        denoising = guided * width * height // self._scale**2 * channels * bytes_each * DENOISER_COPIES
        a_pixel = int((vae.get("block_out_channels") or [DECODER_WIDTH])[0]) * bytes_each * DECODER_COPIES
        tile = int(vae.get("sample_size") or 512)
        whole, tiles = (area * a_pixel + width * height * RESULT_BYTES for area in (width * height, tile * tile))
        tiled = tiles < whole and self._weights + max(denoising, whole) > self._memory() // 2
        work = max(denoising, tiles if tiled else whole)
        weights = 0 if self._loaded is not None else self._weights
        if weights + work <= self._free() or not self.folder.parts.keys() & set(DENOISERS):
            return Plan(tiled, False, weights + work)
        return Plan(tiled, True, weights - self._weights_of(DENOISERS) + work)

    def _memory(self) -> int:
        return int(torch.cuda.mem_get_info()[1]) if self.device.startswith("cuda") else total_memory()

    def _free(self) -> int:
        return int(torch.cuda.mem_get_info()[0]) if self.device.startswith("cuda") else available_memory()

    @cached_property
    def _weights(self) -> int:
        return self._weights_of(tuple(self.folder.parts))

    def _weights_of(self, names: tuple[str, ...]) -> int:
        """Bytes of these parts as they are computed with."""
        counts = {name: part.count() for name, part in self.folder.parts.items() if name in names}
        return sum(count * torch.finfo(self._part_dtype(name, count)).bits // 8 for name, count in counts.items())

    def _part_dtype(self, name: str, count: int) -> torch.dtype:
        small = name.startswith("text_encoder") and count <= TEXT_IN_FLOAT32
        return torch.float32 if self.device == "cpu" and (small or name == "safety_checker") else self.dtype

    # Running.

    def _load(self, plan: Plan) -> None:
        if self._loaded is None:
            emit("loading", preview=self.name)
            self._loaded = self._open(plan)
            self._scheduler = self._loaded.scheduler
        if plan.tiled:
            note("memory is short for this size: the picture is decoded in tiles, which can show at their seams")
        if hasattr(getattr(self._loaded, "vae", None), "enable_tiling"):
            (self._loaded.vae.enable_tiling if plan.tiled else self._loaded.vae.disable_tiling)()

    def _open(self, plan: Plan) -> Any:
        parts = self.folder.parts
        dtypes = {name: self._part_dtype(name, part.count()) for name, part in parts.items()}
        given: dict[str, Any] = dict.fromkeys(self.folder.absent)
        if "safety_checker" in self.folder.absent:
            given["requires_safety_checker"] = False
        if plan.stream and self.device == "cpu":
            note("memory is short for this model: the denoiser's layers are read from disk as they are needed")
            given |= {name: _streamed(part, self.dtype) for name, part in parts.items() if name in DENOISERS}
        try:
            pipeline = self.kind.from_pretrained(
                self.folder.path,
                dtype=dtypes | {"default": self.dtype},
                variant=next((part.variant for part in parts.values() if part.variant), None),
                use_safetensors=True,
                local_files_only=True,
                **given,
            )
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # whatever the library says of a folder that it can't open
            if is_out_of_memory(error):
                raise
            raise BadCheckpoint(f"{self.name} can't be opened by diffusers: {first_line(error)}") from None
        pipeline.set_progress_bar_config(disable=True)
        require_finite(pipeline, self.folder.path)
        if self.device == "cpu":
            for module in _networks(pipeline):
                self._lay_out(module)
        elif plan.stream:
            note("the model is larger than the GPU's memory: its parts are moved there one after another")
            largest = max(self._weights_of((name,)) for name in parts)
            fits = largest < 0.8 * self._free()
            (pipeline.enable_model_cpu_offload if fits else pipeline.enable_sequential_cpu_offload)()
        else:
            pipeline.to(self.device)
        return pipeline

    def _lay_out(self, module: nn.Module) -> None:
        """A network as it runs fastest on a CPU."""
        from genarium.engines.attention import use_sliced

        if all(parameter.device.type == "cpu" for parameter in module.parameters()):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        else:
            module.register_forward_pre_hook(_channels_last)
        if self.dtype != torch.float32:
            compute_in(module, self.dtype)
        if self.dtype == torch.bfloat16:
            use_sliced(module)

    def _paint(self, request: ImageRequest, row: int, seed: int) -> np.ndarray:
        """One picture, (height, width, 3) uint8."""
        pipeline = self._loaded
        wanted = "Inpainting" if request.mask is not None else "Image2Image" if request.init is not None else ""
        if wanted and (kind := self._variant(wanted)) not in (None, self.kind):
            names = inspect.signature(kind.__init__).parameters.keys() & pipeline.components.keys()
            pipeline = kind(
                **{name: pipeline.components[name] for name in names},
                **{k: v for k, v in pipeline.config.items() if k == "requires_safety_checker"},
            )
            pipeline.set_progress_bar_config(disable=True)
        pipeline.scheduler = self._sampler(request.sampler)
        width, height = request.size or self.limits.size
        given = {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt or None,
            "width": width,
            "height": height,
            "num_inference_steps": request.steps,
            "guidance_scale": request.guidance,
            "image": request.init,
            "mask_image": request.mask,
            "strength": request.strength,
            # Drawn on the CPU wherever it is computed: the same noise on every machine.
            "generator": torch.Generator("cpu").manual_seed(seed),
            "callback_on_step_end": lambda pipe, step, _, tensors: _tell(row, step, pipe.num_timesteps, tensors),
        }
        taken = inspect.signature(pipeline.__call__).parameters
        made = pipeline(**{name: value for name, value in given.items() if name in taken and value is not None})
        if any(getattr(made, "nsfw_content_detected", None) or ()):
            note(
                f"picture {row + 1} is black: the checkpoint's own safety checker took it for indecent; try a new seed"
            )
        return np.asarray(with_unmasked(made.images[0].convert("RGB"), request))

    @contextlib.contextmanager
    def _watching(self, request: ImageRequest) -> Iterator[Attribution | None]:
        """Inside the block, what the denoiser looks at is summed, where that is asked for."""
        if not request.explain:
            yield None
            return
        from genarium.engines.attention import watched

        width, height = request.size or self.limits.size
        looked = Attribution((height // self._scale, width // self._scale))
        with watched(self._loaded.unet, looked) as layers:
            if not layers:
                raise BadInput(f"{self.name} {NOTHING_TO_EXPLAIN}; leave out --explain")
            yield looked

    def _word_maps(self, prompt: str, looked: Attribution) -> WordMaps:
        tokenizer = self._loaded.tokenizer
        read = tokenizer(prompt, truncation=True, max_length=tokenizer.model_max_length, return_offsets_mapping=True)
        offsets = read["offset_mapping"]
        return WordMaps(prompt, *join(prompt, offsets, looked.maps()[: len(offsets)]))

    def _sampler(self, name: str | None) -> Any:
        """A fresh scheduler of that name, at the noise levels of the folder's own."""
        import diffusers

        own = self._scheduler
        kinds = FLOW_SCHEDULERS if type(own).__name__ in FLOW_SCHEDULERS.values() else SCHEDULERS
        kind = getattr(diffusers, kinds[name]) if name in kinds else type(own)
        return kind.from_config(own.config)

    def _tell_what_is_cut(self, request: ImageRequest) -> None:
        """What no text encoder reads of a prompt that is too long."""
        names = [name for name in ("tokenizer", "tokenizer_2", "tokenizer_3") if getattr(self._loaded, name, None)]
        for text, called in ((request.prompt, "prompt"), (request.negative_prompt, "negative prompt")):
            cuts = [_cut(getattr(self._loaded, name), text) for name in names]
            if cuts and all(cut for _, cut in cuts):
                context, cut = min(cuts, key=lambda found: len(found[1]))
                tell_what_is_cut(self.name, called, context, cut)


def compute_in(module: nn.Module, dtype: torch.dtype) -> None:
    """Let a network of weights in `dtype` take float32 and give float32."""
    module.register_forward_pre_hook(
        lambda _, args, kwargs: (_cast(args, torch.float32, dtype), _cast(kwargs, torch.float32, dtype)),
        with_kwargs=True,
    )
    module.register_forward_hook(lambda _, args, output: _cast(output, dtype, torch.float32))


def _channels_last(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Weights that are read when they are needed can't lie so beforehand; the pictures then do."""
    first, *others = args
    return first.contiguous(memory_format=torch.channels_last), *others


def _cast(value: Any, old: torch.dtype, new: torch.dtype) -> Any:
    """Every tensor of type `old` in nested tuples, lists and dicts as `new`."""
    if isinstance(value, Tensor):
        return value.to(new) if value.dtype == old else value
    if isinstance(value, dict):
        for key in value:  # in place: a library's output is a dict of its own kind
            value[key] = _cast(value[key], old, new)
        return value
    return type(value)(_cast(one, old, new) for one in value) if isinstance(value, tuple | list) else value


def _networks(pipeline: Any) -> list[nn.Module]:
    """The modules that a pipeline calls, denoisers and the two halves of the autoencoder."""
    found = [getattr(pipeline, name, None) for name in DENOISERS]
    vae = getattr(pipeline, "vae", None)
    found += [getattr(vae, name, None) for name in ("encoder", "decoder", "quant_conv", "post_quant_conv")]
    return [module for module in found if isinstance(module, nn.Module)]


def _streamed(part: Part, dtype: torch.dtype) -> nn.Module:
    """The network with its weights left in their files, each read when its layer runs."""
    import accelerate
    import diffusers
    from safetensors import safe_open

    kind = getattr(diffusers, part.config["_class_name"])
    with accelerate.init_empty_weights():
        network = kind.from_config(part.config).to(dtype)
    index = {}
    for file in part.files:
        with safe_open(file, "pt") as opened:
            for name in opened.keys():  # noqa: SIM118
                index[name] = {"safetensors_file": str(file), "weight_name": name, "dtype": str(dtype).split(".")[1]}
    dispatched: nn.Module = accelerate.dispatch_model(
        network, {"": "disk"}, main_device="cpu", offload_index=index, force_hooks=True
    )
    return dispatched.eval()


def require_finite(pipeline: Any, path: Path) -> None:
    """BadCheckpoint where a weight is no number, with the tensor's name."""
    for part, network in pipeline.components.items():
        if isinstance(network, nn.Module):
            for name, tensor in network.state_dict().items():
                if tensor.is_floating_point() and tensor.device.type != "meta" and not torch.isfinite(tensor).all():
                    raise BadCheckpoint(
                        f"{path}: {part} {name} holds values that are not numbers; download the folder again"
                    )


def _tell(row: int, step: int, steps: int, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    emit("denoising", step + 1, steps, preview=_preview(tensors.get("latents")), item=row)
    return {}


def _preview(latents: Tensor | None) -> np.ndarray | None:
    """About what the latents (1, 4, H, W) show, (H, W, 3) uint8; None for latents of another kind."""
    if latents is None or latents.ndim != 4 or latents.shape[1] != len(LATENT_RGB):
        return None
    colours = torch.einsum("chw,cr->hwr", latents[0].float().cpu(), torch.tensor(LATENT_RGB))
    return ((colours + 1) * 127.5).clamp(0, 255).byte().numpy()


def _cut(tokenizer: Any, text: str) -> tuple[int, str]:
    """How many tokens it reads, and the end of the text that is behind them."""
    context = int(tokenizer.model_max_length)
    ids = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
    room = context - tokenizer.num_special_tokens_to_add()
    return context, tokenizer.decode(ids[room:]).strip() if len(ids) > room else ""


def _pipeline_class(folder: Pipeline, name: str) -> Any:
    """The class that model_index.json names. Raises BadCheckpoint where it makes no pictures from a prompt."""
    try:
        from transformers import logging as transformers_logging

        transformers_logging.set_verbosity_error()  # before the library that it would talk about is imported
        transformers_logging.disable_progress_bar()
        import diffusers
    except ImportError:
        raise BadCheckpoint(
            f"{name} runs on the diffusers library, which is not here; pip install 'genarium[diffusers]'"
        ) from None
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    kind = getattr(diffusers, folder.kind, None)
    if kind is None:
        raise BadCheckpoint(f"{name} is a {folder.kind}, which this diffusers ({diffusers.__version__}) doesn't know")
    if not {"prompt", "num_inference_steps"} <= inspect.signature(kind.__call__).parameters.keys():
        raise BadCheckpoint(f"{name} is a {folder.kind}, which makes no pictures from a prompt in steps")
    return kind


def _dtype(asked: str, device: str) -> torch.dtype:
    """What the networks compute in. Half precision of the other kind (float16) is for GPUs alone."""
    fast = torch.bfloat16 if device != "cpu" or cpu_multiplies_bfloat16() else torch.float32
    if asked == "auto":
        return fast
    if asked == "float16" and device == "cpu":
        note(f"a CPU computes slowly or not at all in float16; {str(fast).split('.')[1]} is used")
        return fast
    named: torch.dtype = getattr(torch, asked)
    return named
