"""`finetune` learns each task, continues after SIGKILL to the same weights, and says what is wrong with the data."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch.distributions import Categorical, kl_divergence

from genarium.checkpoints.layouts import encoder as layout
from genarium.checkpoints.layouts import encoder_config
from genarium.checkpoints.store import folder as folders
from genarium.data.labelled import Question, draw, hold_out, read_labelled, read_pairs, read_questions
from genarium.data.tables import AS_IT_LOOKS, How
from genarium.errors import BadInput
from genarium.models.encoder import TextClassifier
from genarium.models.encoder_config import HeadConfig
from genarium.training import start, state
from genarium.training.commands.finetune import finetune
from genarium.training.objectives.classify import divergence
from genarium.training.objectives.span import SpanWindows, best_span, normalised, overlap
from genarium.training.sources.examples import reader, split
from genarium.training.sources.inputs import Batches
from tests.killing import killed_after
from tests.small_encoder import BAD, COLOURS, GOOD, SO_SO, THINGS, make_base


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base"))


def write_jsonl(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def reviews(file: Path, count: int, kinds: dict[str, list[str]]) -> Path:
    """Each text says what it is in one word, at any place."""
    draws = random.Random(count)
    rows = []
    for number in range(count):
        label, words = list(kinds.items())[number % len(kinds)]
        said = [*draws.choices([*THINGS, "the", "a", "it"], k=4)]
        said.insert(draws.randrange(5), draws.choice(words))
        rows.append({"text": " ".join(said), "label": label})
    return write_jsonl(file, rows)


def options(base: Path, data: Path, out: Path, **more: Any) -> dict[str, Any]:
    return {
        "from_": str(base),
        "data": data,
        "out": str(out),
        "learning_rate": 0.01,
        "batch_size": 8,
        "device": "cpu",
    } | more


def scores(folder: Path, texts: list[str], base: Path) -> torch.Tensor:
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    model = layout.load_classifier(folder)
    return torch.cat([model(torch.tensor([tokenizer.encode(text).ids])) for text in texts])


@pytest.mark.parametrize(
    ("way", "more"),
    [
        ("lora", {}),
        ("lora", {"runs": 2}),
        ("lora", {"consistency": 1.0}),
        ("head_only", {"pool": "mean", "epochs": 12}),
        ("full", {}),
    ],
)
def test_it_learns_to_classify_and_the_folder_says_the_same(
    base: Path, tmp_path: Path, way: str, more: dict[str, Any]
) -> None:
    data = reviews(tmp_path / "data.jsonl", 160, {"bad": BAD, "good": GOOD})
    fresh = reviews(tmp_path / "fresh.jsonl", 40, {"bad": BAD, "good": GOOD})
    figures = finetune(**options(base, data, tmp_path / "out", holdout=fresh, **{way: True, "epochs": 6} | more))
    assert figures["accuracy on fresh.jsonl"] >= (0.9 if way != "head_only" else 0.7)
    examples = read_labelled(fresh)
    found = scores(tmp_path / "out", [example.text for example in examples], base).argmax(-1)
    assert encoder_config.labels(folders.read_config(tmp_path / "out")) == ["bad", "good"]
    right = sum(["bad", "good"][int(n)] == example.label for n, example in zip(found, examples, strict=True))
    assert right / len(examples) == pytest.approx(figures["accuracy on fresh.jsonl"])
    whole = (tmp_path / "out" / "model.safetensors").exists()
    assert whole == (way == "full")
    assert (tmp_path / "out" / "adapter_config.json").exists() != whole
    first = tmp_path / "out" / ("run-0" if "runs" in more else "")
    log = [json.loads(line) for line in (first / "log.jsonl").read_text().splitlines()]
    assert log[-1]["loss"] < log[0]["loss"]
    assert "->" in log[-1]["sample"]
    assert (first / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_more_examples_are_learned_and_leave_what_is_watched_as_it_was(tmp_path: Path) -> None:
    data = reviews(tmp_path / "data.jsonl", 60, {"bad": BAD, "good": GOOD})
    held = reviews(tmp_path / "held.jsonl", 20, {"bad": BAD, "good": GOOD})
    read = reader("classify", text=None, label=None, how=AS_IT_LOOKS, names=())
    asked: dict[str, Any] = {"validation": 0.2, "validation_data": None, "holdout": held, "examples": None, "seed": 0}
    plain = split(read, data, also=None, **asked)
    more = tmp_path / "more.jsonl"
    new = [{"text": f"a film number {n}", "label": "good"} for n in range(5)]
    known = [{"text": example.text, "label": example.label} for example in (plain.validation[0], plain.held[0])]
    more.write_text("".join(json.dumps(row) + "\n" for row in new + known))
    both = split(read, data, also=more, **asked)
    assert (both.validation, both.held) == (plain.validation, plain.held)
    assert both.train[: len(plain.train)] == plain.train
    assert [example.text for example in both.train[len(plain.train) :]] == [row["text"] for row in new]


def test_pieces_are_cut_from_what_is_learned_and_never_are_what_is_watched(tmp_path: Path) -> None:
    rows = [{"text": f"call me number {n} soon, or write to my house, then we meet", "label": "ham"} for n in range(9)]
    rows += [{"text": f"win prize {n} now! reply to claim it. it costs {n} pounds.", "label": "spam"} for n in range(9)]
    data, validation = tmp_path / "data.jsonl", tmp_path / "watched.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    validation.write_text(json.dumps({"text": "reply to claim it.", "label": "spam"}) + "\n")
    read = reader("classify", text=None, label=None, how=AS_IT_LOOKS, names=())
    asked: dict[str, Any] = {"also": None, "validation": 0.0, "validation_data": validation, "holdout": None, "seed": 0}
    plain, more = (split(read, data, **asked, examples=12, pieces=most) for most in (0, 3))
    assert more.train[:12] == plain.train
    cut = more.train[12:]
    assert len(cut) > 12
    assert all(any(p.text in whole.text and p.label == whole.label for whole in plain.train) for p in cut)
    assert "reply to claim it." not in {piece.text for piece in cut}


def test_two_readings_are_drawn_together_by_the_divergence_of_the_paper() -> None:
    """R-Drop, eq. 3: the mean of both Kullback-Leibler divergences, as torch's distributions have them."""
    torch.manual_seed(0)
    first, second = torch.randn(5, 3), torch.randn(5, 3)
    p, q = Categorical(logits=first), Categorical(logits=second)
    expected = (kl_divergence(p, q) + kl_divergence(q, p)).mean() / 2
    torch.testing.assert_close(divergence(first, second), expected)
    assert divergence(first, first) == 0


