"""`tokenizer_config.json` and the small files beside it: what decides how texts are cut, framed and typed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from genarium.checkpoints.store.folder import read_json
from genarium.errors import BadCheckpoint

FILE = "tokenizer_config.json"
NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""Special tokens by their part, in the order in which transformers adds those that a vocabulary lacks."""
NONE_KNOWN = 10**15
"""Where transformers knows no length, it writes 10³⁰ or so."""


class Token(BaseModel):
    """A token that is matched in the text before anything else is."""

    model_config = ConfigDict(extra="ignore", strict=True)
    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool | None = None
    special: bool = True


def _token(given: Any) -> Any:
    return {"content": given} if isinstance(given, str) else given


AnyToken = Annotated[Token, BeforeValidator(_token)]


class TokenizerConfig(BaseModel):
    """The fields that change tokens; the others name files, templates and versions."""

    model_config = ConfigDict(extra="ignore", strict=True)
    tokenizer_class: str | None = None
    do_lower_case: bool | None = None
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool | None = None
    add_prefix_space: bool | None = None
    add_bos_token: bool | None = None
    add_eos_token: bool | None = None
    trim_offsets: bool = True
    split_special_tokens: bool = False
    model_input_names: list[str] | None = None
    model_max_length: Annotated[float, Field(allow_inf_nan=False)] | None = None
    padding_side: Literal["left", "right"] = "right"
    truncation_side: Literal["left", "right"] = "right"
    bos_token: AnyToken | None = None
    eos_token: AnyToken | None = None
    unk_token: AnyToken | None = None
    sep_token: AnyToken | None = None
    pad_token: AnyToken | None = None
    cls_token: AnyToken | None = None
    mask_token: AnyToken | None = None
    additional_special_tokens: list[AnyToken] | None = None
    extra_special_tokens: list[AnyToken] | dict[str, AnyToken] | None = None
    added_tokens_decoder: dict[str, Token] | None = None

    @property
    def max_length(self) -> int | None:
        """Tokens that a text is cut to, the special ones included; None where no length is named."""
        longest = self.model_max_length
        return int(longest) if longest is not None and 0 < longest < NONE_KNOWN else None


def read(path: Path) -> TokenizerConfig:
    """What the folder says; a folder without the file says nothing. Raises BadCheckpoint."""
    raw = read_json(path / FILE) if (path / FILE).is_file() else {}
    if "added_tokens_decoder" not in raw and (path / "special_tokens_map.json").is_file():
        raw |= read_json(path / "special_tokens_map.json")
    try:
        return TokenizerConfig.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        said = f"{first['msg'][:1].lower()}{first['msg'][1:]}"
        raise BadCheckpoint(
            f"{path / FILE}: {name} {first['input']!r:.60}: {said}; put it right, or download the folder again"
        ) from None


def added_tokens(path: Path) -> dict[str, int]:
    """`added_tokens.json`: tokens beyond the vocabulary by their number. Raises BadCheckpoint."""
    file = path / "added_tokens.json"
    if not file.is_file():
        return {}
    added = read_json(file)
    if not all(isinstance(number, int) for number in added.values()):
        raise BadCheckpoint(f"{file} gives a token something else than a number; download the folder again")
    return added
