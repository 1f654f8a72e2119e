"""`genarium align ppo`: a policy learns from the scores of its own answers, and stays near what it was."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_doc import Doc
from annotated_types import Ge, Gt, Le

from genarium import files
from genarium.errors import BadInput
from genarium.training.command import command
from genarium.training.options import TrainOptions, Way
from genarium.training.policy_options import PolicyOptions
from genarium.training.rollout_options import RolloutOptions

if TYPE_CHECKING:
    from torch import Tensor

    from genarium.training.policy import Policy

LEARNING_RATES: dict[Way, float] = {"lora": 5e-4, "full": 3e-5}


@command("Improve answers against a reward: PPO.", group="align ")
def align_ppo(
    *,
    rollouts: RolloutOptions,
    policy: PolicyOptions = PolicyOptions(),
    batch_size: Annotated[int, Doc("answers drawn for a step"), Ge(2)] = 32,
    epochs: Annotated[int, Doc("how often a step learns from each answer"), Ge(1)] = 4,
    minibatches: Annotated[int, Doc("updates an epoch"), Ge(1)] = 2,
    clip: Annotated[float, Doc("how far a token's probability ratio is rewarded to go from 1"), Gt(0.0), Le(1.0)] = 0.2,
    kl_coefficient: Annotated[float, Doc("what a nat from the reference costs, at first"), Ge(0.0)] = 0.05,
    kl_target: Annotated[
        float | None,
        Doc("nats an answer from the reference that the coefficient is adapted to [default: it stays]"),
        Gt(0),
    ] = None,
    stop_kl: Annotated[
        float | None,
        Doc("leave a step's answers once the policy is so many nats a token from what drew them"),
        Gt(0),
    ] = 0.05,
    value_coefficient: Annotated[float, Doc("weight of the value head's loss"), Ge(0.0)] = 0.1,
    value_clip: Annotated[float, Doc("how far a value may go in one step"), Gt(0.0)] = 0.2,
    gamma: Annotated[float, Doc("discount a token"), Gt(0.0), Le(1.0)] = 1.0,
    lam: Annotated[float, Doc("λ of the generalised advantage estimation"), Ge(0.0), Le(1.0)] = 0.95,
    raw_scores: Annotated[bool, Doc("take scores as they are, not normalised by all so far")] = False,
    raw_advantages: Annotated[bool, Doc("take advantages as they are, not whitened")] = False,
    pretrain: Annotated[
        str | None, Doc("text to go on predicting (PPO-ptx): a file, a folder, or a name under GENARIUM_DATA")
    ] = None,
    pretrain_coefficient: Annotated[float, Doc("weight of that text's loss"), Gt(0.0)] = 1.0,
    options: TrainOptions = TrainOptions(steps=100, evaluate_every=10),
) -> dict[str, Any]:
    """Improve a policy's answers against a reward by PPO, near to what it was.

    A step draws an answer to each of a batch of prompts, scores it, and learns from that for some epochs. The log has
    reward, score, KL, entropy, clip fraction, ratio, value loss, explained variance, length and the share that ended,
    and the same of held-out prompts. Writes a PEFT adapter of the model, or with --full a whole folder, a report with
    plots and samples beside the reference's, and returns the figures of the weights that were kept.
    """
    from genarium.training import aligning, from_rewards
    from genarium.training.objectives.ppo import PPO, PPOSettings

    settings = aligning.settings(options, LEARNING_RATES, policy.way)
    begun = policy.load(device=settings.device, seed=settings.seed, keep_reference=True)
    lesson = rollouts.lesson(begun, batch_size=batch_size, seed=settings.seed, device=settings.device)
    asked = PPOSettings(
        epochs=epochs,
        minibatches=min(minibatches, batch_size),
        clip=clip,
        value_clip=value_clip,
        value_coefficient=value_coefficient,
        gamma=gamma,
        lam=lam,
        kl_coefficient=kl_coefficient,
        kl_target=kl_target,
        stop_kl=stop_kl,
        normalise=not raw_scores,
        whiten=not raw_advantages,
        pretrain_coefficient=pretrain_coefficient,
    )
    if kl_target is not None and kl_coefficient == 0:
        raise BadInput("a coefficient of 0 can't come to a target; begin with more than 0")
    folder = options.folder(f"ppo-{rollouts.data.stem}")
    remembered, digests = _remembered(pretrain, begun)
    identity = policy.identity(begun) | rollouts.identity(lesson) | {"ppo": asdict(asked), "pretrain": digests}
    objective = PPO(begun, lesson, folder, identity, settings=asked, remembered=remembered)
    return from_rewards.learn("ppo", objective, settings, folder, **rollouts.recipe(lesson))


def _remembered(pretrain: str | None, policy: Policy) -> tuple[Tensor | None, dict[str, str]]:
    """The tokens of the text that is not to be forgotten, and its files' digests. Raises BadInput."""
    if pretrain is None:
        return None, {}
    from genarium.data import text

    paths: list[Path] = text.find(pretrain)
    parts = text.split(paths, validation=0.0)
    tokens = text.encode(policy.answers.tokenizer, parts.train, policy.answers.end).long()
    if len(tokens) < 2:
        raise BadInput(f"{pretrain} holds no text; name a file with some")
    return tokens, dict(zip(text.names_of(paths), map(files.sha256, paths), strict=True))
