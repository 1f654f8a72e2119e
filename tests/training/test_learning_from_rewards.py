"""PPO and GRPO: their losses are those of each answer by hand, they learn, and a kill anywhere changes no bit."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from genarium.errors import BadInput, GenariumError
from genarium.progress import Event, listening
from genarium.training import policy as policies
from genarium.training import state
from genarium.training.loop import fit
from genarium.training.objective import Batch, Compute
from genarium.training.objectives.grpo import GRPO, GRPOSettings
from genarium.training.objectives.on_policy import BEST, Lesson, OnPolicy
from genarium.training.objectives.ppo import PPO, PPOSettings
from genarium.training.rewards import Reward, open_all
from genarium.training.rollout_options import fitting
from genarium.training.settings import Settings
from tests.small_policy import make_policy

SETTINGS = Settings(
    steps=3,
    learning_rate=1e-2,
    min_learning_rate=1e-3,
    warmup_steps=1,
    weight_decay=0.0,
    evaluate_every=2,
    checkpoint_minutes=0.0,
    precision="float32",
    compile="off",
)
PROMPTS = [f"the {word}" for word in ("fox", "moon", "hill", "sun", "a", "old man s", "red", "dog", "sea", "b")]
REMEMBERED = torch.arange(200) % 30


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_policy(tmp_path_factory.mktemp("policy") / "base"))


def lesson(gold: str | None = "distinct", **changes: Any) -> Lesson:
    rewards, watching = open_all(["matches:[aeiou]", "0.2*length:2"], gold, device="cpu")
    made = Lesson(
        PROMPTS[:7],
        PROMPTS[7:],
        rewards,
        watching,
        batch_size=4,
        max_new_tokens=6,
        temperature=1.0,
        missing_end_penalty=0.1,
        seed=0,
    )
    return replace(made, **changes)


def ppo(
    base: str, folder: Path, *, way: policies.Way = "lora", changes: dict[str, Any] | None = None, **settings: Any
) -> PPO:
    policy = policies.load(base, way=way, rank=4, alpha=8, seed=0, keep_reference=True)
    torch.manual_seed(0)
    usual: dict[str, Any] = {"epochs": 2, "minibatches": 2, "kl_target": 0.5, "stop_kl": 0.5}
    return PPO(
        policy,
        lesson(**changes or {}),
        folder,
        {"base": "small"},
        settings=PPOSettings(**usual | settings),
        remembered=REMEMBERED,
    )


def grpo(base: str, folder: Path, *, changes: dict[str, Any] | None = None, **settings: Any) -> GRPO:
    policy = policies.load(base, way="full", seed=0, keep_reference=True)
    usual: dict[str, Any] = {"group": 3, "iterations": 2, "at_once": 5}
    return GRPO(policy, lesson(**changes or {}), folder, {"base": "small"}, settings=GRPOSettings(**usual | settings))


class Killed(BaseException):
    """The process is gone."""


def killed(objective: OnPolicy, folder: Path, stage: str, count: int) -> None:
    """Train until the stage has been told of so often."""
    seen = 0

    def die(event: Event) -> None:
        nonlocal seen
        seen += event.stage == stage
        if event.stage == stage and seen == count:
            raise Killed

    with listening(die), pytest.raises(Killed):
        fit(objective, SETTINGS, folder)


def killed_while_saving(objective: OnPolicy, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """When the second state's bytes lie beside the first, which they have not replaced."""
    write, written = state.write, 0

    def die(_: int) -> None:
        raise Killed

    def counted(*given: Any, **more: Any) -> None:
        nonlocal written
        written += 1
        if written == 2:
            patch.setattr(os, "fsync", die)
        write(*given, **more)

    patch.setattr(state, "write", counted)
    with pytest.raises(Killed):
        fit(objective, SETTINGS, folder)


def bits(objective: OnPolicy, folder: Path) -> dict[str, Tensor]:
    own = {f"{name}.{key}": w for name, model in objective.models.items() for key, w in model.state_dict().items()}
    return own | {f"kept.{name}": w for name, w in load_file(folder / BEST).items()}


