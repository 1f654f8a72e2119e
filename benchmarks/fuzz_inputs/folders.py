"""Checkpoint folders of random weights with one file changed, each opened and run for a short result."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fuzz_inputs import mutations
from fuzz_inputs.mutations import Mutation

Run = Callable[[bytes], None]


@dataclass(frozen=True)
class Format:
    """`whole` makes the file that is changed, `open` (the name's ending, a folder to write into) gives what runs it."""

    name: str
    whole: Callable[[], bytes] | None
    mutation: Mutation
    open: Callable[[str, Path], Run]
    file: str = ""


def llama(folder: Path) -> Path:
    from tests.chat_models import STYLES, make_checkpoint

    return folder if folder.exists() else make_checkpoint(folder, STYLES["zephyr"])


def sharded(folder: Path) -> Path:
    from genarium.checkpoints.store import folder as folders

    config = json.loads((llama(folder) / "config.json").read_text())
    folders.write(folder, config, dict(folders.read_tensors(folder)), max_shard_bytes=60_000)
    return folder


def adapted(folder: Path) -> Path:
    """A LoRA beside its base."""
    import torch

    from genarium.checkpoints.store import adapters

    base = llama(folder.parent / "base")
    layer = f"{adapters.PREFIX}model.layers.0.self_attn.q_proj.lora_"
    adapters.write(
        folder,
        base=str(base),
        base_sha256={},
        config=json.loads((base / "config.json").read_text()),
        task_type="CAUSAL_LM",
        rank=2,
        alpha=4,
        target_modules=["q_proj"],
        modules_to_save=[],
        tensors={f"{layer}A.weight": torch.randn(2, 32), f"{layer}B.weight": torch.randn(32, 2)},
    )
    return folder


def encoder(folder: Path) -> Path:
    from tests.small_encoder import make_base

    return make_base(folder)


def matcher(folder: Path) -> Path:
    from tests.match_models import clip

    clip(folder)
    return folder


def captioner(folder: Path) -> Path:
    from tests.caption_models import make_blip

    make_blip(folder)
    return folder


def pipeline(folder: Path) -> Path:
    from tests.image_models import stable_diffusion

    return stable_diffusion(folder)


def write(folder: Path) -> None:
    from genarium.engines import registry
    from genarium.engines.text.protocol import TextRequest

    list(registry.open_text(str(folder)).write(["The fox ran"], TextRequest(max_new_tokens=3)))


def reply(folder: Path) -> None:
    from genarium.engines import registry
    from genarium.engines.text.protocol import ChatRequest
    from genarium.messages import Message

    said = [Message(role="user", content="Hello fox")]
    list(registry.open_text(str(folder)).reply(said, ChatRequest(max_new_tokens=3, date="2026-11-29")))


def embed(folder: Path) -> None:
    from genarium.engines import registry

    registry.open_encoder(str(folder)).embed(["a lovely film"])


def match(folder: Path) -> None:
    from PIL import Image

    from genarium.engines import registry

    registry.open_matcher(str(folder)).scores(Image.new("RGB", (40, 30), "red"), ["a red bird"])


def caption(folder: Path) -> None:
    from PIL import Image

    from genarium.engines import registry
    from genarium.engines.vision.caption import CaptionRequest

    request = CaptionRequest(n_beams=2, max_new_tokens=3)
    registry.open_caption(str(folder)).describe([Image.new("RGB", (40, 30), "red")], request)


def draw(folder: Path) -> None:
    from genarium.engines import registry
    from genarium.engines.image.protocol import ImageRequest, settle

    engine = registry.open_image(str(folder))
    list(engine.generate(settle(ImageRequest("a red bird", (0,), options={"steps": 2}), engine)))


def _folder(make: Callable[[Path], Path], run: Callable[[Path], None], file: str) -> Callable[[str, Path], Run]:
    def opened(name: str, scratch: Path) -> Run:
        folder = make(scratch / "whole")
        place = folder / file
        whole = place.read_bytes()
        run(folder)

        def once(content: bytes) -> None:
            from genarium.engines import cache

            place.write_bytes(content)
            cache.forget_all()
            run(folder)

        once.whole = whole  # type: ignore[attr-defined]
        return once

    return opened


def _of(kind: str, make: Callable[[Path], Path], run: Callable[[Path], None], *files: str) -> list[Format]:
    found = []
    for file in files:
        mutation = mutations.of_safetensors if file.endswith(".safetensors") else mutations.of_json
        found.append(Format(f"{kind}/{file}", None, mutation, _folder(make, run, file)))
    return found


CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
PARTS = ("scheduler/scheduler_config.json", "unet/config.json", "vae/config.json", "text_encoder/config.json")
FORMATS = (
    *_of("text", llama, write, CONFIG, "generation_config.json", TOKENIZER, "tokenizer_config.json", WEIGHTS),
    *_of("chat", llama, reply, "tokenizer_config.json"),
    *_of("shards", sharded, write, f"{WEIGHTS}.index.json"),
    *_of("adapter", adapted, write, "adapter_config.json", "adapter_model.safetensors", CONFIG),
    *_of("encoder", encoder, embed, CONFIG, TOKENIZER, WEIGHTS),
    *_of("match", matcher, match, CONFIG, "preprocessor_config.json", TOKENIZER),
    *_of("caption", captioner, caption, CONFIG, "preprocessor_config.json", TOKENIZER),
    *_of("image", pipeline, draw, "model_index.json", *PARTS, "tokenizer/tokenizer_config.json"),
)


def clear(scratch: Path) -> None:
    shutil.rmtree(scratch, ignore_errors=True)
