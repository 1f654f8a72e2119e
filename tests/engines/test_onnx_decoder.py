"""Decoders as onnxruntime graphs: the native network's numbers, and a text that depends on its own tokens alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genarium.checkpoints.layouts import gpt
from genarium.checkpoints.store.ggml import restored
from genarium.decoding.continuous import sharing
from genarium.engines import registry
from genarium.engines.backends.onnx import decoder as decoders_onnx
from genarium.engines.backends.onnx import prepared, quantise
from genarium.engines.backends.onnx.decoder import OnnxDecoder
from genarium.engines.text import decoders
from genarium.engines.text.protocol import TextRequest
from genarium.errors import BadCheckpoint
from genarium.progress import listening
from tests import causal_checkpoints, gguf_files
from tests.causal_checkpoints import THREE, YARN, tokens

WIDER = {"hidden_size": 64, "intermediate_size": 96}
NETWORKS: list[tuple[str, dict[str, Any]]] = [
    ("gpt2", {}),
    ("gpt2", {"activation_function": "relu", "tie_word_embeddings": False, "scale_attn_by_inverse_layer_idx": True}),
    ("gpt2", {"activation_function": "gelu", "n_layer": 1}),
    ("llama", {}),
    ("llama", {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True, "num_key_value_heads": 1}),
    ("llama", {"hidden_act": "gelu", "rope_scaling": THREE}),
    ("mistral", {"sliding_window": 5}),
    ("qwen2", {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1}),
    ("qwen3", {"attention_bias": True}),
]
ALONE = [3, 1, 4, 1, 5, 9, 2, 6]


@pytest.mark.parametrize(("kind", "changes"), NETWORKS)
def test_in_float32_it_is_the_native_network(kind: str, changes: dict[str, Any], tmp_path: Path) -> None:
    causal_checkpoints.save(tmp_path, kind, {"head_dim": 16, **changes} if kind != "gpt2" else changes)
    ids = tokens(1, 24)
    expected = gpt.load(tmp_path)(ids)[0].numpy()
    decoder = OnnxDecoder(tmp_path, "float32", threads=1)
    state, last = decoder.prefill([ids[0, :10].tolist()])
    np.testing.assert_allclose(last[0], expected[9], atol=2e-4)
    np.testing.assert_allclose(decoder.score(state, ids[:, 10:].numpy())[0], expected[10:], atol=2e-4)
    for place in range(10, 24):
        np.testing.assert_allclose(decoder.step(state, ids[:, [place]].numpy())[0], expected[place], atol=2e-4)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llama")
    causal_checkpoints.save(folder, "llama", WIDER)
    return folder


@pytest.fixture(scope="module", params=["int4", "int8", "float32"])
def decoder(llama: Path, request: pytest.FixtureRequest) -> OnnxDecoder:
    return OnnxDecoder(llama, request.param, threads=1)


def written(decoder: OnnxDecoder, prompt: list[int], steps: int = 6) -> list[np.ndarray]:
    state, logits = decoder.prefill([prompt])
    found = [logits[0]]
    for _ in range(steps):
        found.append(decoder.step(state, np.array([[found[-1].argmax()]]))[0])
    return found


@pytest.mark.parametrize("others", [[[7]], [[7, 8, 9]] * 3, [list(range(1, 30)), [2, 2], [7], ALONE]])
def test_a_text_is_the_same_alone_and_among_others(decoder: OnnxDecoder, others: list[list[int]]) -> None:
    """To the last bit: rows join, leave and change places meanwhile."""
    for prompt in (ALONE, [5]):
        alone = written(decoder, prompt)
        read, first = decoder.prefill([*others, prompt])
        assert np.array_equal(first[-1], alone[0])
        state = decoder.join(None, read, range(len(others) + 1))
        last = first.argmax(axis=-1)
        place = len(others)
        for step, expected in enumerate(alone[1:]):
            logits = decoder.step(state, last[:, None])
            assert np.array_equal(logits[place], expected)
            last = logits.argmax(axis=-1)
            if step == 1:  # the first leaves, and the last takes its place
                order = [place, *range(1, place)]
                decoder.select(state, order)
                last, place = last[order], 0
            if step == 3:
                more, logits = decoder.prefill([[1, 2, 3]])
                state = decoder.join(state, more, [0])
                last = np.concatenate([last, logits.argmax(axis=-1)])


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gpt2"])
def test_many_tokens_are_read_as_few_are(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a graph of their own that rounds no input: as near to what the weights give in float32, and the same alone."""
    folder = tmp_path / "whole"
    folder.mkdir()
    # Widths that no block divides are filled; a GGUF file has none.
    wide = {"llama": WIDER, "qwen3": {**WIDER, "attention_bias": True, "head_dim": 32}, "gpt2": {"n_embd": 64}}
    causal_checkpoints.save(folder, kind, wide[kind])
    ids = tokens(1, 40)[0].tolist()
    for stored, dtype in (("Q8_0", "int8"), ("Q4_1", "int8"), ("Q4_0", "int4"), ("F16", "int8")):
        file = gguf_files.write(folder, tmp_path / f"{stored}.gguf", kind=stored)
        exact = OnnxDecoder(file, "float32", threads=1)
        few = OnnxDecoder(file, dtype, threads=1)
        expected = exact.prefill([ids[:26]])[1]
        by_steps = few.prefill([ids[:26]])[1]
        with monkeypatch.context() as patched:
            patched.setattr(decoders_onnx, "MANY", 16)
            many = OnnxDecoder(file, dtype, threads=1)
            state, read = many.prefill([ids[:5], ids[:26]])
            assert "reading" in vars(many)
            assert np.array_equal(many.prefill([ids[:26]])[1][0], read[1])
            assert np.array_equal(many.prefill([ids[:5]])[1][0], read[0])
            scored = many.score(state, np.array([ids[5:25], ids[20:40]]))
        most = 5e-3 * np.abs(expected).max()
        np.testing.assert_allclose(read[1], by_steps[0], atol=most if dtype == "int8" else 20 * most)
        if dtype == "int8" and stored != "F16":
            np.testing.assert_allclose(read[1], expected[0], atol=most)
        near = few.score(few.prefill([ids[:5]])[0], np.array([ids[5:25]]))
        np.testing.assert_allclose(scored[0], near[0], atol=most if dtype == "int8" else 20 * most)


