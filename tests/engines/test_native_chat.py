"""Replies of the native engine: transformers' own, ended by the model's end of a turn, from what the context holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from genarium.engines.text.native import NativeText
from genarium.engines.text.protocol import ChatRequest
from genarium.errors import BadCheckpoint, BadInput
from genarium.messages import Message, conversation
from genarium.progress import Event, listening
from tests.chat_models import STYLES, make_checkpoint

GREEDY = ChatRequest(max_new_tokens=40, temperature=0, date="2026-11-24")
EARLIER: list[Message] = [
    {"role": "user", "content": "Hello! How are you?"},
    {"role": "assistant", "content": "The fox ran over the hill."},
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: make_checkpoint(tmp_path_factory.mktemp(name), style) for name, style in STYLES.items()}


@pytest.fixture(scope="module")
def qwen(folders: dict[str, Path]) -> NativeText:
    return NativeText(folders["qwen"], device="cpu")


def notes_of(engine: NativeText, messages: list[Message], request: ChatRequest) -> tuple[str, int, list[str]]:
    """The reply, how many tokens were read for it, and what was said beside."""
    notes: list[str] = []
    with listening(lambda event: notes.append(event.preview) if event.stage == "note" else None):
        [done] = engine.reply(messages, request)
    return done.text, done.prompt_tokens, notes


@pytest.mark.parametrize("name", ["qwen", "llama-3", "mistral", "zephyr"])
def test_a_greedy_reply_is_that_of_transformers(folders: dict[str, Path], name: str) -> None:
    messages = conversation("Be kind." if STYLES[name].system else None, EARLIER, "And the moon?")
    reference = PreTrainedTokenizerFast.from_pretrained(folders[name])
    model = AutoModelForCausalLM.from_pretrained(folders[name], dtype=torch.float32)
    inputs = reference.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")
    made = model.generate(**inputs, max_new_tokens=40, do_sample=False, pad_token_id=0)
    expected = reference.decode(made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    [done] = NativeText(folders[name], device="cpu").reply(messages, GREEDY)
    assert done.text == expected.strip()
    assert done.prompt_tokens == inputs["input_ids"].shape[1]


def test_streamed_pieces_are_the_reply(qwen: NativeText) -> None:
    for seed in range(8):
        events: list[Event] = []
        with listening(events.append):
            [done] = qwen.reply(conversation(None, [], "Hello"), ChatRequest(max_new_tokens=30, seed=seed))
        assert "".join(event.preview for event in events if event.stage == "writing").rstrip() == done.text


def test_a_reply_ends_with_the_turn_even_where_no_file_names_its_token(tmp_path: Path) -> None:
    """Many fine-tuned models still name their base model's end of text; the template shows what ends a turn."""
    import json

    from safetensors.torch import load_file, save_file

    folder = make_checkpoint(tmp_path, STYLES["qwen"])
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 0}))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"eos_token": "<|endoftext|>"}))
    weights = load_file(folder / "model.safetensors")
    end = PreTrainedTokenizerFast.from_pretrained(folder).convert_tokens_to_ids("<|im_end|>")
    # A model that always ends its turn: every hidden state is the same vector, which <|im_end|> alone answers to.
    weights["model.norm.weight"].zero_()
    weights["model.norm.weight"][0] = 1
    weights["model.embed_tokens.weight"][:, 0] = 5
    for name in weights:
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            weights[name].zero_()
    weights["lm_head.weight"].zero_()
    weights["lm_head.weight"][end, 0] = 10
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    [done] = NativeText(folder, device="cpu").reply(conversation(None, [], "Hello"), GREEDY)
    assert (done.text, done.finish_reason, done.completion_tokens) == ("", "stop", 1)


def test_the_oldest_turns_go_first_and_the_system_message_stays(qwen: NativeText) -> None:
    long = EARLIER * 12
    _, read, notes = notes_of(qwen, conversation("Be kind.", long, "And the moon?"), GREEDY)
    assert read <= qwen.context - 40
    # What was read is the longest end of the conversation that fits, after the system message.
    for left_out in range(0, len(long) + 1, 2):
        shorter = conversation("Be kind.", long[left_out:], "And the moon?")
        text, count, said = notes_of(qwen, shorter, GREEDY)
        if not said:
            break
    assert left_out > 0
    assert count == read
    assert f"its oldest {left_out} messages were not read" in notes[0]
    assert text == notes_of(qwen, conversation("Be kind.", long, "And the moon?"), GREEDY)[0]


def test_a_conversation_that_is_too_long_is_refused_when_asked(qwen: NativeText) -> None:
    from dataclasses import replace

    with pytest.raises(BadInput, match="leave out --strict"):
        list(qwen.reply(conversation(None, EARLIER * 9, "Hello"), replace(GREEDY, strict=True)))


def test_a_last_message_that_does_not_fit_is_refused(qwen: NativeText) -> None:
    with pytest.raises(BadInput, match="last message alone"):
        list(qwen.reply(conversation("Be kind.", EARLIER, "moon " * 300), GREEDY))


def test_several_replies_are_those_asked_alone(qwen: NativeText) -> None:
    hello = conversation(None, [], "Hello")
    [first] = qwen.reply(hello, ChatRequest(max_new_tokens=20, seed=4))
    several = {done.row: done.text for done in qwen.reply(hello, ChatRequest(max_new_tokens=20, seed=4, n=3))}
    assert several[0] == first.text
    assert len(set(several.values())) == 3


def test_a_model_that_never_learned_to_talk_says_so_or_takes_a_plain_transcript(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, STYLES["qwen"])
    (folder / "chat_template.jinja").unlink()
    engine = NativeText(folder, name="tiny", device="cpu")
    with pytest.raises(BadCheckpoint, match="tiny has no chat template"):
        list(engine.reply(conversation(None, [], "Hello"), GREEDY))
    plain = ChatRequest(max_new_tokens=60, temperature=1, seed=3, template="plain")
    [done] = engine.reply(conversation("Be kind.", EARLIER, "And the moon?"), plain)
    prompt = (
        "Be kind.\n\nUser: Hello! How are you?\nAssistant: The fox ran over the hill.\nUser: And the moon?\nAssistant:"
    )
    assert done.prompt_tokens == len(engine.tokenizer.encode(prompt).ids)
    assert "\nUser:" not in done.text


def test_progress_counts_tokens(qwen: NativeText) -> None:
    seen: list[Event] = []
    with listening(seen.append):
        list(qwen.reply(conversation(None, [], "Hello"), ChatRequest(max_new_tokens=5, seed=1)))
    writing = [event for event in seen if event.stage == "writing"]
    assert writing[-1].total == 5
    assert 1 <= writing[-1].done <= 5
