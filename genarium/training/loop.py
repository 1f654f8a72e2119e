"""The training loop. It knows steps, schedules and checkpoints; what is learned, and how, is the objective's."""

from __future__ import annotations

import contextlib
import json
import math
import re
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genarium.errors import BadInput, GenariumError
from genarium.files import write_atomically
from genarium.progress import emit
from genarium.training import state
from genarium.training.objective import Batch, Compute, NotFinite, Objective
from genarium.training.settings import Settings


def fit(objective: Objective, settings: Settings, folder: Path) -> list[dict[str, Any]]:
    """Train the objective's models in place and return the log, one dict an evaluation.

    The state is kept in `folder` and continued from there: a run killed at any moment and started again ends
    in the same weights, bit for bit, on the same machine with the same number of threads. Ctrl-C and SIGTERM
    finish the step and keep the state before they end the run.
    Raises BadInput where the folder holds another run, GenariumError where the loss stops being a number.
    """
    torch.manual_seed(settings.seed)
    run = Run(objective, settings, folder)
    run.resume()
    for model in run.models.values():
        model.train()
    with _finishing_the_step() as asked:
        for step in range(run.step, settings.steps):
            try:
                value = run.update(step)
            except NotFinite:
                raise GenariumError(_not_a_number(step, folder)) from None
            emit("training", step + 1, settings.steps, preview=f"loss {value:.3f}")
            last = step + 1 == settings.steps
            if last or (step + 1) % settings.evaluate_every == 0:
                run.evaluate()
            if last or asked or run.is_due():
                run.keep()
            if asked:
                raise KeyboardInterrupt
    for mean in run.means.values():
        mean.take_place()
    return run.log


class Run:
    """A run in its folder: what is trained, with what, and how far it came."""

    def __init__(self, objective: Objective, settings: Settings, folder: Path):
        self.objective, self.settings, self.folder = objective, settings, folder
        self.models = objective.models
        self.optimizers = objective.optimizers(settings)
        self.means = {name: RunningMean(model, settings.ema) for name, model in self.models.items()}
        self.identity = objective.identity | {
            "settings": {k: v for k, v in asdict(settings).items() if k not in ("checkpoint_minutes", "device")}
        }
        self.step, self.before = 0, 0.0
        self.log: list[dict[str, Any]] = []
        self.running: list[float] = []
        """The losses since the last evaluation."""

    def resume(self) -> None:
        """Go on from the folder's state, where it has one. Raises BadInput where that is another run's."""
        if (facts := state.read_facts(self.folder)) is not None:
            _require_same_run(facts["identity"], self.identity, self.folder)
            if self.settings.device == "cpu":
                torch.set_num_threads(facts["threads"])
            state.restore(self.folder, self.models, self.optimizers, self._mean_weights())
            self.log, self.step, self.before = facts["log"], facts["step"], facts["seconds"]
            self.running = facts.get("running", [])
            if self.objective.memory is not None:
                self.objective.memory.update(facts.get("memory", {}))
        self.compute = Compute(self.settings, self.models)
        self.began = self.kept = time.perf_counter()

    def update(self, step: int) -> float:
        """Make update `step`; its loss. Raises NotFinite, with the weights as they were."""
        rate = self.settings.learning_rate_at(step)
        for optimizer in chain.from_iterable(self.optimizers.values()):
            for group in optimizer.param_groups:
                group["lr"] = rate
        batch = Batch(step, self.objective.batch, self.compute)
        value = self.objective.step(self.models, self.optimizers, batch)
        if not math.isfinite(value):
            raise NotFinite
        for mean in self.means.values():
            mean.update(step)
        self.running.append(value)
        self.step = step + 1
        return value

    def evaluate(self) -> None:
        """Measure the means of the weights, and write that into the log."""
        rate = self.settings.learning_rate_at(self.step - 1)
        with contextlib.ExitStack() as stack:
            for mean in self.means.values():
                stack.enter_context(mean.in_place())
            self.log.append(_evaluate(self.objective, self.step, self.running, rate, self.seconds))
        _write_log(self.folder, self.log)
        self.running.clear()

    def is_due(self) -> bool:
        """Whether the state was last kept so long ago that it should be again."""
        return time.perf_counter() - self.kept > self.settings.checkpoint_minutes * 60

    def keep(self) -> None:
        """Write the state."""
        facts = {"identity": self.identity, "step": self.step, "seconds": self.seconds, "log": self.log}
        facts |= {"running": self.running, "threads": torch.get_num_threads()}
        if self.objective.memory is not None:
            facts["memory"] = self.objective.memory
        state.write(self.folder, self.models, self.optimizers, facts, self._mean_weights())
        self.kept = time.perf_counter()

    @property
    def seconds(self) -> float:
        return self.before + time.perf_counter() - self.began

    def _mean_weights(self) -> dict[str, list[Tensor]]:
        return {name: mean.weights for name, mean in self.means.items()}


