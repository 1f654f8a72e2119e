"""The native engine: checkpoints whose layout has a network that writes, in torch or quantised."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

from genarium.checkpoints.processors import chat_template, generation, tokenizer
from genarium.checkpoints.processors.chat_template import ChatTemplate
from genarium.decoding.choosing import Chosen, Constraint
from genarium.decoding.continuous import ContinuousBatch, is_shared
from genarium.decoding.generate import generate
from genarium.decoding.suppression import Suppressed
from genarium.engines.text import decoders
from genarium.engines.text.protocol import (
    ChatRequest,
    Clock,
    Completion,
    TextRequest,
    TokenLogprob,
    tell,
)
from genarium.engines.text.written import Written
from genarium.errors import BadCheckpoint, BadInput
from genarium.messages import Message
from genarium.progress import emit, note


class NativeText:
    """Writes with a checkpoint folder that has a layout for `text`, in messages called `name`. Raises BadCheckpoint."""

    def __init__(
        self, path: Path, *, name: str = "", dtype: str = "auto", device: str | None = None, backend: str = "auto"
    ):
        self.path, self.name = path, name or str(path)
        self.decoder = decoders.open(path, dtype, device, backend=backend)
        self.tokenizer = tokenizer.load(path)
        self.end_tokens = tokenizer.end_tokens(path, self.tokenizer, self.decoder.vocab_size)
        added = self.tokenizer.get_added_tokens_decoder().items()
        self.special = {number: token.content for number, token in added if token.special}
        self.generation = generation.read(path)
        self.said: set[str] = set()
        self.context = self.decoder.context_length
        self.shared = ContinuousBatch(self.decoder)

    @cached_property
    def template(self) -> ChatTemplate | None:
        """How a conversation is written for it; None where it was not taught to talk."""
        try:
            return chat_template.load(self.path, self.name)
        except BadCheckpoint:
            return None

    @property
    def chats(self) -> bool:
        return self.template is not None

    def write(self, prompts: Sequence[str], request: TextRequest) -> Iterator[Completion]:
        rows = [self._encode(prompt, request) for prompt in prompts]
        return self._continue(rows, request, self.end_tokens)

    def reply(self, messages: Sequence[Message], request: ChatRequest) -> Iterator[Completion]:
        if request.template == "plain":
            template = chat_template.plain()
            request = replace(request, stop=(*request.stop, *chat_template.PLAIN_STOP))
        else:
            template = chat_template.load(self.path, self.name, request.date)
        ids = self._fit(template, messages, request)
        end = template.end_of_turn(self.tokenizer)
        end_tokens = self.end_tokens if end is None else self.end_tokens | {end}
        for done in self._continue([ids], request, end_tokens, apart=True):
            yield replace(done, text=done.text.strip())

    def _continue(
        self,
        prompts: Sequence[Sequence[int]],
        request: TextRequest,
        end_tokens: frozenset[int],
        *,
        apart: bool = False,
    ) -> Iterator[Completion]:
        """`n` continuations of each prompt, given as tokens; `apart`: each is a text of its own, as a reply is."""
        self.check_vocabulary(prompts)
        self._say_what_is_not_done(request)
        clock = Clock()
        rows = [row for row in prompts for _ in range(request.n)]
        samples = list(range(request.n)) * len(prompts)
        constraints = self._constraints(request, len(rows), end_tokens)
        # The prompt comes first, since a word's first piece is written differently at the start of a text.
        own = self.generation.stop_strings or []
        stop = (*request.stop, *([own] if isinstance(own, str) else own))
        texts = [Written(self.tokenizer, [] if apart else row, stop, self.special) for row in rows]
        counts = [0] * len(rows)
        total = request.max_new_tokens * len(rows)
        finished: set[int] = set()
        told: list[list[TokenLogprob]] = [[] for _ in rows]
        how = self.shared.generate if is_shared() else partial(generate, self.decoder)
        tokens = how(rows, request, samples=samples, end_tokens=end_tokens, finished=finished, constraints=constraints)
        for new in tokens:
            if new.row in finished:
                continue
            counts[new.row] += 1
            clock.token(new.row)
            written = texts[new.row]
            if new.token not in end_tokens:
                begins = apart and not written.shown.strip()
                piece = written.add(new.token)
                piece = piece.lstrip() if begins else piece
                if request.logprobs is not None and not written.stopped:
                    told[new.row].append(self._told(new.chosen))
                    emit("logprob", preview=told[new.row][-1], item=new.row)
                tell(piece, new.row, clock.tokens, total)
            ended = "stop" if written.stopped else new.ended
            if ended:
                finished.add(new.row)
                tell(written.rest(), new.row, clock.tokens, total)
                yield Completion(
                    new.row,
                    written.text,
                    ended,
                    len(rows[new.row]),
                    counts[new.row],
                    clock.stats(new.row),
                    told[new.row] if request.logprobs is not None else None,
                )

    def _constraints(
        self, request: TextRequest, rows: int, end_tokens: frozenset[int]
    ) -> Sequence[Constraint | None] | None:
        """A grammar for each row where a schema is asked for, and what the checkpoint suppresses. Raises BadInput."""
        size = self.decoder.vocab_size
        grammars: Sequence[Constraint | None] = [None] * rows
        if request.json_schema is not None:
            from genarium.decoding.json_schema import json_schema

            grammars = json_schema(self.tokenizer, size, end_tokens, request.json_schema, rows)
        never, at_first = (
            [token for token in tokens or () if 0 <= token < size]
            for tokens in (self.generation.suppress_tokens, self.generation.begin_suppress_tokens)
        )
        if never or at_first:
            return [Suppressed(size, never, at_first, grammar) for grammar in grammars]
        return grammars if request.json_schema is not None else None

    def _say_what_is_not_done(self, request: TextRequest) -> None:
        """Once for each way to ask: what the checkpoint's authors would do otherwise."""
        said = generation.not_done(self.generation, vars(request), vars(TextRequest()))
        if said and said not in self.said:
            self.said.add(said)
            note(f"{self.name}: {said}")

    def check_vocabulary(self, prompts: Sequence[Sequence[int]]) -> None:
        """Raises BadInput where the tokenizer has given a number that the network has no place for."""
        size = self.decoder.vocab_size
        if beyond := [token for prompt in prompts for token in prompt if token >= size]:
            text = self.tokenizer.decode([beyond[0]], skip_special_tokens=False)
            raise BadInput(
                f"{self.name} has {size} tokens, and its tokenizer reads {text!r} as number {beyond[0]}; leave that "
                "out of the text, or get a folder whose tokenizer belongs to it"
            )

    def _told(self, chosen: Chosen) -> TokenLogprob:
        def one(token: int, logprob: float) -> TokenLogprob:
            return {"token": self.tokenizer.decode([token], skip_special_tokens=False), "logprob": round(logprob, 6)}

        top = [one(token, logprob) for token, logprob in chosen.top]
        return one(chosen.token, chosen.logprob) | {"top_logprobs": top}

    def _room(self, request: TextRequest) -> int:
        """How many tokens the context holds beside the new ones."""
        room = self.context - request.max_new_tokens
        if room < 1:
            raise BadInput(
                f"max_new_tokens must be less than this model's context of {self.context} tokens, "
                f"got {request.max_new_tokens}; try {self.context // 2}"
            )
        return room

    def _fit(self, template: ChatTemplate, messages: Sequence[Message], request: ChatRequest) -> list[int]:
        """The conversation's tokens, without the oldest turns where the context can't hold them all."""
        room = self._room(request)
        whole = ids = template.encode(self.tokenizer, messages)
        if len(ids) <= room:
            return ids
        too_long = f"the conversation has {len(whole)} tokens, but only {room} fit beside {request.max_new_tokens} new"
        if request.strict:
            raise BadInput(f"{too_long} ones in this model's context; leave out --strict to have its oldest turns left")
        first = 1 if messages[0]["role"] == "system" else 0
        turns = [place for place, message in enumerate(messages) if message["role"] == "user"]

        def since(turn: int) -> list[int]:
            return template.encode(self.tokenizer, [*messages[:first], *messages[turn:]])

        # A conversation only grows with its turns, so the longest end of it that fits is found by halving.
        kept = bisect_left(turns, True, lo=1, key=lambda turn: len(since(turn)) <= room)
        if kept >= len(turns):
            alone = len(since(turns[-1]))
            raise BadInput(
                f"the last message alone has {alone} tokens{' with the system message' * first}, but only {room} fit "
                f"beside {request.max_new_tokens} new ones in this model's context of {self.context}; shorten it, or "
                "give a smaller max_new_tokens"
            )
        note(f"{too_long} ones: its oldest {turns[kept] - first} messages were not read")
        return since(turns[kept])

    def _encode(self, prompt: str, request: TextRequest) -> list[int]:
        """The prompt's tokens, cut at the left to what the context can hold beside the new ones."""
        room = self._room(request)
        ids: list[int] = self.tokenizer.encode_batch_fast([prompt])[0].ids  # alone it would hold up all other threads
        if not ids:
            raise BadInput("the prompt has no token this model knows; give it some text")
        if len(ids) <= room:
            return ids
        if request.strict:
            raise BadInput(
                f"the prompt has {len(ids)} tokens, but only {room} fit beside {request.max_new_tokens} new ones in "
                f"this model's context of {self.context}; shorten it, or leave out --strict to have its beginning cut"
            )
        cut = self.tokenizer.decode(ids[: len(ids) - room])
        note(
            f"the prompt has {len(ids)} tokens and {room} fit: its first {len(ids) - room} were not read "
            f"(up to {' '.join(cut.split())[-40:]!r})"
        )
        return ids[len(ids) - room :]
