"""An objective may make its own step: of two networks, or by rollouts; killed at any step the bits are the same."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from genarium.errors import BadInput, GenariumError
from genarium.progress import Event, listening
from genarium.training import state
from genarium.training.loop import fit
from genarium.training.objective import Batch, Models, Objective, Optimizers
from genarium.training.settings import Settings

SETTINGS = Settings(
    steps=9,
    learning_rate=1e-2,
    min_learning_rate=1e-3,
    warmup_steps=2,
    weight_decay=0.0,
    ema=0.9,
    evaluate_every=4,
    precision="float32",
    compile="off",
)


class Numbers(Objective):
    """A generator of numbers that a critic can't tell from drawn ones (Goodfellow et al. 2014, algorithm 1)."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.generator = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
        self.critic = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 1))
        self.identity = {"numbers": 1}

    @property
    def models(self) -> Models:
        return {"generator": self.generator, "critic": self.critic}

    def batch(self, index: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(index)
        return torch.randn(32, 1, generator=generator) / 2 + 3, torch.randn(32, 2, generator=generator)

    def step(self, models: Models, optimizers: Optimizers, batch: Batch) -> float:
        generator, critic = models["generator"], models["critic"]
        ((real, noise),) = batch
        told = torch.cat((critic(real), critic(generator(noise).detach())))
        truth = torch.cat((torch.ones(len(real), 1), torch.zeros(len(noise), 1)))
        batch.descend(F.binary_cross_entropy_with_logits(told, truth), critic, optimizers["critic"])
        fooled = F.binary_cross_entropy_with_logits(critic(generator(noise)), truth[: len(noise)])
        return batch.descend(fooled, generator, optimizers["generator"])

    def evaluate(self) -> dict[str, float]:
        return {"mean": float(self.generator(self.batch(10**6)[1]).detach().mean())}

    def preview(self, step: int) -> str:
        return ""


class Rolls(Objective):
    """Which of four arms to pull, from pulls of its own: REINFORCE (Williams 1992), with what it won as its memory."""

    wins = torch.tensor([0.1, 0.3, 0.9, 0.2])

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Linear(1, 4)
        self.identity = {"arms": self.wins.tolist()}
        self.memory = {"won": 0.0}

    def batch(self, index: int) -> tuple[Tensor, ...]:
        return (torch.ones(64, 1),)

    def step(self, models: Models, optimizers: Optimizers, batch: Batch) -> float:
        ((seen,),) = batch
        scores, generator = self.model(seen).log_softmax(-1), batch.generator()
        arms = torch.multinomial(scores.detach().exp(), 1, generator=generator)
        won = (torch.rand(len(arms), generator=generator) < self.wins[arms[:, 0]]).float()
        assert self.memory is not None
        self.memory["won"] += 0.1 * (float(won.mean()) - self.memory["won"])
        loss = -((won - self.memory["won"]) * scores.gather(1, arms)[:, 0]).mean()
        return batch.descend(loss, models["model"], optimizers["model"])

    def evaluate(self) -> dict[str, float]:
        return {"best": float(self.model(torch.ones(1, 1)).softmax(-1)[0, 2])}

    def preview(self, step: int) -> str:
        return ""


class Line(Objective):
    """One network and one loss: no step of its own."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.2), nn.Linear(4, 1))
        self.identity = {"line": 1}

    def batch(self, index: int) -> tuple[Tensor, ...]:
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(index))
        return x, x.sum(dim=1, keepdim=True)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        return F.mse_loss(self.model(x), y)

    def evaluate(self) -> dict[str, float]:
        return {"loss": float(self.loss(*self.batch(10**6)))}

    def preview(self, step: int) -> str:
        return ""


class Images(Line):
    """Convolutions whose weights lie channels last in memory, as what they see does."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
        self.model = layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.identity = {"pictures": 1}

    def batch(self, index: int) -> tuple[Tensor, ...]:
        x = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(index))
        return x, x[:, :2, 2:-2, 2:-2].square()


def stopped(objective: Objective, settings: Settings, folder: Path, step: int) -> None:
    """Train until SIGTERM comes in this step."""

    def stop(event: Event) -> None:
        if event.stage == "training" and event.done == step:
            signal.raise_signal(signal.SIGTERM)

    with listening(stop), pytest.raises(KeyboardInterrupt):
        fit(objective, settings, folder)


def weights(objective: Objective) -> dict[str, Tensor]:
    return {f"{name}.{key}": w for name, model in objective.models.items() for key, w in model.state_dict().items()}


