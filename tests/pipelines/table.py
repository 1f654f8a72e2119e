"""The table of docs/images.md: every kind of folder, from words, an image and a mask, with every sampler.

A cell holds the samplers whose image equals that of diffusers' own pipeline of that class, within 2 of 255, as the
test has just found. `python -m tests.pipelines.table` writes the table into docs/images.md.
"""

from __future__ import annotations

import inspect
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from genarium.engines.diffusers.samplers import FLOW, NOISE
from genarium.engines.image.diffusers import DiffusersImage
from genarium.engines.image.protocol import ImageRequest, Limits, settle
from genarium.errors import BadInput
from tests.pipelines.folders import FOLDERS, SIDES

DOCS = Path(__file__).parents[2] / "docs" / "images.md"
BEGIN, END = "<!-- begin: python -m tests.pipelines.table -->", "<!-- end -->"
NEAR = 2  # of 255
MODES = ("text", "init", "mask")
PROMPT, NEGATIVE, STRENGTH = "a red bird", "blue sky", 0.5


def start(side: int) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype("uint8")
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BILINEAR)


def square(side: int) -> Image.Image:
    mask = np.zeros((side, side), "uint8")
    mask[side // 4 : side * 3 // 4, side // 4 : side * 3 // 4] = 255
    return Image.fromarray(mask)


def asked(mode: str, limits: Limits, side: int, sampler: str | None) -> ImageRequest:
    """A request of all that this mode reads."""
    leaves = mode != "text" and "strength" in limits.options
    options = {"steps": 4 if leaves else 2, "sampler": sampler, "strength": STRENGTH if leaves else None}
    return ImageRequest(
        PROMPT,
        (3,),
        size=(side, side),
        negative_prompt=NEGATIVE if limits.negative else "",
        init=start(side) if mode != "text" else None,
        mask=square(side) if mode == "mask" else None,
        options={name: value for name, value in options.items() if value is not None},
    )


class Reference:
    """diffusers' own pipelines over a folder, by its auto classes where those know it."""

    def __init__(self, folder: Path):
        import diffusers

        diffusers.utils.logging.set_verbosity_error()
        diffusers.utils.logging.disable_progress_bar()
        self.own = diffusers.DiffusionPipeline.from_pretrained(folder)
        self.scheduler = self.own.scheduler
        self.made: dict[str, Any] = {}

    def pipeline(self, mode: str) -> Any:
        import diffusers

        if mode not in self.made:
            auto = {"text": "Text2Image", "init": "Image2Image", "mask": "Inpainting"}[mode]
            try:
                self.made[mode] = getattr(diffusers, f"AutoPipelineFor{auto}").from_pipe(self.own)
            except ValueError:  # not in the library's list: the class that says what it does
                name = type(self.own).__name__
                stem = name.replace("Pipeline", "")
                kind = {"text": stem, "init": f"{stem}Img2Img", "mask": f"{stem}Inpaint"}[mode] + "Pipeline"
                made = getattr(diffusers, kind, type(self.own))
                self.made[mode] = self.own if made is type(self.own) else made(**self.own.components)
            self.made[mode].set_progress_bar_config(disable=True)
        return self.made[mode]

    def draw(self, mode: str, request: ImageRequest, scale: str = "guidance_scale") -> np.ndarray:
        pipeline = self.pipeline(mode)
        scheduler = self._scheduler(request.option("sampler"))
        for holder in (pipeline, getattr(pipeline, "decoder_pipe", None)):
            if holder is not None:
                holder.scheduler = scheduler
        assert request.size is not None
        given = {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt or None,
            "width": request.size[0],
            "height": request.size[1],
            "num_inference_steps": request.option("steps"),
            scale: request.option("guidance"),
            "image": request.init,
            "mask_image": request.mask,
            "strength": request.option("strength"),
            "generator": torch.Generator().manual_seed(request.seeds[0]),
            "use_resolution_binning": False if "HunyuanDiT" in type(pipeline).__name__ else None,
        }
        taken = inspect.signature(pipeline.__call__).parameters
        made = pipeline(**{key: value for key, value in given.items() if key in taken and value is not None})
        image = made.images[0].convert("RGB")
        if request.mask is not None:
            image = Image.composite(image, request.init, request.mask)
        return np.asarray(image).astype(int)

    def _scheduler(self, name: str | None) -> Any:
        """As diffusers makes one of another: latents are not clipped where the folder doesn't say so."""
        import diffusers

        own = self.scheduler
        kinds = FLOW if type(own).__name__ in FLOW.values() else NOISE
        kind = getattr(diffusers, kinds[name]) if name in kinds else type(own)
        more = {"clip_sample": False} if name in ("ddim", "ddpm") and "clip_sample" not in own.config else {}
        if name == "pndm" and "skip_prk_steps" not in own.config:
            more["skip_prk_steps"] = True
        return kind.from_config(own.config, **more)


def row(name: str, folder: Path) -> dict[str, Any]:
    """Mode -> the samplers that draw the same as diffusers, or the sentence that refuses it. Raises AssertionError."""
    engine, reference = DiffusersImage(folder, name=name, dtype="float32", device="cpu"), Reference(folder)
    side = SIDES.get(name, 64)
    scale = "true_cfg_scale" if engine.limits.guidance_beside_negative else "guidance_scale"
    cells: dict[str, Any] = {}
    for mode in MODES:
        drawn = []
        for sampler in engine.limits.samplers:
            try:
                request = settle(asked(mode, engine.limits, side, sampler), engine)
            except BadInput as refused:
                cells[mode] = str(refused)
                break
            [found] = engine.generate(request)
            wanted = reference.draw(mode, request, scale)
            assert found.pixels.shape == wanted.shape, f"{name}, {mode}, {sampler}: {found.pixels.shape}"
            worst = int(np.abs(found.pixels.astype(int) - wanted).max())
            assert worst <= NEAR, f"{name}, {mode}, {sampler}: differs by {worst} of 255"
            assert wanted.std() > 5, f"{name}, {mode}, {sampler}: nothing is drawn"
            drawn.append(sampler)
        else:
            cells[mode] = drawn
    return cells | {"limits": engine.limits, "kind": engine.folder.kind}


def line(name: str, cells: dict[str, Any]) -> str:
    limits: Limits = cells["limits"]
    drawn = [("drawn" if isinstance(cells[mode], list) else "refused") for mode in MODES]
    size = f"{limits.size[0]}x{limits.size[1]} alone" if limits.fixed else f"multiples of {limits.multiple}"
    guidance = "no" if "guidance" not in limits.options else "yes"
    if limits.guidance_beside_negative:
        guidance = "beside a negative prompt"
    negative = f"guidance above {limits.negative_above:g}" if limits.negative else "refused"
    cells_of_row = [name, f"`{cells['kind']}`", *drawn, ", ".join(limits.samplers), size, guidance, negative]
    return f"| {' | '.join(cells_of_row)} |"


HEAD = """| folder | its class | words | init | mask | samplers | sizes | guidance | negative prompt |
|---|---|---|---|---|---|---|---|---|"""


def table(rows: dict[str, dict[str, Any]]) -> str:
    refused = [cells[mode] for cells in rows.values() for mode in MODES if isinstance(cells[mode], str)]
    lines = [HEAD, *(line(name, cells) for name, cells in rows.items()), "", "Refused, each in a sentence:", ""]
    return "\n".join([*lines, *(f"- {sentence}" for sentence in dict.fromkeys(refused))])


def written() -> str:
    return DOCS.read_text("utf-8").partition(BEGIN)[2].partition(END)[0].strip()


def main() -> None:
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, build) in enumerate(FOLDERS.items()):
            rows[name] = row(name, build(Path(folder) / str(number)))
            print(line(name, rows[name]))
    before, _, rest = DOCS.read_text("utf-8").partition(BEGIN)
    DOCS.write_text(f"{before}{BEGIN}\n\n{table(rows)}\n\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
