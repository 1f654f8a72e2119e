"""Who says which of two answers is better: a reward model, a classifier's label, or a model that was taught to talk."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Protocol, SupportsFloat

from genarium import files
from genarium.checkpoints.store import versions
from genarium.checkpoints.store.find import Found, find
from genarium.comparison.answers import as_read
from genarium.data.conversations import Prompt
from genarium.engines import registry
from genarium.engines.text.protocol import ChatRequest, TextEngine
from genarium.errors import BadCheckpoint, BadInput
from genarium.ledger.comparisons import Verdict
from genarium.messages import Message

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"better": {"enum": ["A", "B"]}},
        "required": ["better"],
        "additionalProperties": False,
    }
)
ASKED = """You compare two answers to one message and say which one is better, A or B.

Message:
{prompt}

Answer A:
{left}

Answer B:
{right}

Which answer is better? Reply with {{"better": "A"}} or {{"better": "B"}}."""
LONGEST_VERDICT = 32
"""Tokens."""


class Judge(Protocol):
    """`way` says in a sentence how it judges; `reference` and `digest` are its model's."""

    way: str
    reference: str
    digest: str

    def verdict(self, prompt: Prompt, left: str, right: str) -> Verdict:
        """Which side is better. Raises what the model raises."""


class RewardJudge:
    """The higher score of a reward model."""

    def __init__(self, found: Found, ranker: Any):
        self.reference, self.digest, self.ranker = found.reference, found.digest, ranker
        self.way = f"the higher score of {found.reference}"

    def verdict(self, prompt: Prompt, left: str, right: str) -> Verdict:
        from genarium.engines.embed.rank import CrossEncoder

        asked: Any = prompt if isinstance(prompt, str) else list(prompt)
        if isinstance(self.ranker, CrossEncoder):  # reads two texts
            asked = as_read(prompt)
        return _higher(self.ranker.scores(asked, [left, right]))


class LabelJudge:
    """The higher probability of a label: of prompt and continuation together, of a reply alone."""

    def __init__(self, found: Found, label: str):
        self.reference, self.digest = found.reference, found.digest
        self.classifier = registry.open_classifier(found.reference, labels=None)
        by_name = {name.casefold(): place for place, name in enumerate(self.classifier.labels)}
        if label.casefold() not in by_name:
            raise BadInput(f"{found.reference} has no label {label!r}; it has {', '.join(self.classifier.labels)}")
        self.place = by_name[label.casefold()]
        self.way = f"the higher probability of {self.classifier.labels[self.place]!r} by {found.reference}"

    def verdict(self, prompt: Prompt, left: str, right: str) -> Verdict:
        before = prompt if isinstance(prompt, str) else ""
        return _higher(self.classifier.log_probabilities([f"{before}{left}", f"{before}{right}"])[:, self.place])


class ChatJudge:
    """A model asked in both orders: the better one is better in both (Zheng et al. 2023, arXiv:2306.05685, 3.4).

    `swayed` counts the pairs of which it named the same place in both orders, `silent` those of which it named neither:
    they are ties.
    """

    def __init__(self, found: Found, engine: TextEngine):
        self.reference, self.digest, self.engine = found.reference, found.digest, engine
        self.swayed = self.silent = 0
        self.way = f"{found.reference}, asked in both orders; where it names the same place in both it is a tie"

    def verdict(self, prompt: Prompt, left: str, right: str) -> Verdict:
        first, second = self._better(prompt, left, right), self._better(prompt, right, left)
        if "" in (first, second):
            self.silent += 1
            return "equal"
        if first == second:
            self.swayed += 1
            return "equal"
        return "left" if first == "A" else "right"

    def _better(self, prompt: Prompt, left: str, right: str) -> str:
        """A, B, or nothing."""
        said = ASKED.format(prompt=as_read(prompt), left=left, right=right)
        asked: list[Message] = [{"role": "user", "content": said}]
        request = ChatRequest(max_new_tokens=LONGEST_VERDICT, temperature=0.0, json_schema=SCHEMA)
        [reply] = self.engine.reply(asked, request)
        found = re.search(r'"better"\s*:\s*"([AB])"', reply.text)
        return found[1] if found else ""


def _higher(scores: Iterable[SupportsFloat]) -> Verdict:
    """The side with the higher one of two scores."""
    one, two = map(float, scores)
    return "equal" if one == two else "left" if one > two else "right"


def open_judge(named: str) -> Judge:
    """The judge that `MODEL`, or `MODEL:LABEL`, names. Raises BadInput where it can't judge, ModelNotFound."""
    head, _, label = named.rpartition(":")
    if head not in ("", "openai", "ollama") and not files.named(named).exists():
        return LabelJudge(find(head, default="sentiment"), label)
    found = find(named, default="chat")
    if (ranker := _reward(found)) is not None:
        return RewardJudge(found, ranker)
    if registry.can_open(found, "text"):
        engine = registry.open_found(found, "text", dtype="auto", backend="auto")
        if engine.chats:
            return ChatJudge(found, engine)
    raise BadInput(
        f"{named} can't judge: it is no reward model and was not taught to talk; name one that is, a classifier with "
        "one of its labels (starter/sentiment:positive), or judge yourself (me)"
    )


def _reward(found: Found) -> Any:
    """What scores an answer to a prompt with this model; None where it scores nothing, or likeness alone."""
    from genarium.engines.embed.rank import BiEncoder

    try:
        ranker = registry.open_found(found, "rank", keep=False, backend="auto")
    except BadCheckpoint:
        return None
    return None if isinstance(ranker, BiEncoder) else ranker


def require_fair(judge: Judge, models: tuple[Found, Found]) -> None:
    """Raises BadInput where a model, or one it came from, was trained against the judge."""
    for found in models:
        for told in versions.lineage(found.reference, found.digest):
            for reward in told.get("rewards") or []:
                if _same(reward, judge):
                    raise BadInput(
                        f"{judge.reference} is the reward that {found.reference} was trained against: it would find it "
                        "better whether it is or not; take a judge that neither model was trained against, or judge "
                        "yourself (me)"
                    )


def _same(reward: dict[str, Any], judge: Judge) -> bool:
    digest = str(reward.get("digest") or "")
    return digest == judge.digest if digest and judge.digest else reward.get("reference") == judge.reference


def require_two(models: tuple[Found, Found]) -> None:
    """Raises BadInput where both are one model."""
    one, two = models
    if (one.digest or one.reference) == (two.digest or two.reference):
        same = "" if one.reference == two.reference else f", as {two.reference} is"
        raise BadInput(f"there is nothing to compare: {one.reference} is the same model{same}; name two")
