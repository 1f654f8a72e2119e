"""The training loop. It knows steps, gradients and checkpoints; what is learned is the objective's."""

from __future__ import annotations

import contextlib
import json
import math
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from genarium.errors import BadInput, GenariumError
from genarium.files import write_atomically
from genarium.progress import emit
from genarium.training import state
from genarium.training.settings import Settings, make_optimizers, resolve_compile, resolve_precision


class Objective(Protocol):
    """What a family gives the loop."""

    @property
    def model(self) -> nn.Module: ...

    identity: dict[str, Any]
    """What must be the same for a run to be continued: the data's digest, the network's config."""

    def batch(self, index: int) -> tuple[Tensor, ...]:
        """Batch `index` of the run: a function of the seed and the index alone."""

    @property
    def loss(self) -> Callable[..., Tensor]:
        """From the parts of a batch to their mean loss, a scalar."""

    def evaluate(self) -> dict[str, float]:
        """Figures on data not trained on; `loss` is the one plotted."""

    def preview(self, step: int) -> str:
        """A sample of what the model makes at this step, to read along the way."""


def fit(objective: Objective, settings: Settings, folder: Path) -> list[dict[str, Any]]:
    """Train `objective.model` in place and return the log, one dict an evaluation.

    The state is kept in `folder` and continued from there: a run killed at any moment and started again ends
    in the same weights, bit for bit, on the same machine with the same number of threads. Ctrl-C and SIGTERM
    finish the step and keep the state before they end the run.
    Raises BadInput where the folder holds another run, GenariumError where the loss stops being a number.
    """
    torch.manual_seed(settings.seed)
    model = objective.model
    optimizers = make_optimizers(model, settings)
    mean = RunningMean(model, settings.ema)
    identity = objective.identity | {
        "settings": {k: v for k, v in asdict(settings).items() if k not in ("checkpoint_minutes", "device")}
    }
    log: list[dict[str, Any]] = []
    running: list[float] = []
    first, seconds = 0, 0.0
    if (facts := state.read_facts(folder)) is not None:
        _require_same_run(facts["identity"], identity, folder)
        if settings.device == "cpu":
            torch.set_num_threads(facts["threads"])
        state.restore(folder, model, optimizers, mean.weights)
        log, first, seconds, running = facts["log"], facts["step"], facts["seconds"], facts.get("running", [])
    precision = resolve_precision(settings, model)
    autocast = (
        torch.autocast(settings.device.split(":")[0], dtype=precision)
        if precision != torch.float32
        else contextlib.nullcontext()
    )
    loss_of = torch.compile(objective.loss, dynamic=False) if resolve_compile(settings, model) else objective.loss
    parameters = [p for p in model.parameters() if p.requires_grad]

    def keep(step: int) -> None:
        elapsed = seconds + time.perf_counter() - began
        facts = {"identity": identity, "step": step, "seconds": elapsed, "log": log, "running": running}
        state.write(folder, model, optimizers, facts | {"threads": torch.get_num_threads()}, mean.weights)

    began = kept = time.perf_counter()
    model.train()
    with _finishing_the_step() as asked:
        for step in range(first, settings.steps):
            rate = settings.learning_rate_at(step)
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate
            total = torch.zeros((), device=settings.device)
            for micro in range(settings.grad_accumulation):
                batch = objective.batch(step * settings.grad_accumulation + micro)
                with autocast:
                    loss = loss_of(*(part.to(settings.device) for part in batch))
                (loss / settings.grad_accumulation).backward()
                total += loss.detach()
            norm = float(nn.utils.clip_grad_norm_(parameters, settings.grad_clip))
            value = float(total) / settings.grad_accumulation
            if not math.isfinite(value) or not math.isfinite(norm):
                raise GenariumError(_not_a_number(step, folder))  # before the weights are none, too
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            mean.update(step)
            running.append(value)
            emit("training", step + 1, settings.steps, preview=f"loss {value:.3f}")
            last = step + 1 == settings.steps
            if last or (step + 1) % settings.evaluate_every == 0:
                with mean.in_place():
                    log.append(_evaluate(objective, step + 1, running, rate, seconds + time.perf_counter() - began))
                _write_log(folder, log)
                running.clear()
            if last or asked or time.perf_counter() - kept > settings.checkpoint_minutes * 60:
                keep(step + 1)
                kept = time.perf_counter()
            if asked:
                raise KeyboardInterrupt
    mean.take_place()
    return log


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
    objective.model.eval()
    with torch.inference_mode(), torch.random.fork_rng():
        figures = objective.evaluate()
        sample = objective.preview(step)
    objective.model.train()
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
