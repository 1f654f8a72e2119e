"""`adapter_config.json`: PEFT's LoRA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from genarium.checkpoints.fields import Declared, Flag, Positive, Size, Unneeded, Words, shown
from genarium.errors import BadCheckpoint

WAY_OUT = "merge it into its base with peft (merge_and_unload), and name the merged folder"
Nothing = Annotated[None, BeforeValidator(lambda given: given or None)]
"""Of what changes how an adapter is applied, and is not known here: nothing."""


def _small(given: Any) -> Any:
    return given.lower() if isinstance(given, str) else given


class LoraFields(Declared, published="peft:LoraConfig"):
    file: ClassVar = "adapter_config.json"
    way_out: ClassVar = WAY_OUT
    ignored: ClassVar = frozenset({"enable_lora", "merge_weights"})

    peft_type: Literal["LORA"] | None = None
    base_model_name_or_path: Words | None = None
    revision: Words | None = None
    task_type: Words | None = None
    r: Size = 8
    lora_alpha: Positive = 8
    rank_pattern: dict[str, Size] | None = Field(default_factory=dict)
    alpha_pattern: dict[str, Positive] | None = Field(default_factory=dict)
    use_rslora: Flag = False
    use_dora: Flag = False
    lora_bias: Flag = False
    bias: Literal["none", "all", "lora_only"] = "none"
    # Those that leave the base as it was, and PiSSA and OLoRA, which take what they begin with away from it.
    init_lora_weights: Annotated[
        Literal[True, False, "gaussian", "eva", "orthogonal", "mica", "pissa", "olora"], BeforeValidator(_small)
    ] = True

    alora_invocation_tokens: Nothing = None
    arrow_config: Nothing = None
    ensure_weight_tying: Literal[False] = False
    kasa_config: Nothing = None
    layer_replication: Nothing = None
    monteclora_config: Nothing = None
    target_parameters: Nothing = None
    trainable_token_indices: Nothing = None
    use_bdlora: Nothing = None
    use_qalora: Literal[False] = False
    velora_config: Nothing = None

    # Which layers were adapted the tensors tell; the rest is of training alone.
    auto_mapping: Unneeded = None
    corda_config: Unneeded = None
    eva_config: Unneeded = None
    exclude_modules: Unneeded = None
    fan_in_fan_out: Unneeded = False
    inference_mode: Unneeded = False
    layers_pattern: Unneeded = None
    layers_to_transform: Unneeded = None
    loftq_config: Unneeded = Field(default_factory=dict)
    lora_dropout: Unneeded = 0.0
    lora_ga_config: Unneeded = None
    megatron_config: Unneeded = None
    megatron_core: Unneeded = "megatron.core"
    modules_to_save: Unneeded = None
    peft_version: Unneeded = None
    qalora_group_size: Unneeded = 16
    runtime_config: Unneeded = None
    target_modules: Unneeded = None

    @classmethod
    def _others(cls, extra: Mapping[str, Any], where: str) -> list[str]:
        """What PEFT did not know when this was written changes how an adapter is applied, until it is looked at."""
        for name, value in extra.items():
            if value and name not in cls.ignored:
                raise BadCheckpoint(
                    f"{where}: {cls.file} has {shown(name, quoted=False)} {shown(value)}, which is not known here; "
                    f"{cls.way_out}"
                )
        return []