def test_what_is_scored_is_what_steps_give_and_leaves_rows_as_they_are(decoder: OnnxDecoder) -> None:
    state, _ = decoder.prefill([ALONE, [2, 3]])
    given = np.array([[1, 2, 3], [4, 5, 6]])
    scored = decoder.score(state, given)
    assert state.lengths == [8, 2]
    for place in range(3):
        np.testing.assert_allclose(decoder.step(state, given[:, [place]]), scored[:, place], atol=1e-3)
    decoder.select(state, [1, 1, 0])
    logits = decoder.step(state, np.array([[1], [1], [1]]))
    assert np.array_equal(logits[0], logits[1])
    assert not np.array_equal(logits[0], logits[2])


def test_the_context_is_the_end(decoder: OnnxDecoder) -> None:
    state, _ = decoder.prefill([[1] * 47])
    decoder.step(state, np.array([[1]]))
    with pytest.raises(IndexError, match="49 positions exceed the context of 48"):
        decoder.step(state, np.array([[1]]))


@pytest.mark.parametrize(("bits", "most"), [(8, 0.004), (4, 0.08)])
def test_quantised_values_are_near(bits: int, most: float) -> None:
    rows = np.random.default_rng(0).standard_normal((7, 80)).astype(np.float32)
    rows[0, :32] = 0
    restored = dequantised(quantise.quantise(rows, bits), bits)[:, :80]
    assert np.abs(restored - rows).max() < most * np.abs(rows).max()
    assert not restored[0, :32].any()


def dequantised(matrix: quantise.Quantised, bits: int) -> np.ndarray:
    assert matrix.bits == bits
    values, n = matrix.values, len(matrix.values)
    zeros: Any = 2 ** (bits - 1)
    if matrix.zeros is not None:
        zeros = matrix.zeros
    if bits == 4:
        values = np.stack([values & 15, values >> 4], axis=-1).reshape(n, -1, quantise.BLOCK)
        if matrix.zeros is not None:
            zeros = np.stack([zeros & 15, zeros >> 4], axis=-1).reshape(n, -1)[:, : values.shape[1]]
    if matrix.zeros is not None:
        zeros = zeros[..., None]
    restored = (values.astype(np.float32) - zeros) * matrix.scales[..., None]
    if matrix.beside is not None:
        restored += matrix.beside[..., None]
    return restored.reshape(n, -1)


@pytest.mark.parametrize(
    ("kind", "dtype"), [("Q8_0", "int8"), ("Q4_0", "int4"), ("Q4_1", "int4"), ("Q4_1", "int8"), ("F16", "int8")]
)
def test_a_gguf_file_is_run_from_its_own_blocks(kind: str, dtype: str, llama: Path, tmp_path: Path) -> None:
    file = gguf_files.write(llama, tmp_path / "model.gguf", kind=kind)
    exact = OnnxDecoder(file, "float32", threads=1).prefill([ALONE])[1]
    near = OnnxDecoder(file, dtype, threads=1).prefill([ALONE])[1]
    assert np.corrcoef(exact[0], near[0])[0, 1] > (0.9999 if dtype == "int8" else 0.99)


