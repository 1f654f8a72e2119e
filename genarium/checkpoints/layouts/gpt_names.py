"""What the GPT-2 and Llama families' folders call the tensors of the native network."""

from __future__ import annotations

# Tensors that are not needed: the causal mask of GPT-2, and its head for choices.
UNNEEDED = {"gpt2": (r"h\.\d+\.(cross)?attn\.bias", r"h\.\d+\.crossattention\.bias", r"multiple_choice_head\..*")}

# Native name -> published name, inside one block. GPT-2's matrices are stored transposed (its Conv1D).
GPT2_BLOCK = {
    "attention_norm": "ln_1",
    "attention.qkv": "attn.c_attn",
    "attention.out": "attn.c_proj",
    "mlp_norm": "ln_2",
    "mlp.up": "mlp.c_fc",
    "mlp.down": "mlp.c_proj",
}
GPT2_TOP = {"embedding": "wte", "position_embedding": "wpe", "final_norm": "ln_f", "head": "lm_head"}
LLAMA_BLOCK = {
    "attention_norm": ("input_layernorm",),
    "attention.qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention.out": ("self_attn.o_proj",),
    "attention.q_norm": ("self_attn.q_norm",),
    "attention.k_norm": ("self_attn.k_norm",),
    "mlp_norm": ("post_attention_layernorm",),
    "mlp.gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "mlp.down": ("mlp.down_proj",),
}
LLAMA_TOP = {"embedding": "embed_tokens", "final_norm": "norm", "head": "lm_head"}


def top_names(model_type: str) -> dict[str, str]:
    return GPT2_TOP if model_type == "gpt2" else LLAMA_TOP


def published_names(name: str, model_type: str) -> tuple[list[str], bool]:
    """The published tensors behind a native one, and whether they are stored transposed."""
    module, _, leaf = name.rpartition(".")
    if not module.startswith("blocks."):
        top = GPT2_TOP if model_type == "gpt2" else LLAMA_TOP
        return [f"{top[module]}.{leaf}"], False
    _, index, inner = module.split(".", 2)
    if model_type == "gpt2":
        return [f"h.{index}.{GPT2_BLOCK[inner]}.{leaf}"], leaf == "weight" and "norm" not in inner
    return [f"layers.{index}.{part}.{leaf}" for part in LLAMA_BLOCK[inner]], False


def with_prefix(name: str, model_type: str) -> str:
    """A published tensor's whole name: what stands before all but the head's."""
    return name if name.startswith("lm_head") else f"{'transformer' if model_type == 'gpt2' else 'model'}.{name}"