@pytest.mark.parametrize(("option", "value"), [("consistency", 1.0), ("pieces", 2)])
def test_what_is_for_labels_only_is_refused_elsewhere(base: Path, tmp_path: Path, option: str, value: float) -> None:
    data = reviews(tmp_path / "data.jsonl", 20, {"bad": BAD, "good": GOOD})
    with pytest.raises(BadInput, match=f"--{option} is for --task classify"):
        finetune(**options(base, data, tmp_path / "out", task="rank", **{option: value}))


def test_a_full_fine_tune_opens_in_transformers(base: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    data = reviews(tmp_path / "data.jsonl", 60, {"bad": BAD, "good": GOOD, "so-so": SO_SO})
    finetune(**options(base, data, tmp_path / "out", full=True, epochs=1))
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    assert theirs.config.id2label == {0: "bad", 1: "good", 2: "so-so"}
    tokens = torch.tensor(
        [Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json")).encode("the film is dull").ids]
    )
    with torch.inference_mode():
        expected = theirs(input_ids=tokens).logits
    torch.testing.assert_close(scores(tmp_path / "out", ["the film is dull"], base), expected, atol=1e-5, rtol=1e-5)


def test_a_head_of_a_thousand_labels_becomes_one_of_three(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", lambda config: TextClassifier(config, HeadConfig(n_outputs=1000)))
    before = layout.load_classifier(base)
    begun = start.classifier(base, ["a", "b", "c"], pool="first")
    assert begun.out.weight.shape == (3, 32)
    kept = {name: tensor for name, tensor in begun.state_dict().items() if not name.startswith("out.")}
    assert all(torch.equal(tensor, before.state_dict()[name]) for name, tensor in kept.items())
    same = start.classifier(base, [f"LABEL_{n}" for n in range(1000)], pool="first")
    assert torch.equal(same.out.weight, before.out.weight)

    data = reviews(tmp_path / "data.jsonl", 180, {"bad": BAD, "good": GOOD, "so-so": SO_SO})
    figures = finetune(**options(base, data, tmp_path / "out", epochs=6))
    assert figures["accuracy"] >= 0.9
    assert layout.load_classifier(tmp_path / "out").out.weight.shape == (3, 32)


def test_it_learns_to_answer_and_to_say_that_there_is_no_answer(base: Path, tmp_path: Path) -> None:
    draws = random.Random(0)
    rows: list[dict[str, Any]] = []
    for number in range(240):
        thing, colour = draws.choice(THINGS), draws.choice(COLOURS)
        context = " ".join(draws.choices(["the", "it", "was", *THINGS], k=draws.randrange(1, 9)))
        row = {"question": f"what colour has the {thing}", "context": context}
        if number % 4:
            place = len(context) + 1
            row |= {"context": f"{context} {colour} {draws.choice(THINGS)}", "answer_start": place, "text": colour}
        rows.append(row)
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    figures = finetune(**options(base, data, tmp_path / "out", task="answer", epochs=6, validation=0.2))
    assert figures["exact_match"] >= 0.9
    layout.load_question_answering(tmp_path / "out")


def test_it_learns_to_rank(base: Path, tmp_path: Path) -> None:
    draws = random.Random(0)
    rows = []
    for _ in range(80):
        fitting, others = draws.choice(GOOD), draws.choices(BAD, k=3)
        passages = [f"{draws.choice(THINGS)} was {word}" for word in (fitting, *others)]
        rows.append(
            {"query": f"{' '.join(draws.choices(THINGS, k=3))}", "positive": passages[0], "negatives": passages[1:]}
        )
    data = write_jsonl(tmp_path / "data.jsonl", rows)
    figures = finetune(**options(base, data, tmp_path / "out", task="rank", epochs=4, validation=0.2))
    assert figures["mrr"] >= 0.9
    assert layout.load_classifier(tmp_path / "out").out.weight.shape == (1, 32)
    assert encoder_config.labels(folders.read_config(tmp_path / "out")) == ["LABEL_0"]


def command(arguments: dict[str, Any]) -> list[str]:
    flags = [
        part for name, value in arguments.items() for part in (f"--{name.strip('_').replace('_', '-')}", str(value))
    ]
    return [sys.executable, "-m", "genarium.cli.main", "finetune", *flags, "--json"]


def test_killed_at_any_moment_it_goes_on_to_the_same_weights(base: Path, tmp_path: Path) -> None:
    data = reviews(tmp_path / "data.jsonl", 96, {"bad": BAD, "good": GOOD})
    more = {"checkpoint_minutes": 0, "epochs": 3}
    finetune(**options(base, data, tmp_path / "whole", **more))
    killed = options(base, data, tmp_path / "killed", **more)
    killed_after(5, command(killed)[3:], where="within")
    facts = state.read_facts(tmp_path / "killed")
    assert facts is not None
    assert facts["step"] == 5
    kept = load_file(tmp_path / "killed" / state.FILE)
    assert not any("embedding" in name or ".linear." in name for name in kept)  # frozen, so they are the base's
    finetune(**killed)
    first, second = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("whole", "killed"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


BAD_DATA = {
    "no-label": (
        '{"text": "a", "kind": "b"}\n',
        {},
        r"no column 'label'; its columns are text, kind; .*--label-column",
    ),
    "one-label": ('{"text": "a", "label": 1}\n' * 20, {}, "only one label to learn, '1'"),
    "blank": (
        '{"text": "a", "label": ""}\n{"text": " ", "label": "b"}\n',
        {},
        "no row with both a",
    ),
    "empty": ("\n\n", {}, "has no rows"),
    "not-json": ("text\n", {}, "line 1: not JSON"),
    "name": ('{"text": "a", "label": 1}\n', {"name": ["2=two"]}, "no label '2' to call 'two'"),
    "unnamed": ('{"text": "a", "label": 1}\n', {"name": ["2"]}, "must be LABEL=NAME"),
    "too-few": ('{"text": "a", "label": 1}\n{"text": "b", "label": 2}\n', {"examples": 5}, "at most 2, the rows"),
    "two-ways": ("", {"lora": True, "full": True}, "choose one of --lora"),
    "mean": ('{"text": "a", "label": 1}\n', {"full": True, "pool": "mean"}, "use --pool first, or --lora"),
    "span": (
        '{"question": "a", "context": "b c", "answer_start": 0, "text": "c"}\n',
        {"task": "answer"},
        "begins at 2",
    ),
    "question": ('{"text": "a"}\n', {"task": "answer"}, "no column 'question'"),
    "no-answer": ('{"question": "a", "context": "b"}\n', {"task": "answer"}, "no question with an answer"),
    "rank": ('{"query": "a", "passage": "b", "label": 7}\n', {"task": "rank"}, "label from 0 to 1"),
    "rank-one": ('{"query": "a", "passage": "b", "label": 1}\n', {"task": "rank"}, "every label is 1"),
    "column": ('{"query": "a"}\n', {"task": "rank", "text_column": "x"}, "--text-column is for --task classify"),
}


@pytest.mark.parametrize("which", list(BAD_DATA))
def test_bad_data_is_one_plain_sentence(base: Path, tmp_path: Path, which: str) -> None:
    content, more, message = BAD_DATA[which]
    data = tmp_path / "data.jsonl"
    data.write_text(content)
    with pytest.raises(BadInput, match=message) as raised:
        finetune(**options(base, data, tmp_path / "out", **more))
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_an_adapter_is_no_base_for_another_but_for_a_whole_checkpoint(base: Path, tmp_path: Path) -> None:
    data = reviews(tmp_path / "data.jsonl", 40, {"bad": BAD, "good": GOOD})
    finetune(**options(base, data, tmp_path / "first", epochs=1))
    with pytest.raises(BadInput, match="is an adapter itself"):
        finetune(**options(tmp_path / "first", data, tmp_path / "second", epochs=1))
    finetune(**options(tmp_path / "first", data, tmp_path / "second", epochs=1, full=True))
    assert encoder_config.labels(folders.read_config(tmp_path / "second")) == ["bad", "good"]


def test_tables_without_a_header_are_read_by_number(tmp_path: Path) -> None:
    plain, tabs, commas = tmp_path / "SMS", tmp_path / "a.tsv", tmp_path / "a.csv"
    plain.write_text('kind\tsms\nham\tsaid "go\n')
    assert [(e.text, e.label) for e in read_labelled(plain, text="sms", label="kind")] == [('said "go', "ham")]
    plain.write_text('ham\tshe said "go\nspam\tWIN now, "free"\n')
    tabs.write_text('"Go" she said\t1\nno\t0\n')
    commas.write_text('"a, b",x\nc,y\n')
    found = [(e.text, e.label) for e in read_labelled(plain, text="2", label="1", how=How(header=False))]
    assert found == [('she said "go', "ham"), ('WIN now, "free"', "spam")]
    assert [(e.text, e.label) for e in read_labelled(tabs, how=How(header=False))] == [
        ('"Go" she said', "1"),
        ("no", "0"),
    ]
    assert [(e.text, e.label) for e in read_labelled(commas, how=How(header=False))] == [("a, b", "x"), ("c", "y")]


def test_questions_and_pairs_are_read_in_both_spellings(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    squad = {"question": "q", "context": "in the red house", "answers": {"text": ["red"], "answer_start": [7]}}
    flat = {"question": "q", "context": "in the red house", "answer_start": 7, "text": "red"}
    none = {"question": "q", "context": "in", "answers": {"text": [], "answer_start": []}}
    write_jsonl(file, [squad, flat, none])
    first, second, third = read_questions(file)
    assert first == second == Question("q", "in the red house", 7, 10)
    assert (first.answer, third.answer) == ("red", "")
    write_jsonl(file, [{"query": "q", "positive": "a", "negatives": ["b"]}, {"query": "q", "passage": "c", "label": 0}])
    assert [(pair.passage, pair.label) for pair in read_pairs(file)] == [("a", 1), ("b", 0), ("c", 0)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=60), st.floats(0, 0.5), st.integers(0, 9))
def test_equal_texts_are_never_on_both_sides(keys: list[str], share: float, seed: int) -> None:
    learned, validation = hold_out(keys, share, seed)
    assert sorted(learned + validation) == list(range(len(keys)))
    assert not {keys[place] for place in learned} & {keys[place] for place in validation}
    assert (learned, validation) == hold_out(keys, share, seed)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=4, max_size=40), st.integers(2, 4), st.integers(0, 9))
def test_few_examples_are_drawn_evenly(labels: list[str], count: int, seed: int) -> None:
    drawn = draw(labels, count, seed)
    assert len(set(drawn)) == count
    counts = [sum(labels[place] == name for place in drawn) for name in set(labels)]
    room = [labels.count(name) for name in set(labels)]
    assert all(one >= min(there, count // len(counts)) for one, there in zip(counts, room, strict=True))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=90), st.integers(1, 7), st.integers(0, 99), st.integers(0, 2))
def test_an_epoch_takes_every_row_once_and_batches_depend_on_their_number_alone(
    lengths: list[int], size: int, seed: int, epoch: int
) -> None:
    batches = Batches(lengths, size, seed)
    first = epoch * batches.per_epoch
    taken = [batches.rows(first + number) for number in range(batches.per_epoch)]
    assert sorted(row for rows in taken for row in rows) == list(range(len(lengths)))
    assert all(len(rows) <= size for rows in taken)
    assert Batches(lengths, size, seed).rows(first + batches.per_epoch - 1) == taken[-1]


@settings(max_examples=30, deadline=None)
@given(words=st.lists(st.sampled_from([*THINGS, *COLOURS]), min_size=1, max_size=40), data=st.data())
def test_windows_hold_the_answer_where_they_say_and_the_best_span_finds_it(
    base: Path, words: list[str], data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, min(len(words) - 1, first + 3)))
    context = " ".join(words)
    begin = len(" ".join(words[:first])) + (first > 0)
    question = Question("where is it", context, begin, len(" ".join(words[: last + 1])))
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    windows = SpanWindows(tokenizer, [question], 20, 6)
    assert any(span != (0, 0) for span in windows.spans)
    for encoding, (start_, end) in zip(windows.encodings, windows.spans, strict=True):
        scores = torch.zeros(len(encoding), 2)
        scores[start_, 0] = scores[end, 1] = 5.0
        gain, answer = best_span(scores, encoding, context)
        if (start_, end) == (0, 0):
            assert (answer, gain < 0) == ("", True)
        else:
            assert context[encoding.offsets[start_][0] : encoding.offsets[end][1]] == question.answer == answer


def test_answers_are_compared_as_squad_does() -> None:
    assert normalised("The  Quick, brown fox!") == "quick brown fox"
    assert overlap("the red house", "a red house.") == 1
    assert overlap("red house", "red barn") == pytest.approx(0.5)
    assert (overlap("", ""), overlap("", "red")) == (1, 0)
