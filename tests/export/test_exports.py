"""Decoders written as GGUF, ONNX and safetensors: each opened by another library, with the logits of the native one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from click.testing import CliRunner
from transformers import AutoModelForCausalLM, AutoTokenizer

from genarium.checkpoints.layouts import gpt
from genarium.checkpoints.processors import generation, tokenizer
from genarium.checkpoints.store import gguf, gguf_names
from genarium.cli.main import genarium
from genarium.data.text import END_OF_TEXT
from genarium.engines.backends.onnx.decoder import OnnxDecoder
from genarium.errors import BadInput, StorageError
from genarium.export import export as exporting
from genarium.export.export import export
from genarium.models.gpt import GPT
from genarium.models.gpt_config import shapes
from genarium.progress import listening
from tests import causal_checkpoints
from tests.causal_checkpoints import YARN
from tests.conftest import STORY
from tests.exported_models import HEAD_4, NETWORKS, PLAIN, made, some


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama whose rows are divided by blocks of 32."""
    folder = tmp_path_factory.mktemp("models") / "llama"
    return made(folder, "llama", {"hidden_size": 64, "intermediate_size": 96})


WIDE = {"hidden_size": 32, "intermediate_size": 64, "head_dim": 16}


def logits(path: Path) -> torch.Tensor:
    return gpt.load(path)(some())[0]


def theirs(folder: Path, **how: Any) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **how).eval()
    with torch.no_grad():
        found: torch.Tensor = model(some()).logits[0]
    return found


@pytest.mark.parametrize(("kind", "changes"), NETWORKS)
def test_shapes_are_those_of_the_network(kind: str, changes: dict[str, Any], tmp_path: Path) -> None:
    causal_checkpoints.save(tmp_path, kind, changes)
    model = gpt.load(tmp_path)
    tied = {"head.weight"} if model.config.tie_embeddings else set()
    found = {name: tuple(one.shape) for name, one in GPT(model.config).state_dict().items() if name not in tied}
    assert shapes(model.config) == found


@pytest.mark.parametrize(("kind", "changes"), NETWORKS)
def test_a_gguf_file_is_the_same_network(kind: str, changes: dict[str, Any], tmp_path: Path) -> None:
    folder = made(tmp_path / "folder", kind, changes)
    file = export(str(folder), "gguf", dtype="float32", output=str(tmp_path / "model.gguf")).path
    # Llama 3's stretching is written as worked out, which rounds.
    torch.testing.assert_close(logits(file), logits(folder), rtol=0, atol=1e-6 if "rope_scaling" in changes else 0)
    ours, read = tokenizer.load(folder), tokenizer.load(file)
    assert read.encode(STORY[:200]).ids == ours.encode(STORY[:200]).ids
    assert tokenizer.end_tokens(file, read) == tokenizer.end_tokens(folder, ours)


@pytest.mark.parametrize(("kind", "changes"), PLAIN)
def test_transformers_opens_the_gguf_file(kind: str, changes: dict[str, Any], tmp_path: Path) -> None:
    folder = made(tmp_path / "folder", kind, changes)
    export(str(folder), "gguf", dtype="float32", output=str(tmp_path / "out" / "model.gguf"))
    out = tmp_path / "out"
    torch.testing.assert_close(theirs(out, gguf_file="model.gguf"), logits(folder), rtol=0, atol=2e-6)
    read = AutoTokenizer.from_pretrained(out, gguf_file="model.gguf")
    assert read(STORY[:200])["input_ids"] == tokenizer.load(folder).encode(STORY[:200]).ids
    assert read.eos_token == END_OF_TEXT


