"""What a decoder's folder says besides its weights: stop strings, suppressed tokens, and what is left to callers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from genarium.engines.text.native import NativeText
from genarium.engines.text.protocol import ChatRequest, TextRequest
from genarium.errors import BadInput
from genarium.progress import listening
from tests.chat_models import STYLES, make_checkpoint

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A random Llama with a chat tokenizer, whose generation_config.json says what is given."""
    number = 0

    def make(style: str = "qwen", **says: Any) -> Path:
        nonlocal number
        number += 1
        folder = make_checkpoint(tmp_path_factory.mktemp(f"{style}{number}"), STYLES[style])
        (folder / "generation_config.json").write_text(json.dumps(says))
        return folder

    return make


def continued(folder: Path, engine: NativeText, prompt: str, **more: Any) -> list[int]:
    """transformers' greedy continuation by its own reading of the folder."""
    ids = torch.tensor([engine.tokenizer.encode(prompt).ids])
    model = AutoModelForCausalLM.from_pretrained(folder)
    out = model.generate(ids, max_new_tokens=24, pad_token_id=0, tokenizer=None, **more)
    return out[0, ids.shape[1] :].tolist()


def greedy(engine: NativeText, prompt: str, **more: Any) -> tuple[str, str, int]:
    [done] = engine.write([prompt], TextRequest(max_new_tokens=24, temperature=0, **more))
    return done.text, done.finish_reason, done.completion_tokens


def test_a_stop_string_that_is_a_special_token_ends_the_text_where_it_is_written(made: Make) -> None:
    engine = NativeText(made(), device="cpu")
    for seed in range(400):
        [free] = engine.write(["hello"], TextRequest(max_new_tokens=80, logprobs=0, seed=seed))
        told = [one["token"] for one in free.logprobs or []]
        if "<|im_start|>" in told[1:]:
            break
    place = told.index("<|im_start|>")
    for stop in ("<|im_start|>", told[place - 1] + "<|im_start|>"):
        pieces: list[str] = []
        with listening(lambda e: pieces.append(e.preview) if e.stage == "writing" else None):  # noqa: B023
            [done] = engine.write(["hello"], TextRequest(max_new_tokens=80, seed=seed, stop=(stop,)))
        assert (done.finish_reason, done.completion_tokens) == ("stop", place + 1)
        assert done.text == "".join(pieces)
        assert free.text.startswith(done.text)
        assert "<|im_start|>" not in done.text


def test_every_seed_writes_with_a_byte_fallback_tokenizer(made: Make) -> None:
    engine = NativeText(made("mistral"), device="cpu")
    for seed in range(30):
        [done] = engine.write(["fox"], TextRequest(max_new_tokens=40, temperature=3.0, seed=seed))
        assert done.finish_reason in ("stop", "length")


def test_suppressed_tokens_are_those_of_transformers(made: Make) -> None:
    plain = made()
    engine = NativeText(plain, device="cpu")
    first = continued(plain, engine, "The fox", do_sample=False)
    never, at_first = sorted(set(first[1:4])), [first[0]]
    folder = made(suppress_tokens=never, begin_suppress_tokens=at_first)
    engine = NativeText(folder, device="cpu")
    expected = continued(folder, engine, "The fox", do_sample=False)
    assert expected != first
    text = engine.tokenizer.decode([*engine.tokenizer.encode("The fox").ids, *expected])
    assert "The fox" + greedy(engine, "The fox")[0] == text


def test_stop_strings_of_the_folder_count(made: Make) -> None:
    free = greedy(NativeText(made(), device="cpu"), "The fox")[0]
    stopped, reason, _ = greedy(NativeText(made(stop_strings=free[6:9]), device="cpu"), "The fox")
    assert (stopped, reason) == (free[: free.index(free[6:9])], "stop")


def notes(folder: Path, request: TextRequest) -> list[str]:
    engine = NativeText(folder, name="it", device="cpu")
    told: list[str] = []
    with listening(lambda event: told.append(event.preview) if event.stage == "note" else None):
        for _ in range(2):
            list(engine.write(["The fox"], request))
    return told


@pytest.mark.parametrize(
    ("says", "request_", "said"),
    [
        ({"do_sample": True, "temperature": 0.7, "top_p": 0.8}, TextRequest(), "suggest temperature 0.7, top_p 0.8"),
        ({"do_sample": True, "temperature": 0.7}, TextRequest(temperature=0.9), ""),
        ({"do_sample": True, "temperature": 0.7}, TextRequest(temperature=0), ""),
        ({"do_sample": False}, TextRequest(), "suggest do_sample False"),
        ({"no_repeat_ngram_size": 3, "num_beams": 1}, TextRequest(), "no_repeat_ngram_size 3 is not done here"),
        ({"max_length": 4096, "use_cache": True, "temperature": 1.0}, TextRequest(), ""),
    ],
)
def test_what_is_left_to_the_caller_is_said_once(says: Any, request_: TextRequest, said: str, made: Make) -> None:
    told = notes(made(**says), request_)
    assert len(told) == bool(said)
    assert said in "".join(told)


def test_a_token_beyond_the_network_is_refused(made: Make) -> None:
    folder = made()
    raw = json.loads((folder / "tokenizer.json").read_text())
    token = {"id": 9999, "content": "<|new|>", "special": True, "single_word": False, "lstrip": False}
    raw["added_tokens"].append(token | {"rstrip": False, "normalized": False})
    raw["model"]["vocab"]["<|new|>"] = 9999
    (folder / "tokenizer.json").write_text(json.dumps(raw))
    engine = NativeText(folder, name="it", device="cpu")
    assert list(engine.write(["fine"], TextRequest(max_new_tokens=2)))
    with pytest.raises(BadInput, match=r"it has \d+ tokens, and its tokenizer reads '<\|new\|>' as number 9999"):
        list(engine.write(["a <|new|>"], TextRequest(max_new_tokens=2)))
    message = [{"role": "user", "content": "hello"}]
    assert list(engine.reply(message, ChatRequest(max_new_tokens=2)))  # type: ignore[arg-type]


def test_an_adapter_writes_and_replies_with_its_base_s_tokenizer_and_template(made: Make, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    base = made()
    torch.manual_seed(2)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=2, target_modules=["q_proj"]))
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter) if parameter.requires_grad else 0
    model.save_pretrained(tmp_path)
    engine = NativeText(tmp_path, device="cpu")
    ids = torch.tensor([engine.tokenizer.encode("The fox").ids])
    out = model.eval().generate(input_ids=ids, max_new_tokens=24, do_sample=False, pad_token_id=0)[0].tolist()
    assert "The fox" + greedy(engine, "The fox")[0] == engine.tokenizer.decode(out)
    message = [{"role": "user", "content": "hello"}]
    replies = [
        NativeText(folder, device="cpu").reply(message, ChatRequest(max_new_tokens=9)) for folder in (base, tmp_path)
    ]  # type: ignore[arg-type]
    counts = [next(reply).prompt_tokens for reply in replies]
    assert counts[0] == counts[1]
