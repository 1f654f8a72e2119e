"""`genarium align dpo`: a model of language learns from pairs which answers people prefer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_doc import Doc
from annotated_types import Ge, Gt, Interval

from genarium.errors import BadInput
from genarium.training.command import command
from genarium.training.options import TrainOptions, Way
from genarium.training.policy_options import PolicyOptions
from genarium.training.sources.preferred import DataOptions

LEARNING_RATES: dict[Way, float] = {"lora": 5e-5, "full": 1e-6}


@command("Learn from pairs which answer people prefer: DPO.", group="align ")
def align_dpo(
    *,
    source: DataOptions,
    policy: PolicyOptions = PolicyOptions(),
    beta: Annotated[float, Doc("how strongly it is held to what it was"), Gt(0)] = 0.1,
    loss: Annotated[Literal["sigmoid", "ipo"], Doc("DPO's own, or IPO's")] = "sigmoid",
    label_smoothing: Annotated[
        float, Doc("sigmoid: the share of pairs that are judged the wrong way round"), Interval(ge=0, lt=0.5)
    ] = 0.0,
    epochs: Annotated[float, Doc("how often each pair is seen"), Gt(0)] = 1.0,
    batch_size: Annotated[int, Doc("pairs for one update"), Ge(1)] = 16,
    options: TrainOptions = TrainOptions(),
) -> dict[str, Any]:
    """Learn from pairs which answer people prefer: DPO.

    Reads prompt, chosen and rejected (texts, or lists of messages), rankings and scores. What it was, the reference,
    is measured once, before the first step. Writes a PEFT adapter, or with --full a whole checkpoint; chat --model
    opens both.
    """
    from genarium.data.preferences import read_preferences
    from genarium.training import aligning
    from genarium.training.objectives.dpo import DirectPreference
    from genarium.training.sources.pairs import Pairs

    if label_smoothing and loss == "ipo":
        raise BadInput("label_smoothing is for the loss sigmoid; leave it out")
    way = policy.way
    settings = aligning.settings(options, LEARNING_RATES, way)
    parts = source.read(read_preferences, settings.seed)
    begun = policy.load(device=settings.device, seed=settings.seed)
    parts.introduce(begun, source.form)
    length, folder = source.length(begun.context), options.folder(f"dpo-{source.data.stem}")
    train = Pairs.encode(begun, parts.train, length, parts.name)
    per_epoch = -(-len(train) // batch_size)
    settings = aligning.paced(settings, options, per_epoch, epochs)
    objective = DirectPreference(
        begun,
        train,
        Pairs.encode(begun, parts.validation, length, f"what is watched of {parts.name}"),
        beta=beta,
        kind=loss,
        smoothing=label_smoothing,
        batch_size=batch_size,
        prompt=parts.sample(),
        seed=settings.seed,
        steps=settings.steps if settings.steps < per_epoch else None,
        folder=folder,
        identity=policy.identity(begun),
    )
    return aligning.learn(
        "dpo",
        objective,
        begun,
        settings,
        folder,
        learned_from=parts.learned_from("pairs"),
        figures=("loss", "accuracy", "margin", "chosen_reward", "rejected_reward"),
        title=f"DPO on {source.data.stem}",
        unit="nats a pair" if loss == "sigmoid" else "squared nats a pair",
    )
