"""Every field that transformers' config classes read is declared, with its default; others are refused or said."""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from importlib import import_module
from typing import Any

import pytest
import transformers

from genarium.checkpoints.fields import PASSED_OVER, Declared, declared
from genarium.checkpoints.fields.causal import GPT2Fields, LlamaFields, Qwen2Fields
from genarium.errors import BadCheckpoint
from genarium.progress import listening

DECLARED = declared()


def published(fields: type[Declared]) -> Any:
    """The class that it stands for: one of transformers', or `module:Class`."""
    module, _, name = fields.published.rpartition(":")
    return getattr(import_module(module) if module else transformers, name)


def their_fields(theirs: Any) -> dict[str, Any]:
    """Their names and defaults."""
    if theirs is transformers.GenerationConfig:
        return {name: None for name in vars(theirs()) if not name.startswith("_")}
    if dataclasses.is_dataclass(theirs):
        unset = dataclasses.MISSING
        made = {f.name: f.default_factory() for f in dataclasses.fields(theirs) if f.default_factory is not unset}
        return {f.name: made.get(f.name, f.default) for f in dataclasses.fields(theirs)}
    parameters = inspect.signature(theirs.__init__).parameters
    return {name: p.default for name, p in parameters.items() if name != "self" and p.kind is not p.VAR_KEYWORD}


@pytest.mark.parametrize("name", DECLARED)
def test_every_field_of_the_published_class_is_declared_with_its_default(name: str) -> None:
    fields = DECLARED[name]
    theirs = published(fields)
    for field, default in their_fields(theirs).items():
        assert field in fields.model_fields, f"{fields.published} has a field {field}: say in {name} what it does"
        if fields.effects()[field] != "no number" and not isinstance(default, dataclasses._MISSING_TYPE):
            assert fields.model_fields[field].get_default(call_default_factory=True) == default, field
    assert dict(getattr(theirs, "attribute_map", {})) == dict(fields.aliases)


@pytest.mark.parametrize("name", DECLARED)
def test_every_field_that_the_published_network_reads_is_declared(name: str) -> None:
    """The modelling code may read fields that its config class does not list."""
    fields = DECLARED[name]
    configuration = published(fields).__module__
    if not configuration.startswith("transformers.models."):
        pytest.skip("no network of transformers has this config")
    modelling = import_module(configuration.replace(".configuration_", ".modeling_"))
    source = inspect.getsource(sys.modules[modelling.__name__])
    read = set(re.findall(r"\b(?:self\.)?config\.([a-z]\w*)|getattr\((?:self\.)?config, \"([a-z]\w*)\"", source))
    known = fields.model_fields.keys() | fields.aliases.keys() | fields.ignored | PASSED_OVER | {"num_labels"}
    assert not {a or b for a, b in read} - known


@pytest.mark.parametrize(
    ("fields", "field", "value", "said"),
    [
        (LlamaFields, "num_hidden_layers", "two", "num_hidden_layers 'two': input should be a valid integer"),
        (LlamaFields, "num_hidden_layers", 10**9, "num_hidden_layers 1000000000: input should be less than"),
        (LlamaFields, "hidden_size", -4, "hidden_size -4: input should be greater than"),
        (LlamaFields, "hidden_size", True, "hidden_size True: input should be a valid integer"),
        (LlamaFields, "rms_norm_eps", float("nan"), "rms_norm_eps nan: input should be a finite number"),
        (LlamaFields, "eos_token_id", [[2]], "eos_token_id"),
        (LlamaFields, "eos_token_id", {"a": 1}, "eos_token_id {'a': 1}"),
        (LlamaFields, "hidden_act", "mish", "has hidden_act 'mish', and only 'silu', 'gelu', "),
        (LlamaFields, "rope_scaling", {"type": "su"}, "has rope_scaling.rope_type 'su', and only 'default', 'linear'"),
        (LlamaFields, "rope_scaling", {"type": "linear"}, "linear needs factor"),
        (LlamaFields, "rope_scaling", {"rope_type": "yarn", "factor": 0}, "rope_scaling.factor 0"),
        (
            LlamaFields,
            "rope_parameters",
            {"full_attention": {}},
            "rope_parameters.full_attention {}, which is not known here",
        ),
        (LlamaFields, "partial_rotary_factor", 0.5, "partial_rotary_factor 0.5, and only 1 is run here"),
        (LlamaFields, "quantization_config", {"quant_method": "fp8"}, "quantised (quantization_config: fp8)"),
        (LlamaFields, "quantization_config", {}, "quantised"),
        (LlamaFields, "per_layer_config", {"0": {"hidden_size": 8}}, "per_layer_config"),
        (LlamaFields, "logits_scaling", 8.0, "another network than transformers' LlamaConfig"),
        (LlamaFields, "architectures", "Llama", "architectures 'Llama'"),
        (LlamaFields, "is_encoder_decoder", True, "is_encoder_decoder True, and only False"),
        (GPT2Fields, "add_cross_attention", True, "add_cross_attention True"),
        (GPT2Fields, "n_inner", 0, "n_inner 0"),
        (Qwen2Fields, "layer_types", ["chunked_attention"], "layer_types.0 'chunked_attention'"),
    ],
)
def test_a_value_that_can_not_be_run_is_refused_by_name(
    fields: type[Declared], field: str, value: Any, said: str
) -> None:
    with pytest.raises(BadCheckpoint) as refused:
        fields.read({field: value}, "here")
    assert said in str(refused.value)
    assert str(refused.value).startswith("here: ")
    assert "\n" not in str(refused.value)


def test_two_names_of_one_field_agree_or_are_refused() -> None:
    assert GPT2Fields.read({"hidden_size": 8}, "here").n_embd == 8
    assert GPT2Fields.read({"hidden_size": 8, "n_embd": 8}, "here").n_embd == 8
    with pytest.raises(BadCheckpoint, match="n_embd 16 and hidden_size 8"):
        GPT2Fields.read({"hidden_size": 8, "n_embd": 16}, "here")


def test_fields_that_nobody_reads_are_said_and_usual_ones_are_not() -> None:
    notes: list[str] = []
    with listening(lambda event: notes.append(event.preview)):
        LlamaFields.read({"model_type": "llama", "torch_dtype": "float16", "temperature": 2, "use_cache": "x"}, "here")
        assert not notes
        LlamaFields.read({"wandb_run": 1, "logit_scale": 1.0, "\x1b[2J": 1}, "here")
    assert notes == [r"here: nothing reads these fields of config.json, here or in transformers: \x1b[2J, wandb_run"]
