"""Fine-tuning, reward models and DPO compute what their papers' equations say, and leave what others open."""

from __future__ import annotations

import json
import math
import random
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from genarium.checkpoints.layouts import scorer as scorer_layout
from genarium.data.conversations import Example
from genarium.data.preferences import Preference, Ranking
from genarium.engines import registry
from genarium.engines.embed.reward import RewardRanker
from genarium.errors import BadCheckpoint, BadInput, GenariumError
from genarium.models.scorer import Scorer
from genarium.progress import Event, listening
from genarium.training import policy
from genarium.training.calibration import calibration_error, reliability
from genarium.training.commands.align.dpo import align_dpo
from genarium.training.commands.align.reward import align_reward
from genarium.training.commands.align.sft import align_sft
from genarium.training.objectives.dpo import dpo_loss, likelihoods
from genarium.training.objectives.reward import RankedReward, ranking_loss
from genarium.training.objectives.supervised import Supervised
from genarium.training.sources.answered import Answered
from genarium.training.sources.pairs import Pairs
from genarium.training.sources.rankings import Rankings
from tests.chat_models import STYLES, make_checkpoint
from tests.conftest import Command
from tests.killing import killed_after
from tests.training.test_policy import shaken

TEXTS = [Example("The fox", " ran over the hill."), Example("A", " hill sang to the moon and to the fox.")]
TALK = Example(
    (
        {"role": "user", "content": "How are you?"},
        {"role": "assistant", "content": "The fox sang."},
        {"role": "user", "content": "Hello!"},
    ),
    "To the moon.",
)
PAIRS = [
    Preference("The fox", " ran over the hill.", " sang."),
    Preference(({"role": "user", "content": "How are you?"},), "The moon sang to me.", "Fox."),
]
RANKINGS = [
    Ranking("The fox", (" ran.", " sang to the moon.", " over"), (1, 2, 3)),
    Ranking("A hill", (" and a moon", " ran", " over it", " sang"), (2, 1, 2, 3)),
]


@pytest.fixture(scope="module")
def chatty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama that was taught a template."""
    return make_checkpoint(tmp_path_factory.mktemp("chatty"), STYLES["qwen"])


def notes(function: Any, *given: Any, **named: Any) -> tuple[Any, list[str]]:
    said: list[str] = []

    def hear(event: Event) -> None:
        if event.stage == "note":
            said.append(event.preview)

    with listening(hear):
        return function(*given, **named), said


def theirs(folder: Path, ids: list[int]) -> Tensor:
    """log p of each token after the first by transformers' network."""
    with torch.no_grad():
        logits = AutoModelForCausalLM.from_pretrained(folder)(torch.tensor([ids])).logits[0, :-1]
    return logits.log_softmax(-1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]


def supervised(made: policy.Policy, *, packing: bool) -> Supervised:
    texts = Answered.encode(made, [*TEXTS, TALK], 250, "some")
    nothing = Answered([], [])
    identity = {"policy": "it"}
    return Supervised(made, texts, nothing, batch_size=3, packing=packing, prompt=None, seed=0, identity=identity)


def test_supervised_loss_is_on_answers_alone_and_packing_changes_nothing(
    chatty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = shaken(policy.load(str(chatty), rank=2))
    with torch.no_grad():
        for module in made.model.modules():
            if hasattr(module, "lora_b"):
                module.lora_b.zero_()
    losses, gradients = [], []
    for packing, row in ((False, 0), (True, 1000), (True, 1)):
        monkeypatch.setattr("genarium.training.logprobs.ROW", row)
        objective = supervised(made, packing=packing)
        made.model.zero_grad()
        loss = objective.loss(*objective.batch(0))
        loss.backward()
        losses.append(float(loss.detach()))
        gradients.append(torch.cat([p.grad.flatten() for p in made.model.parameters() if p.grad is not None]))
    texts = supervised(made, packing=False).train
    found = [theirs(chatty, ids)[torch.tensor(marks[1:])] for ids, marks in zip(texts.ids, texts.marks, strict=True)]
    assert losses == pytest.approx([-float(torch.cat(found).mean())] * 3, abs=1e-5)
    assert gradients[0].abs().max() > 0
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0], atol=1e-6, rtol=1e-4)
    said = made.answers.tokenizer.decode([t for t, m in zip(texts.ids[2], texts.marks[2], strict=True) if m])
    assert said == "The fox sang.To the moon."