@pytest.mark.parametrize(("kind", "changes"), NETWORKS)
def test_transformers_opens_the_folder_that_a_gguf_file_becomes(
    kind: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    folder = made(tmp_path / "folder", kind, changes)
    expected = theirs(folder)
    file = export(str(folder), "gguf", dtype="float32", output=str(tmp_path / "model.gguf")).path
    for source in (folder, file):
        out = export(str(source), "safetensors", dtype="float32", output=str(tmp_path / f"out {source.name}")).path
        torch.testing.assert_close(theirs(out), expected, rtol=0, atol=5e-6)
        # Its config and tokenizer are whole: our own reader takes it for what it was.
        torch.testing.assert_close(logits(out), logits(source), rtol=0, atol=0)
        ids = AutoTokenizer.from_pretrained(out)(STORY[:200])["input_ids"]
        assert ids == tokenizer.load(source).encode(STORY[:200]).ids
        words = tokenizer.load(out)
        assert tokenizer.end_tokens(out, words) == tokenizer.end_tokens(folder, words)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"])
def test_each_precision_is_what_the_package_makes_of_the_values(dtype: str, llama: Path, tmp_path: Path) -> None:
    from gguf.constants import GGMLQuantizationType as Kind
    from gguf.quants import dequantize, quantize

    file = gguf.read(export(str(llama), "gguf", dtype=dtype, output=str(tmp_path / "model.gguf")).path)
    names = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
    kind = names.get(dtype, dtype.upper())
    from safetensors.numpy import load_file

    stored = load_file(llama / "model.safetensors")
    for name, place in gguf_names.places(file.path).items():
        tensor = file.tensors[place.name]
        few = "Q8_0" if place.name == "output.weight" and kind[:2] in ("Q4", "Q5") else kind
        assert tensor.kind == ("F32" if len(tensor.shape) == 1 else few)
        rows = gguf_names.rows_as_stored(stored[name], place.heads)
        expected = dequantize(quantize(np.ascontiguousarray(rows), Kind[tensor.kind]), Kind[tensor.kind])
        np.testing.assert_array_equal(file.values(place.name).reshape(-1), expected.reshape(-1))


def test_a_gguf_file_written_again_keeps_all_it_says(llama: Path, tmp_path: Path) -> None:
    first = export(str(llama), "gguf", dtype="q4_0", output=str(tmp_path / "first.gguf")).path
    again = export(str(first), "gguf", output=str(tmp_path / "again.gguf"))
    assert again.dtype == "as stored"
    one, two = gguf.read(first), gguf.read(again.path)
    ours = {key for key in one.metadata if key.startswith("genarium.")}
    assert {k: v for k, v in one.metadata.items() if k not in ours} == {
        k: v for k, v in two.metadata.items() if k not in ours
    }
    assert two.metadata["genarium.source"] == str(first)
    for name in one.tensors:
        np.testing.assert_array_equal(one.blocks(name), two.blocks(name))
    larger = export(str(first), "gguf", dtype="float16", output=str(tmp_path / "larger.gguf")).path
    assert {tensor.kind for tensor in gguf.read(larger).tensors.values()} == {"F32", "F16"}


def opened(folder: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])


