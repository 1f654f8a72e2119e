"""`/v1/embeddings` and `/v1/moderations` as OpenAI has them, `/v1/rerank` as Jina, Cohere and vLLM have it."""

from __future__ import annotations

import base64
import secrets
from typing import Annotated, Any, Literal

from annotated_types import Len
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from genarium.artefacts import Records, Vectors
from genarium.errors import BadInput
from genarium.server.desk import desk_of
from genarium.server.errors import Json

router = APIRouter(tags=["OpenAI"])
Texts = str | Annotated[list[str], Len(1, 2048)]


class EmbeddingRequest(BaseModel):
    model: str = "starter"
    input: str | Annotated[list[Any], Len(1, 8192), Field(description="texts")]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(default=None, ge=1)
    user: str | None = None


class RerankRequest(BaseModel):
    model: str = "starter"
    query: str
    documents: Annotated[list[str | dict[str, Any]], Len(1, 2048)]
    top_n: int | None = Field(default=None, ge=1)
    return_documents: bool = True


class ModerationRequest(BaseModel):
    model: str | None = None
    input: Texts


@router.post("/v1/embeddings", response_model=None)
async def embeddings(request: Request, asked: EmbeddingRequest) -> Response:
    """Texts as vectors of length 1."""
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    if not texts or not all(isinstance(text, str) for text in texts):
        raise BadInput("input must be text; input in tokens is not read here")
    desk = desk_of(request)
    recipe = await desk.prepare("embed", {"texts": texts, "model": asked.model})
    [result] = await desk.results(request, [recipe])
    made = result[0]
    assert isinstance(made, Vectors)
    width = made.embeddings.shape[1]
    if asked.dimensions not in (None, width):
        raise BadInput(f"{asked.model} makes vectors of {width} numbers; leave out dimensions")
    vectors = [
        base64.b64encode(row.astype("<f4").tobytes()).decode() if asked.encoding_format == "base64" else row.tolist()
        for row in made.embeddings
    ]
    read = await run_in_threadpool(_tokens, desk.models.reference(asked.model), [str(text) for text in texts])
    return Json(
        {
            "object": "list",
            "model": asked.model,
            "data": [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)],
            "usage": {"prompt_tokens": read, "total_tokens": read},
            "artefact": made.id,
        }
    )


@router.post("/v1/rerank", response_model=None)
async def rerank(request: Request, asked: RerankRequest) -> Response:
    """Documents in the order in which they answer a query."""
    texts = [document if isinstance(document, str) else document.get("text") for document in asked.documents]
    if not all(isinstance(text, str) for text in texts):
        raise BadInput('documents are texts, or objects as {"text": …}')
    desk = desk_of(request)
    arguments = {"query": asked.query, "passages": texts, "top_k": asked.top_n or 0, "model": asked.model}
    [result] = await desk.results(request, [await desk.prepare("rank", arguments)])
    made = result[0]
    assert isinstance(made, Records)
    found = [
        {"index": row["number"] - 1, "relevance_score": row["score"]}
        | ({"document": {"text": row["text"]}} if asked.return_documents else {})
        for row in made.rows
    ]
    return Json({"object": "list", "model": asked.model, "results": found, "artefact": made.id})


@router.post("/v1/moderations", response_model=None)
async def moderations(request: Request, asked: ModerationRequest) -> Response:
    """What a classifier has against texts: `--moderation` names it, or the request's `model`.

    Its labels are the categories; `flagged` where the likeliest is none of the harmless ones (`--harmless`).
    """
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    desk = desk_of(request)
    model = asked.model or desk.settings.moderation
    if model.startswith(("omni-moderation", "text-moderation")):  # what OpenAI's client names by itself
        model = desk.settings.moderation
    [result] = await desk.results(request, [await desk.prepare("classify", {"texts": texts, "model": model})])
    made = result[0]
    assert isinstance(made, Records)
    harmless = {label.casefold() for label in desk.settings.harmless}
    labels = list(made.extra["counts"])
    found = [
        {
            "flagged": row["label"] is not None and row["label"].casefold() not in harmless,
            "categories": {label: label == row["label"] for label in labels},
            "category_scores": row["probabilities"] or dict.fromkeys(labels, 0.0),
            "category_applied_input_types": {label: ["text"] for label in labels},
        }
        for row in made.rows
    ]
    identifier = f"modr-{secrets.token_hex(12)}"
    return Json({"id": identifier, "object": "moderation", "model": model, "results": found, "artefact": made.id})


def _tokens(reference: str, texts: list[str]) -> int:
    """How many tokens the encoder read."""
    from genarium.engines import registry

    encoder = registry.open_encoder(reference)
    return sum(min(len(encoding.ids), encoder.context) for encoding in encoder.tokenizer.encode_batch(texts))
