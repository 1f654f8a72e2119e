"""The pipelines of diffusers that make videos and are run here, and what of each the folder's configs do not say.

A family is the pipeline classes that share their parts: one makes a video from words, one from a first picture.
tests/engines/test_video_pipelines.py holds each to diffusers' own frames. Pipelines that are not here are refused by
name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from genarium.engines.diffusers.prompts import T5, Reads
from genarium.engines.drawing import Size


@dataclass(frozen=True)
class VideoFamily:
    """Classes of diffusers by what they start from, and what is not in a folder's configs.

    `pictures` is how a network reads a first picture: "among" the latents, as the first of them, by the same network
    that starts from words; "beside" them in channels of their own; or "masked", with channels that say which frames
    are given. `multiple` is of what the sizes in pixels are multiples at least; `size` is the usual one where neither
    the pipeline's call nor a config names one. `fps` is how fast the videos of these models play, and `told_fps` the
    call's argument that is told so. `scale` is the call's argument for guidance, which is "compared" with the negative
    prompt above 1, or "embedded": told to the network. `pairs` says that latents are decoded two by two, after the
    first. `at_once` is how many frames are decoded at a time; None is all of them. `exact` are the parts that compute
    in float32 anywhere. `one_step` says whether a single step can be taken; `heun` and `step_takes` say which samplers
    it runs with.
    """

    name: str
    text: str | None = None
    init: str | None = None
    reads: Mapping[str, Reads] = field(default_factory=lambda: {"tokenizer": T5})
    pictures: Literal["", "among", "beside", "masked"] = ""
    multiple: int = 1
    size: Size | None = None
    fps: float = 8.0
    told_fps: str | None = None
    scale: str = "guidance_scale"
    guidance: Literal["compared", "embedded"] = "compared"
    pairs: bool = False
    at_once: int | None = None
    exact: tuple[str, ...] = ()
    one_step: bool = True
    heun: bool = False
    step_takes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(name for name in (self.text, self.init) if name)


CLIP = {"tokenizer": Reads()}
WAN_EXACT = ("vae", "image_encoder")

FAMILIES = (
    VideoFamily(
        "LTX-Video",
        "LTXPipeline",
        "LTXImageToVideoPipeline",
        pictures="among",
        multiple=32,
        fps=25,
        told_fps="frame_rate",
    ),
    VideoFamily(
        "LTX-Video 0.9.5 and later",
        "LTXConditionPipeline",
        "LTXConditionPipeline",
        pictures="among",
        multiple=32,
        fps=25,
        told_fps="frame_rate",
    ),
    VideoFamily(
        "Wan 2",
        "WanPipeline",
        "WanImageToVideoPipeline",
        pictures="masked",
        multiple=16,
        fps=16,
        at_once=4,
        exact=WAN_EXACT,
    ),
    VideoFamily(
        "SkyReels 2",
        "SkyReelsV2Pipeline",
        "SkyReelsV2ImageToVideoPipeline",
        pictures="masked",
        multiple=16,
        fps=24,
        at_once=4,
        exact=WAN_EXACT,
    ),
    VideoFamily(
        "CogVideoX",
        "CogVideoXPipeline",
        "CogVideoXImageToVideoPipeline",
        pictures="beside",
        multiple=8,
        fps=8,
        pairs=True,
        at_once=8,
    ),
    VideoFamily(
        "HunyuanVideo",
        "HunyuanVideoPipeline",
        reads={"tokenizer": Reads("max_sequence_length", "filled")},
        multiple=16,
        fps=24,
        guidance="embedded",
        at_once=16,
    ),
    VideoFamily("Mochi", "MochiPipeline", multiple=8, size=(848, 480), fps=30, one_step=False),
    VideoFamily("AnimateDiff", "AnimateDiffPipeline", reads=CLIP, multiple=8, at_once=16),
    VideoFamily(
        "Stable Video Diffusion",
        init="StableVideoDiffusionPipeline",
        pictures="beside",
        reads={},
        multiple=8,
        fps=7,
        told_fps="fps",
        scale="max_guidance_scale",
    ),
)
BY_CLASS = {name: family for family in FAMILIES for name in family.classes}
