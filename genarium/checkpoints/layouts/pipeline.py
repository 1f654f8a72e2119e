"""A diffusers pipeline folder on disk: `model_index.json` and one sub-folder a part. Nothing of any network.

Layout: huggingface.co/docs/diffusers, `unet/config.json`, `unet/diffusion_pytorch_model.safetensors`,
`text_encoder/model.safetensors`, `tokenizer/`, `scheduler/scheduler_config.json`. Of a part's precisions (`*.fp16.*`
beside the plain one) the plain one is read where it is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genarium.checkpoints.fields import shown
from genarium.checkpoints.fields.diffusion import Sizes
from genarium.checkpoints.processors import tokenizer_config
from genarium.checkpoints.store import folder
from genarium.checkpoints.store.folder import read_json
from genarium.errors import BadCheckpoint

INDEX = "model_index.json"
PIPELINE, VIDEO_PIPELINE = "GenariumTextToImage", "GenariumTextToVideo"
VQ_DIFFUSION = "VQDiffusionPipeline"
"""The classes that an index names: where Genarium trained the parts (of pictures, of videos), and of a VQ-Diffusion."""
MODELSCOPE = "TextToVideoSDPipeline"
"""That of ModelScope's text-to-video."""
VARIANTS = (None, "bf16", "fp16")
"""The precisions that are read, the first that is there."""
MAY_BE_MISSING = ("safety_checker", "feature_extractor", "image_encoder")
NETWORKS = ("unet", "transformer", "vae", "vqvae", "movq")
CONFIGS = ("config.json", "scheduler_config.json", "preprocessor_config.json", "tokenizer_config.json")


@dataclass(frozen=True)
class PipelinePart:
    """A part that holds weights: its config, its safetensors files, and the variant that they are (`fp16` or none)."""

    config: dict[str, Any]
    files: list[Path]
    variant: str | None

    def count(self) -> int:
        """How many numbers the weights are, by the files' headers."""
        from genarium.checkpoints.store.state_dict import count

        return sum(count(file) for file in self.files)


@dataclass(frozen=True)
class Pipeline:
    """`kind` is the pipeline's class; `parts` are those with weights by name, `absent` those that may be missing.

    `classes` are library and class of every part, `values` what model_index.json says beside its parts.
    """

    path: Path
    kind: str
    parts: dict[str, PipelinePart] = field(default_factory=dict)
    configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    classes: dict[str, tuple[str, str]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)


def is_pipeline(path: Path) -> bool:
    return (path / INDEX).is_file()


def kind_of(path: Path) -> str:
    """The pipeline's class, as its index says; empty where there is none, or it can't be read."""
    return str(folder.json_or_nothing(path / INDEX).get("_class_name") or "")


def read_pipeline(path: Path, *, state_dicts: bool = False) -> Pipeline:
    """What the folder says it is made of, all of it checked to be there. No weights are read.

    With `state_dicts` parts may hold `*.bin` where there is no safetensors file (`checkpoints/store/state_dict.py`).
    Raises BadCheckpoint: parts missing, pickled weights, files that are no JSON, code of its own.
    """
    index = read_json(path / INDEX)
    kind = index.get("_class_name")
    if not isinstance(kind, str):
        raise BadCheckpoint(f"{path} brings code of its own ({shown(kind, quoted=False)}), which is not run here")
    named, values = _parts_of(index, path)
    absent = tuple(name for name in named if name in MAY_BE_MISSING and not (path / name).is_dir())
    wanted = [name for name in named if name not in absent]
    missing = [name for name in wanted if not (path / name).is_dir() or not any((path / name).iterdir())]
    if missing:
        raise BadCheckpoint(
            f"{path} is a {kind} folder with parts missing: {', '.join(missing)}; download the folder again"
        )
    parts, configs = {}, {}
    for name in wanted:
        config = next((path / name / file for file in CONFIGS if (path / name / file).is_file()), None)
        configs[name] = read_json(config) if config is not None else {}
        if quantised := configs[name].get("quantization_config"):
            method = quantised.get("quant_method") if isinstance(quantised, dict) else quantised
            method = shown(method or "quantization_config", quoted=False)
            raise BadCheckpoint(
                f"{path}: {name} is quantised ({method}), and what draws is run in full or "
                "half precision here; name the folder that it was made from"
            )
        _check(name, configs[name], path)
        if (path / name / "config.json").is_file() and not name.rstrip("_0123456789").endswith("tokenizer"):
            parts[name] = _part(path / name, configs[name], state_dicts=state_dicts)
        elif name.startswith(("unet", "transformer", "vae", "text_encoder")):
            raise BadCheckpoint(f"{path}: {name} has no config.json; download the folder again")
    classes = {name: named[name] for name in wanted}
    return Pipeline(path, kind, parts, configs, absent, classes, values)


def _check(name: str, config: dict[str, Any], path: Path) -> None:
    """Raises BadCheckpoint where a part's config has a value of another kind than is read here."""
    if name.rstrip("_0123456789") in NETWORKS:
        Sizes.read(config, f"{path}: {name}")
    elif name.rstrip("_0123456789").endswith("tokenizer"):
        tokenizer_config.read(path / name)


def _parts_of(index: dict[str, Any], path: Path) -> tuple[dict[str, tuple[str, str]], dict[str, Any]]:
    """Library and class of every part that is not left out (`[null, null]`), and the values beside them."""
    named: dict[str, tuple[str, str]] = {}
    values: dict[str, Any] = {}
    for name, value in index.items():
        if name.startswith("_"):
            continue
        if not isinstance(value, list):
            values[name] = value
        elif value[:1] not in ([], [None]):
            if len(value) != 2 or not all(isinstance(one, str) for one in value) or Path(name).name != name:
                raise BadCheckpoint(
                    f"{path}: {INDEX} says of {shown(name, quoted=False)} {shown(value)}, which is no library and class"
                )
            named[name] = (value[0], value[1])
    return named, values


def _part(path: Path, config: dict[str, Any], *, state_dicts: bool) -> PipelinePart:
    weights = "model" if "architectures" in config or "model_type" in config else "diffusion_pytorch_model"
    found: dict[str | None, list[Path]] = {}
    for file in sorted(path.glob(f"{weights}*.safetensors")):
        found.setdefault(_variant(file), []).append(file)
    for variant in VARIANTS:
        if variant in found:
            return PipelinePart(config, found[variant], variant)
    if others := sorted(str(variant) for variant in found):
        raise BadCheckpoint(
            f"{path} holds the variant {', '.join(others)} alone, and read are the plain weights, bf16 and fp16; "
            "download those"
        )
    pickled: dict[str | None, list[Path]] = {}
    for file in sorted(path.glob("*.bin")) if state_dicts else ():
        pickled.setdefault(_variant(file), []).append(file)
    for variant in VARIANTS:
        if variant in pickled:
            return PipelinePart(config, pickled[variant], variant)
    folder.refuse_pickles(path, f"{weights}.safetensors")
    raise BadCheckpoint(f"{path} has no weights ({weights}.safetensors); download the folder again")


def _variant(file: Path) -> str | None:
    """`model.fp16.safetensors` and `model.fp16-00001-of-00002.safetensors` are fp16."""
    pieces = file.stem.split(".")
    return pieces[1].split("-")[0] if len(pieces) > 1 else None
