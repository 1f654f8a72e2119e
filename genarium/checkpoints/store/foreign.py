"""What a file or folder that is no checkpoint folder is, in words, with the way to make it one. No weights are read."""

from __future__ import annotations

import json
from pathlib import Path

from genarium.checkpoints.store import folder as folders
from genarium.errors import BadCheckpoint

LARGEST_HEADER = 100_000_000
"""Bytes: what the safetensors library reads at most."""
LORA_FILE = "pytorch_lora_weights.safetensors"
SAVE = "python -c \"import diffusers; diffusers.{}.from_single_file('{}').save_pretrained('folder')\""
# A piece of the tensors' names -> what the file is, and the pipeline that turns it into a folder. The first counts.
FILES = (
    (("lora_up", "lora_down", "lora_a.", "lora_b.", "lora.up", "lora.down", "hada_w1", "lokr_w1"), "a LoRA", None),
    (("control_model.", "controlnet_"), "a ControlNet", None),
    (("emb_params", "clip_g"), "a textual inversion", None),
    (("conditioner.embedders.1.",), "a Stable Diffusion XL in one file", "StableDiffusionXLPipeline"),
    (("conditioner.embedders.0.",), "a Stable Diffusion XL refiner in one file", "StableDiffusionXLImg2ImgPipeline"),
    (("cond_stage_model.",), "a Stable Diffusion in one file", "StableDiffusionPipeline"),
    (("joint_blocks.",), "a Stable Diffusion 3 in one file", "StableDiffusion3Pipeline"),
    (("double_blocks.",), "a FLUX transformer in one file", "FluxPipeline"),
    (("first_stage_model.", "decoder.up."), "an autoencoder", None),
    (("model.diffusion_model.",), "a denoiser in one file", None),
)
LORA = (
    "put it into its base where you trust both: load_lora_weights, fuse_lora and save_pretrained of the base's "
    "diffusers pipeline, and name the folder that writes"
)


def describe_file(file: Path) -> str:
    """What a single file is, as the rest of a sentence: `is …; …`."""
    if file.suffix.lower() != ".safetensors":
        return "is a file; name the checkpoint's folder"
    names = " ".join(_names(file)).lower()
    for pieces, what, pipeline in FILES:
        if any(piece in names for piece in pieces):
            if what == "a LoRA":
                return f"is a LoRA; {LORA}"
            if pipeline:
                return f"is {what}; turn it into a folder and name that: {SAVE.format(pipeline, file.name)}"
            return f"is {what}, which makes no pictures by itself; name the folder of a whole pipeline"
    return "is a file of weights; name the checkpoint's folder, with its configs"


def describe_folder(path: Path) -> str | None:
    """What a folder without model_index.json is, as the rest of a sentence; None where that can't be told."""
    if (path / LORA_FILE).is_file() or (path / "adapter_config.json").is_file():
        return f"is a LoRA; {LORA}"
    try:
        kind = str(folders.read_json(path / "config.json").get("_class_name", ""))
    except BadCheckpoint:
        kind = ""
    if "ControlNet" in kind:
        return f"is a ControlNet ({kind}), which is not run here; name the folder of a whole pipeline"
    if kind:
        return f"is one part of a pipeline ({kind}); name the folder above, which has model_index.json"
    found = [file for file in sorted(path.glob("*.safetensors")) if not (path / "config.json").is_file()]
    return f"holds {found[0].name}, which {describe_file(found[0])}" if found else None


def _names(file: Path) -> list[str]:
    """The tensors' names in a safetensors file's header; none where it can't be read."""
    try:
        with file.open("rb") as opened:
            size = int.from_bytes(opened.read(8), "little")
            header = json.loads(opened.read(size)) if size <= LARGEST_HEADER else {}
    except (OSError, ValueError, RecursionError):
        return []
    return [str(name) for name in header] if isinstance(header, dict) else []
