"""A policy learns beside any decoder; peft, transformers and Genarium open what it leaves, to the same logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from genarium.checkpoints.layouts import gpt
from genarium.checkpoints.processors.answers import Answers
from genarium.checkpoints.store import find
from genarium.data.text import END_OF_TEXT, char_tokenizer
from genarium.errors import BadCheckpoint, BadInput
from genarium.messages import Message
from genarium.training import policy
from tests import gguf_files
from tests.causal_checkpoints import save, tokens
from tests.chat_models import STYLES, make_checkpoint

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("gpt2", {"scale_attn_by_inverse_layer_idx": True}),
    "llama": ("llama", {"tie_word_embeddings": True}),
    "mistral": ("mistral", {"sliding_window": 5}),
    "qwen2": ("qwen2", {}),
    "qwen3": ("qwen3", {}),
}


def base(folder: Path, name: str) -> Path:
    """A random decoder with a tokenizer of single characters, whose last token ends a text."""
    kind, changes = KINDS[name]
    tokenizer = char_tokenizer(["abcdefghijklmnopqrstuvwxyz .,:AUs\n"])
    end = tokenizer.token_to_id(END_OF_TEXT)
    save(folder, kind, changes, eos_token_id=end, bos_token_id=end)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": END_OF_TEXT}))
    return folder


def shaken(made: policy.Policy, seed: int = 0) -> policy.Policy:
    """As if it had learned: no trained number is where it began."""
    torch.manual_seed(seed)
    for parameter in made.model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return made


@torch.inference_mode()
def logits(network: Any) -> torch.Tensor:
    found = network.eval()(tokens())
    return found if isinstance(found, torch.Tensor) else found.logits


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", KINDS)
def test_an_adapter_is_what_peft_and_genarium_open(name: str, tmp_path: Path) -> None:
    folder = base(tmp_path / "base", name)
    made = shaken(policy.load(str(folder), rank=3, alpha=5))
    made.save(tmp_path / "adapter")
    expected = logits(made.model)
    with made.reference() as network:
        torch.testing.assert_close(logits(network), logits(gpt.load(folder)), atol=0, rtol=0)
    assert (expected - logits(gpt.load(folder))).abs().max() > 0.1
    torch.testing.assert_close(logits(gpt.load(tmp_path / "adapter")), expected, atol=2e-4, rtol=0)
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), tmp_path / "adapter")
    torch.testing.assert_close(logits(theirs), expected, atol=2e-4, rtol=0)


@pytest.mark.filterwarnings("ignore")
def test_a_second_adapter_stands_beside_the_first(tmp_path: Path) -> None:
    folder = base(tmp_path / "base", "llama")
    shaken(policy.load(str(folder), rank=2, alpha=6, targets=("qkv", "out"))).save(tmp_path / "first")
    made = shaken(policy.load(str(tmp_path / "first"), rank=3, alpha=4, targets=("out", "up")), 1)
    made.save(tmp_path / "both")
    with made.reference() as network:
        torch.testing.assert_close(logits(network), logits(gpt.load(tmp_path / "first")), atol=0, rtol=0)
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), tmp_path / "both")
    torch.testing.assert_close(logits(theirs), logits(made.model), atol=2e-4, rtol=0)
    assert json.loads((tmp_path / "both" / "adapter_config.json").read_text())["r"] == 5
    assert find.base_of(tmp_path / "both") == folder
    assert made.parents == [{"reference": str(tmp_path / "first"), "digest": made.found.digest}]


def test_an_adapter_of_more_than_low_rank_matrices_is_not_stood_upon(tmp_path: Path) -> None:
    folder = base(tmp_path / "base", "llama")
    policy.load(str(folder)).save(tmp_path / "adapter")
    file = tmp_path / "adapter" / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"rank_pattern": {"q_proj": 2}}))
    with pytest.raises(BadInput, match="another can't stand on it"):
        policy.load(str(tmp_path / "adapter"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["gpt2", "qwen2"])
def test_a_whole_policy_is_a_folder_that_transformers_opens(name: str, tmp_path: Path) -> None:
    folder = base(tmp_path / "base", name)
    made = policy.load(str(folder), way="full", keep_reference=True)
    before = logits(gpt.load(folder))
    shaken(made).save(tmp_path / "whole")
    expected = logits(made.model)
    with made.reference() as network:
        assert torch.equal(logits(network), before)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "whole")
    torch.testing.assert_close(logits(theirs), expected, atol=1e-4, rtol=0)
    assert Answers.load(tmp_path / "whole", "whole").ends == made.answers.ends


@pytest.mark.filterwarnings("ignore")
def test_an_adapter_over_a_quantised_file_is_one_over_what_transformers_reads_of_it(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "base", STYLES["qwen"])
    changes = {"tokenizer.chat_template": STYLES["qwen"].template}
    file = gguf_files.write(folder, tmp_path / "model.gguf", kind="F32", pre="gpt-2", changes=changes)
    made = shaken(policy.load(str(file), rank=2))
    made.save(tmp_path / "adapter")
    expected = logits(made.model)
    torch.testing.assert_close(logits(gpt.load(tmp_path / "adapter")), expected, atol=2e-4, rtol=0)
    again = Answers.load(tmp_path / "adapter", "adapter")
    assert (again.ids("a fox."), again.ends) == (made.ids("a fox."), made.answers.ends)
    assert again.template.source == made.answers.template.source == STYLES["qwen"].template
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="model.gguf")
    theirs = PeftModel.from_pretrained(theirs, tmp_path / "adapter")
    torch.testing.assert_close(logits(theirs), expected, atol=2e-4, rtol=0)
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(BadCheckpoint, match="is another"):
        gpt.load(tmp_path / "adapter")


@pytest.mark.parametrize("style", [name for name in STYLES if name != "everything"])  # which asks what day it is
def test_a_reply_is_what_the_template_writes_after_its_prompt(style: str, tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, STYLES[style])
    answers = Answers.load(folder, style)
    asked: list[Message] = [{"role": "user", "content": "How are you?"}]
    talk: list[Message] = [*asked, {"role": "assistant", "content": "Well."}, *asked]
    last: Message = {"role": "assistant", "content": "Hello! <|im_end|>"}
    found = answers.learned([*talk, last])
    said = [
        answers.tokenizer.decode([i for i, one in zip(ids, marks, strict=True) if one]).strip() for ids, marks in found
    ]
    assert [" ".join(one.split()) for one in said] in (
        [f"Well. {last['content']}"],
        [f"Well.{last['content']}"],
        ["Well.", last["content"]],
    )
    ids, marks = found[-1]
    assert ids == [*answers.ids(talk), *answers.answer_ids(talk, last["content"])]
    assert ids[-1] == answers.turn_end
    assert sum(one == answers.turn_end for one, mark in zip(ids, marks, strict=True) if mark) == 2


def test_a_model_without_a_template_talks_in_a_transcript_that_its_end_token_divides(tmp_path: Path) -> None:
    answers = Answers.load(base(tmp_path, "llama"), "base")
    asked: list[Message] = [{"role": "user", "content": "hey"}]
    assert not answers.chats
    assert answers.answer_ids(asked, "you")[-1] == answers.end == answers.turn_end


def test_an_answer_to_a_text_continues_it_and_ends(tiny: Path) -> None:
    answers = Answers.load(tiny, "tiny")
    before, after = answers.ids("The fox"), answers.answer_ids("The fox", " ran over")
    assert [*before, *after[:-1]] == answers.tokenizer.encode("The fox ran over").ids
    assert after[-1] == answers.end
    split = answers.answer_ids("The fox r", "an over")  # a piece spans the border
    assert answers.tokenizer.decode([*answers.ids("The fox r"), *split[:-1]]) == "The fox ran over"


def test_what_is_no_decoder_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(BadInput, match="'bert' model; alignment trains decoders"):
        policy.load(str(tmp_path))