def test_long_texts_are_cut_and_prompts_that_fill_the_context_left_out(chatty: Path) -> None:
    made = policy.load(str(chatty))
    long = [Example("fox " * 40, "never read"), Example("The", " hill" * 30), *TEXTS]
    found, said = notes(Answered.encode, made, long, 20, "it")
    assert len(found) == 3
    assert max(found.lengths) == 20
    assert any("1 of 4 texts in it are left out: the prompt alone" in one for one in said)
    assert any("are longer than 20 tokens and are read up to there" in one for one in said)
    with pytest.raises(BadInput, match="every prompt in it is longer than the 20 tokens"):
        Answered.encode(made, long[:1], 20, "it")


def by_hand(policy_found: Tensor, reference: Tensor, beta: float) -> list[float]:
    """h of each pair."""
    gained = (policy_found - reference).tolist()
    half = len(gained) // 2
    return [beta * (one - other) for one, other in zip(gained[:half], gained[half:], strict=True)]


def test_dpo_is_its_equation_with_smoothing_and_as_ipo(chatty: Path, tmp_path: Path) -> None:
    made = shaken(policy.load(str(chatty), rank=2))
    pairs = Pairs.encode(made, PAIRS, 250, "some")
    tokens, marks = pairs.block([0, 1])
    with torch.no_grad():
        found = likelihoods(made.model, tokens, marks)
        with made.reference() as network:
            reference = likelihoods(network, tokens, marks)
    for value, ids, which in zip(reference, pairs.texts.ids, pairs.texts.marks, strict=True):
        assert float(value) == pytest.approx(float(theirs(chatty, ids)[torch.tensor(which[1:])].sum()), abs=1e-4)
    made.save(tmp_path / "adapter")
    both = [by_hand(found, reference, beta) for beta in (0.3, 1.0)]
    sigmoid = dpo_loss(found, reference, beta=0.3)
    assert sigmoid.tolist() == pytest.approx([math.log1p(math.exp(-h)) for h in both[0]], rel=1e-5)
    smooth = dpo_loss(found, reference, beta=0.3, smoothing=0.1)
    expected = [0.9 * math.log1p(math.exp(-h)) + 0.1 * math.log1p(math.exp(h)) for h in both[0]]
    assert smooth.tolist() == pytest.approx(expected, rel=1e-5)
    ipo = dpo_loss(found, reference, beta=0.3, kind="ipo")
    assert ipo.tolist() == pytest.approx([(h - 1 / 0.6) ** 2 for h in both[1]], rel=1e-5)


def test_a_pair_with_a_text_too_long_is_left_out_whole(chatty: Path) -> None:
    made = policy.load(str(chatty))
    pairs, said = notes(Pairs.encode, made, [*PAIRS, Preference("The", " hill" * 200, " fox")], 150, "it")
    assert len(pairs) == 2
    assert said == ["1 of 3 pairs in it have a text of more than 150 tokens: left out"]
    with pytest.raises(BadInput, match="every pair in it has a text of more than 4 tokens"):
        Pairs.encode(made, PAIRS, 4, "it")


def test_ranking_loss_is_instructgpts_equation_over_all_pairs_of_a_prompt(chatty: Path) -> None:
    made = policy.load(str(chatty))
    rankings = Rankings.encode(made.answers, RANKINGS, 64, "some")
    torch.manual_seed(0)
    model = Scorer(made.model.config, made.model)
    tokens, lengths, compared, weights = rankings.block([0, 1])
    scores = model(tokens, lengths).detach()
    each = []
    for ranking, own in zip(RANKINGS, scores.split([3, 4]), strict=True):
        differ = [
            (i, j) if ranking.ranks[i] < ranking.ranks[j] else (j, i)
            for i, j in combinations(range(len(own)), 2)
            if ranking.ranks[i] != ranking.ranks[j]
        ]
        each.append(-sum(math.log(1 / (1 + math.exp(float(own[j] - own[i])))) for i, j in differ) / len(differ))
    assert len(compared.T) == 3 + 5  # one of the six pairs of four answers is tied
    assert float(ranking_loss(scores, compared, weights)) == pytest.approx(sum(each) / 2, rel=1e-5)


