"""`chat` in a terminal: a conversation, and the conversations that are kept.

A conversation has no record of its own: each reply's recipe holds all that was said before it, so one that continues
from another is known by its beginning.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from genarium.cli.common import aside
from genarium.cli.display import Display
from genarium.cli.options import given
from genarium.cli.tasks import run_task, task_command
from genarium.cli.terminal import next_line, printable
from genarium.errors import BadInput, GenariumError
from genarium.messages import Message
from genarium.progress import Event
from genarium.tasks.task import Task

if TYPE_CHECKING:
    from genarium.ledger import Entry

HELP = "/quit or Ctrl-D ends, Ctrl-C stops a reply, /system TEXT says how to behave, /system alone takes that back"
EVERY_CONVERSATION = 10**9


def chat_command(task: Task) -> click.Command:
    """The task's command, which also talks, lists conversations and continues one."""
    command = task_command(task)
    command.params += [
        click.Option(["--continue", "continued"], metavar="ID|last", help="continue with this conversation"),
        click.Option(["--list", "listed"], is_flag=True, help="list the conversations, newest first"),
    ]

    def callback(
        output: str | None, as_json: bool, no_keep: bool, continued: str | None, listed: bool, **values: Any
    ) -> None:
        if listed:
            list_conversations(as_json=as_json)
            return
        arguments = given(task.parameters, values)
        if continued is not None:
            arguments = earlier(continued) | arguments
        arguments.setdefault("date", _today())
        if "message" in arguments:
            run_task(task, arguments, output=output, as_json=as_json, keep=not no_keep)
        elif output or as_json or no_keep:
            raise BadInput("a conversation is kept turn by turn; give a message with --json, -o or --no-keep")
        elif not sys.stdin.isatty():
            raise BadInput(
                "chat needs a message: give one, - to read it from standard input, or run it in a terminal to talk"
            )
        else:
            talk(arguments)

    command.callback = callback
    return command


def talk(arguments: dict[str, Any]) -> None:
    """Ask for messages and stream replies until the end of input or /quit. What goes wrong with one ends only that."""
    from genarium.run import prepare

    if arguments.get("n", 1) != 1:
        raise BadInput("a conversation takes one reply at a time; leave out -n, or give a message with it")
    first = prepare("chat", "Hello", **arguments)  # a mistake in the options is better told before than after
    assert first.model is not None
    aside(f"{first.model.reference}: {HELP}")
    messages: list[Message] = list(arguments.get("messages") or [])
    last = ""
    while (line := next_line()) is not None:
        if not line.strip():
            continue
        if line.startswith("/"):
            command, _, rest = line.partition(" ")
            if command == "/quit":
                break
            if command == "/system":
                arguments["system"] = rest.strip() or None
                click.echo(printable(f"system: {rest.strip() or 'nothing'}"), err=True)
            else:
                known = f"{HELP}; put a space before a message that begins with /"
                click.echo(printable(f"no command {command}: {known}"), err=True)
            continue
        text, identifier = _reply(arguments | {"messages": messages}, line.strip())
        last = identifier or last
        if text:
            messages += [{"role": "user", "content": line.strip()}, {"role": "assistant", "content": text}]
    if last:
        aside(f"kept; continue with genarium chat --continue {last}")


def _reply(arguments: dict[str, Any], message: str) -> tuple[str, str]:
    """What was replied, and the id it is kept under; a stopped reply has none, but stays in the conversation."""
    from genarium.run import prepare, run

    pieces: list[str] = []
    with Display(stream=True) as display:

        def listen(event: Event) -> None:
            display(event)
            if event.stage == "writing":
                pieces.append(event.preview)

        try:
            result = run(prepare("chat", message, **arguments), listener=listen)
        except KeyboardInterrupt:
            display.say("stopped here")
            return "".join(pieces).strip(), ""
        except GenariumError as error:
            display.say(f"genarium: {error}")
            return "", ""
    click.echo()
    return result.artefacts[0].facts()["text"], result.artefacts[0].id


def said(entry: Entry, *, edited: bool = True) -> list[Message]:
    """The whole conversation that ends with this reply, as it was edited where it was, or as it was written."""
    from genarium.messages import conversation

    asked = entry.recipe.arguments
    before = conversation(asked["system"], asked["messages"] or [], asked["message"])
    return [*before, {"role": "assistant", "content": entry.text if edited else entry.facts["text"]}]


def earlier(identifier: str) -> dict[str, Any]:
    """The arguments of a kept reply's recipe, with all that was said as `messages`. Raises BadInput."""
    from genarium.ledger import Ledger

    with Ledger() as ledger:
        if identifier == "last":
            found = ledger.history(1, task="chat")
            if not found:
                raise BadInput("there is no conversation yet; begin one with genarium chat --model MODEL")
            entry = found[0]
        else:
            entry = ledger.find(identifier)
    if entry.recipe.task != "chat" or entry.recipe.model is None:
        raise BadInput(f"{entry.id} is no conversation: {entry.recipe.task} made it; genarium chat --list lists them")
    arguments = {name: value for name, value in entry.recipe.arguments.items() if name not in ("message", "date", "n")}
    arguments["messages"] = [message for message in said(entry) if message["role"] != "system"]
    return arguments | {"model": entry.recipe.model.reference}


def list_conversations(*, as_json: bool) -> None:
    """Each conversation once, by its last reply."""
    from genarium.ledger import Ledger

    with Ledger() as ledger:
        entries = ledger.history(EVERY_CONVERSATION, task="chat")
    gone_on = {digest for entry in entries for digest in _beginnings(entry.recipe.arguments["messages"] or [])}
    rows = []
    for entry in entries:
        ways = [[turn for turn in said(entry, edited=one) if turn["role"] != "system"] for one in (False, True)]
        turns = ways[-1]
        if not gone_on.intersection(list(_beginnings(way))[-1] for way in ways):
            rows.append(
                {
                    "id": entry.id,
                    "created": entry.created,
                    "model": entry.recipe.model.reference if entry.recipe.model else "",
                    "messages": len(turns),
                    "first": turns[0]["content"],
                    "last": turns[-1]["content"],
                }
            )
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if not rows:
        click.echo("there is no conversation yet; begin one with genarium chat --model MODEL", err=True)
    for row in rows:
        about = " ".join(str(row["first"]).split())
        when = str(row["created"])[:16].replace("T", " ")
        counts = f"{row['messages']:>3} messages  {str(row['model'])[-24:]:<24}"
        click.echo(printable(f"{row['id']}  {when}  {counts}  {about[:60]}"))


def _beginnings(messages: list[Message]) -> Iterator[str]:
    """A digest of each beginning of a conversation, the whole one last."""
    running = hashlib.sha256()
    for message in messages:
        running.update(json.dumps([message["role"], message["content"]]).encode())
        yield running.hexdigest()


def _today() -> str:
    from datetime import datetime

    return datetime.now().astimezone().date().isoformat()
