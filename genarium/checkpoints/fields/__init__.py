"""What every field of a published `config.json` is here: read, allowed at certain values only, or without effect.

One class a model_type, one file a family; the folder listing is the registry. A field's annotation says what it is:

- a type with its range (`Size`, `Positive`, …): the field is read, and a value outside of it is refused by name;
- a `Literal`: the network runs at these values only, all others are refused by name;
- `Unneeded`: it changes no number of what is run here (initialisation, dropout, what a server or trainer reads);
- `Said`: it would, and a note says that it is left to the caller.

Defaults are those of transformers' own class, and so is what a config leaves out.
`tests/checkpoints/test_fields.py` holds each class against it, so that a field it gains is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from genarium.errors import BadCheckpoint
from genarium.progress import note


@dataclass(frozen=True)
class _Mark:
    """Marks a field that is not read as its type says."""

    effect: str


def _gone(value: object) -> None:
    """What nobody reads is not kept: it may be anything."""


Unneeded = Annotated[Any, BeforeValidator(_gone), _Mark("no number")]
Said = Annotated[Any, _Mark("said")]
"""Not done here, which a note says to whoever asks for it."""

Size = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
"""A width or a length."""
Layers = Annotated[int, Field(strict=True, ge=1, le=512)]
"""The deepest published decoders have 126, merges of them 315; thousands would take minutes to build and refuse."""
Positive = Annotated[float, Field(strict=True, gt=0, le=1e18, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]
TokenId = Annotated[int, Field(strict=True, ge=-1, le=2**31 - 1)]
"""-1 is what some folders write for none."""
TokenIds = TokenId | list[TokenId] | None
Words = Annotated[str, Field(strict=True)]

QUANTISED = ("quantization_config", "compression_config")
WAY_OUT = {
    "quantization_config": "name the checkpoint in float16, bfloat16 or float32 that it was made from",
    "compression_config": "name the checkpoint in float16, bfloat16 or float32 that it was made from",
    "per_layer_config": "run it with transformers",
}
OTHER_NUMBERS = {
    "adapters": None,
    "alibi": False,
    "attention_multiplier": 1.0,
    "attn_logit_softcapping": None,
    "clip_qkv": None,
    "embedding_multiplier": 1.0,
    "final_logit_softcapping": None,
    "logit_scale": 1.0,
    "logits_scaling": 1.0,
    "no_rope_layers": None,
    "num_experts": 0,
    "num_local_experts": 0,
    "parallel_attn": False,
    "residual_multiplier": 1.0,
    "use_parallel_residual": False,
}
"""Fields of other networks, and where they change nothing: what names them with another value is another network."""
PASSED_OVER = frozenset(
    "_name_or_path _attn_implementation _commit_hash attn_implementation auto_map custom_pipelines finetuning_task "
    "gradient_checkpointing language model_max_length name_or_path num_return_sequences output_attentions "
    "output_past output_scores predict_special_tokens pruned_heads return_dict_in_generate sep_token_id "
    "task_specific_params tf_legacy_loss tokenizer_class torch_dtype torchscript unsloth_fixed unsloth_version "
    "use_bfloat16 decoder_start_token_id cross_attention_hidden_size hidden_states prefix "
    # how to generate, which older folders say here; transformers takes it from generation_config.json alone
    "max_length min_length do_sample early_stopping num_beams num_beam_groups diversity_penalty temperature top_k "
    "top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids "
    "forced_bos_token_id forced_eos_token_id remove_invalid_values exponential_decay_length_penalty suppress_tokens "
    "begin_suppress_tokens".split()
)
"""What transformers' base class, or an older one, wrote into any config, and no network reads."""


