"""Writes with a GGUF file by llama.cpp, through the wheel `xllamacpp` (github.com/xorbitsai/xllamacpp).

For what is not run natively. One text at a time and nothing kept of the one before, so that a text depends on its
recipe alone; what this version of llama.cpp writes, another may not. Chat templates are rendered here, as for all.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from genarium import extras
from genarium.checkpoints.processors import chat_template, gguf_tokenizer
from genarium.checkpoints.processors.chat_template import ChatTemplate
from genarium.checkpoints.processors.gguf_tokenizer import CONTROL
from genarium.checkpoints.store import gguf
from genarium.engines.text.protocol import ChatRequest, Clock, Completion, TextRequest, TokenLogprob, tell
from genarium.errors import BadCheckpoint, BadInput, first_line
from genarium.messages import Message
from genarium.progress import emit, note

LONGEST_CONTEXT = 8192
"""Tokens that are held at most: the whole context of some models takes more memory than their weights."""
SAMPLERS = ["penalties", "temperature", "top_k", "top_p", "min_p"]
"""In the order of `decoding/sampling.py`."""


class LlamaCppText:
    """Writes with the file `path`, in messages called `name`. Raises BadCheckpoint."""

    def __init__(self, path: Path, *, name: str = ""):
        self.name = name or str(path)
        self.metadata = gguf.metadata(path)
        architecture = self.metadata.get("general.architecture")
        length = self.metadata.get(f"{architecture}.context_length")
        self.context = min(length, LONGEST_CONTEXT) if isinstance(length, int) and length > 0 else LONGEST_CONTEXT
        self.server = _server(path, self.context, gguf_tokenizer.for_llama_cpp(path))

    @property
    def chats(self) -> bool:
        return isinstance(self.metadata.get("tokenizer.chat_template"), str)

    def write(self, prompts: Sequence[str], request: TextRequest) -> Iterator[Completion]:
        clock, total = Clock(), request.max_new_tokens * request.n * len(prompts)
        for row in range(len(prompts) * request.n):
            prompt, sample = divmod(row, request.n)
            yield self._continued(prompts[prompt], request, row, sample, clock, total)

    def reply(self, messages: Sequence[Message], request: ChatRequest) -> Iterator[Completion]:
        stop = tuple(request.stop)
        if request.template == "plain":
            template, stop = chat_template.plain(), (*stop, *chat_template.PLAIN_STOP)
        else:
            template = self._template(request.date)
        self._refuse_control(messages)
        prompt = template.render(messages)
        clock, total = Clock(), request.max_new_tokens * request.n
        for row in range(request.n):
            done = self._continued(prompt, request, row, row, clock, total, stop=stop)
            yield Completion(**{**vars(done), "text": done.text.strip()})

    def _template(self, today: str | None) -> ChatTemplate:
        source = self.metadata.get("tokenizer.chat_template")
        if not isinstance(source, str) or not source.strip():
            raise BadCheckpoint(
                f"{self.name} has no chat template, so it was probably never taught to talk; name a model that was, or "
                "ask for a plain transcript (template plain)"
            )
        special = gguf_tokenizer.named_tokens(self.metadata)
        if self.metadata.get("tokenizer.ggml.add_bos_token", True):
            special |= {"bos_token": ""}  # llama.cpp puts it there
        return ChatTemplate(source, tuple(special.items()), self.name, today)

    def _refuse_control(self, messages: Sequence[Message]) -> None:
        """Raises BadInput where a message spells a token that ends a turn: llama.cpp would obey it."""
        tokens = self.metadata.get("tokenizer.ggml.tokens") or []
        kinds = self.metadata.get("tokenizer.ggml.token_type") or []
        control = [token for token, kind in zip(tokens, kinds, strict=False) if kind == CONTROL and len(token) > 1]
        if spelled := [token for token in control if any(token in message["content"] for message in messages)]:
            raise BadInput(f"{spelled[0]} in a message is a control token of {self.name}; leave it out")

    def _continued(
        self,
        prompt: str,
        request: TextRequest,
        row: int,
        sample: int,
        clock: Clock,
        total: int,
        *,
        stop: Sequence[str] | None = None,
    ) -> Completion:
        """One text. Raises BadInput where llama.cpp refuses what is asked."""
        said = _Said(row, clock, total, request.logprobs)
        asked = _asked(prompt, request, sample, request.stop if stop is None else stop)
        returned = self.server.handle_completions(asked, said.hear)
        said.end(returned)
        if said.refused:
            raise BadInput(f"llama.cpp refuses this for {self.name}: {said.refused}; shorten it, or ask for less")
        if request.logprobs is not None and len(said.logprobs) < said.made:
            note("llama.cpp tells no log-probabilities of tokens that are parts of a character: those are left out")
        told = said.logprobs if request.logprobs is not None else None
        return Completion(row, said.text, said.reason, said.read, said.made, clock.stats(row), told)


class _Said:
    """What comes of one text, piece by piece."""

    def __init__(self, row: int, clock: Clock, total: int, top: int | None):
        self.row, self.clock, self.total, self.top = row, clock, total, top
        self.text, self.reason, self.refused, self.read, self.made = "", "length", "", 0, 0
        self.logprobs: list[TokenLogprob] = []
        self.error: BaseException | None = None

    def hear(self, told: Any) -> bool:
        """One piece; True ends it. What a listener raises waits until llama.cpp has ended."""
        try:
            self._hear(told if isinstance(told, dict) else json.loads(told))
        except BaseException as error:
            self.error = error
        return self.error is not None

    def _hear(self, told: dict[str, Any]) -> None:
        if "error" in told:
            self.refused = first_line(Exception(told["error"].get("message", "it does not say why")))
            return
        usage = told.get("usage") or {}
        self.read, self.made = usage.get("prompt_tokens", self.read), usage.get("completion_tokens", self.made)
        for choice in told["choices"]:
            self.reason = {"stop": "stop"}.get(str(choice.get("finish_reason")), self.reason)
            for one in (choice.get("logprobs") or {}).get("content") or []:
                if self.top is not None:
                    self.logprobs.append(
                        _logprob(one) | {"top_logprobs": [_logprob(o) for o in one["top_logprobs"][: self.top]]}
                    )
                    emit("logprob", preview=self.logprobs[-1], item=self.row)
            if piece := choice.get("text"):
                self.clock.token(self.row)
                self.text += piece
                tell(piece, self.row, self.clock.tokens, self.total)

    def end(self, returned: Any) -> None:
        if returned is not None and self.error is None:
            self.hear(returned)
        if self.error is not None:
            raise self.error


def _logprob(one: dict[str, Any]) -> TokenLogprob:
    return {"token": one["token"], "logprob": round(one["logprob"], 6)}


def _asked(prompt: str, request: TextRequest, sample: int, stop: Sequence[str]) -> dict[str, Any]:
    # Its seeds have 32 bits, of which the last number means any.
    seed = int.from_bytes(hashlib.sha256(f"{request.seed} {sample}".encode()).digest()[:4], "big") >> 1
    asked: dict[str, Any] = {
        "prompt": prompt,
        "n_predict": request.max_new_tokens,
        "temperature": request.temperature,
        "top_k": request.top_k,
        "top_p": request.top_p,
        "min_p": request.min_p,
        "repeat_penalty": request.repetition_penalty,
        "repeat_last_n": LONGEST_CONTEXT,
        "samplers": SAMPLERS,
        "seed": seed,
        "stop": list(stop),
        "stream": True,
        "cache_prompt": False,
    }
    if request.logprobs is not None:
        asked["n_probs"] = max(1, request.logprobs)
    if request.json_schema is not None:
        asked["json_schema"] = json.loads(request.json_schema)
    return asked


def _server(path: Path, context: int, why: str) -> Any:
    """llama.cpp with the file. Raises BadCheckpoint; `why` is what keeps it from being run natively."""
    try:
        import xllamacpp
    except ImportError:
        raise BadCheckpoint(f"{why}; llama.cpp runs it: {extras.command('xllamacpp')}") from None
    from genarium.devices import threads

    asked = xllamacpp.CommonParams()
    asked.model.path, asked.n_ctx, asked.n_parallel = str(path), context, 1
    asked.cpuparams.n_threads = asked.cpuparams_batch.n_threads = threads()
    asked.warmup = asked.fit_params = False
    asked.verbosity = 0
    asked.api_keys = [secrets.token_hex(32)]  # it listens on a port of this machine: nobody else is to use it
    try:
        return xllamacpp.Server(asked)
    except Exception as error:  # it raises what it has
        raise BadCheckpoint(f"{why}, and llama.cpp can't open it either ({first_line(error)}); {gguf.AGAIN}") from None
