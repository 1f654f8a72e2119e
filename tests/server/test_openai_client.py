"""The official `openai` package, as it is, gets from this server what it would get from OpenAI."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import jsonschema
import numpy as np
import openai
import pytest
from PIL import Image

import genarium
from genarium.ledger import Ledger
from tests.image_models import stable_diffusion
from tests.server.conftest import Running, Serve

PLAIN = {"template": "plain"}
SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["fox", "hill"]}},
    "required": ["kind"],
    "additionalProperties": False,
}


def client_of(server: Running, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.address}/v1", api_key=key, max_retries=0)


@pytest.fixture
def client(server: Running) -> openai.OpenAI:
    return client_of(server)


def test_models(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert {"tiny", "starter/text", "starter/encoder"} <= set(names)
    assert client.models.retrieve("starter/text").id == "starter/text"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4")


def test_completions_are_the_task_s_texts_and_in_the_ledger(client: openai.OpenAI, tiny: Path) -> None:
    made = client.completions.create(model="tiny", prompt=["The fox", "The hill"], n=2, max_tokens=8, seed=7, stop="zz")
    assert [choice.index for choice in made.choices] == [0, 1, 2, 3]
    assert made.model_extra is not None
    assert made.model_extra["seed"] == 7
    same = genarium.text(
        "The fox", n=2, max_new_tokens=8, temperature=1.0, top_p=1.0, seed=7, model=str(tiny), stop=["zz"]
    )
    assert [choice.text for choice in made.choices[:2]] == [artefact.text for artefact in same]
    assert made.usage is not None
    assert made.usage.completion_tokens == sum(len(choice.text) > 0 for choice in made.choices) * 8
    with Ledger() as ledger:
        kept = ledger.find(made.choices[3].model_extra["artefact"])  # type: ignore[index]
    assert kept.facts["text"] == made.choices[3].text


def test_a_stream_says_the_same_piece_by_piece(client: openai.OpenAI) -> None:
    asked = {"model": "tiny", "prompt": "The fox", "n": 3, "max_tokens": 20, "seed": 3, "echo": True, "logprobs": 2}
    whole = client.completions.create(**asked)  # type: ignore[call-overload]
    texts, reasons, tokens, usage = ["", "", ""], [None] * 3, [0, 0, 0], None
    for chunk in client.completions.create(**asked, stream=True, stream_options={"include_usage": True}):  # type: ignore[call-overload]
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            reasons[choice.index] = choice.finish_reason or reasons[choice.index]
            tokens[choice.index] += len(choice.logprobs.tokens) if choice.logprobs else 0
    assert texts == [choice.text for choice in whole.choices]
    assert reasons == [choice.finish_reason for choice in whole.choices]
    assert tokens == [len(choice.logprobs.tokens) for choice in whole.choices]
    assert usage == whole.usage


def test_chat_streams_stops_and_tells_log_probabilities(client: openai.OpenAI) -> None:
    said = [{"role": "developer", "content": "Be brief"}, {"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    asked = {"model": "tiny", "messages": said, "max_completion_tokens": 30, "seed": 1, "extra_body": PLAIN}
    whole = client.chat.completions.create(**asked, logprobs=True, top_logprobs=3)  # type: ignore[call-overload]
    choice = whole.choices[0]
    assert choice.logprobs is not None
    assert len(choice.logprobs.content[0].top_logprobs) == 3
    assert choice.logprobs.content[0].logprob <= choice.logprobs.content[0].top_logprobs[0].logprob
    pieces = [
        chunk.choices[0].delta.content or ""
        for chunk in client.chat.completions.create(**asked, stream=True)  # type: ignore[call-overload]
        if chunk.choices
    ]
    assert "".join(pieces).strip() == choice.message.content
    letter = choice.message.content[5]
    cut = client.chat.completions.create(**asked, stop=[letter])  # type: ignore[call-overload]
    assert letter not in cut.choices[0].message.content
    assert cut.choices[0].finish_reason == "stop"


def test_json_schemas_hold(client: openai.OpenAI) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "thing", "schema": SCHEMA, "strict": True}}
    said = [{"role": "user", "content": "What?"}]
    made = client.chat.completions.create(
        model="tiny", messages=said, response_format=wanted, max_tokens=40, n=4, seed=5, extra_body=PLAIN  # type: ignore[arg-type]
    )  # fmt: skip
    for choice in made.choices:
        jsonschema.validate(json.loads(choice.message.content or ""), SCHEMA)
    answered = client.responses.create(
        model="tiny", input="What?", max_output_tokens=40, extra_body=PLAIN | {"seed": 5},
        text={"format": {"type": "json_schema", "name": "thing", "schema": SCHEMA}},
    )  # fmt: skip
    jsonschema.validate(json.loads(answered.output_text), SCHEMA)


def test_responses_stream_go_on_and_can_be_had_again(client: openai.OpenAI) -> None:
    first = client.responses.create(model="tiny", input="Hi", max_output_tokens=6, extra_body=PLAIN)
    assert first.usage is not None
    second = client.responses.create(
        model="tiny", input="And?", previous_response_id=first.id, max_output_tokens=6, extra_body=PLAIN
    )
    with Ledger() as ledger:
        said = ledger.find(second.model_extra["artefact"]).recipe.arguments  # type: ignore[index]
    assert [turn["content"] for turn in said["messages"]] == ["Hi", first.output_text]
    assert client.responses.retrieve(second.id).output_text == second.output_text
    with client.responses.stream(
        model="tiny", input="Hi", max_output_tokens=6, extra_body=PLAIN | {"seed": 1}
    ) as stream:
        events = list(stream)
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert events[-1].type in ("response.completed", "response.incomplete")
    assert events[-1].response.output_text == deltas.strip()
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_none")


def test_embeddings_are_the_encoder_s(client: openai.OpenAI) -> None:
    texts = ["a dog", "a puppy", "an engine"]
    made = client.embeddings.create(model="starter/encoder", input=texts)  # the client asks for base64 by itself
    vectors = np.array([row.embedding for row in made.data])
    assert np.allclose(vectors, genarium.embed(texts)[0].embeddings, atol=1e-6)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    assert made.usage.prompt_tokens == 12
    with pytest.raises(openai.BadRequestError, match="dimensions"):
        client.embeddings.create(model="starter/encoder", input="x", dimensions=8)


def test_moderation_is_a_classifier(client: openai.OpenAI) -> None:
    spam, ham = client.moderations.create(
        input=["WINNER!! You have won a £1000 prize, call 09061701461 now to claim", "See you at lunch tomorrow"]
    ).results
    assert (spam.flagged, ham.flagged) == (True, False)


def test_images_are_made_changed_and_kept(serve: Serve, tmp_path: Path) -> None:
    server = serve(models={"sd": str(stable_diffusion(tmp_path / "sd"))})
    client = client_of(server)
    made = client.images.generate(
        model="sd", prompt="a red bird", n=2, size="64x64", extra_body={"seed": 3, "steps": 2}
    )  # type: ignore[arg-type]
    assert made.data is not None
    images = [Image.open(io.BytesIO(base64.b64decode(one.b64_json or ""))) for one in made.data]
    assert [image.size for image in images] == [(64, 64)] * 2
    alone = client.images.generate(model="sd", prompt="a red bird", size="64x64", extra_body={"seed": 4, "steps": 2})  # type: ignore[arg-type]
    assert alone.data is not None
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(alone.data[0].b64_json or "")))), images[1])
    start, mask = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (64, 64), "blue").save(start, "PNG")
    clear = Image.new("RGBA", (64, 64), (0, 0, 0, 255))
    clear.paste((0, 0, 0, 0), (0, 0, 32, 64))
    clear.save(mask, "PNG")
    changed = client.images.edit(
        model="sd", image=("a.png", start.getvalue()), mask=("m.png", mask.getvalue()), prompt="a cat", size="64x64",  # type: ignore[arg-type]
        extra_body={"steps": 2},
    )  # fmt: skip
    assert changed.data is not None
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(changed.data[0].b64_json or ""))))
    assert (pixels[:, 33:] == (0, 0, 255)).all(), "painted outside of the mask"
    assert not (pixels[:, :31] == (0, 0, 255)).all()
    with pytest.raises(openai.BadRequestError, match="no picture"):
        client.images.edit(model="sd", image=("a.png", b"no picture"), prompt="x")
    with Ledger() as ledger:
        assert len(ledger.history(task="image")) == 5


def test_errors_are_the_client_s_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="/v1/models"):
        client.completions.create(model="gpt-4", prompt="x")
    with pytest.raises(openai.BadRequestError, match="context"):
        client.completions.create(model="tiny", prompt="x", max_tokens=100_000)
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="tiny", prompt="x", n=10**6)
    assert caught.value.param == "n"
    tools = [{"type": "function", "function": {"name": "f"}}]
    with pytest.raises(openai.BadRequestError, match="tools"):
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "x"}], tools=tools)  # type: ignore[arg-type]
    with pytest.raises(openai.BadRequestError, match="chat template"):
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "x"}])