class RunningMean:
    """The exponential mean of a model's trained weights, which makes better pictures than the last ones do.

    Song et al. 2020 (arXiv:2006.09011, technique 5). `decay` of 0 keeps none. In its first steps it forgets faster,
    as (1 + step) / (10 + step), so that it does not remember the random beginning.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.trained: list[Tensor] = [p for p in model.parameters() if p.requires_grad]
        self.weights = [p.detach().clone() for p in self.trained] if decay else []

    @torch.no_grad()
    def update(self, step: int) -> None:
        if self.weights:
            decay = min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(self.weights, self.trained, 1.0 - decay)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside the block the model has the mean's weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def take_place(self) -> None:
        """The model keeps the mean's weights."""
        self._swap()
        self.weights = []

    def _swap(self) -> None:
        for parameter, weight in zip(self.trained, self.weights, strict=bool(self.weights)):
            parameter.data, weight.data = weight.data, parameter.data


@contextlib.contextmanager
def _finishing_the_step() -> Iterator[list[int]]:
    """Inside the block Ctrl-C and SIGTERM are noted in the list, to be answered between two steps; twice is at once."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number: int, _: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _evaluate(objective: Objective, step: int, running: list[float], rate: float, seconds: float) -> dict[str, Any]:
    for model in objective.models.values():
        model.eval()
    with torch.inference_mode(), torch.random.fork_rng():
        figures = objective.evaluate()
        sample = objective.preview(step)
    for model in objective.models.values():
        model.train()
    entry: dict[str, Any] = {"step": step, "train_loss": sum(running) / max(1, len(running)), "learning_rate": rate}
    entry |= {"seconds": round(seconds, 1)} | figures | {"sample": sample}
    shown = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
    emit("evaluated", step, preview=f"step {step}: {shown}\n  {sample}")
    return entry


def _not_a_number(step: int, folder: Path) -> str:
    kept = state.read_facts(folder)
    where = f"the last good checkpoint is step {kept['step']} in {folder}" if kept else "no checkpoint was kept yet"
    return (
        f"the loss or its gradient is not a finite number at step {step + 1}; start again with a smaller "
        f"--learning-rate and another --out ({where})"
    )


def _write_log(folder: Path, log: list[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in log)
    write_atomically(folder / "log.jsonl", lines.encode())


def _require_same_run(before: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    now = json.loads(json.dumps(now))
    changed = sorted(name for name in before | now if before.get(name) != now.get(name))
    if not changed:
        return
    inner = [
        _difference(key, before[name].get(key), now[name].get(key))
        for name in changed
        if isinstance(before.get(name), dict) and isinstance(now.get(name), dict)
        for key in sorted(before[name] | now[name])
        if before[name].get(key) != now[name].get(key)
    ]
    raise BadInput(
        f"{folder} holds another run ({'; '.join(inner) or ', '.join(changed) + ' differ'}); "
        "continue it with the options and the data it began with, or choose another --out"
    )


def _difference(key: str, before: Any, now: Any) -> str:
    """What changed; of digests only that they did."""
    name = key.replace("_", " ")
    if any(isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) for value in (before, now)):
        return f"{name} differ"
    return f"{name} was {before!r}, now {now!r}"
