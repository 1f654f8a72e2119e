"""Decoders: every field of their configs does here what it does in transformers, and what can't is refused by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from genarium.checkpoints.fields.causal import BY_TYPE
from genarium.checkpoints.layouts import gpt
from genarium.errors import BadCheckpoint
from tests.causal_checkpoints import BASES, HEAD_DIM_4, NOT_OF_LOGITS, ROPES, VALUES, WINDOWS, save, tokens

READ = [
    pytest.param(kind, changes, id=f"{kind}-{field}-{number}")
    for kind, fields in VALUES.items()
    for field, values in fields.items()
    for number, changes in enumerate(values)
]
UNREAD = [
    (kind, field) for kind, cls in BY_TYPE.items() for field, effect in cls.effects().items() if effect == "no number"
]
ONLY = [
    (kind, field)
    for kind, cls in BY_TYPE.items()
    for field, effect in cls.effects().items()
    if effect.startswith("only") and field not in VALUES[kind]
]


def compare(path: Path, reference: PreTrainedModel, rows: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        logits = gpt.load(path)(rows)
        torch.testing.assert_close(logits, reference(rows).logits, atol=1e-4, rtol=0)
    return logits


@pytest.mark.parametrize("kind", BY_TYPE)
def test_every_field_that_is_read_is_tested(kind: str) -> None:
    read = {name for name, effect in BY_TYPE[kind].effects().items() if effect == "read"}
    assert read - NOT_OF_LOGITS <= VALUES[kind].keys()


@pytest.mark.parametrize(("kind", "changes"), READ)
def test_logits_equal_transformers_at_every_value(kind: str, changes: dict[str, Any], tmp_path: Path) -> None:
    compare(tmp_path, save(tmp_path, kind, changes), tokens())


@pytest.mark.parametrize(("kind", "field"), UNREAD)
def test_a_field_without_effect_has_none_in_transformers_either(kind: str, field: str, tmp_path: Path) -> None:
    odd = {"transformers_version": "4.0.0", "dtype": "float16", "summary_type": "last", "summary_activation": "tanh"}
    default = BY_TYPE[kind].model_fields[field].default
    value = odd.get(field, not default if isinstance(default, bool) else 0.5 if isinstance(default, float) else 2)
    reference = save(tmp_path, kind, **{field: value})
    reference.config.return_dict = True  # without, transformers' own network fails
    torch.testing.assert_close(compare(tmp_path, reference, tokens()), unchanged(kind), atol=0, rtol=0)


@cache
def unchanged(kind: str) -> torch.Tensor:
    with TemporaryDirectory() as folder:
        return compare(Path(folder), save(Path(folder), kind), tokens())


@pytest.mark.parametrize(("kind", "field"), ONLY)
def test_a_field_at_any_other_value_is_refused_by_name(kind: str, field: str, tmp_path: Path) -> None:
    other = {"is_encoder_decoder": True, "add_cross_attention": True, "partial_rotary_factor": 0.5}
    raw = {"model_type": kind, **BASES[kind], field: other.get(field, {"x": 1})}
    with pytest.raises(BadCheckpoint, match=field):
        gpt.read_config(raw, "here")


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        *(("gpt2", {"activation_function": "relu", "scale_attn_by_inverse_layer_idx": True}),),
        *(("llama", HEAD_DIM_4 | {"rope_parameters": {"rope_theta": 1e4} | rope}) for rope in ROPES[1:9]),
        *(("llama", {"hidden_act": name}) for name in ("gelu", "gelu_pytorch_tanh", "relu")),
        *(("mistral", {"sliding_window": 5}),),
        *((kind, WINDOWS["layer_types"][0]) for kind in ("qwen2", "qwen3")),
    ],
)
def test_what_is_saved_again_is_the_same_to_transformers(kind: str, changes: dict[str, Any], tmp_path: Path) -> None:
    reference = save(tmp_path / "one", kind, changes)
    model = gpt.load(tmp_path / "one")
    gpt.save(model, tmp_path / "two")
    assert gpt.load(tmp_path / "two").config == model.config
    with torch.inference_mode():
        again = AutoModelForCausalLM.from_pretrained(tmp_path / "two", dtype=torch.float32).eval()(tokens()).logits
        torch.testing.assert_close(again, reference(tokens()).logits, atol=1e-4, rtol=0)
