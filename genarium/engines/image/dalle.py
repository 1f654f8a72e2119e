"""DALL·E mini and mega on Genarium's own networks: tokens drawn for a prompt, and painted by the VQGAN."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genarium.checkpoints.layouts import dalle
from genarium.checkpoints.processors.dalle_tokenizer import DalleTokenizer
from genarium.checkpoints.store.state_dict import count
from genarium.decoding import image_tokens
from genarium.decoding.sampling import Sampling
from genarium.decoding.torch_decoder import TorchDecoder
from genarium.devices import available_memory, compute_dtype, cpu_bfloat16, pick_device, total_memory
from genarium.engines.cpu.linear import use_decoding_linears
from genarium.engines.cpu.upcast import use_float32_products
from genarium.engines.drawing import is_out_of_memory, tell, tell_what_is_cut
from genarium.engines.image.protocol import GeneratedImage, ImageRequest, Limits
from genarium.errors import BadCheckpoint, BadInput
from genarium.models.dalle import GuidedImages, ImageDecoder, TextEncoder
from genarium.models.vqgan import VQGANDecoder
from genarium.progress import emit, is_heard, note

GUIDANCE, TEMPERATURE, TOP_K = 16.0, 1.0, 256  # the package's own
TOGETHER = 8  # pictures drawn at once, which read each weight once for all of them
PREVIEWS = 4  # of a picture, the finished one included
PAINTING = 12  # widest feature maps that the VQGAN holds at once, by estimate


@dataclass(frozen=True)
class LoadingPlan:
    """Whether the encoder stays loaded for the next request, and the bytes still to take."""

    encoder_stays: bool
    bytes: int


class DalleImage:
    """Makes pictures with a min-dalle folder. Raises BadCheckpoint.

    The networks compute in float32 on a CPU, where a seed's picture is then the same to the byte alone and among
    others; in bfloat16 where memory is short, and on a GPU.
    """

    def __init__(self, path: Path, *, name: str = "", dtype: str = "auto", device: str | None = None):
        self.name = name or str(path)
        self.device = device or pick_device("auto")
        self.asked = dtype
        self.files = dalle.find_files(path)
        self.config, self.vqgan_config = dalle.read_configs(self.files)
        self.tokenizer = DalleTokenizer(self.files.vocabulary, self.files.merges)
        self._encoder: TextEncoder | None = None
        self._decoder: ImageDecoder | None = None
        self._vqgan: VQGANDecoder | None = None

    @cached_property
    def limits(self) -> Limits:
        side = self._side * self.vqgan_config.scale
        return Limits(
            size=(side, side),
            multiple=self.vqgan_config.scale,
            fixed=True,
            options={"guidance": GUIDANCE, "temperature": TEMPERATURE, "top_k": min(TOP_K, self.config.n_codes)},
        )

    def memory(self, request: ImageRequest) -> int:
        return self._plan(request).bytes

    def generate(self, request: ImageRequest) -> Iterator[GeneratedImage]:
        """As the protocol says. Where memory runs out, what was loaded is let go. Raises BadInput, BadCheckpoint."""
        try:
            states, real = self._read(request)
            for first in range(0, len(request.seeds), TOGETHER):
                yield from self._paint(request, first, request.seeds[first : first + TOGETHER], states, real)
        except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self.close()
            raise BadInput(
                f"memory ran out with {self.name}; ask for fewer pictures at once, choose mini for mega, or close "
                "other programs (what was finished is kept)"
            ) from None

    def close(self) -> None:
        """Let go of what is loaded."""
        self._encoder = self._decoder = self._vqgan = None
        gc.collect()
        if self._on_gpu:
            torch.cuda.empty_cache()

    @property
    def _side(self) -> int:
        """Codes a picture is wide."""
        return round(self.config.image_length**0.5)

    # Memory.

    def _plan(self, request: ImageRequest) -> LoadingPlan:
        """What is free decides whether the encoder stays, which changes no byte; the machine's size on the type."""
        kept = self._bytes(self._dtype, len(request.seeds), encoder_stays=True)
        stays = kept <= (torch.cuda.mem_get_info()[0] if self._on_gpu else available_memory())
        return LoadingPlan(stays, kept if stays else self._bytes(self._dtype, len(request.seeds), encoder_stays=False))

    @cached_property
    def _dtype(self) -> torch.dtype:
        if self.asked == "auto" and not self._on_gpu:
            short = self._bytes(torch.float32, TOGETHER, encoder_stays=False) > total_memory() // 2
            return torch.bfloat16 if short else torch.float32
        if self.asked == "float16" and not self._on_gpu:
            return torch.float32
        return compute_dtype(self.asked, self.device, auto=torch.bfloat16)

    @property
    def _on_gpu(self) -> bool:
        return self.device.startswith("cuda")

    def _bytes(self, dtype: torch.dtype, images: int, *, encoder_stays: bool) -> int:
        """What is still to take for so many pictures."""
        sizes = [n * size for n, size in zip(self._counts, (dtype.itemsize, dtype.itemsize, 4), strict=True)]
        parts = (self._encoder, self._decoder, self._vqgan)
        encoder, decoder, vqgan = (0 if part is not None else size for part, size in zip(parts, sizes, strict=True))
        config, rows = self.config, 2 * min(images, TOGETHER)
        cache = 2 * rows * config.n_layers * config.image_length * config.d_model * dtype.itemsize
        painting = PAINTING * 4 * self.vqgan_config.channels * self.limits.size[0] * self.limits.size[1]
        drawing = decoder + vqgan + max(cache, painting)
        return encoder + drawing if encoder_stays else max(encoder, drawing)

    @cached_property
    def _counts(self) -> list[int]:
        """How many numbers encoder, decoder and VQGAN are."""
        files = (self.files.encoder, self.files.decoder, self.files.detoker)
        return [count(file) for file in files]

    # Running.

    def _read(self, request: ImageRequest) -> tuple[Tensor, Tensor]:
        """The states of the empty text and of the prompt; everything is loaded after it."""
        encoded = self.tokenizer.encode(request.prompt, self.config.text_length)
        if max(encoded.tokens) >= self.config.text_vocab_size:
            raise BadCheckpoint(
                f"{self.files.vocabulary} has tokens that {self.files.encoder.name} doesn't know; they are of "
                "different models, so download both again"
            )
        if encoded.cut:
            tell_what_is_cut(self.name, "prompt", self.config.text_length, encoded.cut, strict=request.strict)
        if encoded.dropped:
            tell(f"{self.name} reads plain English letters only; left out: “{encoded.dropped}”", request.strict)
        plan, on_cpu = self._plan(request), not self._on_gpu
        if self.asked == "float16" and on_cpu:
            note("a CPU computes slowly or not at all in float16; float32 is used")
        elif self.asked == "auto" and on_cpu and self._dtype == torch.bfloat16:
            slower = "" if cpu_bfloat16() == "native" else ", which is slower than float32 on this processor"
            note(f"memory is short for this model: it computes in bfloat16{slower}")
        if self._encoder is None:
            emit("loading", preview=self.name)
            self._encoder = dalle.load_encoder(self.files, self.config, self._dtype, self.device)
            if on_cpu:
                use_float32_products(self._encoder)
        empty = [self.tokenizer.begin, self.tokenizer.end]
        with torch.inference_mode():
            read = self._encoder.read([empty, encoded.tokens])
        if not plan.encoder_stays:
            self._encoder = None
        if self._decoder is None:
            self._decoder = dalle.load_decoder(self.files, self.config, self._dtype, self.device)
            if on_cpu:
                use_decoding_linears(self._decoder)
        if self._vqgan is None:
            self._vqgan = dalle.load_vqgan(self.files.detoker, self.vqgan_config, self.device)
        return read

    def _paint(
        self, request: ImageRequest, first: int, seeds: Sequence[int], states: Tensor, real: Tensor
    ) -> Iterator[GeneratedImage]:
        assert self._decoder is not None
        began = time.perf_counter()
        sampling = Sampling(
            temperature=request.option("temperature", TEMPERATURE),
            top_k=request.option("top_k", self.limits.options["top_k"]),
        )
        guidance = request.option("guidance", GUIDANCE)
        total = self.config.image_length
        guided = GuidedImages(self._decoder, guidance)
        decoder = TorchDecoder(guided, config=guided, device=states.device)
        with torch.inference_mode():
            state = guided.start(states, real, len(seeds))
        codes = np.empty((len(seeds), 0), int)
        for codes in image_tokens.draw(decoder, state, self.config.start, sampling, seeds, total):
            done = codes.shape[1]
            shown = is_heard() and done < total and done % (total // PREVIEWS) == 0
            emit("denoising", done, total, self._pixels(codes[0]) if shown else None, item=first)
        drawing = (time.perf_counter() - began) / len(seeds)
        for row, seed in enumerate(seeds):
            began = time.perf_counter()
            pixels = self._pixels(codes[row])
            yield GeneratedImage(first + row, seed, pixels, {"seconds": drawing + time.perf_counter() - began})

    @torch.inference_mode()
    def _pixels(self, codes: np.ndarray) -> np.ndarray:
        """The whole rows of codes (T,) as (H, W, 3) uint8; one picture at a time, so that its bytes are its own."""
        assert self._vqgan is not None
        height = len(codes) // self._side
        squares = torch.from_numpy(codes[: height * self._side]).to(self.device)
        image = self._vqgan(squares.view(1, height, self._side))[0]
        return (image.clamp(0, 1) * 255).byte().permute(1, 2, 0).cpu().numpy()
