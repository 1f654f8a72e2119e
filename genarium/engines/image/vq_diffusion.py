"""VQ-Diffusion (Gu et al. 2022, arXiv:2111.14822) on diffusers, which keeps its pipeline among the deprecated.

A picture's codes are drawn all at once, masked at first, and redrawn step by step; guidance is that of Tang et al.
2022, arXiv:2205.16007, with an empty text that was learned. `microsoft/vq-diffusion-ithq` was published as state dicts
(see `checkpoints/store/state_dict.py`). A step's codes are drawn by the library, whose pipeline is frozen: a test
holds it to a fingerprint.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genarium.checkpoints.layouts.pipeline import VQ_DIFFUSION
from genarium.checkpoints.store.state_dict import read_state
from genarium.engines.cpu.upcast import use_float32_products
from genarium.engines.diffusers.configs import denoiser_of
from genarium.engines.diffusers.loading import compute_in, require_finite
from genarium.engines.image.diffusers.configs import pixels_a_latent, usual_size
from genarium.engines.image.diffusers.families import Family
from genarium.engines.image.diffusers.folder_image import FolderImage
from genarium.engines.image.diffusers.memory import MemoryPlan
from genarium.engines.image.protocol import ImageRequest, Limits
from genarium.errors import BadCheckpoint, BadInput
from genarium.progress import emit, is_heard

EMPTY_TEXT = "learned_classifier_free_sampling_embeddings"
PARTS = ("vqvae", "transformer", "text_encoder", EMPTY_TEXT)
STEPS, GUIDANCE, TRUNCATION = 100, 5.0, 1.0  # the pipeline's own
PREVIEWS = 4  # of a picture, the finished one included
PAINTING = 12  # widest feature maps that the decoder holds at once, by estimate
LOGITS = 6  # (codes, places) blocks of a step's probabilities at once, by estimate


class VQDiffusionImage(FolderImage):
    """Makes pictures with a VQ-Diffusion folder. The denoiser alone computes in bfloat16, where the CPU multiplies it.

    Raises BadCheckpoint.
    """

    state_dicts = True

    def __init__(self, path: Path, *, name: str = "", dtype: str = "auto", device: str | None = None):
        super().__init__(path, name=name, dtype=dtype, device=device)
        if missing := [part for part in PARTS if part not in self.folder.parts]:
            raise BadCheckpoint(f"{self.name}: of a VQ-Diffusion {', '.join(missing)} is missing; download it again")

    @cached_property
    def limits(self) -> Limits:
        return Limits(
            size=usual_size(self.folder, Family(VQ_DIFFUSION)),
            multiple=pixels_a_latent(self.folder),
            fixed=True,
            options={
                "steps": min(STEPS, self._most_steps),
                "guidance": GUIDANCE,
                "truncation": TRUNCATION,
            },
        )

    @property
    def _most_steps(self) -> int:
        """The steps of its training: the network knows no others."""
        return int(denoiser_of(self.folder).get("num_embeds_ada_norm") or STEPS)

    def _plan(self, request: ImageRequest) -> MemoryPlan:
        steps = request.option("steps", self.limits.options["steps"])
        if steps > self._most_steps:
            raise BadInput(f"{self.name} takes at most {self._most_steps} steps, got {steps}")
        vqvae, (width, height) = self.folder.configs["vqvae"], self.limits.size
        places = width * height // pixels_a_latent(self.folder) ** 2
        painting = PAINTING * 4 * int(vqvae["block_out_channels"][0]) * width * height
        work = painting + LOGITS * 8 * 2 * int(denoiser_of(self.folder)["num_vector_embeds"]) * places
        return MemoryPlan(tiled=False, stream=False, bytes=work + (0 if self._loaded is not None else self._weights))

    def _part_dtype(self, name: str, count: int) -> torch.dtype:
        return self.dtype if name == "transformer" else torch.float32

    def _open(self, plan: MemoryPlan) -> Any:
        """Part by part, since today's library fails to open the whole of a folder of 2022.

        The denoiser's config names no norm, and the learned empty text is looked for where it no longer is.
        """
        from diffusers import Transformer2DModel, VQDiffusionPipeline, VQDiffusionScheduler, VQModel
        from diffusers.pipelines.deprecated.vq_diffusion import pipeline_vq_diffusion
        from transformers import CLIPTextModel, CLIPTokenizer

        path, empty = self.folder.path, pipeline_vq_diffusion.LearnedClassifierFreeSamplingEmbeddings
        try:
            parts = {
                "vqvae": VQModel.from_pretrained(path / "vqvae", local_files_only=True),
                "text_encoder": CLIPTextModel.from_pretrained(path / "text_encoder", dtype=torch.float32),
                "tokenizer": CLIPTokenizer.from_pretrained(path / "tokenizer"),
                "scheduler": VQDiffusionScheduler.from_pretrained(path / "scheduler"),
                "transformer": self._read_part("transformer", Transformer2DModel, norm_type="ada_norm"),
                EMPTY_TEXT: self._read_part(EMPTY_TEXT, empty),
            }
        except (OSError, ValueError, KeyError) as error:
            raise BadCheckpoint(f"{self.name} can't be opened: {str(error).strip()[:300]}; download it again") from None
        pipeline = VQDiffusionPipeline(**parts)
        pipeline.set_progress_bar_config(disable=True)
        require_finite(pipeline, path)
        if self.device == "cpu" and self.dtype != torch.float32:
            use_float32_products(pipeline.transformer)
            compute_in(pipeline.transformer, self.dtype)
        return pipeline.to(self.device) if self.device != "cpu" else pipeline

    def _read_part(self, part: str, kind: Any, **more: str) -> torch.nn.Module:
        network: torch.nn.Module = kind.from_config({**self.folder.configs[part], **more})
        state: dict[str, Tensor] = {}
        for file in self.folder.parts[part].files:
            state |= read_state(file)
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            wrong = " ".join(str(error).split())[:300]
            where = self.folder.path / part
            raise BadCheckpoint(f"{where}: weights and config.json don't fit ({wrong}); download it again") from None
        return network.to(self._part_dtype(part, 0)).eval()

    def _paint(self, request: ImageRequest, row: int, seed: int) -> np.ndarray:
        """One picture, (height, width, 3) uint8."""
        steps = request.option("steps", self.limits.options["steps"])

        def tell(step: int, timestep: Any, codes: Tensor) -> None:
            done = step + 1
            shown = is_heard() and done < steps and done % max(1, steps // PREVIEWS) == 0
            emit("denoising", done, steps, preview=self._preview(codes) if shown else None, item=row)

        made = self._loaded(
            prompt=request.prompt,
            num_inference_steps=steps,
            guidance_scale=request.option("guidance", GUIDANCE),
            truncation_rate=request.option("truncation", TRUNCATION),
            # Drawn on the CPU wherever it is computed: the same numbers on every machine.
            generator=torch.Generator("cpu").manual_seed(seed),
            callback=tell,
        )
        return np.asarray(made.images[0].convert("RGB"))

    @torch.inference_mode()
    def _preview(self, codes: Tensor) -> np.ndarray:
        """What the codes (1, places) show so far, the first of the dictionary where none is drawn yet."""
        pipe = self._loaded
        side = pipe.transformer.height, pipe.transformer.width
        drawn = torch.where(codes < pipe.transformer.num_vector_embeds - 1, codes, 0)
        found = pipe.vqvae.quantize.get_codebook_entry(drawn, shape=(1, *side, pipe.vqvae.config.vq_embed_dim))
        image = pipe.vqvae.decode(found, force_not_quantize=True).sample[0]
        return ((image + 1) * 127.5).clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