@pytest.mark.parametrize("kind", [Numbers, Rolls, Line, Images])
def test_stopped_at_any_step_it_ends_in_the_same_bits(kind: Callable[[], Objective], tmp_path: Path) -> None:
    whole = kind()
    log = fit(whole, SETTINGS, tmp_path / "whole")
    with safe_open(tmp_path / "whole" / state.FILE, "pt") as opened:
        kept = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    for step in range(1, SETTINGS.steps):
        folder = tmp_path / str(step)
        stopped(kind(), SETTINGS, folder, step)
        again = kind()
        for entry, other in zip(fit(again, SETTINGS, folder), log, strict=True):
            assert entry | {"seconds": 0} == other | {"seconds": 0}
        for name, weight in weights(whole).items():
            assert torch.equal(weight, weights(again)[name]), (step, name)
        found = load_file(folder / state.FILE)
        assert found.keys() == kept.keys()
        assert all(torch.equal(found[name], kept[name]) for name in kept), step


def test_a_generator_comes_to_what_it_is_shown_and_a_roller_to_the_best_arm(tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=400, evaluate_every=400, learning_rate=3e-2)
    numbers, rolls = Numbers(), Rolls()
    before = numbers.evaluate()["mean"]
    assert abs(fit(numbers, settings, tmp_path / "numbers")[-1]["mean"] - 3) < 0.3 * abs(before - 3)
    assert fit(rolls, settings, tmp_path / "rolls")[-1]["best"] > 0.8


def test_rollouts_are_of_the_seed_and_the_step_alone() -> None:
    from genarium.training.objective import Compute

    def drawn(seed: int, step: int) -> list[float]:
        objective = Rolls()
        batch = Batch(step, objective.batch, Compute(replace(SETTINGS, seed=seed), objective.models))
        return torch.rand(3, generator=batch.generator()).tolist()

    assert drawn(1, 5) == drawn(1, 5)
    assert len({tuple(drawn(seed, step)) for seed in range(4) for step in range(4)}) == 16


def test_the_loss_that_comes_as_default_is_the_plain_loop(tmp_path: Path) -> None:
    settings = replace(SETTINGS, ema=0.0, grad_accumulation=2, grad_clip=0.5)
    found = Line()
    fit(found, settings, tmp_path)
    torch.manual_seed(settings.seed)
    plain = Line()
    torch.manual_seed(settings.seed)
    groups = [[p for p in plain.model.parameters() if (p.dim() < 2) == vectors] for vectors in (False, True)]
    optimizer = torch.optim.AdamW([{"params": group} for group in groups], betas=(0.9, 0.99), weight_decay=0.0)
    plain.model.train()
    for step in range(settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate_at(step)
        for micro in range(2):
            (plain.loss(*plain.batch(2 * step + micro)) / 2).backward()
        nn.utils.clip_grad_norm_(plain.model.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
    for name, weight in weights(plain).items():
        torch.testing.assert_close(weights(found)[name], weight)


def test_a_state_written_before_there_were_several_networks_goes_on(tmp_path: Path) -> None:
    """Its tensors are called model.NAME, mean.NAME and optimizer.NUMBER.INDEX.NAME."""
    whole = Line()
    fit(whole, SETTINGS, tmp_path / "whole")
    stopped(Line(), SETTINGS, tmp_path / "old", 4)
    file = tmp_path / "old" / state.FILE
    tensors = load_file(file)
    parameters = [name for name, _ in Line().model.named_parameters()]
    places = [f"optimizer.0.{n}.{part}" for n in range(4) for part in ("step", "exp_avg", "exp_avg_sq")]
    old = {*(f"{kind}.{name}" for kind in ("model", "mean") for name in parameters), *places, "random"}
    assert {name for name in tensors if name != "random_cuda"} == old
    facts: dict[str, Any] = state.read_facts(tmp_path / "old") or {}
    assert facts.keys() == {"identity", "step", "seconds", "log", "running", "threads"}
    save_file(tensors, file, metadata={"facts": json.dumps(facts)})
    again = Line()
    fit(again, SETTINGS, tmp_path / "old")
    assert all(torch.equal(weight, weights(again)[name]) for name, weight in weights(whole).items())


def test_a_network_more_is_another_run(tmp_path: Path) -> None:
    fit(Line(), SETTINGS, tmp_path)
    with pytest.raises(BadInput, match="holds another run"):
        fit(Numbers(), SETTINGS, tmp_path)


def test_a_step_of_its_own_that_comes_to_no_number_ends_the_run(tmp_path: Path) -> None:
    class Broken(Numbers):
        def batch(self, index: int) -> tuple[Tensor, ...]:
            real, noise = super().batch(index)
            return real * (float("nan") if index == 3 else 1.0), noise

    with pytest.raises(GenariumError, match="not a finite number at step 4"):
        fit(Broken(), replace(SETTINGS, checkpoint_minutes=0), tmp_path)
    facts = state.read_facts(tmp_path)
    assert facts is not None
    assert facts["step"] == 3