@pytest.mark.parametrize(("kind", "bits"), [("Q8_0", 8), ("Q4_0", 4), ("Q4_1", 4)])
@pytest.mark.parametrize("shift", [0, 3, -9])
def test_blocks_of_a_gguf_file_keep_their_values(kind: str, bits: int, shift: float) -> None:
    """Also where all of a block lie on one side of 0, or are equal."""
    import gguf as published

    rows = np.random.default_rng(1).standard_normal((5, 96)).astype(np.float32) + shift
    rows[0, :32], rows[1, 32:64] = 0, 0.75
    stored = published.quants.quantize(rows, published.GGMLQuantizationType[kind])
    expected = published.quants.dequantize(stored, published.GGMLQuantizationType[kind])
    taken = quantise.of_ggml(stored, kind, 8)
    assert taken is not None
    np.testing.assert_allclose(dequantised(taken, bits), expected, atol=1e-6 * max(1, abs(shift)))
    if bits == 8:
        assert quantise.of_ggml(stored, kind, 4) is None


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gpt2"])
def test_at_8_bits_only_weights_are_rounded(kind: str, tmp_path: Path) -> None:
    """A file of 8 bits gives what float32 gives of it: what the operator rounds of its input is multiplied as well."""
    folder = tmp_path / "whole"
    folder.mkdir()
    changes = {"llama": WIDER, "qwen3": {**WIDER, "attention_bias": True, "head_dim": 32}, "gpt2": {"n_embd": 64}}
    causal_checkpoints.save(folder, kind, changes[kind])
    for stored in ("Q8_0", "Q4_1"):
        file = gguf_files.write(folder, tmp_path / f"{stored}.gguf", kind=stored)
        exact = OnnxDecoder(file, "float32", threads=1).prefill([ALONE])[1]
        near = OnnxDecoder(file, "int8", threads=1).prefill([ALONE])[1]
        np.testing.assert_allclose(near, exact, atol=2e-3 * np.abs(exact).max())


def test_a_width_that_no_block_divides_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    causal_checkpoints.save(tmp_path, "llama", {"head_dim": 16})  # 32 wide, with matrices of 37
    exact = OnnxDecoder(tmp_path, "float32", threads=1).prefill([ALONE])[1]
    for dtype in ("int8", "int4"):
        decoder = OnnxDecoder(tmp_path, dtype, threads=1)
        for many in (decoders_onnx.MANY, 2):
            monkeypatch.setattr(decoders_onnx, "MANY", many)
            near = decoder.prefill([ALONE])[1]
            assert np.corrcoef(exact[0], near[0])[0, 1] > 0.99


def opened(path: Path, dtype: str) -> np.ndarray:
    return OnnxDecoder(path, dtype, threads=1).prefill([ALONE])[1]


@pytest.mark.parametrize("dtype", ["int8", "int4", "float32"])
def test_what_was_quantised_is_kept(dtype: str, llama: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    first = opened(llama, dtype)
    [kept] = (home / "quantised").iterdir()
    with monkeypatch.context() as patched:
        patched.setattr(prepared, "_made", None)  # nothing is made again
        assert np.array_equal(opened(llama, dtype), first)
    whole = kept.read_bytes()
    half = len(whole) // 2
    for damaged in (b"", whole[:7], whole[:-1], whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :]):
        kept.write_bytes(damaged)
        assert np.array_equal(opened(llama, dtype), first)
        assert kept.read_bytes() == whole
    monkeypatch.setattr(prepared, "SCHEME", 0)
    assert np.array_equal(opened(llama, dtype), first)
    assert kept.read_bytes() != whole


