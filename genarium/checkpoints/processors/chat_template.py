"""The chat template of a checkpoint: how the model was taught to see a conversation, as a Jinja template.

It is kept in `chat_template.jinja`, or in `tokenizer_config.json` under `chat_template`, and rendered as
transformers' `apply_chat_template` renders it: in Jinja's immutable sandbox, since a template is a program that came
with a download.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genarium.checkpoints.processors import rendering
from genarium.checkpoints.store.folder import json_or_nothing
from genarium.errors import BadCheckpoint, BadInput
from genarium.files import shortened
from genarium.messages import Message
from genarium.progress import note

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PLAIN = """\
{% for message in messages %}
{% if message.role == "system" %}
{{ message.content | trim }}

{% else %}
{{ message.role | capitalize }}: {{ message.content | trim }}
{% endif %}
{% endfor %}
{% if add_generation_prompt %}Assistant:{% endif %}
"""
"""A transcript, for a model that was taught no form of its own."""
PLAIN_STOP = ("\nUser:", "\nSystem:", "\nAssistant:")
SENTINEL = "\ue000"


@dataclass(frozen=True)
class ChatTemplate:
    """`source` is Jinja; `special` the tokens it may name (`bos_token`, …); `where` the model, for messages.

    `today` (YYYY-MM-DD) is what a template that tells the date is given. Without it such a template falls back to
    the date it carries: what it says then does not change from day to day.
    """

    source: str
    special: tuple[tuple[str, str], ...] = ()
    where: str = "this model"
    today: str | None = None

    def render(self, messages: Sequence[Message], *, reply: bool = True) -> str:
        """The conversation as the model reads it, up to where its reply begins if `reply`.

        Raises BadInput where the template refuses the conversation, BadCheckpoint where it is broken.
        """
        if self.today is not None:
            _date(self.today)
        values = {
            **dict(self.special),
            "messages": [dict(message) for message in messages],
            "add_generation_prompt": reply,
        }
        found = rendering.render(self.source, self.today, values)
        if "text" in found:
            if not found["text"].strip():
                raise self._broken("it makes nothing of this conversation")
            return found["text"]
        if found["kind"] == "refused":
            hint = "; leave out the system message" if messages and messages[0]["role"] == "system" else ""
            raise BadInput(
                f"the chat template of {self.where} refuses this conversation: {found['words'].rstrip('.')}{hint}"
            )
        if found["kind"] == "invalid":
            raise BadCheckpoint(
                f"the chat template of {self.where} is not valid Jinja ({shortened(found['words'], 200)}); put one "
                "that is into its folder as chat_template.jinja, or choose the plain template"
            )
        raise self._broken(found["words"])

    def encode(self, tokenizer: Tokenizer, messages: Sequence[Message], *, reply: bool = True) -> list[int]:
        """The conversation's tokens, up to where its next reply begins if `reply`.

        Only the template writes control tokens. Where a message spells one (`<|im_end|>`), it is read as the
        letters it is made of, so that nobody can end their turn and speak as another. Equal to transformers'
        `apply_chat_template`, there with `sanitize_control_tokens=True`.
        """
        control = self.control_tokens(tokenizer)
        spelled = [token for token in control if any(token in message["content"] for message in messages)]
        if not spelled:
            return _ids(tokenizer, self.render(messages, reply=reply))
        note(f"{spelled[0]} in a message is a control token of {self.where}: it was read as ordinary text")
        sentinel = _unused(SENTINEL, [self.source, *(message["content"] for message in messages)])
        # Spelled ones are broken up by the sentinel before the template sees them; those that then stand whole are
        # the template's own, and get names that no text can have.
        spelling = re.compile("|".join(f"(?<={re.escape(t[0])})(?={re.escape(t[1:])})" for t in control))
        broken: list[Message] = [
            {"role": message["role"], "content": spelling.sub(sentinel, message["content"])} for message in messages
        ]
        rendered = self.render(broken, reply=reply)
        names = {token: f"{sentinel}{number}{sentinel}" for number, token in enumerate(control)}
        longest_first = sorted(control, key=len, reverse=True)
        own = re.compile("|".join(map(re.escape, [*longest_first, sentinel])))
        renamed = own.sub(lambda found: names.get(found[0], ""), rendered)
        return _ids(_renamed(tokenizer, names), renamed)

    def control_tokens(self, tokenizer: Tokenizer) -> list[str]:
        """The special tokens, and what else of the added ones the template writes. Single characters are left out."""
        added = tokenizer.get_added_tokens_decoder().values()
        return [
            token.content
            for token in added
            if len(token.content) > 1
            and (token.special or (token.content in self.source and not token.content.isspace()))
        ]

    def end_of_turn(self, tokenizer: Tokenizer) -> int | None:
        """The control token the template writes after a reply: what the model ends its turn with."""
        mark = "genarium"
        said: list[Message] = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": mark}]
        try:
            behind = self.render(said, reply=False).rpartition(mark)[2]
        except (BadInput, BadCheckpoint):
            return None
        found = re.search("|".join(map(re.escape, self.control_tokens(tokenizer))) or "(?!)", behind)
        return tokenizer.token_to_id(found[0]) if found else None

    def _broken(self, words: str) -> BadCheckpoint:
        asks_date = "strftime_now" in words and self.today is None
        way_out = (
            "it asks for today's date, so give one with date"
            if asks_date
            else "put one that works into its folder as chat_template.jinja, or choose the plain template"
        )
        return BadCheckpoint(f"the chat template of {self.where} fails ({shortened(words, 200)}); {way_out}")


def load(path: Path, where: str, today: str | None = None) -> ChatTemplate:
    """The folder's template. Raises BadCheckpoint where it has none: then it is no chat model."""
    from genarium.checkpoints.processors import gguf_tokenizer
    from genarium.checkpoints.store import gguf

    path = _folder_of(path)
    config = json_or_nothing(path / "tokenizer_config.json")
    source: Any = config.get("chat_template")
    file = path / "chat_template.jinja"
    if file.is_file():
        try:
            source = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadCheckpoint(f"{file} can't be read ({error}); download the folder again") from None
    if isinstance(source, list):  # several by name: for tools, for documents, and for talking
        named = [entry for entry in source if isinstance(entry, dict) and entry.get("name") == "default"]
        source = named[-1].get("template") if named else None
    if gguf.is_gguf(path):
        source = gguf_tokenizer.chat_template(path)
    if not isinstance(source, str) or not source.strip():
        raise BadCheckpoint(
            f"{where} has no chat template, so it was probably never taught to talk; name a model that was (such as "
            "Qwen/Qwen2.5-0.5B-Instruct), put its template into the folder as chat_template.jinja, or ask for a "
            "plain transcript (template plain)"
        )
    return ChatTemplate(source, _special(path, config), where, today)


