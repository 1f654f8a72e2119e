"""`genarium align sft`: a model of language learns people's answers."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_doc import Doc
from annotated_types import Ge, Gt

from genarium.training.command import command
from genarium.training.options import TrainOptions, Way
from genarium.training.policy_options import PolicyOptions
from genarium.training.sources.preferred import DataOptions

LEARNING_RATES: dict[Way, float] = {"lora": 2e-4, "full": 2e-5}


@command("Learn answers that people wrote: supervised fine-tuning.", group="align ")
def align_sft(
    *,
    source: DataOptions,
    policy: PolicyOptions = PolicyOptions(),
    epochs: Annotated[float, Doc("how often each example is seen"), Gt(0)] = 2.0,
    batch_size: Annotated[int, Doc("examples for one update"), Ge(1)] = 16,
    packing: Annotated[bool, Doc("lay texts after each other without padding; none sees another")] = False,
    options: TrainOptions = TrainOptions(),
) -> dict[str, Any]:
    """Learn answers that people wrote: supervised fine-tuning.

    Reads conversations (OpenAI's messages, ShareGPT's conversations), or columns prompt and answer. The loss is on the
    answers alone. Writes a PEFT adapter, or with --full a whole checkpoint; chat --model opens both.
    """
    from genarium.data.conversations import read_examples
    from genarium.training import aligning
    from genarium.training.objectives.supervised import Supervised
    from genarium.training.sources.answered import Answered

    way = policy.way
    settings = aligning.settings(options, LEARNING_RATES, way)
    parts = source.read(read_examples, settings.seed)
    begun = policy.load(device=settings.device, seed=settings.seed)
    parts.introduce(begun, source.form)
    length = source.length(begun.context)
    objective = Supervised(
        begun,
        Answered.encode(begun, parts.train, length, parts.name),
        Answered.encode(begun, parts.validation, length, f"what is watched of {parts.name}"),
        batch_size=batch_size,
        packing=packing,
        prompt=parts.sample(),
        seed=settings.seed,
        identity=policy.identity(begun),
    )
    return aligning.learn(
        "sft",
        objective,
        begun,
        aligning.paced(settings, options, objective.batches.per_epoch, epochs),
        options.folder(f"sft-{source.data.stem}"),
        learned_from=parts.learned_from("examples"),
        figures=("loss",),
        title=f"SFT on {source.data.stem}",
        unit="nats a token",
    )
