"""Texts of many callers in one batch: each is what it would be alone, and who leaves or fails hurts nobody else."""

from __future__ import annotations

import json
import math
import random
import threading
import time
from pathlib import Path

import jsonschema
import pytest
import torch

from genarium.decoding.choosing import Chosen
from genarium.decoding.continuous import READ_AT_ONCE, ContinuousBatch, sharing
from genarium.decoding.generate import generate
from genarium.decoding.sampling import Sampling
from genarium.engines.text.native import NativeText
from genarium.engines.text.protocol import TextRequest
from genarium.errors import BadInput


@pytest.fixture(scope="module")
def engine(tiny: Path) -> NativeText:
    return NativeText(tiny, device="cpu")


def asked(number: int) -> tuple[list[str], TextRequest]:
    """A request unlike the others in everything that can differ."""
    dice = random.Random(number)
    request = TextRequest(
        n=dice.randint(1, 3),
        max_new_tokens=dice.randint(1, 50),
        temperature=dice.choice([0, 0.8, 1.2]),
        top_k=dice.choice([0, 5]),
        top_p=dice.choice([1, 0.9]),
        min_p=dice.choice([0, 0.05]),
        repetition_penalty=dice.choice([1, 1.3]),
        stop=dice.choice([(), ("a",)]),
        logprobs=dice.choice([None, 2]),
        seed=number,
    )
    return ["The fox " * dice.randint(1, 5) + "over the hill"[: dice.randint(1, 12)]], request


def written(engine: NativeText, number: int) -> list[tuple[int, str, str, int]]:
    return sorted((c.row, c.text, c.finish_reason, c.completion_tokens) for c in engine.write(*asked(number)))


