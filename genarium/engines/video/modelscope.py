"""ModelScope's text-to-video (Wang et al. 2023, arXiv:2308.06571) from the folder that diffusers writes, natively.

Its parts are loaded one after another and let go of: the text encoder has read the prompts before the denoiser is
there, and that has said its last before the autoencoder draws the frames, one by one. Of several clips the denoiser
stays beside the autoencoder until the last. Latents and the sampler's sums are in float32 whatever the networks
compute in; a clip is computed by itself, from a generator of its own.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from genarium.checkpoints.layouts import modelscope as layout
from genarium.data.images import to_images, to_tensor
from genarium.diffusion.guidance import guided
from genarium.diffusion.samplers import SAMPLERS
from genarium.diffusion.schedules import draw_noise
from genarium.engines.cpu.clips import use_clip_kernels
from genarium.engines.diffusers.folder import FolderEngine
from genarium.engines.drawing import STRENGTH, tell_what_is_cut
from genarium.engines.latents import preview
from genarium.engines.video import modelscope_memory as memory
from genarium.engines.video.frame_maps import FrameMaps
from genarium.engines.video.protocol import GeneratedVideo, VideoLimits, VideoRequest
from genarium.engines.video.recorded import Recorded
from genarium.engines.vision.word_maps import spans_of
from genarium.models.unet3d import UNet3D
from genarium.models.vae import Autoencoder
from genarium.progress import emit, note

STEPS, GUIDANCE, SAMPLER = 25, 9.0, "dpm++2m"
FRAMES, MOST_FRAMES, FPS = 16, 240, 8.0  # of its training, and half a minute


class ModelScopeVideo(FolderEngine):
    """Makes clips with a `TextToVideoSDPipeline` folder. Raises BadCheckpoint."""

    state_dicts = True

    def __init__(self, path: Path, *, name: str = "", dtype: str = "auto", device: str | None = None):
        super().__init__(path, name=name, dtype=dtype, device=device)
        self.config = layout.read_config(path)  # refused before anything is loaded

    @cached_property
    def limits(self) -> VideoLimits:
        side = self.config.unet.sample_size * self.config.autoencoder.factor
        return VideoLimits(
            size=(side, side),
            multiple=self.config.autoencoder.factor,
            frames=FRAMES,
            most_frames=MOST_FRAMES,
            fps=FPS,
            options={"steps": STEPS, "sampler": SAMPLER, "guidance": GUIDANCE, "strength": STRENGTH},
            samplers=(SAMPLER, *(name for name in SAMPLERS if name != SAMPLER)),
            negative=True,
            init=True,
            explain=True,
        )

    def _part_dtype(self, name: str, count: int) -> torch.dtype:
        return torch.float32 if name == "text_encoder" else self.dtype

    def memory(self, request: VideoRequest) -> int:
        return memory.peak(
            self.config,
            {name: self._weights_of((name,)) for name in self.folder.parts},
            request.size or self.limits.size,
            request.frames or FRAMES,
            rows=_rows(request),
            clips=len(request.seeds),
            dtype=self.dtype,
            explain=request.explain,
        )

    def generate(self, request: VideoRequest) -> Iterator[GeneratedVideo]:
        """As the protocol says."""
        if request.explain:
            spans_of(request.prompt)  # a prompt without a word is refused before anything is loaded
        width, height = request.size or self.limits.size
        if (width, height) != self.limits.size:
            own = "x".join(map(str, self.limits.size))
            note(f"{self.name} learned at {own} pixels: of other sizes it knows less, and repeats or leaves out")
        if request.init is not None:
            note(f"{self.name} starts from the picture standing still, and leaves every frame of it by the strength")
        if (needed := self.memory(request)) >= 2**30:
            note(f"this takes about {needed / 2**30:.1f} GiB of memory; how long it takes is told after two steps")
        with self._letting_go_without_memory(f"{request.frames} frames of {width}x{height}"), torch.inference_mode():
            yield from self._clips(request)

    def _clips(self, request: VideoRequest) -> Iterator[GeneratedVideo]:
        began = time.perf_counter()
        words, tokenizer = self._read(request)
        still = self._still(request)
        network = self._denoiser()
        for row, seed in enumerate(request.seeds):
            looked = FrameMaps(self._latents(request), _rows(request)) if request.explain else None
            latents = self._denoised(request, row, seed, words, still, network, looked)
            if row + 1 == len(request.seeds):
                network.cache_clear()
                gc.collect()
            frames = self._drawn(latents, row)
            explained = looked.words(request.prompt, tokenizer) if looked is not None else None
            stats = {"seconds": time.perf_counter() - began}
            yield GeneratedVideo(row, seed, frames, request.fps or FPS, stats, explained)
            began = time.perf_counter()

    def _latents(self, request: VideoRequest) -> tuple[int, int, int]:
        """Frames, height and width of what is denoised."""
        width, height = request.size or self.limits.size
        factor = self.config.autoencoder.factor
        return request.frames or FRAMES, height // factor, width // factor

    def _read(self, request: VideoRequest) -> tuple[Tensor, Tokenizer]:
        """The words of the negative prompt and of the prompt, (2, S, D), by a text encoder that is let go of."""
        tokenizer = layout.load_tokenizer(self.config)
        for called, prompt in (("prompt", request.prompt), ("negative prompt", request.negative_prompt)):
            encoding = tokenizer.encode(prompt)
            if encoding.overflowing:
                cut = prompt[max(end for _, end in encoding.offsets) :].strip()
                tell_what_is_cut(self.name, called, self.config.context, cut, strict=request.strict)
        emit("loading", preview=self.name)
        encoder = layout.load_text_encoder(self.config, device=self.device)
        ids = [row.ids for row in tokenizer.encode_batch([request.negative_prompt, request.prompt])]
        return encoder.states(torch.tensor(ids, device=self.device)), tokenizer

    def _still(self, request: VideoRequest) -> Tensor | None:
        """The picture that is started from as latents (1, Z, 1, h, w)."""
        if request.init is None:
            return None
        image = to_tensor(np.array(request.init)[None]).to(self.device, self.dtype)
        return self._autoencoder().to_latents(image)[:, :, None]

    def _autoencoder(self) -> Autoencoder:
        model = layout.load_autoencoder(self.config, dtype=self.dtype, device=self.device)
        use_clip_kernels(model)
        return model

    def _denoiser(self) -> Any:
        """Gives the denoiser, which is loaded when it is first asked for; `cache_clear` lets go of it."""

        @cache
        def network() -> UNet3D:
            emit("loading", preview=self.name)
            model = layout.load_unet(self.config, dtype=self.dtype, device=self.device)
            use_clip_kernels(model)
            return model

        return network

    def _denoised(
        self,
        request: VideoRequest,
        row: int,
        seed: int,
        words: Tensor,
        still: Tensor | None,
        network: Callable[[], UNet3D],
        looked: FrameMaps | None,
    ) -> Tensor:
        """The latents (1, Z, F, h, w) of one clip."""
        source = [torch.Generator().manual_seed(seed)]
        x = draw_noise(source, (self.config.unet.in_channels, *self._latents(request)), device=self.device)
        process, sampler = self.config.process, request.option("sampler", SAMPLER)
        levels = process.levels(request.option("steps", STEPS), sampler=sampler)
        if still is not None:
            levels = levels.tail(request.option("strength", STRENGTH))
            x = levels.add_noise(still.expand_as(x), x)

        def answer(x: Tensor, t: Tensor, words: Tensor) -> Tensor:
            model = network()
            with looked.watching(model) if looked is not None else nullcontext():
                said: Tensor = model(x.to(self.dtype), t, words.to(self.dtype))
            return said.float()

        scale = max(1.0, float(request.option("guidance", GUIDANCE)))
        denoise = guided(answer, {"words": words[1:]}, {"words": words[:1]}, scale, shares=True)
        asks = 2 * len(levels) - (levels.noise[-1] == 0) if sampler == "heun" else len(levels)
        recorded = Recorded(denoise, f"clip-{row}", asks, keeps=looked is None)

        def on_step(step: int, total: int, x0: Tensor) -> None:
            emit("denoising", step, total, preview=preview(x0[:, :, x0.shape[2] // 2]), item=row)

        return process.sample(recorded, x, levels, sampler=sampler, generators=source, on_step=on_step)

    def _drawn(self, latents: Tensor, row: int) -> np.ndarray:
        """The frames (F, height, width, 3) uint8, one after another."""
        autoencoder, frames = self._autoencoder(), latents.shape[2]
        drawn = []
        for number in range(frames):
            image = autoencoder.from_latents(latents[:, :, number].to(self.dtype))
            drawn.append(to_images(image)[0])
            emit("decoding", number + 1, frames, item=row)
        return np.stack(drawn)


def _rows(request: VideoRequest) -> int:
    """Clips that the denoiser sees at once: at guidance 1 and below nothing is compared."""
    return 2 if float(request.option("guidance", GUIDANCE)) > 1 else 1
