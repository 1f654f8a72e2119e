"""`/v1/decisions`: yes or no, one of several, or a number, each with probabilities.

A generative model is asked, and its answer is not read but scored: over the possible answers alone, as `classify`
does (`engines/classify/language_labels.py`). So there is always an answer, and its probability is a number, not a
manner of speaking.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from annotated_types import Len
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from genarium.artefacts import Records
from genarium.errors import BadInput
from genarium.server.desk import desk_of
from genarium.server.errors import Json

router = APIRouter(tags=["decisions"])
YES, NO = "yes", "no"
MOST_STEPS = 21


class DecisionQuestion(BaseModel):
    """`predicate` asks yes or no, `choice` for one of `options`, `score` for a whole number from `min` to `max`."""

    type: Literal["predicate", "choice", "score"]
    question: Annotated[str, Field(min_length=1, max_length=8000)]
    options: Annotated[list[str], Len(2, 64)] | None = None
    min: int = 1
    max: int = 5
    name: str | None = None

    def labels(self) -> list[str]:
        """What the answer is one of. Raises BadInput."""
        if self.type == "predicate":
            return [YES, NO]
        if self.type == "score":
            if not 1 <= self.max - self.min < MOST_STEPS:
                raise BadInput(f"a score has from 2 to {MOST_STEPS} steps; got {self.min} to {self.max}")
            return [str(value) for value in range(self.min, self.max + 1)]
        if not self.options:
            raise BadInput("a choice needs options")
        return self.options

    def template(self) -> str:
        """The prompt around the text; braces of the question's own are no place for the text."""
        asked = self.question.replace("{text}", "{ text }").strip()
        what = {
            "predicate": f"Answer {YES} or {NO}.",
            "choice": f"Answer one of: {', '.join(self.options or ())}.".replace("{text}", "{ text }"),
            "score": f"Answer a number from {self.min} to {self.max}.",
        }[self.type]
        return f"Text: {{text}}\nQuestion: {asked}\n{what}\nAnswer:"

    def answer(self, shares: dict[str, float]) -> dict[str, Any]:
        """The answer from each label's probability."""
        likeliest = max(shares, key=lambda label: shares[label])
        told: dict[str, Any] = {"type": self.type, "name": self.name, "probabilities": shares}
        if self.type == "predicate":
            return told | {"answer": likeliest == YES, "probability": shares[YES]}
        if self.type == "choice":
            return told | {"answer": likeliest, "probability": shares[likeliest]}
        expected = sum(int(label) * share for label, share in shares.items())
        return told | {"answer": int(likeliest), "probability": shares[likeliest], "expected": round(expected, 6)}


class DecisionRequest(BaseModel):
    model: str = "starter/text"
    input: Annotated[str, Field(min_length=1)]
    questions: Annotated[list[DecisionQuestion], Len(1, 64)]
    calibrate: bool = Field(default=False, description="leave out of the count what the model would say of any text")


@router.post("/v1/decisions", response_model=None)
async def decisions(request: Request, asked: DecisionRequest) -> Response:
    """Answer questions about a text, each with the probability of every answer."""
    desk = desk_of(request)
    recipes = await desk.prepare_all(
        "classify",
        [
            {
                "texts": [asked.input],
                "labels": question.labels(),
                "template": question.template(),
                "calibrate": asked.calibrate,
                "model": asked.model,
            }
            for question in asked.questions
        ],
    )
    answers = []
    for question, result in zip(asked.questions, await desk.results(request, recipes), strict=True):
        made = result[0]
        assert isinstance(made, Records)
        answers.append(question.answer(made.rows[0]["probabilities"]) | {"artefact": made.id})
    identifier = f"dec-{secrets.token_hex(12)}"
    return Json({"id": identifier, "object": "decision", "model": asked.model, "answers": answers})