def _folder_of(path: Path) -> Path:
    """That of the base, for an adapter that was saved without a template."""
    from genarium.checkpoints.store import adapters, find

    own = (path / "chat_template.jinja").is_file() or "chat_template" in json_or_nothing(path / "tokenizer_config.json")
    return find.base_of(path) if adapters.is_adapter(path) and not own else path


def plain() -> ChatTemplate:
    """The plain transcript, for a checkpoint without a template."""
    return ChatTemplate(PLAIN, where="the plain transcript")


def _special(path: Path, config: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """`bos_token`, `eos_token` and their like by name; what the folder does not say is its tokenizer's class's."""
    from genarium.checkpoints.processors import gguf_tokenizer, tokenizer_files
    from genarium.checkpoints.store import gguf

    if gguf.is_gguf(path):
        return tuple(gguf_tokenizer.special_tokens(path).items())
    found = tokenizer_files.special_tokens(path, json_or_nothing(path / "config.json"))
    for raw in (json_or_nothing(path / "special_tokens_map.json"), config):
        for name, value in raw.items():
            text = value.get("content") if isinstance(value, dict) else value
            if name.endswith("_token") and isinstance(text, str):
                found[name] = text
    return tuple(found.items())


def _date(today: str) -> date:
    try:
        return date.fromisoformat(today)
    except ValueError:
        raise BadInput(f"date must be a day as in 2026-01-31, got {today!r}") from None


def _unused(character: str, texts: Sequence[str]) -> str:
    """The character, repeated once more than any text repeats it."""
    runs = (len(run) for text in texts for run in re.findall(f"{character}+", text))
    return character * (max(runs, default=0) + 1)


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """The tokens of a text that has its special ones written out; other threads continue meanwhile."""
    [encoding] = tokenizer.encode_batch_fast([text], add_special_tokens=False)
    return list(encoding.ids)


def _renamed(tokenizer: Tokenizer, names: dict[str, str]) -> Tokenizer:
    """The same tokenizer with some of its added tokens under other names: their old ones are ordinary text to it."""
    from tokenizers import Tokenizer

    rename: Callable[[Any], Any] = lambda piece: names.get(piece, piece)  # noqa: E731
    raw = json.loads(tokenizer.to_str())
    raw["post_processor"] = None
    for token in raw["added_tokens"]:
        token["content"] = rename(token["content"])
    vocabulary = raw["model"].get("vocab")
    if isinstance(vocabulary, dict):
        raw["model"]["vocab"] = {rename(piece): number for piece, number in vocabulary.items()}
    elif isinstance(vocabulary, list):
        raw["model"]["vocab"] = [[rename(piece), score] for piece, score in vocabulary]
    if "unk_token" in raw["model"]:
        raw["model"]["unk_token"] = rename(raw["model"]["unk_token"])
    return Tokenizer.from_str(json.dumps(raw))
