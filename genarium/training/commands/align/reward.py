"""`genarium align reward`: a model of language learns to score answers as people rank them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_doc import Doc
from annotated_types import Ge, Gt

from genarium.training.command import command
from genarium.training.options import TrainOptions, Way
from genarium.training.policy_options import PolicyOptions
from genarium.training.sources.preferred import DataOptions

if TYPE_CHECKING:
    from genarium.data.tables import How
    from genarium.training.objectives.reward import Reward
    from genarium.training.policy import Policy

LEARNING_RATES: dict[Way, float] = {"lora": 2e-4, "full": 1e-5}


@command("Learn to score answers as people rank them: a reward model.", group="align ")
def align_reward(
    *,
    source: DataOptions,
    policy: PolicyOptions = PolicyOptions(),
    epochs: Annotated[float, Doc("how often each ranking is seen"), Gt(0)] = 1.0,
    batch_size: Annotated[int, Doc("prompts, with all their answers, for one update"), Ge(1)] = 16,
    options: TrainOptions = TrainOptions(),
) -> dict[str, Any]:
    """Learn to score answers as people rank them: a reward model.

    Reads prompt with answers, the best first (an inner list holds equal ones), or with their ranks or scores; prompt,
    chosen and rejected; or prompt, answer and score from 0 to 5, each learned by itself where most prompts have one
    answer. Writes a PEFT adapter, or with --full a whole folder,
    that transformers opens as a sequence classifier of one label; rank --model scores answers with it.
    """
    import torch

    from genarium.data.preferences import Ranking, read_judged
    from genarium.models.scorer import Scorer
    from genarium.training import aligning
    from genarium.training.objectives.reward import RankedReward, ScoredReward
    from genarium.training.sources.rankings import Rankings, ScoredTexts, form_of

    way = policy.way
    settings = aligning.settings(options, LEARNING_RATES, way)
    reader: Callable[[Path, How], list[Any]] = read_judged
    parts = source.read(reader, settings.seed)
    form = form_of([*parts.train, *parts.validation], parts.name)
    begun = policy.load(device=settings.device, seed=settings.seed)
    parts.introduce(begun, source.form)
    length, folder = source.length(begun.context), options.folder(f"reward-{source.data.stem}")
    torch.manual_seed(settings.seed)
    model = Scorer(begun.model.config, begun.model).to(settings.device)
    ranked = isinstance(parts.train[0], Ranking)
    encode: Any = Rankings.encode if ranked else ScoredTexts.encode
    learns = RankedReward if ranked else ScoredReward
    objective = learns(
        model,
        encode(begun.answers, parts.train, length, parts.name),
        encode(begun.answers, parts.validation, length, f"what is watched of {parts.name}"),
        answers=begun.answers,
        batch_size=batch_size,
        seed=settings.seed,
        identity=policy.identity(begun),
    )
    return aligning.learn(
        "reward",
        objective,
        begun,
        aligning.paced(settings, options, objective.batches.per_epoch, epochs),
        folder,
        learned_from=parts.learned_from("pairs" if ranked else "scores"),
        figures=("loss", "accuracy", "calibration_error", "margin", "score_mean", "score_deviation"),
        title=f"Reward on {source.data.stem}",
        unit="nats a pair",
        save=partial(_save, objective, begun, form, folder, source.data.stem),
        reads=form,
    )


def _save(objective: Reward, policy: Policy, form: str, folder: Path, title: str) -> None:
    from genarium.checkpoints.layouts import scorer as layout
    from genarium.checkpoints.processors import beside
    from genarium.training.calibration import plot
    from genarium.training.policy import save_adapter

    # transformers reads a text's score before the padding it ends with: padding must be no token that ends a text.
    last = {text[-1] for part in (objective.train, objective.validation) for text in part.texts}
    vocabulary = range(policy.model.config.vocab_size)
    pad = next(token for token in (policy.answers.end, *sorted(policy.ends), *vocabulary) if token not in last)
    if policy.way == "full":
        layout.save(objective.model, folder, raw=policy.raw, form=form, pad=pad)
    else:
        described = layout.described(policy.raw, form=form, pad=pad)
        save_adapter(policy, folder, whole=layout.whole(objective.model), task_type="SEQ_CLS", **described)
    spelled = policy.answers.tokenizer.id_to_token(pad) or ""
    beside.write(policy.path, folder, policy.answers, context_length=policy.context, talks=policy.talks, pad=spelled)
    shown = f"{title}, watched" if len(objective.validation) else title
    plot(objective.margins(objective.scores()), folder / "margins.png", title=shown)