class Declared(BaseModel):
    """The fields of one kind of JSON file.

    `class Bert(Fields, published="BertConfig")` names transformers' class (or `module:Class`), for the tests.
    """

    # Of the many kinds of folder a command reads one: what checks the others is not built.
    model_config = ConfigDict(
        extra="allow", protected_namespaces=(), arbitrary_types_allowed=True, frozen=True, defer_build=True
    )
    published: ClassVar[str] = ""
    file: ClassVar[str] = "config.json"
    """What it is called in messages."""
    way_out: ClassVar[str] = "choose another checkpoint, or run it with transformers"
    """Of a value that is not run here."""
    aliases: ClassVar[Mapping[str, str]] = {}
    """Other names of fields (transformers' `attribute_map`)."""
    ignored: ClassVar[frozenset[str]] = frozenset()
    """Fields of no class that folders of this kind are known to have, and nobody reads."""

    def __init_subclass__(cls, published: str = "", **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.published = published

    @classmethod
    def read(cls, raw: Mapping[str, Any], where: str) -> Self:
        """The fields of the file's JSON. Raises BadCheckpoint, in one sentence, for the first that can't be run.

        Fields that neither this class nor the published one knows are told in a note.
        """
        given = cls._by_their_names(raw, where)
        try:
            read = cls.model_validate(given)
        except ValidationError as error:
            raise BadCheckpoint(f"{where}: {cls._sentence(error)}") from None
        unknown = sorted(shown(name, quoted=False) for name in cls._others(read.model_extra or {}, where))
        if unknown:
            listed = ", ".join(unknown[:8])
            note(f"{where}: nothing reads these fields of {cls.file}, here or in transformers: {listed}")
        return read

    @classmethod
    def _by_their_names(cls, raw: Mapping[str, Any], where: str) -> dict[str, Any]:
        given = {name: value for name, value in raw.items() if name not in cls.aliases}
        for other, name in cls.aliases.items():
            if other in raw and given.setdefault(name, raw[other]) != raw[other]:
                raise BadCheckpoint(
                    f"{where}: {cls.file} has {name} {shown(raw[name])} and {other} {shown(raw[other])}, which are "
                    "two names of one thing; remove the one that is wrong"
                )
        return given

    @classmethod
    def _sentence(cls, error: ValidationError) -> str:
        """pydantic's first complaint as a sentence."""
        first = error.errors(include_url=False, include_context=True)[0]
        name = ".".join(str(part) for part in first["loc"] if not _is_type(part))
        value = shown(first["input"])
        if first["type"] == "missing":
            return f"{cls.file} has no {name!r}; download the folder again"
        name = shown(name, quoted=False)  # what an object has for names is anything
        if first["loc"][0] in QUANTISED:
            named = first["input"] if isinstance(first["input"], dict) else {}
            kind = named.get("quant_method") or named.get("quantization_method") or value
            way_out = WAY_OUT[str(first["loc"][0])]
            return f"its weights are quantised ({name}: {shown(kind, quoted=False)}), which is not run here; {way_out}"
        if first["type"] == "literal_error":
            way_out = WAY_OUT.get(name, cls.way_out)
            allowed = first["ctx"]["expected"]
            return f"{cls.file} has {name} {value}, and only {allowed} is run here; {way_out}"
        if first["type"] == "none_required":
            return f"{cls.file} has {name} {value}, which is not run here; {cls.way_out}"
        if first["type"] == "extra_forbidden":
            return f"{cls.file} has {name} {value}, which is not known here; run it with the code it came with"
        said = first["msg"].removeprefix("Value error, ")
        said = said[:1].lower() + said[1:]
        return f"{cls.file} has {name} {value}: {said}; put it right, or download the folder again"

    @classmethod
    def _others(cls, extra: Mapping[str, Any], where: str) -> list[str]:
        """Fields that are not declared and that a note should tell. Raises BadCheckpoint."""
        return [name for name in extra if name not in cls.ignored]

    @classmethod
    def effects(cls) -> dict[str, str]:
        """What each field is: `read`, `only VALUES`, `said` or `no number` (for the tests and docs/checkpoints.md)."""
        return {name: _effect(field.annotation, field.metadata) for name, field in cls.model_fields.items()}


class Fields(Declared):
    """The fields that every `config.json` may have; a subclass adds those of its model_type."""

    architectures: list[str] | None = None
    is_encoder_decoder: Literal[False] = False
    chunk_size_feed_forward: Unneeded = 0
    dtype: Unneeded = None
    id2label: dict[Any, Any] | None = None
    label2id: dict[Any, Any] | None = None
    output_hidden_states: Unneeded = False
    problem_type: Words | None = None
    return_dict: Unneeded = True
    transformers_version: Unneeded = None
    quantization_config: Literal[None] = None
    compression_config: Literal[None] = None
    per_layer_config: Literal[None] = None

    @classmethod
    def _others(cls, extra: Mapping[str, Any], where: str) -> list[str]:
        for name in OTHER_NUMBERS.keys() & extra.keys():
            if extra[name] not in (None, OTHER_NUMBERS[name]):
                raise BadCheckpoint(
                    f"{where}: config.json has {name} {shown(extra[name])}, which is another network than "
                    f"transformers' {cls.published}; run it with the code it came with"
                )
        known = cls.ignored | PASSED_OVER | OTHER_NUMBERS.keys() | {"model_type"}
        return [name for name in extra if name not in known]


def _effect(annotation: Any, metadata: Iterable[Any]) -> str:
    if marks := [mark for mark in metadata if isinstance(mark, _Mark)]:
        return marks[0].effect
    allowed = _allowed(annotation)
    return "read" if allowed is None else "only " + ", ".join(_json(value) for value in allowed)


def _allowed(annotation: Any) -> list[Any] | None:
    """The values of a Literal, or of a union of Literals and None; None for any other type."""
    if annotation is None or annotation is type(None):
        return [None]
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    if get_origin(annotation) not in (Union, UnionType):
        return None
    parts = [_allowed(part) for part in get_args(annotation)]
    return None if any(part is None for part in parts) else [value for part in parts for value in part or ()]


def _json(value: Any) -> str:
    return {None: "null", True: "true", False: "false"}.get(value, str(value)) if not isinstance(value, str) else value


def _is_type(part: str | int) -> bool:
    """Whether a part of pydantic's path names a branch of a union and not a field."""
    return isinstance(part, str) and ("[" in part or part in ("int", "float", "str", "bool", "none", "constrained-int"))


def shown(value: Any, *, quoted: bool = True) -> str:
    """A value of a file for a message: one line, at most 60 characters."""
    text = repr(value) if quoted else str(value).encode("unicode_escape").decode()
    return text if len(text) <= 60 else text[:57] + "…"


def declared() -> dict[str, type[Declared]]:
    """Every declared class by its own name, in the order of the files."""
    found: dict[str, type[Declared]] = {}
    for module in iter_modules(__path__):
        for name, value in vars(import_module(f"{__name__}.{module.name}")).items():
            if isinstance(value, type) and issubclass(value, Declared) and value.published:
                found[name] = value
    return found
