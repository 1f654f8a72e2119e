"""`genarium align grpo`: a policy learns which of several answers to one prompt is the better."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Gt, Le

from genarium.training.command import command
from genarium.training.options import TrainOptions, Way
from genarium.training.policy_options import PolicyOptions
from genarium.training.rollout_options import RolloutOptions

LEARNING_RATES: dict[Way, float] = {"lora": 1e-3, "full": 5e-5}


@command("Improve answers against rewards, group by group: GRPO.", group="align ")
def align_grpo(
    *,
    rollouts: RolloutOptions,
    policy: PolicyOptions = PolicyOptions(),
    batch_size: Annotated[int, Doc("prompts asked in a step"), Ge(1)] = 8,
    group: Annotated[int, Doc("answers drawn to each prompt"), Ge(2)] = 8,
    iterations: Annotated[int, Doc("updates made of a step's answers"), Ge(1)] = 1,
    clip: Annotated[float, Doc("how far a token's probability ratio is rewarded to go from 1"), Gt(0.0), Le(1.0)] = 0.2,
    kl_coefficient: Annotated[float, Doc("what a nat of distance to the reference costs a token"), Ge(0.0)] = 0.04,
    loss: Annotated[
        Literal["grpo", "dapo", "dr_grpo"],
        Doc("what a token counts: by the length of its answer, of all answers, or of the longest there may be"),
    ] = "grpo",
    scale: Annotated[Literal["group", "batch", "none"], Doc("whose deviation advantages are divided by")] = "group",
    at_once: Annotated[int, Doc("answers read together while learning: fewer take less memory"), Ge(1)] = 16,
    options: TrainOptions = TrainOptions(steps=100, evaluate_every=10),
) -> dict[str, Any]:
    """Improve a policy's answers against rewards by GRPO: each answer is compared with others to its prompt.

    Writes a PEFT adapter of the model, or with --full a whole folder, a report with plots and samples beside the
    reference's, and returns the figures of the weights that were kept.
    """
    from genarium.training import aligning, from_rewards
    from genarium.training.objectives.grpo import GRPO, GRPOSettings

    settings = aligning.settings(options, LEARNING_RATES, policy.way)
    begun = policy.load(device=settings.device, seed=settings.seed, keep_reference=True)
    lesson = rollouts.lesson(begun, batch_size=batch_size, seed=settings.seed, device=settings.device)
    asked = GRPOSettings(group, iterations, clip, kl_coefficient, loss, scale, at_once)
    folder = options.folder(f"grpo-{rollouts.data.stem}")
    identity = policy.identity(begun) | rollouts.identity(lesson) | {"grpo": asdict(asked)}
    objective = GRPO(begun, lesson, folder, identity, settings=asked)
    return from_rewards.learn("grpo", objective, settings, folder, **rollouts.recipe(lesson))
