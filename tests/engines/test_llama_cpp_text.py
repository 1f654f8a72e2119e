"""GGUF files that are not run natively are run by llama.cpp, where its wheel is there; else one sentence says how."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import gguf as published
import numpy as np
import pytest
import torch

from genarium.data.text import END_OF_TEXT, bpe_tokenizer
from genarium.engines import registry
from genarium.engines.text.protocol import ChatRequest, TextRequest
from genarium.errors import BadCheckpoint, BadInput
from genarium.progress import listening
from tests.conftest import STORY

TEMPLATE = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}a: {% endif %}"
)
SIZES = {"context_length": 64, "embedding_length": 32, "block_count": 2, "feed_forward_length": 48}


def write_gemma(file: Path) -> tuple[Any, Any]:
    """A random Gemma as llama.cpp's converter writes it, with transformers' network and the tokenizer."""
    from transformers import GemmaConfig, GemmaForCausalLM

    words = bpe_tokenizer([STORY], 330)
    config = GemmaConfig(
        vocab_size=words.get_vocab_size(),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    model = GemmaForCausalLM(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    # Letters alone are likely: halves of characters are held back until they are whole.
    for number in range(words.get_vocab_size()):
        if not (words.id_to_token(number).removeprefix("Ġ") or "a").isascii():
            model.model.embed_tokens.weight.data[number] = 0
    writer = published.GGUFWriter(file, "gemma")
    for key, value in SIZES.items():
        writer.add_uint32(f"gemma.{key}", value)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_key_length(16)
    writer.add_value_length(16)
    writer.add_layer_norm_rms_eps(1e-6)
    _add_words(writer, words)
    names = published.get_tensor_name_map(published.MODEL_ARCH.GEMMA, 2)
    for name, tensor in model.state_dict().items():
        if name != "lm_head.weight":
            values = tensor.numpy() + (1 if name.endswith("norm.weight") else 0)
            writer.add_tensor(names.get_name(name, (".weight",)), np.ascontiguousarray(values, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model, words


def _add_words(writer: published.GGUFWriter, words: Any) -> None:
    tokens = [words.id_to_token(number) for number in range(words.get_vocab_size())]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token == END_OF_TEXT else 1 for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in json.loads(words.to_str())["model"]["merges"]])
    writer.add_eos_token_id(words.token_to_id(END_OF_TEXT))
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    file = tmp_path_factory.mktemp("gemma") / "gemma.gguf"
    return file, *write_gemma(file)


@pytest.fixture
def wheel() -> None:
    pytest.importorskip("xllamacpp")


def test_without_the_wheel_one_sentence_says_how(gemma: tuple[Path, Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(BadCheckpoint) as told:
        registry.open("text", str(gemma[0]), default="text", keep=False)
    assert "holds a 'gemma' network" in str(told.value)
    assert 'llama.cpp runs it: pip install "genarium[gguf]"' in str(told.value)


@pytest.mark.usefixtures("wheel")
def test_it_writes_the_likeliest_tokens_of_the_network(gemma: tuple[Path, Any, Any]) -> None:
    file, model, words = gemma
    engine = registry.open_text(str(file))
    for text in ("The fox ran over", "a hill and"):
        ids = words.encode(text).ids
        [done] = engine.write([text], TextRequest(max_new_tokens=6, temperature=0, logprobs=2))
        with torch.no_grad():
            found = model.generate(torch.tensor([ids]), max_new_tokens=6, do_sample=False)[0, len(ids) :]
        assert done.text == words.decode(found.tolist())
        assert (done.prompt_tokens, done.finish_reason, done.completion_tokens) == (len(ids), "length", 6)
        assert done.logprobs is not None
        assert all(len(one["top_logprobs"]) == 2 for one in done.logprobs)


@pytest.mark.usefixtures("wheel")
def test_a_text_depends_on_its_recipe_alone(gemma: tuple[Path, Any, Any]) -> None:
    engine = registry.open_text(str(gemma[0]))
    request = TextRequest(n=2, max_new_tokens=8, temperature=0.9, seed=5)
    pieces: dict[int, str] = {}

    def hear(event: Any) -> None:
        if isinstance(event.preview, str) and event.stage != "note":
            pieces[event.item] = pieces.get(event.item, "") + event.preview

    with listening(hear):
        both = [done.text for done in engine.write(["The fox", "The owl sang"], request)]
    assert pieces == dict(enumerate(both))
    alone = [done.text for done in engine.write(["The owl sang"], request)]
    assert both[2:] == alone
    assert len(set(both)) == 4
    assert alone != [done.text for done in engine.write(["The owl sang"], TextRequest(n=2, max_new_tokens=8, seed=6))]


@pytest.mark.usefixtures("wheel")
def test_it_talks_by_the_template_in_the_file(gemma: tuple[Path, Any, Any]) -> None:
    engine = registry.open_text(str(gemma[0]))
    assert engine.chats
    request = ChatRequest(max_new_tokens=6, temperature=0)
    [done] = engine.reply([{"role": "user", "content": "The fox"}], request)
    [plain] = engine.write(["user: The fox\na: "], TextRequest(max_new_tokens=6, temperature=0))
    assert done.text == plain.text.strip()
    with pytest.raises(BadInput, match="is a control token"):
        list(engine.reply([{"role": "user", "content": f"{END_OF_TEXT}system"}], request))


@pytest.mark.usefixtures("wheel")
def test_what_is_asked_for_is_written_as_json_or_refused(gemma: tuple[Path, Any, Any]) -> None:
    engine = registry.open_text(str(gemma[0]))
    schema = json.dumps({"enum": ["fox", "owl"]})
    [done] = engine.write(["The "], TextRequest(max_new_tokens=20, temperature=0, json_schema=schema))
    assert json.loads(done.text) in ("fox", "owl")
    [stopped] = engine.write(["The "], TextRequest(max_new_tokens=20, temperature=0, json_schema=schema, stop=["o"]))
    assert stopped.text in ('"f', '"')
    assert stopped.finish_reason == "stop"
    with pytest.raises(BadInput, match=r"llama\.cpp refuses this"):
        list(engine.write(["The fox " * 60], TextRequest(max_new_tokens=4)))


@pytest.mark.usefixtures("wheel")
def test_the_recipe_names_the_wheel(gemma: tuple[Path, Any, Any], home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import version

    import genarium
    from genarium.ledger import Ledger
    from genarium.run import reproduce

    genarium.text("The fox", model=str(gemma[0]), max_new_tokens=5, seed=3)
    with Ledger() as ledger:
        recipe = ledger.find("last").recipe
        assert reproduce("last", ledger=ledger).equal
        heard: list[str] = []
        monkeypatch.setattr("genarium.engines.text.llama_cpp_engine._here", lambda: "llama.cpp, xllamacpp 1.0")
        reproduce("last", ledger=ledger, listener=lambda event: heard.append(str(event.preview)))
    assert any("here is llama.cpp, xllamacpp 1.0: the text may be another" in one for one in heard)
    assert recipe.arguments["backend"] == f"llama.cpp, xllamacpp {version('xllamacpp')}"


@pytest.mark.usefixtures("wheel")
def test_it_can_be_asked_for_a_summary_and_scores_no_labels(gemma: tuple[Path, Any, Any], home: Path) -> None:
    import genarium

    summary = genarium.summarize("The fox ran. The owl sang.", model=str(gemma[0]), max_new_tokens=5)
    assert summary[0].text
    with pytest.raises(BadCheckpoint) as told:
        genarium.classify(["The fox ran."], labels=["a", "b"], model=str(gemma[0]))
    assert "\n" not in str(told.value)


@pytest.mark.usefixtures("wheel")
def test_a_damaged_file_is_one_sentence(gemma: tuple[Path, Any, Any], tmp_path: Path) -> None:
    whole = gemma[0].read_bytes()
    for content in (whole[:3000], whole.replace(b"blk.0.ffn_up.weight", b"blk.0.ffn_xx.weight")):
        file = tmp_path / "bad.gguf"
        file.write_bytes(content)
        with pytest.raises(BadCheckpoint) as told:
            registry.open("text", str(file), default="text", keep=False)
        assert "\n" not in str(told.value)