@pytest.mark.parametrize("make", [ppo, grpo])
def test_killed_at_any_moment_it_ends_in_the_same_bits(
    make: Callable[[str, Path], OnPolicy], base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While answers are drawn, scored, read, learned from; in an evaluation; while the state is written."""
    whole = make(base, tmp_path / "whole")
    log = fit(whole, SETTINGS, tmp_path / "whole")
    expected = bits(whole, tmp_path / "whole")
    moments = [("rollouts", 6), ("scoring", 3), ("reading", 2), ("learning", 3)]
    moments += [("answering held-out prompts", 2), ("evaluated", 1), ("saving", 0)]
    for stage, count in moments:
        folder = tmp_path / stage.replace(" ", "-")
        if stage == "saving":
            with monkeypatch.context() as patch:
                killed_while_saving(make(base, folder), folder, patch)
        else:
            killed(make(base, folder), folder, stage, count)
        again = make(base, folder)
        for entry, other in zip(fit(again, SETTINGS, folder), log, strict=True):
            assert entry | {"seconds": 0} == other | {"seconds": 0}, stage
        found = bits(again, folder)
        assert all(torch.equal(weight, expected[name]) for name, weight in found.items()), stage
        assert again.memory == whole.memory
        assert load_file(folder / state.FILE).keys() == load_file(tmp_path / "whole" / state.FILE).keys()


def batch_of(objective: OnPolicy, number: int = 0) -> Batch:
    return Batch(number, objective.batch, Compute(SETTINGS, objective.models))


def log_p(objective: OnPolicy, prompt: list[int], answer: list[int]) -> Tensor:
    """log p of each token of an answer by the policy, its text alone in the network."""
    logits = objective.policy.model(torch.tensor([prompt + answer]))[0]
    return torch.stack([logits[len(prompt) + t - 1].log_softmax(-1)[token] for t, token in enumerate(answer)])


def gradients(objective: OnPolicy) -> dict[str, Tensor]:
    found = {}
    for name, parameter in objective.policy.model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None
            found[name] = parameter.grad.clone()
            parameter.grad = None
    return found


def shaken(objective: OnPolicy) -> None:
    """As if it had learned since its answers were drawn."""
    torch.manual_seed(5)
    for parameter in objective.policy.model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.03 * torch.randn_like(parameter)


@pytest.mark.parametrize("loss", ["grpo", "dapo", "dr_grpo"])
def test_grpo_is_equation_3_answer_by_answer(loss: Any, base: str, tmp_path: Path) -> None:
    """Two prompts of three answers each; the policy has moved on from the one that drew them."""
    objective = grpo(base, tmp_path, changes={"batch_size": 2}, loss=loss, kl_coefficient=0.3, clip=0.05)
    batch = batch_of(objective)
    places = [place for place in objective.asked(batch) for _ in range(3)]
    rollouts, scores, _ = objective.roll(places, batch.generator())
    assert rollouts.answers[0] != rollouts.answers[1]
    old, reference = objective._before(rollouts)
    shaken(objective)
    groups = scores.view(2, 3)
    advantages = ((groups - groups.mean(1, keepdim=True)) / (groups.std(1, keepdim=True) + 1e-4)).flatten()
    told = objective.learn(rollouts, advantages, old, reference, batch)
    found = gradients(objective)
    assert old is not None
    assert reference is not None
    total, clipped = torch.zeros(()), 0
    for i, (prompt, answer) in enumerate(zip(rollouts.prompts, rollouts.answers, strict=True)):
        each = torch.zeros(())
        for t, now in enumerate(log_p(objective, prompt, answer)):
            ratio = (now - old[i, t]).exp()
            clipped += abs(float(ratio.detach()) - 1) > 0.05
            gain = min(ratio * advantages[i], ratio.clamp(0.95, 1.05) * advantages[i])
            apart = (reference[i, t] - now).exp() - (reference[i, t] - now) - 1
            each = each + gain - 0.3 * apart
        counts = {"grpo": len(answer), "dapo": sum(map(len, rollouts.answers)) / 6, "dr_grpo": 6}
        total = total - each / counts[loss] / 6
    total.backward()
    tokens = sum(map(len, rollouts.answers))
    assert math.isclose(told["loss"], float(total.detach()), rel_tol=1e-4, abs_tol=1e-6)
    assert 0 < clipped < tokens
    assert math.isclose(told["clip_fraction"], clipped / tokens, rel_tol=1e-5)
    for name, gradient in gradients(objective).items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-6)


def test_ppo_is_its_equations_answer_by_answer(base: str, tmp_path: Path) -> None:
    """Rewards, advantages, returns and the loss with its gradient, each text alone in the network."""
    objective = ppo(base, tmp_path, clip=0.05, pretrain_coefficient=0.7, value_coefficient=0.3, whiten=False)
    torch.nn.init.normal_(objective.value.out.weight)
    shaken(objective)  # so that it is apart from its reference
    batch = batch_of(objective)
    experience, figures = objective.experience(batch, batch.generator())
    rollouts, beta = experience.rollouts, 0.05
    texts = [(p, a, len(a)) for p, a in zip(rollouts.prompts, rollouts.answers, strict=True)]
    with torch.no_grad():
        old = [log_p(objective, prompt, answer) for prompt, answer, _ in texts]
        with objective.policy.reference():
            before = [log_p(objective, prompt, answer) for prompt, answer, _ in texts]
    words = [
        "".join(objective.policy.answers.tokenizer.decode(a[: n - bool(e)]))
        for (_, a, n), e in zip(texts, rollouts.ended.tolist(), strict=True)
    ]
    scores = np.array(
        [float(any(c in "aeiou" for c in said)) + 0.2 * max(0, 1 - abs(len(said.split()) - 2) / 2) for said in words]
    )
    scores -= 0.1 * ~rollouts.ended.numpy()
    normal = (scores - scores.mean()) / scores.std()
    for i, (_, _, n) in enumerate(texts):
        values = [*experience.values[i, :n].tolist(), 0.0]
        rewards = [-beta * float(old[i][t] - before[i][t]) for t in range(n)]
        rewards[-1] += float(normal[i])
        deltas = [rewards[t] + values[t + 1] - values[t] for t in range(n)]
        for t in range(n):
            gained = sum(0.95**k * delta for k, delta in enumerate(deltas[t:]))
            assert math.isclose(float(experience.advantages[i, t]), gained, rel_tol=1e-3, abs_tol=1e-4)
            assert math.isclose(float(experience.returns[i, t]), gained + values[t], rel_tol=1e-3, abs_tol=1e-4)
    apart = [float((old[i] - before[i]).sum()) for i in range(len(texts))]
    assert math.isclose(figures["kl"], float(np.mean(apart)), rel_tol=1e-3)
    shaken(objective)
    loss, told = objective.part(experience, [2, 0, 3], batch, torch.Generator().manual_seed(4))
    loss.backward()
    found = gradients(objective)
    tokens = sum(texts[i][2] for i in (2, 0, 3))
    policy_loss, value_loss = torch.zeros(()), torch.zeros(())
    for i in (2, 0, 3):
        prompt, answer, n = texts[i]
        hidden = objective.policy.model.hidden(torch.tensor([prompt + answer]))[0, len(prompt) - 1 : -1]
        values_now = objective.value(hidden)
        for t, now in enumerate(log_p(objective, prompt, answer)):
            ratio, a = (now - experience.old[i, t]).exp(), experience.advantages[i, t]
            policy_loss = policy_loss - min(ratio * a, ratio.clamp(0.95, 1.05) * a) / tokens
            before_it, goal = experience.values[i, t], experience.returns[i, t]
            held = before_it + (values_now[t] - before_it).clamp(-0.2, 0.2)
            value_loss = value_loss + 0.5 * max((values_now[t] - goal) ** 2, (held - goal) ** 2) / tokens
    width = max(len(texts[i][0]) + texts[i][2] for i in (2, 0, 3))
    starts = torch.randint(len(REMEMBERED) - width, (3,), generator=torch.Generator().manual_seed(4)).tolist()
    rows = torch.stack([REMEMBERED[start : start + width + 1] for start in starts])
    likely = objective.policy.model(rows[:, :-1]).log_softmax(-1).gather(-1, rows[:, 1:, None])
    total = policy_loss + 0.3 * value_loss - 0.7 * likely.mean()
    total.backward()
    assert math.isclose(told["loss"], float(total.detach()), rel_tol=1e-4)
    assert math.isclose(told["policy_loss"], float(policy_loss.detach()), rel_tol=1e-3, abs_tol=1e-5)
    assert math.isclose(told["value_loss"], float(value_loss.detach()), rel_tol=1e-4)
    for name, gradient in gradients(objective).items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("make", [ppo, grpo])
def test_the_reward_is_learned_and_the_best_by_gold_is_kept(
    make: Callable[..., OnPolicy], base: str, tmp_path: Path
) -> None:
    """A gold that falls with the reward keeps early weights; the log has what is looked for."""
    rewards, _ = open_all(["matches:[aeiou]"], None, device="cpu")
    against = Reward("against", lambda p, a: np.array([-float(sum(c in "aeiou" for c in one)) for one in a]), "against")
    freely: dict[str, Any] = {"kl_coefficient": 1e-4}
    if make is ppo:  # every weight, as GRPO here: a random network writes by its embedding, which has no adapter
        freely |= {"way": "full", "kl_target": None, "pretrain_coefficient": 0.001}
    objective = make(base, tmp_path, changes={"batch_size": 12}, **freely)
    objective.lesson = replace(objective.lesson, rewards=rewards, gold=against, missing_end_penalty=0.0)
    objective.reference = objective._answer_held()
    log = fit(objective, replace(SETTINGS, steps=24, evaluate_every=6, checkpoint_minutes=5), tmp_path)
    assert log[-1]["score"] > log[0]["score"] + 0.2
    names = {"score", "reward", "kl", "entropy", "clip_fraction", "ratio", "length", "ended", "held_score", "held_gold"}
    names |= {"held_kl", "held_win_rate", "held_gold_win_rate", "held_distinct_2", "held_self_bleu", "sample"}
    names |= {"value_loss", "explained_variance", "kl_coefficient"} if make is ppo else {"reward_std", "flat_groups"}
    assert names <= log[-1].keys()
    best = max(log, key=lambda entry: entry["held_gold"])
    assert best["step"] < 24
    assert objective.take_best() == best["step"]
    again = objective.held_figures()
    assert all(again[name] == best[name] for name in again)


def test_a_reward_that_never_differs_is_refused_before_the_first_step(base: str, tmp_path: Path) -> None:
    rewards, _ = open_all(["matches:^"], None, device="cpu")
    with pytest.raises(GenariumError, match="gave all 10 first answers the same score, 1, so nothing can be learned"):
        grpo(base, tmp_path, changes={"rewards": rewards})


def test_prompts_that_leave_no_room_are_left_out_or_refused(base: str) -> None:
    """The context is 48 tokens, one a character."""
    policy, notes = policies.load(base), list[str]()

    def hear(event: Event) -> None:
        notes.append(event.preview or "")

    with listening(hear):
        assert fitting(policy, ["short", "x" * 43, "x" * 42], 6, "prompts.txt") == ["short", "x" * 42]
    assert any("1 of 3 prompts in prompts.txt are longer than 42 tokens" in note for note in notes)
    with pytest.raises(BadInput, match="every prompt in p is longer than the 8 tokens"):
        fitting(policy, ["x" * 20], 40, "p")
    with pytest.raises(BadInput, match="leave no room in the 48"):
        fitting(policy, ["x"], 48, "p")


def test_the_command_leaves_an_adapter_a_recipe_and_a_report(base: str, tmp_path: Path) -> None:
    from genarium.training.commands.align.ppo import align_ppo

    (tmp_path / "prompts.txt").write_text("".join(f"{prompt}\n" for prompt in [*PROMPTS, PROMPTS[0]]))
    (tmp_path / "text.txt").write_text("the fox ran over the hill and sang to the moon. " * 9)
    out = tmp_path / "out"
    figures = align_ppo(
        model=base,
        data=tmp_path / "prompts.txt",
        reward=["matches:[aeiou]", "0.2*length:2"],
        gold="distinct",
        held_out=3,
        batch_size=4,
        max_new_tokens=6,
        pretrain=str(tmp_path / "text.txt"),
        steps=2,
        evaluate_every=1,
        out=str(out),
    )
    told = json.loads((out / "training.json").read_text())
    assert told["method"] == "ppo"
    assert told["learned_from"]["count"] == 7
    assert [one["reference"] for one in told["rewards"]] == ["matches:[aeiou]", "length:2"]
    assert [one["weight"] for one in told["rewards"]] == [1.0, 0.2]
    assert told["gold"] == {"reference": "distinct"}
    assert told["parents"][0]["reference"] == base
    report = (out / "report.md").read_text()
    for held in ("Side by side", "Where reward and gold part most", "overoptimisation.png", "course.png"):
        assert held in report
    assert all((out / name).stat().st_size > 5000 for name in ("overoptimisation.png", "course.png"))
    again = policies.load(str(out))  # the adapter, over its base, is what was measured
    assert figures["kept_step"] in (1, 2)
    found = again.model(torch.tensor([[1, 2, 3]]))
    kept = load_file(out / BEST)
    policy = policies.load(base)
    with torch.no_grad():
        for name, parameter in policy.model.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(kept[name])
    torch.testing.assert_close(found, policy.model(torch.tensor([[1, 2, 3]])), atol=1e-4, rtol=0)
    with pytest.raises(BadInput, match="10 prompts, and 10 are to be only watched"):
        align_ppo(model=base, data=tmp_path / "prompts.txt", reward=["distinct"], held_out=10, out=str(out))