def test_what_is_kept_for_reading_alone_is_read(llama: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    first = opened(llama, "int8")

    def refused(_: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "utime", refused)
    monkeypatch.setattr(prepared, "_made", None)  # nothing is made again
    assert np.array_equal(opened(llama, "int8"), first)


def test_what_was_not_used_for_longest_is_removed(llama: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    kept, size = home / "quantised", {}
    for age, dtype in enumerate(("float32", "int8", "int4")):
        opened(llama, dtype)
        [file] = kept.glob(f"*.{dtype}")
        os.utime(file, (age, age))
        size[dtype] = file.stat().st_size
    (kept / "mine.txt").write_text("not of its kind")
    opened(llama, "float32")  # now used last
    file.unlink()
    said: list[str] = []
    with listening(lambda event: said.append(str(event.preview))):
        monkeypatch.setattr(prepared, "MOST_KEPT", size["float32"] + size["int4"])
        opened(llama, "int4")
        assert {file.suffix for file in kept.iterdir()} == {".float32", ".int4", ".txt"}
        monkeypatch.setattr(prepared, "MOST_KEPT", 1)
        opened(llama, "int8")
    assert {file.suffix for file in kept.iterdir()} == {".int8", ".txt"}
    assert [sentence[:33] for sentence in said] == [
        "removed 1 of the oldest quantised",
        "removed 2 of the oldest quantised",
    ]


def test_where_nothing_can_be_kept_it_opens_all_the_same(llama: Path, home: Path) -> None:
    home.mkdir()
    (home / "quantised").write_text("in the way")
    assert np.array_equal(opened(llama, "int8"), opened(llama, "int8"))


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_1", "Q5_0", "F16", "BF16", "F32"])
def test_rows_of_a_stored_matrix_are_those_that_others_read(kind: str) -> None:
    import gguf as published

    type_ = published.GGMLQuantizationType[kind]
    stored = published.quants.quantize(np.random.default_rng(1).standard_normal((5, 64)).astype(np.float32), type_)
    stored = stored.view(np.uint8).reshape(5, -1)
    expected = published.quants.dequantize(stored, type_)
    np.testing.assert_array_equal(restored(stored, kind), expected)


def test_it_says_what_it_does_not_run(tmp_path: Path) -> None:
    causal_checkpoints.save(tmp_path, "llama", {"head_dim": 16, "rope_scaling": YARN})
    with pytest.raises(BadCheckpoint, match="stretches its positions by YaRN"):
        OnnxDecoder(tmp_path, "int8")
    causal_checkpoints.save(tmp_path, "llama", {"head_dim": 16})
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-9])
    with pytest.raises(BadCheckpoint, match="is damaged or cut short"):
        OnnxDecoder(tmp_path, "int8")


def test_it_runs_without_torch(llama: Path) -> None:
    check = (
        "import sys; from pathlib import Path; from genarium.engines.backends.onnx.decoder import OnnxDecoder; "
        f"print(OnnxDecoder(Path({str(llama)!r}), 'int8').prefill([[1, 2]])[1].shape, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(1, 53) False"


@pytest.mark.parametrize(
    ("kind", "expected"), [("Q8_0", "int8"), ("Q4_1", "int8"), ("F16", "float32"), (None, "float32")]
)
def test_auto_is_int8_for_a_file_of_8_bits_or_fewer(
    kind: str | None, expected: str, llama: Path, tmp_path: Path
) -> None:
    path = gguf_files.write(llama, tmp_path / "model.gguf", kind=kind) if kind else llama
    assert decoders.chosen(path, "auto") == ("onnx", expected)
    assert decoders.chosen(path, "float32") == ("onnx", "float32")
    assert decoders.chosen(path, "auto", "torch") == ("torch", "auto")


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_an_engine_writes_with_it(dtype: str, tiny: Path) -> None:
    """One recipe, one text: alone, among others, in a shared batch, and over again; held to a grammar as elsewhere."""
    engine = registry.open_text(str(tiny), dtype=dtype)
    request = TextRequest(max_new_tokens=9, temperature=0.8, seed=5)

    def texts(prompts: list[str], asked: TextRequest) -> dict[int, str]:
        return {done.row: done.text for done in engine.write(prompts, asked)}

    alone = texts(["The fox"], request)[0]
    assert texts(["The fox"], request)[0] == alone
    assert texts(["The fox"], replace(request, n=3))[0] == alone
    assert texts(["A hill and more", "The fox"], request)[1] == alone
    with sharing():
        assert texts(["A hill and more", "The fox", "x"], request)[1] == alone
    [told] = engine.write(["The fox"], replace(request, logprobs=2))
    assert told.logprobs is not None
    assert len(told.logprobs) == 9
    schema = json.dumps({"enum": ["yes", "no"]})
    assert json.loads(texts(["The fox"], replace(request, json_schema=schema))[0]) in ("yes", "no")


def test_writing_imports_no_torch(tiny: Path) -> None:
    check = (
        "import sys; from pathlib import Path; from genarium.engines.text.native import NativeText; "
        "from genarium.engines.text.protocol import TextRequest; "
        f"engine = NativeText(Path({str(tiny)!r}), dtype='int8'); "
        "[done] = engine.write(['The fox'], TextRequest(max_new_tokens=4, temperature=0.8)); "
        "print(done.text != '', 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True False"
