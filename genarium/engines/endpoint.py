"""Any OpenAI-compatible endpoint, through the official client: `OPENAI_BASE_URL` and `OPENAI_API_KEY` say where."""

from __future__ import annotations

import os
from typing import Any

from genarium.errors import RemoteError


class Endpoint:
    """The model called `model` behind the endpoint. Raises RemoteError where nothing says which that is."""

    def __init__(self, model: str):
        import openai

        base = os.environ.get("OPENAI_BASE_URL")
        key = os.environ.get("OPENAI_API_KEY")
        if not base and not key:
            raise RemoteError(
                "openai: needs to know the endpoint; set OPENAI_BASE_URL (as http://127.0.0.1:8000/v1 for a server of "
                "your own) or OPENAI_API_KEY"
            )
        self.model = model
        self.is_openai = not base
        self.client: Any = openai.OpenAI(base_url=base, api_key=key or "none", max_retries=1)

    def explained(self, error: Exception) -> str:
        """What went wrong, in one sentence with the way out."""
        import openai

        where = self.client.base_url
        body = getattr(error, "body", None)
        message = body.get("message") if isinstance(body, dict) else None
        said = str(message or error or type(error).__name__).splitlines()[0][:300].rstrip(".")
        match error:
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                return f"{where} refused the key: {said}; set OPENAI_API_KEY to one it knows"
            case openai.RateLimitError():
                return f"{where} asks for fewer requests, or the account has no credit left: {said}; try again later"
            case openai.NotFoundError():
                return f"{where} has no model {self.model!r}, or not this kind of request: {said}"
            case openai.APITimeoutError():
                return f"{where} did not answer in time; try again, or see whether its server is busy"
            case openai.APIConnectionError():
                cause = error.__cause__
                why = f" ({cause})" if cause and str(cause) else ""
                return (
                    f"the connection to {where} failed{why}; see that its server runs and that OPENAI_BASE_URL is right"
                )
        return f"{where} answered: {said}"
