"""A recurrent network writes as any other does: alone, in company, held to a schema, streamed, behind the server."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import jsonschema
import openai
import pytest
import torch

import genarium
from genarium.checkpoints.layouts import rnn
from genarium.data.text import END_OF_TEXT, bpe_tokenizer
from genarium.decoding.continuous import sharing
from genarium.devices import computed_by
from genarium.engines.text.native import NativeText
from genarium.engines.text.protocol import TextRequest
from genarium.models.rnn import RNN, RNNConfig
from genarium.progress import Event, listening
from genarium.run import prepare
from genarium.server.settings import ServerSettings
from tests.server.conftest import running
from tests.server.test_openai_client import SCHEMA

STORY = "Der Fuchs läuft über den Hügel. The fox ran over the hill and sang to the moon. "
PROMPTS = ["The fox", "über den Hügel", "moon. The", "The fox ran over the hill and sang"]


@pytest.fixture(scope="module", params=["lstm", "gru"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights over bytes."""
    path: Path = tmp_path_factory.mktemp(request.param)
    tokenizer = bpe_tokenizer([STORY], 330)
    torch.manual_seed(0)
    model = RNN(RNNConfig(tokenizer.get_vocab_size(), request.param, 2, 32))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    end = tokenizer.token_to_id(END_OF_TEXT)
    rnn.save(model, path, extra={"bos_token_id": end, "eos_token_id": end})
    (path / "tokenizer.json").write_text(tokenizer.to_str())
    return path


@pytest.fixture(scope="module")
def engine(folder: Path) -> NativeText:
    return NativeText(folder, device="cpu")


def written(engine: NativeText, prompts: list[str], request: TextRequest) -> list[str]:
    return [made.text for made in sorted(engine.write(prompts, request), key=lambda made: made.row)]


def test_a_recipe_says_torch_of_a_network_that_no_graph_is_made_of(folder: Path) -> None:
    for task, given in (("classify", {"texts": ["Good"], "labels": ["a", "b"]}), ("summarize", {"text": "The fox."})):
        assert prepare(task, model=str(folder), **given).arguments["backend"] == "torch"
        assert prepare(task, model="starter/encoder", **given).arguments["backend"] == computed_by("auto")


def test_a_text_is_the_same_alone_in_a_batch_and_among_other_callers(engine: NativeText) -> None:
    request = TextRequest(n=2, max_new_tokens=30, temperature=1.0, seed=11, stop=("q",))
    alone = [text for prompt in PROMPTS for text in written(engine, [prompt], request)]
    assert len(set(alone)) == 8
    assert written(engine, PROMPTS, request) == alone
    found: dict[int, list[str]] = {}
    begin, steps, rows = threading.Barrier(4), engine.shared.steps, engine.shared.rows_in_steps

    def write(number: int) -> None:
        begin.wait(600)
        with sharing():
            found[number] = written(engine, [PROMPTS[number]], request)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(600)
    assert [text for number in range(4) for text in found[number]] == alone
    assert engine.shared.rows_in_steps - rows > engine.shared.steps - steps, "the texts did not share steps"


def test_it_streams_and_tells_the_network_s_log_probabilities(engine: NativeText) -> None:
    streamed: list[str] = []

    def listen(event: Event) -> None:
        if event.stage == "writing":
            streamed.append(event.preview)

    with listening(listen):
        (made,) = engine.write(["The fox"], TextRequest(max_new_tokens=12, temperature=0, logprobs=3))
    assert "".join(streamed) == made.text
    assert made.logprobs is not None
    ids = engine.tokenizer.encode("The fox").ids
    for told in made.logprobs:  # at temperature 0 the likeliest one, each time
        shares = engine.decoder.network(torch.tensor([ids]))[0, -1].log_softmax(-1)
        assert [other["logprob"] for other in told["top_logprobs"]] == pytest.approx(
            shares.topk(3).values.tolist(), abs=1e-4
        )
        ids.append(int(shares.argmax()))


def test_no_context_bounds_it(engine: NativeText) -> None:
    long = STORY * 60
    (made,) = engine.write([long], TextRequest(max_new_tokens=300, temperature=1.0, strict=True))
    assert made.prompt_tokens == len(engine.tokenizer.encode(long).ids) > 1000
    assert made.completion_tokens == 300 or made.finish_reason == "stop"


def test_it_serves_completions_and_keeps_to_a_schema(folder: Path, home: Path) -> None:
    schema = json.dumps(SCHEMA)
    for text in genarium.text("The fox", model=str(folder), json_schema=schema, n=3, max_new_tokens=60, seed=1):
        jsonschema.validate(json.loads(text.text), SCHEMA)
    with running(ServerSettings(port=0, grace=2.0, models={"recurrent": str(folder)})) as server:
        client = openai.OpenAI(base_url=f"{server.address}/v1", api_key="none", max_retries=0)
        asked = {"model": "recurrent", "prompt": PROMPTS[:2], "max_tokens": 20, "seed": 3, "logprobs": 2}
        whole = client.completions.create(**asked)  # type: ignore[call-overload]
        texts = ["", ""]
        for chunk in client.completions.create(**asked, stream=True):  # type: ignore[call-overload]
            for choice in chunk.choices:
                texts[choice.index] += choice.text
        assert texts == [choice.text for choice in whole.choices]
        assert all(texts)
        assert len(whole.choices[0].logprobs.top_logprobs[0]) == 2
