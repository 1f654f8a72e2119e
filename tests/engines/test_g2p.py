"""Words that no lexicon has: the network on arrays is torch's, and learns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from genarium.checkpoints.layouts import g2p as layout
from genarium.data import lexicon
from genarium.engines.audio.english.guess import Guess
from genarium.errors import BadCheckpoint, BadInput
from genarium.models.g2p import G2P, G2PConfig
from genarium.training.objectives.pronounce import Pronounce

LETTERS = "\x01\x02'-abcdefghijklmnopqrstuvwxyz"
PAIRS = [(f"\x01{a}{b}{c}", f"{c.upper()}{b}ˈ{a}") for a in "bdf" for b in "aei" for c in "klm"]


def objective(model: G2P) -> Pronounce:
    return Pronounce(model, PAIRS, PAIRS[:9], batch_size=9, seed=1)


def network() -> G2P:
    torch.manual_seed(3)
    sounds = "".join(sorted({sound for _, said in PAIRS for sound in said}))
    return G2P(G2PConfig(LETTERS, sounds, embedding=12, width=24)).eval()


def test_it_learns_and_says_the_same_without_torch(tmp_path: Path) -> None:
    model = network()
    learning = objective(model)
    before = learning.measure(PAIRS)["phoneme_error_rate"]
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for index in range(150):
        optimizer.zero_grad()
        learning.loss(*learning.batch(index)).backward()
        optimizer.step()
    assert learning.measure(PAIRS) == {"phoneme_error_rate": 0.0, "word_error_rate": 0.0}
    assert before > 0.5
    layout.save(model, tmp_path / "g2p.safetensors")
    guess = Guess(tmp_path / "g2p.safetensors")
    assert [guess.say(word) for word, _ in PAIRS] == [said for _, said in PAIRS]


def test_on_random_weights_it_is_torchs(tmp_path: Path) -> None:
    model = network().half().float()
    layout.save(model, tmp_path / "g2p.safetensors")
    guess = Guess(tmp_path / "g2p.safetensors")
    words = ["\x01zebra", "\x02o", "\x01it's-a"]
    with torch.inference_mode():
        expected = objective(model).say(words)
    got = [guess.say(word) for word in words]
    assert [one[:40] for one in got] == [one[:40] for one in expected]


def test_a_batch_does_not_change_a_word() -> None:
    learning = objective(network())
    with torch.inference_mode():
        assert learning.say(["\x01ab", "\x01abcdefghijk"])[0] == learning.say(["\x01ab"])[0]


class Elsewhere(torch.nn.Module):
    """On a device that computes nothing: it tells where what it is given lies."""

    def __init__(self, config: G2PConfig):
        super().__init__()
        self.config = config
        self.weight = torch.nn.Parameter(torch.empty(1, device="meta"))

    def forward(self, *given: torch.Tensor) -> torch.Tensor:
        raise LookupError(" ".join(str(one.device) for one in given))


def test_it_is_measured_where_the_network_is() -> None:
    learning = objective(Elsewhere(network().config))  # type: ignore[arg-type]
    for measured in (learning.evaluate, lambda: learning.say(["\x01ab"])):
        with pytest.raises(LookupError, match="meta meta"):
            measured()


def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "g2p.safetensors").write_bytes(b"no tensors")
    with pytest.raises(BadCheckpoint, match="is damaged"):
        Guess(tmp_path / "g2p.safetensors")


def test_held_out_words_are_in_neither_accents_training(tmp_path: Path) -> None:
    words = {f"word{a}{b}": "wˈɜɹd" for a in "abcdefghij" for b in "abcdefghijklmno"} | {"Two Words": "x", "x1": "y"}
    for accent in lexicon.ACCENTS:
        (tmp_path / f"{accent}_gold.json").write_text(json.dumps(words))
        (tmp_path / f"{accent}_silver.json").write_text(json.dumps({"read": {"DEFAULT": "ɹˈid", "VBD": "ɹˈɛd"}}))
    train, held = lexicon.pairs(tmp_path)
    assert {word[1:] for word, _ in train}.isdisjoint({word[1:] for word, _ in held})
    assert len(held) == 2 * sum(lexicon.is_held_out(word) for word in words if word.startswith("word")) > 0
    assert ("\x01read", "ɹˈid") in train
    assert len(train) + len(held) == 2 * (150 + 1)
    (tmp_path / "us_gold.json").write_text("[]")
    with pytest.raises(BadInput, match="no lexicon"):
        lexicon.pairs(tmp_path)
