"""What PPO and GRPO ask for beside the policy and their own options, and what it comes to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_doc import Doc
from annotated_types import Ge, Gt, Le

from genarium import files
from genarium.errors import BadInput
from genarium.progress import emit, note

if TYPE_CHECKING:
    from genarium.data.conversations import Prompt
    from genarium.training.objectives.on_policy import Lesson
    from genarium.training.policy import Policy


@dataclass(frozen=True)
class RolloutOptions:
    """What is asked, how it is answered, and who judges the answers."""

    data: Annotated[Path, Doc("prompts: a text file of one a line, or CSV, TSV or JSON Lines with prompt or messages")]
    reward: Annotated[
        list[str],
        Doc(
            "what answers are judged by: a classifier and its label (starter/sentiment:positive), a reward model's "
            "folder, matches:REGEX, length:WORDS or distinct; may be repeated, with weights (0.5*distinct)"
        ),
    ]
    gold: Annotated[
        str | None, Doc("a second judge that nothing is learned from; the weights it scores highest are kept")
    ] = None
    max_new_tokens: Annotated[int, Doc("longest answer, in tokens"), Ge(1)] = 32
    temperature: Annotated[float, Doc("answers are drawn at this temperature"), Gt(0.0), Le(10.0)] = 1.0
    missing_end_penalty: Annotated[float, Doc("taken off the score of an answer that did not end"), Ge(0.0)] = 0.0
    held_out: Annotated[int, Doc("prompts that are only watched"), Ge(2)] = 32

    def lesson(self, policy: Policy, *, batch_size: int, seed: int, device: str) -> Lesson:
        """Prompts in their parts, and the judges. Raises BadInput, ModelNotFound, BadCheckpoint."""
        from genarium.data.conversations import read_prompts
        from genarium.training.objectives.on_policy import Lesson
        from genarium.training.rewards import open_all

        emit("reading", preview=self.data.name)
        prompts = distinct(fitting(policy, read_prompts(self.data), self.max_new_tokens, str(self.data)))
        learned, held = split(prompts, self.held_out, seed, self.data)
        emit("loading", preview="rewards")
        rewards, gold = open_all(self.reward, self.gold, device=device)
        return Lesson(
            learned,
            held,
            rewards,
            gold,
            batch_size=batch_size,
            max_new_tokens=self.max_new_tokens,
            temperature=self.temperature,
            missing_end_penalty=self.missing_end_penalty,
            seed=seed,
        )

    def recipe(self, lesson: Lesson) -> dict[str, Any]:
        """What `training.json` says of what was learned from, and who judged it."""
        learned = {"kind": "prompts", "count": len(lesson.prompts), "sha256": files.sha256(self.data)}
        found = {"learned_from": learned | {"name": self.data.name}, "rewards": lesson.rewards.identity}
        return found if lesson.gold is None else found | {"gold": lesson.gold.identity}

    def identity(self, lesson: Lesson) -> dict[str, Any]:
        """What must be the same for a run to be continued."""
        return {
            "prompts": files.sha256(self.data),
            "held_out": self.held_out,
            "batch_size": lesson.batch_size,
            "rewards": lesson.rewards.identity,
            "gold": None if lesson.gold is None else lesson.gold.identity,
            "max_new_tokens": self.max_new_tokens,
            "temperature": self.temperature,
            "missing_end_penalty": self.missing_end_penalty,
        }


def distinct(prompts: list[Prompt]) -> list[Prompt]:
    """Each once, in their order: one that is learned from is not to be watched as well."""
    found = {json.dumps(prompt, sort_keys=True): prompt for prompt in reversed(prompts)}
    if len(found) < len(prompts):
        note(f"{len(prompts) - len(found)} of {len(prompts)} prompts are there more than once; each is asked as one")
    return list(reversed(found.values()))


def split(prompts: list[Prompt], held_out: int, seed: int, data: Path) -> tuple[list[Prompt], list[Prompt]]:
    """What is learned from, and what is only watched, drawn by the seed. Raises BadInput where that leaves none."""
    import numpy as np

    if held_out >= len(prompts):
        raise BadInput(
            f"{data} has {len(prompts)} prompts, and {held_out} are to be only watched; give more, or watch fewer"
        )
    order = np.random.default_rng([seed, 2]).permutation(len(prompts)).tolist()
    return [prompts[place] for place in order[held_out:]], [prompts[place] for place in order[:held_out]]


def fitting(policy: Policy, prompts: Sequence[Prompt], max_new_tokens: int, name: str) -> list[Prompt]:
    """The prompts that leave room for an answer; the others are left out, which is said. Raises BadInput."""
    room = policy.context - max_new_tokens
    if room < 1:
        raise BadInput(
            f"answers of {max_new_tokens} tokens leave no room in the {policy.context} that the "
            "model reads at once; ask for shorter ones"
        )
    kept = [prompt for prompt in prompts if len(policy.ids(prompt)) <= room]
    if not kept:
        raise BadInput(
            f"every prompt in {name} is longer than the {room} tokens that are left for it; give shorter ones"
        )
    if len(kept) < len(prompts):
        note(f"{len(prompts) - len(kept)} of {len(prompts)} prompts in {name} are longer than {room} tokens: left out")
    return kept