def test_a_text_is_the_same_alone_and_among_forty_that_come_and_go(engine: NativeText) -> None:
    alone = [written(engine, number) for number in range(40)]
    together: dict[int, list[tuple[int, str, str, int]]] = {}
    steps, rows = engine.shared.steps, engine.shared.rows_in_steps

    begin = threading.Barrier(20)

    def write(number: int) -> None:
        # Half of them come at once, so that some are together on any machine; the others whenever their threads do.
        if number < 20:
            begin.wait(600)
        else:
            time.sleep(random.Random(number).random() * 0.2)
        with sharing():
            together[number] = written(engine, number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(600)
    assert [together[number] for number in range(40)] == alone
    shared = (engine.shared.rows_in_steps - rows) / (engine.shared.steps - steps)
    assert shared > 4, "the texts did not share steps"


def test_prompts_that_are_read_together_are_as_if_each_was_read_alone(engine: NativeText) -> None:
    batch = ContinuousBatch(engine.decoder)
    texts = ["The fox ran", "T", "Der Fuchs läuft über den Hügel. " * 2, "The moon", "The moon", "and sang"]
    prompts = [engine.tokenizer.encode(text).ids for text in texts]
    sampling = Sampling(max_new_tokens=20, temperature=1.0, seed=5, logprobs=3)
    together: list[list[Chosen]] = [[] for _ in prompts]
    for new in batch.generate(prompts, sampling):
        together[new.row].append(new.chosen)
    assert batch.passes == 1, "they were not read together"
    for prompt, found in zip(prompts, together, strict=True):
        alone = [new.chosen for new in generate(engine.decoder, [prompt], sampling)]
        assert [one.token for one in found] == [one.token for one in alone]
        assert [one.logprob for one in found] == pytest.approx([one.logprob for one in alone], abs=1e-5)
        for mine, wanted in zip(found, alone, strict=True):
            assert [token for token, _ in mine.top] == [token for token, _ in wanted.top]
            assert [share for _, share in mine.top] == pytest.approx([share for _, share in wanted.top], abs=1e-5)


def test_one_pass_reads_no_more_prompts_than_who_writes_can_wait_for(engine: NativeText) -> None:
    batch = ContinuousBatch(engine.decoder)
    prompt = engine.tokenizer.encode("The fox ran over the hill and sang to the moon").ids
    prompts = [[*prompt, number] for number in range(40)]  # no two alike
    list(batch.generate(prompts, Sampling(max_new_tokens=1)))
    assert batch.passes == math.ceil(40 / (READ_AT_ONCE // len(prompts[0])))


def test_who_goes_away_leaves_the_batch_and_the_others_write_on(engine: NativeText) -> None:
    batch = ContinuousBatch(engine.decoder)
    prompt = engine.tokenizer.encode("The fox").ids
    long = Sampling(max_new_tokens=80, seed=3)
    whole = [new.token for new in batch.generate([prompt], long)]
    leaving, staying = batch.generate([prompt], Sampling(max_new_tokens=80, seed=4)), batch.generate([prompt], long)
    next(leaving)
    first = next(staying).token
    leaving.close()
    assert [first, *(new.token for new in staying)] == whole
    deadline = time.monotonic() + 600
    while batch._thread is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert batch._thread is None, "nothing is left to do, but the thread continues"
    assert batch._batch.state is None, "the cache of nobody is still held"


def test_a_failure_reaches_every_caller_and_the_next_one_begins_anew(
    engine: NativeText, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = ContinuousBatch(engine.decoder)
    prompt = engine.tokenizer.encode("The fox").ids
    running = batch.generate([prompt], Sampling(max_new_tokens=80))
    next(running)
    monkeypatch.setattr(batch, "_step", lambda: (_ for _ in ()).throw(RuntimeError("no memory")))
    with pytest.raises(RuntimeError, match="no memory"):
        list(running)
    monkeypatch.undo()
    assert len(list(batch.generate([prompt], Sampling(max_new_tokens=5, temperature=0)))) == 5


SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "kind": {"enum": ["fox", "hill"]},
    },
    "required": ["name", "age", "kind"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("shared", [False, True])
def test_a_text_held_to_a_schema_is_json_of_that_kind(engine: NativeText, shared: bool) -> None:
    request = TextRequest(n=6, max_new_tokens=80, temperature=1.5, json_schema=json.dumps(SCHEMA), seed=1)
    if shared:
        with sharing():
            made = list(engine.write(["The fox"], request))
    else:
        made = list(engine.write(["The fox"], request))
    whole = [completion for completion in made if completion.finish_reason == "stop"]
    assert len(whole) >= 4
    for completion in whole:
        jsonschema.validate(json.loads(completion.text), SCHEMA)


@pytest.mark.parametrize("schema", ["{", "[]", '{"type": "nonsense"}', '{"$ref": "http://elsewhere/x.json"}'])
def test_a_schema_that_can_t_be_followed_is_refused(engine: NativeText, schema: str) -> None:
    with pytest.raises(BadInput, match="json_schema"):
        list(engine.write(["The fox"], TextRequest(json_schema=schema, max_new_tokens=5)))


@torch.inference_mode()
def test_log_probabilities_are_the_networks(engine: NativeText) -> None:
    [made] = engine.write(["The fox"], TextRequest(max_new_tokens=6, temperature=0.7, top_k=3, logprobs=4, seed=2))
    prompt = engine.tokenizer.encode("The fox").ids
    with sharing():
        tokens = [new.token for new in engine.shared.generate([prompt], Sampling(6, 0.7, top_k=3, seed=2))]
    shares = engine.decoder.network(torch.tensor([[*prompt, *tokens]]))[0, len(prompt) - 1 : -1].log_softmax(-1)
    assert made.logprobs is not None
    assert len(made.logprobs) == made.completion_tokens
    for told, token, row in zip(made.logprobs, tokens, shares, strict=False):
        assert told["logprob"] == pytest.approx(float(row[token]), abs=1e-4)
        best = [other["logprob"] for other in told["top_logprobs"]]
        assert best == pytest.approx(row.topk(4).values.tolist(), abs=1e-4)
