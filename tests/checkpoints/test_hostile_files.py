"""Files of a checkpoint whose values are of the wrong kind or far too large: one sentence, and never a crash."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from genarium.checkpoints.processors import tokenizer as tokenizers
from genarium.checkpoints.store import adapters, folder
from genarium.data.images import read_image
from genarium.engines import registry
from genarium.engines.image.protocol import ImageRequest, settle
from genarium.errors import BadCheckpoint, BadInput
from genarium.progress import listening
from genarium.retrieval import documents
from genarium.retrieval.document import Unreadable
from tests.image_models import stable_diffusion
from tests.retrieval import test_formats
from tests.small_encoder import make_base

DEEP = "[" * 100_000


def refused(path: Path) -> str:
    """What is said of the folder."""
    with pytest.raises(BadCheckpoint) as told:
        registry.open_encoder(str(path)).embed(["a lovely film"])
    assert len(str(told.value)) < 600
    assert "\n" not in str(told.value)
    return str(told.value)


def changed(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize(
    "index",
    [
        "[]",
        "7",
        DEEP,
        '{"weight_map": null}',
        '{"weight_map": {}}',
        '{"weight_map": ["model.safetensors"]}',
        '{"weight_map": {"a": 1, "b": "c.safetensors"}}',
        '{"weight_map": {"a": ["model.safetensors"]}}',
        '{"weight_map": {"a": "../model.safetensors"}}',
        '{"weight_map": {"a": "/dev/zero"}}',
        '{"weight_map": {"a": ""}}',
        '{"weight_map": {"a": "other.safetensors"}}',
        json.dumps({"weight_map": {"a": "x" * 100_000 + ".safetensors"}}),
        json.dumps({"weight_map": {"a": "x\0.safetensors"}}),
    ],
)
def test_an_index_that_names_no_files_beside_it_is_refused(tmp_path: Path, index: str) -> None:
    make_base(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "shard.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(index)
    assert "index.json" in refused(tmp_path) or "is missing" in refused(tmp_path)


PANICS: dict[str, dict[str, Any]] = {
    "normalizer that is none": {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}},
    "normalizer past its end": {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "BAAAAP////8="}},
    "pieces of no length": {"pre_tokenizer": {"type": "FixedLength", "length": 0}},
    "frame of a second text alone": {
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "B", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}],
            "special_tokens": {},
        }
    },
    "no token for what is unknown": {
        "model": {"type": "WordPiece", "vocab": {"a": 0}, "unk_token": "?", "max_input_chars_per_word": 100}
        | {"continuing_subword_prefix": "##"}
    },
    "a list": {"model": []},
}


@pytest.mark.parametrize("values", PANICS.values(), ids=PANICS)
def test_a_tokenizer_that_panics_in_its_library_is_refused(tmp_path: Path, values: dict[str, Any]) -> None:
    """A panic is a BaseException, which no `except Exception` catches."""
    make_base(tmp_path)
    changed(tmp_path / "tokenizer.json", **values)
    assert "the tokenizer can't be read" in refused(tmp_path)


def test_a_tokenizer_of_more_words_than_the_network_has_is_refused(tmp_path: Path) -> None:
    make_base(tmp_path)
    raw = json.loads((tmp_path / "tokenizer.json").read_text())
    raw["model"]["vocab"]["film"] = 64
    (tmp_path / "tokenizer.json").write_text(json.dumps(raw))
    assert "reads 'film' as number 64, and the network has 64 tokens" in refused(tmp_path)


def test_a_frame_of_numbers_the_network_does_not_have_is_refused(tmp_path: Path) -> None:
    make_base(tmp_path)
    changed(tmp_path / "tokenizer.json", post_processor={"type": "BertProcessing", "sep": ["x", 99], "cls": ["y", 2]})
    assert "as number 99" in refused(tmp_path)


def test_added_tokens_without_a_place_are_ordinary_text_and_said(tmp_path: Path) -> None:
    """Folders whose tokenizer got tokens that the network was never made larger for are in use."""
    make_base(tmp_path)
    with_more = json.loads((tmp_path / "tokenizer.json").read_text())
    vocabulary = with_more["model"]["vocab"]
    vocabulary |= {f"word{number}": number for number in range(len(vocabulary), 64)}
    (tmp_path / "tokenizer.json").write_text(json.dumps(with_more))
    plain = registry.open_encoder(str(tmp_path)).embed(["a <film>"])
    more = {"id": 64, "content": "<film>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    with_more["added_tokens"] = [more | {"special": True}]
    (tmp_path / "tokenizer.json").write_text(json.dumps(with_more))
    said: list[str] = []
    with listening(lambda event: said.append(str(event))):
        found = registry.open_encoder(str(tmp_path)).embed(["a <film>"])
    assert any("no place for 1 of its tokenizer's tokens, such as '<film>'" in one for one in said)
    assert (found == plain).all()
    assert tokenizers.load(tmp_path).encode("<film>", add_special_tokens=False).ids == [64]  # where nobody says a size


def test_parts_of_one_matrix_must_be_of_one_shape(tmp_path: Path) -> None:
    """Also where they add up to the right number of rows."""
    make_base(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    query, key = (f"bert.encoder.layer.0.attention.self.{part}.weight" for part in ("query", "key"))
    query, key = (name if name in tensors else name.removeprefix("bert.") for name in (query, key))
    both = torch.cat([tensors[query], tensors[key]])
    tensors[query], tensors[key] = both[:30].clone(), both[30:].clone()
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    assert "the folder mixes parts of two models" in refused(tmp_path)
    tensors[key] = torch.zeros(())
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    assert "the folder mixes parts of two models" in refused(tmp_path)


@pytest.mark.parametrize(
    "values",
    [
        {"num_hidden_layers": 10**9},
        {"num_hidden_layers": 2000},
        {"num_hidden_layers": True},
        {"hidden_size": 10**30},
        {"layer_norm_eps": float("nan")},
        {"quantization_config": {"quant_method": "x\n" * 5000}},
        {"model_type": ["bert"]},
        {"id2label": {"a\nb" * 500: []}, "vocab_size": {"a\nb" * 500: 1}},
    ],
)
def test_values_of_the_wrong_kind_or_size_are_one_sentence(tmp_path: Path, values: dict[str, Any]) -> None:
    make_base(tmp_path)
    changed(tmp_path / "config.json", **values)
    refused(tmp_path)


def test_json_is_read_at_one_door(tmp_path: Path) -> None:
    for content in (DEEP, '{"a":' * 50_000, "[]", "null", '"x"', "\xff", '{"a": ' + "9" * 5000 + "}", ""):
        (tmp_path / "config.json").write_bytes(content.encode("latin-1"))
        with pytest.raises(BadCheckpoint):
            folder.read_json(tmp_path / "config.json")


PIPELINES: dict[str, tuple[str, dict[str, Any]]] = {
    "side as an object": ("vae/config.json", {"sample_size": {"a": 1}}),
    "channels as a text": ("vae/config.json", {"latent_channels": "0.42.1"}),
    "no widths": ("vae/config.json", {"block_out_channels": None}),
    "channels as a list": ("unet/config.json", {"in_channels": [[4]]}),
    "levels as a text": ("scheduler/scheduler_config.json", {"beta_end": "x"}),
    "levels of no kind": ("scheduler/scheduler_config.json", {"beta_schedule": {"a\nb": "x" * 5000}}),
    "levels from one number": ("scheduler/scheduler_config.json", {"trained_betas": 0.5}),
    "class as a list": ("model_index.json", {"_class_name": list(range(5000))}),
    "part as a list": ("model_index.json", {"unet": ["x" * 5000, 7]}),
    "length as an object": ("tokenizer/tokenizer_config.json", {"model_max_length": {"a": 77}}),
    "length that is no number": ("tokenizer/tokenizer_config.json", {"model_max_length": float("nan")}),
}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stable_diffusion(tmp_path_factory.mktemp("pipeline"))


@pytest.mark.parametrize(("file", "values"), PIPELINES.values(), ids=PIPELINES)
def test_a_pipeline_with_values_of_the_wrong_kind_is_refused(pipeline: Path, file: str, values: dict[str, Any]) -> None:
    whole = (pipeline / file).read_bytes()
    changed(pipeline / file, **values)
    try:
        with pytest.raises(BadCheckpoint) as told:
            settle(ImageRequest("a red bird", (0,), options={"steps": 2}), registry.open_image(str(pipeline)))
    finally:
        (pipeline / file).write_bytes(whole)
    assert len(str(told.value)) < 600
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("kind", ["tiff", "gif", "png", "webp", "jpeg"])
def test_a_damaged_image_is_read_or_refused(tmp_path: Path, kind: str) -> None:
    """Pillow's own readers raise KeyError, TypeError and others at what they do not expect."""
    file, random = tmp_path / f"a.{kind}", Random(0)
    drawn = Image.linear_gradient("L").resize((24, 16)).convert("I;16" if kind == "tiff" else "L")
    drawn.save(file, **({"save_all": True, "append_images": [drawn.rotate(180)]} if kind in ("tiff", "gif") else {}))
    whole = file.read_bytes()
    for _ in range(60):
        content = bytearray(whole)
        at = random.randrange(len(content))
        content[at : at + random.choice([1, 2, 30])] = random.randbytes(random.choice([0, 1, 2, 30]))
        file.write_bytes(content)
        with contextlib.suppress(BadInput):
            assert read_image(file).size[0] > 0


