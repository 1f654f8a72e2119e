"""What the person who starts the server decides."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from genarium.errors import BadInput
from genarium.files import shortened

HARMLESS = ("ham", "harmless", "neutral", "no", "none", "normal", "not toxic", "ok", "positive", "safe", "non-toxic")
"""Labels of a classifier that moderation takes for no objection, in lower case."""


@dataclass(frozen=True)
class ServerSettings:
    """Times are seconds, sizes bytes.

    `keys`: who sends one of them as `Authorization: Bearer KEY` may use the server; without any, everybody on this
    machine may. `models`: what clients may name beside the starters and what was pulled from the hub, by the name
    they use. `waiting`: requests held in the queue; `together`: texts in one batch; `memory`: of all loaded models.
    `answer_within`: how long a task's request is held open before it becomes a job. `grace`: how long running work
    may continue after SIGTERM. One request may ask for `max_texts` texts of `max_tokens` new tokens together, and have
    `max_text` characters of text.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    keys: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    any_model: bool = False
    waiting: int = 64
    together: int = 32
    memory: int | None = None
    max_body: int = 32 * 2**20
    max_text: int = 1_000_000
    max_texts: int = 256
    max_tokens: int = 262_144
    body_within: float = 60.0
    answer_within: float = 20.0
    grace: float = 20.0
    moderation: str = "starter/spam"
    harmless: tuple[str, ...] = HARMLESS
    log_prompts: bool = False

    def __post_init__(self) -> None:
        if not self.keys and not is_loopback(self.host):
            raise BadInput(
                f"--host {shortened(self.host)} is open to other machines; give --api-key (or GENARIUM_API_KEY) so "
                "that only who knows it may use the server, or leave out --host to serve this machine alone"
            )
        for key in self.keys:
            if len(key) < 8 or not key.isascii() or not key.isprintable() or " " in key:
                raise BadInput("an API key has at least 8 letters, digits or signs and no spaces; make a longer one")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