def run(session: Any, rows: np.ndarray, mask: np.ndarray, past: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    given = {"input_ids": rows, "attention_mask": mask}
    for one in session.get_inputs():
        if one.name.startswith("past_key_values."):
            _, heads, _, width = one.shape
            given[one.name] = past.get(
                one.name.replace("past_key_values", "present"), np.zeros((len(rows), heads, 0, width), np.float32)
            )
    return dict(zip([one.name for one in session.get_outputs()], session.run(None, given), strict=True))


@pytest.mark.parametrize("dtype", ["float32", "int8", "int4"])
@pytest.mark.parametrize(
    ("kind", "changes"), [("gpt2", {"n_embd": 32}), ("qwen3", WIDE), ("llama", WIDE | {"tie_word_embeddings": True})]
)
def test_onnxruntime_alone_opens_the_graph(kind: str, changes: dict[str, Any], dtype: str, tmp_path: Path) -> None:
    folder = made(tmp_path / "folder", kind, changes)
    out = export(str(folder), "onnx", dtype=dtype, output=str(tmp_path / "out")).path
    ids = some().numpy()
    decoder = OnnxDecoder(folder, dtype, threads=1)
    state, _ = decoder.prefill([ids[0, :2].tolist()])
    expected = decoder.score(state, ids[:, 2:])[0]
    session = opened(out)
    whole = run(session, ids, np.ones_like(ids), {})["logits"][0]
    np.testing.assert_allclose(whole[2:], expected, atol=2e-4)
    if dtype == "float32":
        np.testing.assert_allclose(whole, logits(folder).numpy(), atol=2e-4)
    # Two rows of different lengths, the shorter padded at the right; then a step of both.
    lengths = [20, 13]
    rows = np.concatenate([ids[:, :20], ids[:, :20]])
    mask = np.array([[1] * 20, [1] * 13 + [0] * 7])
    past = run(session, rows, mask, {})
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(past["logits"][row, length - 1], whole[length - 1], atol=2e-4)
    tokenizer_there = tokenizer.load(out)
    assert tokenizer_there.encode("The fox").ids == tokenizer.load(folder).encode("The fox").ids


def test_onnx_steps_give_what_the_whole_text_gives(llama: Path, tmp_path: Path) -> None:
    out = export(str(llama), "onnx", output=str(tmp_path / "out")).path
    session, ids, past = opened(out), some().numpy(), {}
    found = []
    for place in range(8):
        past = run(session, ids[:, [place]], np.ones((1, place + 1), np.int64), past)
        found.append(past["logits"][0, 0])
    np.testing.assert_allclose(found, logits(llama)[:8].numpy(), atol=2e-4)


def test_an_adapter_is_merged_into_its_base(llama: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    base = AutoModelForCausalLM.from_pretrained(llama, dtype=torch.float32)
    adapted = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj", "up_proj"], init_lora_weights=False))
    adapted.save_pretrained(tmp_path / "adapter")
    expected = logits(tmp_path / "adapter")
    assert not torch.equal(expected, logits(llama))
    for layout, output in (("gguf", "model.gguf"), ("safetensors", "folder"), ("onnx", "graph")):
        out = export(str(tmp_path / "adapter"), layout, dtype="float32", output=str(tmp_path / output)).path
        if layout == "onnx":
            ids = some().numpy()
            found = torch.from_numpy(run(opened(out), ids, np.ones_like(ids), {})["logits"][0])
        else:
            found = logits(out)
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-4 if layout == "onnx" else 0)
    assert (tmp_path / "folder" / "tokenizer.json").is_file()
    assert not (tmp_path / "folder" / "adapter_config.json").exists()


@pytest.mark.parametrize(
    ("kind", "changes", "layout", "dtype", "said"),
    [
        ("gpt2", {"activation_function": "relu"}, "gguf", "auto", "the activation relu (not gelu_tanh)"),
        ("llama", {"hidden_act": "gelu"}, "gguf", "auto", "the activation geglu (not swiglu)"),
        ("mistral", {"sliding_window": 5}, "gguf", "auto", "a sliding window of 5 tokens"),
        ("qwen3", {"attention_bias": True}, "gguf", "auto", "biases in a Qwen3's attention"),
        ("llama", HEAD_4 | {"rope_scaling": YARN | {"attention_factor": 1.5}}, "gguf", "auto", "factor of its own"),
        ("llama", HEAD_4 | {"rope_scaling": YARN}, "onnx", "auto", "heads of width 4"),
        ("llama", {}, "gguf", "q4_0", "no matrix of this model has rows that blocks of q4_0 divide"),
        ("llama", {}, "safetensors", "int8", "safetensors is written in float32, float16, bfloat16, got int8"),
        ("llama", {}, "onnx", "float16", "onnx is written in float32, int8, int4, got float16"),
    ],
)
def test_what_a_layout_cannot_say_is_refused_by_name(
    kind: str, changes: dict[str, Any], layout: str, dtype: str, said: str, tmp_path: Path
) -> None:
    folder = made(tmp_path / "folder", kind, changes)
    with pytest.raises(BadInput) as told:
        export(str(folder), layout, dtype=dtype, output=str(tmp_path / "out"))
    assert said in str(told.value)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["folder"]


def test_how_to_write_is_carried_or_its_loss_is_said(llama: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(llama, tmp_path / "folder"))
    how = {"temperature": 0.6, "top_k": 20, "do_sample": True, "eos_token_id": [0, 7], "bad_words_ids": [[3]]}
    (folder / "generation_config.json").write_text(json.dumps(how))
    heard: list[str] = []
    with listening(lambda event: heard.append(str(event.preview)) if event.stage == "note" else None):
        file = export(str(folder), "gguf", output=str(tmp_path / "model.gguf")).path
    assert any("bad_words_ids" in one for one in heard)
    out = export(str(file), "safetensors", output=str(tmp_path / "out")).path
    read = generation.read(out)
    assert (read.top_k, read.do_sample, set(read.eos_token_id or ())) == (20, True, {0, 7})  # type: ignore[arg-type]
    assert read.temperature == pytest.approx(0.6)


def test_nothing_half_written_is_left(llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = tmp_path / "here"
    where.mkdir()
    (where / "model.gguf").write_text("before")
    for error in (OSError(28, "No space left on device"), KeyboardInterrupt()):

        def fails(self: object, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr("genarium.export.source.Part.values", fails)
        for layout, name in (("gguf", "model.gguf"), ("safetensors", "folder")):
            expected = StorageError if isinstance(error, OSError) else KeyboardInterrupt
            with pytest.raises(expected) as told:
                export(str(llama), layout, output=str(where / name), overwrite=True)
            if expected is StorageError:
                assert "no space left on device; free some space" in str(told.value)
            assert [file.name for file in where.iterdir()] == ["model.gguf"]
    assert (where / "model.gguf").read_text() == "before"


def test_a_graph_that_onnxruntime_refuses_is_refused_where_it_is_written(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strange(self: Any, x: str, name: str) -> str:
        self.node("NoSuchOperator", [x], [f"{x}.act"])
        return f"{x}.act"

    monkeypatch.setattr("genarium.engines.backends.onnx.graph.Graph.activated", strange)
    with pytest.raises(BadInput, match=r"onnxruntime refuses .*NoSuchOperator.*; export it in float32"):
        export(str(llama), "onnx", dtype="int4", output=str(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_replaced_without_being_told(llama: Path, tmp_path: Path) -> None:
    def said(*arguments: str) -> str:
        done = CliRunner().invoke(genarium, ["models", "export", str(llama), *arguments])
        return f"{done.exit_code} {done.exception or done.output}"

    file, folder = tmp_path / "model.gguf", tmp_path / "folder"
    assert said("--format", "gguf", "-o", str(file)).startswith("0 ")
    assert "is there already" in said("--format", "gguf", "-o", str(file))
    assert said("--format", "gguf", "-o", str(file), "--overwrite", "--dtype", "q8_0", "--json").startswith("0 ")
    assert said("--format", "safetensors", "-o", str(folder)).startswith("0 ")
    assert "is there already" in said("--format", "safetensors", "-o", str(folder))
    assert said("--format", "onnx", "-o", str(folder), "--overwrite").startswith("0 ")
    assert not (folder / "model.safetensors").exists()
    (folder / "letter.odt").write_text("dear")
    assert "holds letter.odt" in said("--format", "onnx", "-o", str(folder), "--overwrite")
    assert "holds the model itself" in said("--format", "safetensors", "-o", str(llama), "--overwrite")
    assert "is a folder" in said("--format", "gguf", "-o", str(folder), "--overwrite")


def test_other_models_are_refused_in_one_sentence(tmp_path: Path) -> None:
    for reference, said in (("starter/encoder", "'bert'"), ("starter/image", "'diffusers'"), ("openai:x", "endpoint")):
        with pytest.raises(BadInput) as told:
            export(reference, "gguf", output=str(tmp_path / "x.gguf"))
        assert said in str(told.value)
        assert "\n" not in str(told.value)


def test_the_command_names_every_precision() -> None:
    from genarium.cli.models import DTYPES

    assert all(dtype in DTYPES for layout in exporting.FORMATS for dtype in exporting.dtypes(layout))