def test_what_a_parser_says_of_a_damaged_document_is_one_line() -> None:
    """libxml2 ends some of its sentences in the middle."""
    for content in (test_formats.word("<w:p>\x00</w:p>"), test_formats.word("<w:p><")):
        with pytest.raises(Unreadable) as told:
            documents.parse("a.docx", content)
        assert "\n" not in str(told.value)


def test_what_the_library_says_of_a_header_is_short(tmp_path: Path) -> None:
    make_base(tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    size = int.from_bytes(whole[:8], "little")
    header = json.dumps(json.loads(whole[8 : 8 + size]) | {"x" * 100_000: {"dtype": "x" * 100_000}}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + whole[8 + size :])
    assert "is damaged or cut short" in refused(tmp_path)


@pytest.mark.parametrize("shape", [(32, 1), (1,), (32, 2, 1), ()])
def test_an_adapter_whose_matrices_do_not_fit_each_other_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    base = make_base(tmp_path / "base")
    layer = f"{adapters.PREFIX}encoder.layer.0.attention.self.query.lora_"
    adapters.write(
        tmp_path / "adapter",
        base=str(base),
        base_sha256={},
        config=json.loads((base / "config.json").read_text()),
        task_type="FEATURE_EXTRACTION",
        rank=2,
        alpha=4,
        target_modules=["query"],
        modules_to_save=[],
        tensors={f"{layer}A.weight": torch.ones(2, 32), f"{layer}B.weight": torch.ones(shape)},
    )
    assert "does not fit its base" in refused(tmp_path / "adapter")
    changed(tmp_path / "adapter" / "adapter_config.json", **{"x\n" * 3000: 1})
    assert "which is not known here" in refused(tmp_path / "adapter")
