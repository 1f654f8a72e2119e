"""Rewards by name: what each gives, what they are when added up, and which are refused, with the reason."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from genarium.checkpoints.layouts import encoder as layout
from genarium.checkpoints.layouts.encoder_config import label_names
from genarium.errors import BadInput, GenariumError
from genarium.models.encoder import TextClassifier
from genarium.models.encoder_config import HeadConfig
from genarium.training import diversity
from genarium.training.rewards import Reward, open_all, open_one
from tests.small_encoder import make_base

PROMPTS = ["the film is"] * 3
ANSWERS = [" great", " a dull dull dull dull tale", " fine book song play tale dance red blue"]


def scores(name: str, answers: list[str] = ANSWERS) -> list[float]:
    found: list[float] = open_one(name, device="cpu").scores(PROMPTS[: len(answers)], answers).tolist()
    return found


@pytest.fixture
def judge(tmp_path: Path) -> Path:
    """A random classifier with the labels bad and good."""
    folder = make_base(tmp_path / "judge", lambda config: TextClassifier(config, HeadConfig(2, pool="first")))
    model = layout.load_classifier(folder)
    layout.save(model, folder, extra=label_names(["bad", "Good"]))
    return folder


def test_functions_by_hand() -> None:
    assert scores("matches:dull|red") == [0, 1, 1]
    assert scores("length:4") == [0.25, 0.5, 0.0]
    assert scores("distinct") == [1.0, 3 / 5, 1.0]
    assert open_one("0.5*length:4", device="cpu").weight == 0.5


def test_a_classifier_reads_a_continued_text_whole_and_a_reply_alone(judge: Path) -> None:
    reward = open_one(f"{judge}:good", device="cpu")
    assert reward.label == "Good"
    model = layout.load_classifier(judge)
    from genarium.checkpoints.processors import tokenizer

    reader = tokenizer.load(judge)

    @torch.no_grad()
    def alone(text: str) -> float:
        ids = torch.tensor([reader.encode(text).ids])
        return float(model(ids).softmax(-1)[0, 1])

    found = reward.scores(PROMPTS, ANSWERS)
    np.testing.assert_allclose(found, [alone("the film is" + answer) for answer in ANSWERS], atol=1e-6)
    talk = [({"role": "user", "content": "the film is"},)] * 3
    np.testing.assert_allclose(reward.scores(talk, ANSWERS), [alone(answer) for answer in ANSWERS], atol=1e-6)
    assert np.ptp(found) > 1e-3


def test_several_are_added_up_with_their_weights(judge: Path) -> None:
    rewards, gold = open_all([f"2*{judge}:Good", "-0.5*length:4"], "distinct", device="cpu")
    total, each = rewards.scores(PROMPTS, ANSWERS)
    first, second = np.array(scores(f"{judge}:Good")), np.array(scores("length:4"))
    np.testing.assert_allclose(total, 2 * first - 0.5 * second)
    assert each == {f"score 2*{judge}:Good": first.mean(), "score -0.5*length:4": second.mean()}
    assert gold is not None
    assert gold.scores(PROMPTS, ANSWERS).tolist() == scores("distinct")


def test_a_judge_that_is_the_reward_itself_is_refused(judge: Path, tmp_path: Path) -> None:
    """By whatever path or weight it is named; another label of the same head is another judge."""
    shutil.copytree(judge, tmp_path / "copy")
    for gold in (f"{judge}:Good", f"{tmp_path / 'copy'}:good"):
        with pytest.raises(BadInput, match=r"is the reward .* itself"):
            open_all([f"2*{judge}:Good", "distinct"], gold, device="cpu")
    with pytest.raises(BadInput, match="is the reward matches:a itself"):
        open_all(["matches:a"], "matches:a", device="cpu")
    with pytest.raises(BadInput, match="named twice"):
        open_all([f"{judge}:Good", f"0.1*{tmp_path / 'copy'}:Good"], None, device="cpu")
    assert open_all([f"{judge}:Good"], f"{judge}:bad", device="cpu")[1] is not None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("matches:(", "no regular expression"),
        ("length:few", "how many words"),
        ("length:0", "how many words"),
        ("length", "no reward; there are"),
        ("0*distinct", "counts nothing"),
        ("openai:gpt-4o", "behind an endpoint"),
        ("{judge}", "say which label .* as in .*:Good"),
        ("{judge}:ugly", "no label 'ugly'; it has bad, Good"),
        ("starter/text", "judges nothing"),
    ],
)
def test_what_can_be_no_reward_is_refused(name: str, said: str, judge: Path) -> None:
    with pytest.raises(BadInput, match=said):
        open_one(name.replace("{judge}", str(judge)), device="cpu")


def test_a_score_that_is_no_number_is_said_with_its_answer() -> None:
    broken = Reward("mine", lambda prompts, answers: np.array([1.0, np.nan, 0.0]), "mine")
    with pytest.raises(GenariumError, match="the reward mine gave no number for the answer ' a dull"):
        broken.scores(PROMPTS, ANSWERS)


def test_diversity_by_hand() -> None:
    assert diversity.distinct(["a b a b", "a b"], 2) == 2 / 4  # ab ba ab, ab
    assert diversity.distinct(["one"], 2) == 1.0
    assert diversity.self_bleu(["a b c d e"] * 3) == 1.0
    # One of the two unigrams and none of the others is the other's; beyond unigrams one is added to both counts.
    expected = ((1 / 2) * (1 / 2) * (1 / 1) * (1 / 1)) ** 0.25
    assert abs(diversity.self_bleu(["a b", "a c"]) - expected) < 1e-12
    assert diversity.self_bleu(["a b", "c d"]) == 0.0
