"""Pictures enter a network as transformers' own image processors bring them, or are refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from genarium.checkpoints.processors import image_processor
from genarium.errors import BadCheckpoint

SIZES = [(40, 30), (25, 61), (24, 24), (9, 17), (200, 30)]
COLOURS = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7]}
SQUARE = {"size": {"height": 24, "width": 24}}
FIELDS: list[tuple[type[Any], dict[str, Any]]] = [
    (BlipImageProcessorPil, SQUARE),
    (BlipImageProcessorPil, SQUARE | {"resample": 2}),
    (BlipImageProcessorPil, SQUARE | COLOURS | {"rescale_factor": 1 / 127.5}),
    (BlipImageProcessorPil, SQUARE | {"do_rescale": False, "do_normalize": False}),
    (BlipImageProcessorPil, {"size": {"height": 30, "width": 28}, "do_center_crop": True, "crop_size": 24}),
    (CLIPImageProcessorPil, {"size": {"shortest_edge": 24}, "crop_size": {"height": 24, "width": 24}}),
    (CLIPImageProcessorPil, {"size": {"shortest_edge": 31}, "crop_size": {"height": 24, "width": 24}, "resample": 0}),
    (CLIPImageProcessorPil, SQUARE | {"do_center_crop": False} | COLOURS),
    (CLIPImageProcessorPil, {"size": {"shortest_edge": 28}, "crop_size": 24, "do_normalize": False}),
]


@pytest.mark.parametrize(("kind", "fields"), FIELDS, ids=str)
def test_every_field_is_read_as_transformers_reads_it(kind: type[Any], fields: dict[str, Any], tmp_path: Path) -> None:
    theirs = kind(**fields)
    theirs.save_pretrained(tmp_path)
    written = json.loads((tmp_path / "preprocessor_config.json").read_text())
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps(written | {"image_processor_type": kind.__name__.removesuffix("Pil")})
    )
    ours = image_processor.read(tmp_path, 24)
    for width, height in SIZES:
        values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        image = Image.fromarray(values)
        expected = theirs(image, return_tensors="pt")["pixel_values"]
        torch.testing.assert_close(ours.tensor([image]), expected.float(), atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"image_processor_type": "ConvNextImageProcessor"}, "'ConvNextImageProcessor', which is not done here"),
        ({"do_resize": False}, "do_resize false"),
        ({"do_pad": True}, "do_pad"),
        ({"crop_pct": 0.9}, "crop_pct 0.9"),
        ({"resample": 9}, "resample 9"),
        ({"image_mean": [0.1, 0.2]}, "image_mean"),
        ({"image_std": [0.1, 0.2, 0.0]}, "image_std.2 0.0"),
        ({"size": {"longest_edge": 24}}, "longest_edge"),
        ({"size": {"height": 30, "width": 24}}, "takes 24 by 24"),
        ({"size": 30}, "takes 24 by 24"),
        ({"size": {"shortest_edge": 20}, "do_center_crop": True, "crop_size": 24}, "takes 24 by 24"),
        ({"size": {"shortest_edge": 10**9}}, "no size of a picture"),
    ],
    ids=str,
)
def test_what_is_not_done_here_is_refused_by_name(fields: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(fields))
    with pytest.raises(BadCheckpoint) as refused:
        image_processor.read(tmp_path, 24)
    assert said in str(refused.value)
