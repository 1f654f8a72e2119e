"""The text-to-image pipelines of diffusers that are run here, and what of each the folder's configs do not say.

A family is the pipeline classes that share their parts: one draws from words, one from an image to start from, one
inside a mask. tests/engines/test_pipelines.py holds every row, mode and sampler to diffusers' own pictures;
docs/images.md has the table. Pipelines that are not here are refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from genarium.engines.diffusers.prompts import MAX_SEQUENCE_LENGTH, T5, Reads


@dataclass(frozen=True)
class Family:
    """Classes of diffusers by what they start from, and what is not in a folder's configs.

    `pack` is how many latents along a side are one place of the transformer, where it is not the config's
    `patch_size`; `multiple` is of what the sizes in pixels are multiples at least; `side` the usual size in pixels,
    where it is not the config's `sample_size`, and `latents` the `sample_size` of configs that name none. `fixed` says
    that other sizes are not drawn.

    `guidance` is how a scale is read: "compared" with the negative prompt, above `compares_above`; "embedded", told to
    the network; "beside" compares only where a negative prompt is given (the pipeline's `true_cfg_scale`). `strength`
    says whether an image to start from is changed by a strength, `masks_by_channels` that a mask takes a U-Net of
    its own, of nine channels. `one_step` whether other samplers than a distilled one's
    take a single step. `heun` whether flow matching may take that sampler, `step_takes` what the pipeline gives
    each sampler's step. `options` is what every call is given.
    """

    name: str
    text: str | None = None
    init: str | None = None
    mask: str | None = None
    reads: Mapping[str, Reads] = field(default_factory=lambda: {"tokenizer": Reads()})
    pack: int | None = None
    multiple: int = 1
    side: int | None = None
    latents: int = 128
    fixed: bool = False
    guidance: Literal["compared", "embedded", "beside"] = "compared"
    compares_above: float = 1.0
    strength: bool = True
    masks_by_channels: bool = False
    one_step: bool = True
    heun: bool = False
    step_takes: tuple[str, ...] = ()
    explain: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(name for name in (self.text, self.init, self.mask) if name)


CLIP_AND_T5 = {"tokenizer": Reads(), "tokenizer_2": T5}
# Cleaning a prompt of links and signs takes two packages more, and would draw otherwise where they are installed.
AS_WRITTEN = {"clean_caption": False}

FAMILIES = (
    Family(
        "Stable Diffusion 1 and 2",
        "StableDiffusionPipeline",
        "StableDiffusionImg2ImgPipeline",
        "StableDiffusionInpaintPipeline",
        multiple=8,
        latents=64,
        explain=True,
    ),
    Family("InstructPix2Pix", init="StableDiffusionInstructPix2PixPipeline", multiple=8, latents=64, strength=False),
    Family(
        "Stable Diffusion XL",
        "StableDiffusionXLPipeline",
        "StableDiffusionXLImg2ImgPipeline",
        "StableDiffusionXLInpaintPipeline",
        reads={"tokenizer": Reads(), "tokenizer_2": Reads()},
        multiple=8,
        explain=True,
    ),
    Family(
        "Latent Consistency",
        "LatentConsistencyModelPipeline",
        "LatentConsistencyModelImg2ImgPipeline",
        multiple=8,
        latents=64,
        guidance="embedded",
        explain=True,
    ),
    Family(
        "Stable Diffusion 3",
        "StableDiffusion3Pipeline",
        "StableDiffusion3Img2ImgPipeline",
        "StableDiffusion3InpaintPipeline",
        reads={"tokenizer": Reads(), "tokenizer_2": Reads(), "tokenizer_3": T5},
        heun=True,
    ),
    Family(
        "FLUX.1",
        "FluxPipeline",
        "FluxImg2ImgPipeline",
        "FluxInpaintPipeline",
        reads=CLIP_AND_T5,
        pack=2,
        side=1024,
        guidance="embedded",
    ),
    Family("FLUX.1 Fill", mask="FluxFillPipeline", reads=CLIP_AND_T5, pack=2, side=1024, guidance="embedded"),
    Family(
        "Chroma",
        "ChromaPipeline",
        "ChromaImg2ImgPipeline",
        reads={"tokenizer": T5},
        pack=2,
        side=1024,
    ),
    Family("PixArt-α", "PixArtAlphaPipeline", reads={"tokenizer": T5}, multiple=8, one_step=False, options=AS_WRITTEN),
    Family("PixArt-Σ", "PixArtSigmaPipeline", reads={"tokenizer": T5}, multiple=8, options=AS_WRITTEN),
    Family("Sana", "SanaPipeline", reads={"tokenizer": Reads(MAX_SEQUENCE_LENGTH, "instruction")}, multiple=32),
    Family("AuraFlow", "AuraFlowPipeline", reads={"tokenizer": T5}, pack=2, side=1024, heun=True),
    Family("Lumina-Next", "LuminaPipeline", reads={"tokenizer": T5}, pack=2, heun=True, options=AS_WRITTEN),
    Family("Lumina-Image 2", "Lumina2Pipeline", reads={"tokenizer": Reads(MAX_SEQUENCE_LENGTH, "system")}, pack=2),
    Family(
        "HunyuanDiT",
        "HunyuanDiTPipeline",
        reads={"tokenizer": Reads(77), "tokenizer_2": Reads(256)},
        multiple=8,
        options={"use_resolution_binning": False},  # which would draw another size than was asked
    ),
    Family(
        "Qwen-Image",
        "QwenImagePipeline",
        "QwenImageImg2ImgPipeline",
        "QwenImageInpaintPipeline",
        reads={"tokenizer": Reads(MAX_SEQUENCE_LENGTH, "described")},
        pack=2,
        side=1024,
        guidance="beside",
    ),
    Family(
        "Z-Image",
        "ZImagePipeline",
        "ZImageImg2ImgPipeline",
        "ZImageInpaintPipeline",
        reads={"tokenizer": Reads(MAX_SEQUENCE_LENGTH, "chat")},
        pack=2,
        side=1024,
        compares_above=0.0,
    ),
    Family(
        "Kandinsky 2.2",
        "KandinskyV22CombinedPipeline",
        "KandinskyV22Img2ImgCombinedPipeline",
        "KandinskyV22InpaintCombinedPipeline",
        reads={"prior_tokenizer": Reads()},
        multiple=64,
        side=512,
        masks_by_channels=True,
        step_takes=("generator",),
    ),
    Family(
        "DeepFloyd IF, stage I",
        "IFPipeline",
        "IFImg2ImgPipeline",
        "IFInpaintingPipeline",
        reads={"tokenizer": Reads(77)},
        latents=64,
        fixed=True,
        options=AS_WRITTEN,
    ),
)
BY_CLASS = {name: family for family in FAMILIES for name in family.classes}
