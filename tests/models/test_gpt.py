"""The native GPT gives transformers' logits, from transformers' own folders, and writes folders transformers opens."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from genarium.checkpoints.layouts import gpt
from genarium.checkpoints.store import folder as folders
from genarium.engines.cpu.linear import use_decoding_linears
from genarium.models.gpt import GPT, GPTConfig, KeyValueCache

VOCABULARY = 97
GPT2_LIKE = {
    "vocab_size": VOCABULARY,
    "n_positions": 64,
    "n_embd": 48,
    "n_layer": 3,
    "n_head": 4,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
LLAMA_LIKE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}


def references() -> dict[str, PreTrainedModel]:
    return {
        "gpt2": GPT2LMHeadModel(GPT2Config(**GPT2_LIKE)),
        "gpt2, exact gelu": GPT2LMHeadModel(GPT2Config(**GPT2_LIKE, activation_function="gelu")),
        "llama": LlamaForCausalLM(LlamaConfig(**LLAMA_LIKE)),
        "llama3 rope": LlamaForCausalLM(LlamaConfig(**LLAMA_LIKE, rope_parameters=LLAMA3_ROPE)),
        "llama biases, tied": LlamaForCausalLM(
            LlamaConfig(**LLAMA_LIKE, attention_bias=True, mlp_bias=True, tie_word_embeddings=True)
        ),
        "mistral": MistralForCausalLM(MistralConfig(**LLAMA_LIKE, sliding_window=None)),
        "qwen2": Qwen2ForCausalLM(Qwen2Config(**LLAMA_LIKE)),
        "qwen3": Qwen3ForCausalLM(Qwen3Config(**LLAMA_LIKE, head_dim=16)),
    }


NAMES = list(references())


@pytest.fixture(scope="module", params=NAMES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[PreTrainedModel, Path]:
    """A reference model with large random weights (so that mistakes show), and its folder."""
    torch.manual_seed(0)
    model = references()[request.param].eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    folder = tmp_path_factory.mktemp("reference")
    model.save_pretrained(folder)
    return model, folder


def logits_of(model: PreTrainedModel, tokens: torch.Tensor, **more: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return model(tokens, **more).logits


def random_tokens(*shape: int) -> torch.Tensor:
    return torch.randint(0, VOCABULARY, shape, generator=torch.Generator().manual_seed(1))


def test_logits_equal_transformers(pair: tuple[PreTrainedModel, Path]) -> None:
    reference, folder = pair
    tokens = random_tokens(3, 40)
    torch.testing.assert_close(gpt.load(folder)(tokens), logits_of(reference, tokens), atol=1e-4, rtol=0)


@pytest.mark.parametrize("fast", [False, True], ids=["plain", "decoding linears"])
def test_logits_equal_transformers_with_a_cache(pair: tuple[PreTrainedModel, Path], fast: bool) -> None:
    reference, folder = pair
    model = gpt.load(folder)
    if fast:
        use_decoding_linears(model)
    tokens = random_tokens(2, 30)
    expected = logits_of(reference, tokens)
    cache = KeyValueCache(model.config, 2, 30, dtype=torch.float32, device=torch.device("cpu"))
    with torch.inference_mode():
        # A long piece, a short one, then one token at a time.
        pieces = [
            model(tokens[:, a:b], cache=cache) for a, b in [(0, 11), (11, 16), *((i, i + 1) for i in range(16, 30))]
        ]
    torch.testing.assert_close(torch.cat(pieces, dim=1), expected, atol=1e-4, rtol=0)


def test_left_padding_changes_nothing(pair: tuple[PreTrainedModel, Path]) -> None:
    reference, folder = pair
    model = gpt.load(folder)
    lengths = [5, 17, 24]
    rows = [random_tokens(length + 6) for length in lengths]
    longest = max(lengths)
    padding = torch.tensor([longest - length for length in lengths])
    padded = torch.stack(
        [torch.cat([torch.zeros(longest - n, dtype=torch.long), row[:n]]) for n, row in zip(lengths, rows, strict=True)]
    )
    cache = KeyValueCache(model.config, 3, longest + 6, dtype=torch.float32, device=torch.device("cpu"))
    with torch.inference_mode():
        found = [model(padded, cache=cache, padding=padding)]
        for step in range(6):
            step_tokens = torch.stack([row[n + step] for n, row in zip(lengths, rows, strict=True)]).unsqueeze(1)
            found.append(model(step_tokens, cache=cache, padding=padding))
    together = torch.cat(found, dim=1)
    for index, row in enumerate(rows):
        alone = logits_of(reference, row.unsqueeze(0))[0]
        torch.testing.assert_close(together[index, padding[index] :], alone, atol=1e-4, rtol=0)
    mask = (torch.arange(longest) >= padding[:, None]).long()
    positions = (torch.arange(longest) - padding[:, None]).clamp(min=0)
    theirs = logits_of(reference, padded, attention_mask=mask, position_ids=positions)
    torch.testing.assert_close(found[0][mask.bool()], theirs[mask.bool()], atol=1e-4, rtol=0)


@torch.inference_mode()
def test_texts_behind_each_other_in_one_row_are_each_read_alone(pair: tuple[PreTrainedModel, Path]) -> None:
    model = gpt.load(pair[1])
    lengths = [7, 1, 40, 12]
    texts = [random_tokens(1, length) for length in lengths]  # more in all than the context holds
    cache = KeyValueCache(model.config, 1, sum(lengths), dtype=torch.float32, device=torch.device("cpu"))
    packed = model(torch.cat(texts, dim=1), cache=cache, lengths=lengths)
    last = model(torch.cat(texts, dim=1), lengths=lengths, last_only=True)
    begin = 0
    for place, (text, length) in enumerate(zip(texts, lengths, strict=True)):
        own = KeyValueCache(model.config, 1, length, dtype=torch.float32, device=torch.device("cpu"))
        alone = model(text, cache=own)
        within = slice(begin, begin + length)
        torch.testing.assert_close(packed[:, within], alone, atol=1e-5, rtol=0)
        torch.testing.assert_close(last[:, place], alone[:, -1], atol=1e-5, rtol=0)
        torch.testing.assert_close(cache.keys[:, :, :, within], own.keys, atol=1e-5, rtol=0)
        begin += length
    with pytest.raises(IndexError, match="context"):
        model(random_tokens(1, 70), lengths=[5, 65])


def test_saved_folder_opens_in_transformers_with_equal_logits(
    pair: tuple[PreTrainedModel, Path], tmp_path: Path
) -> None:
    reference, folder = pair
    gpt.save(gpt.load(folder), tmp_path)
    again, report = type(reference).from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    tokens = random_tokens(2, 25)
    torch.testing.assert_close(logits_of(again.eval(), tokens), logits_of(reference, tokens), atol=1e-4, rtol=0)
    torch.testing.assert_close(gpt.load(tmp_path)(tokens), gpt.load(folder)(tokens), atol=0, rtol=0)


def test_weights_beyond_a_shard_are_written_as_transformers_reads_them(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = GPTConfig(
        vocab_size=99, context_length=32, n_layers=2, n_heads=2, n_kv_heads=2, head_dim=8, d_model=16, d_ff=32
    )
    model = GPT(config)
    gpt.save(model, tmp_path)
    whole = folders.read_tensors(tmp_path)
    folders.write(tmp_path, folders.read_config(tmp_path), whole, max_shard_bytes=8_000)
    shards = sorted(file.name for file in tmp_path.glob("*.safetensors"))
    assert len(shards) > 2
    assert "model.safetensors" not in shards
    again = folders.read_tensors(tmp_path)
    assert again.keys() == whole.keys()
    assert all(torch.equal(again[name], whole[name]) for name in whole)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    tokens = torch.tensor([[5, 9, 3]])
    with torch.inference_mode():
        torch.testing.assert_close(gpt.load(tmp_path)(tokens), theirs(tokens).logits, atol=1e-5, rtol=0)
    gpt.save(model, tmp_path)
    assert [file.name for file in tmp_path.glob("*.safetensors*")] == ["model.safetensors"]


def test_sharded_weights_load_the_same(pair: tuple[PreTrainedModel, Path], tmp_path: Path) -> None:
    reference, folder = pair
    reference.save_pretrained(tmp_path, max_shard_size="60KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    tokens = random_tokens(1, 20)
    torch.testing.assert_close(gpt.load(tmp_path)(tokens), gpt.load(folder)(tokens), atol=0, rtol=0)


def test_weights_without_the_prefix_load_as_the_published_gpt2_does(tmp_path: Path) -> None:
    """The gpt2 checkpoint on the hub names its tensors `h.0…`, not `transformer.h.0…`, and carries mask buffers."""
    from safetensors.torch import load_file, save_file

    torch.manual_seed(0)
    model = references()["gpt2"].eval()
    model.save_pretrained(tmp_path)
    tensors = {k.removeprefix("transformer."): v for k, v in load_file(tmp_path / "model.safetensors").items()}
    tensors["h.0.attn.bias"] = torch.ones(1, 1, 64, 64)
    save_file(tensors, tmp_path / "model.safetensors")
    tokens = random_tokens(1, 20)
    torch.testing.assert_close(gpt.load(tmp_path)(tokens), logits_of(model, tokens), atol=1e-4, rtol=0)


def test_positions_past_the_context_are_refused(pair: tuple[PreTrainedModel, Path]) -> None:
    with pytest.raises(IndexError, match="context of 64"):
        gpt.load(pair[1])(random_tokens(1, 65))


def test_a_new_network_predicts_uniformly_and_has_the_right_size() -> None:
    config = gpt.read_config(
        {"model_type": "gpt2", "vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12},
        "here",
    )
    with torch.device("meta"):
        assert sum(p.numel() for p in GPT(config).parameters()) == 124_439_808
    small = gpt.read_config(references()["llama"].config.to_dict(), "here")
    torch.manual_seed(0)
    entropy = torch.distributions.Categorical(logits=GPT(small)(random_tokens(4, 32)).detach()).entropy().mean()
    assert abs(float(entropy) - float(torch.log(torch.tensor(VOCABULARY)))) < 0.05
