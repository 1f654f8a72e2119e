"""The JSON files of sentence-transformers' layout, as its version 5 writes them, and earlier ones did.

A field that is not declared here may change numbers, so it is refused; so is a value that is not done here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Size = Annotated[int, Field(strict=True, ge=1, le=2**24)]


class _Format(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())


class Module(_Format):
    idx: int
    name: str
    path: str
    type: str
    kwargs: list[str] = []


class PoolingFields(_Format):
    word_embedding_dimension: Size | None = None
    embedding_dimension: Size | None = None
    pooling_mode: str | list[str] | None = None
    pooling_mode_cls_token: bool = False
    pooling_mode_max_tokens: bool = False
    pooling_mode_mean_tokens: bool = True
    pooling_mode_mean_sqrt_len_tokens: bool = False
    pooling_mode_weightedmean_tokens: bool = False
    pooling_mode_lasttoken: bool = False
    include_prompt: bool = True
    module_input_name: Literal["token_embeddings"] = "token_embeddings"
    module_output_name: Literal["sentence_embedding"] = "sentence_embedding"

    def modes(self) -> tuple[str, ...]:
        if self.pooling_mode is not None:
            named = [self.pooling_mode] if isinstance(self.pooling_mode, str) else self.pooling_mode
            return tuple(mode.lower() for mode in named)
        flags = {
            "cls": self.pooling_mode_cls_token,
            "max": self.pooling_mode_max_tokens,
            "mean": self.pooling_mode_mean_tokens,
            "mean_sqrt_len_tokens": self.pooling_mode_mean_sqrt_len_tokens,
            "weightedmean": self.pooling_mode_weightedmean_tokens,
            "lasttoken": self.pooling_mode_lasttoken,
        }
        return tuple(mode for mode, on in flags.items() if on)


class AfterFields(_Format):
    """What the modules after the pooling have in common: vectors in, vectors out."""

    module_input_name: Literal["sentence_embedding"] = "sentence_embedding"
    module_output_name: Literal["sentence_embedding"] = "sentence_embedding"


class DenseFields(AfterFields):
    in_features: Size
    out_features: Size
    bias: bool = True
    activation_function: str = "torch.nn.modules.activation.Tanh"


class LayerNormFields(AfterFields):
    dimension: Size


class _Forward(_Format):
    method: Literal["forward"]
    method_output_name: Literal["last_hidden_state"]
    format: str | None = None


class _Modalities(BaseModel):
    """What is done with texts; other kinds of input are not given."""

    text: _Forward


def _without_effect(arguments: Any) -> Any:
    """Arguments but those that decide how the same numbers are computed."""
    same = ("attn_implementation", "dtype", "torch_dtype", "trust_remote_code")
    return {k: v for k, v in arguments.items() if k not in same} if isinstance(arguments, dict) else arguments


_Arguments = Annotated[dict[str, Any], BeforeValidator(_without_effect), Field(max_length=0)]


class LengthFields(_Format):
    max_seq_length: Size | None = None
    do_lower_case: bool = False
    transformer_task: Literal["feature-extraction"] = "feature-extraction"
    module_output_name: Literal["token_embeddings"] = "token_embeddings"
    modality_config: _Modalities | None = None
    query_length: None = None
    document_length: None = None
    processing_kwargs: _Arguments = {}
    model_args: _Arguments = {}
    model_kwargs: _Arguments = {}
    tokenizer_args: _Arguments = {}
    processor_kwargs: _Arguments = {}
    config_args: _Arguments = {}
    config_kwargs: _Arguments = {}
    unpad_inputs: bool | None = None  # faster, and the same numbers


class ConfigFields(BaseModel):
    """Prompts and the similarity; versions, and what cards are written from, change no number."""

    model_config = ConfigDict(extra="ignore", strict=True, protected_namespaces=())
    model_type: Literal["SentenceTransformer"] = "SentenceTransformer"
    prompts: dict[str, str] = {}
    default_prompt_name: str | None = None
    similarity_fn_name: Literal["cosine", "dot", "euclidean", "manhattan"] | None = None
    truncate_dim: Size | None = None