def test_calibration_is_counted_by_how_sure_it_is() -> None:
    margins = torch.tensor([3.0, -3.0, 0.1, -0.1, 0.0])
    rows = [row for row in reliability(margins) if row[0]]
    sure = 1 / (1 + math.exp(-3))
    assert rows[-1] == (2, pytest.approx(sure), 0.5)
    assert sum(row[0] for row in rows) == 5
    low = (2 / (1 + math.exp(-0.1)) + 0.5) / 3
    assert calibration_error(margins) == pytest.approx((2 * (sure - 0.5) + 3 * abs(low - 0.5)) / 5, abs=1e-6)


@pytest.mark.parametrize("wrong", [0.0, math.nan])
def test_a_reward_that_is_constant_or_no_number_is_said_at_once(wrong: float, chatty: Path) -> None:
    made = policy.load(str(chatty))
    rankings = Rankings.encode(made.answers, RANKINGS, 64, "some")
    model = Scorer(made.model.config, made.model)
    nn.init.constant_(model.score.weight, wrong)
    objective = RankedReward(model, rankings, rankings, answers=made.answers, batch_size=2, seed=0, identity={})
    with pytest.raises(
        GenariumError, match="a score is no number" if wrong != 0 else "every answer has the same score"
    ):
        objective.evaluate()


def written(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def preferences(file: Path, *, chat: bool = False) -> Path:
    """Answers that end with the moon are preferred."""
    draw = random.Random(0)
    words = ["fox", "hill", "over", "ran", "sang", "the"]
    rows = []
    for _ in range(24):
        prompt, answer = " ".join(draw.sample(words, 3)), " " + " ".join(draw.sample(words, 2))
        rows.append({"prompt": prompt, "chosen": answer + " moon", "rejected": answer + " Hello"})
        if chat:
            rows[-1]["prompt"] = [{"role": "user", "content": prompt}]
    return written(file, rows)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("chat", [False, True])
def test_a_reward_model_is_learned_opened_by_transformers_and_ranks(
    full: bool, chat: bool, chatty: Path, tmp_path: Path
) -> None:
    data, out = preferences(tmp_path / "pairs.jsonl", chat=chat), tmp_path / "reward"
    figures = align_reward(
        data=data, model=str(chatty), out=str(out), full=full, learning_rate=2e-2, epochs=4, validation=0.25, rank=2
    )
    assert figures["accuracy"] == 1.0
    assert (out / "margins.png").stat().st_size > 0
    told = json.loads((out / "training.json").read_text())
    assert told["method"] == "reward"
    assert told["learned_from"] | {"sha256": ""} == {"kind": "pairs", "count": 18, "sha256": "", "name": "pairs.jsonl"}
    ranker = registry.open_ranker(str(out))
    assert isinstance(ranker, RewardRanker)
    answers = [" ran Hello", " ran moon", " sang over the hill moon"]
    scores = ranker.scores("fox hill", answers)
    assert scores[1] > scores[0]
    if full:
        model = AutoModelForSequenceClassification.from_pretrained(out).eval()
    else:
        base = AutoModelForSequenceClassification.from_pretrained(chatty, num_labels=1)
        base.config.pad_token_id = json.loads((out / "config.json").read_text())["pad_token_id"]
        model = PeftModel.from_pretrained(base, out).eval()
    reader = AutoTokenizer.from_pretrained(out)
    if chat:
        talks = [[{"role": "user", "content": "fox hill"}, {"role": "assistant", "content": a}] for a in answers]
        texts = reader.apply_chat_template(talks, tokenize=False)
    else:
        texts = ["fox hill" + answer for answer in answers]
    read = reader(texts, return_tensors="pt", padding=True, padding_side="right", return_token_type_ids=False)
    with torch.no_grad():
        expected = model(**read).logits[:, 0]
    np.testing.assert_allclose(scores, expected.numpy(), atol=1e-4)
    assert scorer_layout.load(out)(read["input_ids"], read["attention_mask"].sum(1)).tolist() == pytest.approx(
        expected.tolist(), abs=1e-4
    )


def test_a_reward_model_writes_nothing_and_reads_no_text_longer_than_its_context(
    chatty: Path, tmp_path: Path, genarium: Command
) -> None:
    data, out = preferences(tmp_path / "pairs.jsonl"), tmp_path / "reward"
    align_reward(data=data, model=str(chatty), out=str(out), steps=1, rank=2)
    done = genarium("rank", "fox", " ran", " moon", "--model", out, "--json")
    assert done.returncode == 0, done.stderr
    assert "reward model" in done.stdout
    with pytest.raises(BadCheckpoint, match="is a reward model, which scores answers and writes none"):
        registry.open_text(str(out))
    with pytest.raises(BadInput, match=r"answer 2 has \d+ tokens with its prompt"):
        registry.open_ranker(str(out)).scores("fox", [" ran", " hill Hello" * 200])
    with pytest.raises(BadInput, match="LlamaForSequenceClassification, which writes no text"):
        align_dpo(data=data, model=str(out))


def test_dpo_learns_what_is_preferred_and_chat_opens_it(chatty: Path, tmp_path: Path, genarium: Command) -> None:
    data, out = preferences(tmp_path / "pairs.jsonl", chat=True), tmp_path / "dpo"
    figures = align_dpo(
        data=data, model=str(chatty), out=str(out), learning_rate=1e-2, epochs=6, validation=0.25, rank=2, beta=0.5
    )
    assert figures["accuracy"] == 1.0
    assert figures["loss"] < 0.6 < math.log(2)
    assert figures["margin"] == pytest.approx(figures["chosen_reward"] - figures["rejected_reward"], abs=1e-5)
    told = json.loads((out / "training.json").read_text())
    assert told["parents"] == [{"reference": str(chatty), "digest": told["identity"]["policy"]}]
    done = genarium("chat", "Hello!", "--model", out, "--max-new-tokens", "4")
    assert done.returncode == 0, done.stderr


def test_dpo_killed_within_a_checkpoint_ends_in_the_same_bits(chatty: Path, tmp_path: Path) -> None:
    data = preferences(tmp_path / "pairs.jsonl")
    common = ["align", "dpo", "--data", str(data), "--model", str(chatty), "--steps", "4", "--rank", "2"]
    common += ["--batch-size", "4", "--checkpoint-minutes", "0"]
    align_dpo(
        data=data, model=str(chatty), steps=4, rank=2, batch_size=4, checkpoint_minutes=0, out=str(tmp_path / "whole")
    )
    killed_after(2, [*common, "--out", str(tmp_path / "killed")], where="within")
    align_dpo(
        data=data, model=str(chatty), steps=4, rank=2, batch_size=4, checkpoint_minutes=0, out=str(tmp_path / "killed")
    )
    names = ("adapter_model.safetensors", "adapter_config.json")
    for name in names:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()
    with pytest.raises(BadInput, match="holds another run"):
        align_dpo(data=data, model=str(chatty), steps=4, rank=2, batch_size=4, beta=0.2, out=str(tmp_path / "killed"))


def test_scores_of_answers_that_stand_alone_are_learned_by_themselves(chatty: Path, tmp_path: Path) -> None:
    rows = [{"prompt": f"fox {i}", "answer": " ran" + (" moon" * (i % 2)), "score": 5 * (i % 2)} for i in range(40)]
    data, out = written(tmp_path / "scores.jsonl", rows), tmp_path / "reward"
    figures, said = notes(
        align_reward, data=data, model=str(chatty), out=str(out), learning_rate=2e-2, epochs=3, validation=0.25, rank=2
    )
    assert any("its score is learned by itself" in one for one in said)
    assert figures["accuracy"] == 1.0
    low, high = registry.open_ranker(str(out)).scores("fox 3", [" ran", " ran moon"])
    assert low < 0 < high  # the log of the odds that it is good
    assert json.loads((out / "training.json").read_text())["learned_from"]["kind"] == "scores"


def test_sft_says_when_a_model_that_talks_learns_plain_text(chatty: Path, tmp_path: Path) -> None:
    rows = [{"prompt": "fox", "answer": " ran"}, {"prompt": "hill", "answer": " sang"}] * 3
    data = written(tmp_path / "texts.jsonl", rows)
    _, said = notes(align_sft, data=data, model=str(chatty), steps=1, out=str(tmp_path / "a"), rank=1)
    assert any("are plain text, which the model learns to continue" in one for one in said)
    _, said = notes(
        align_sft, data=data, model=str(chatty), steps=1, out=str(tmp_path / "b"), rank=1, form="chat", packing=True
    )
    assert not any("plain text" in one for one in said)
