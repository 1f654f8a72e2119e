"""`genarium chat`: one message, a conversation in a terminal, conversations listed, shown and continued."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from click.testing import CliRunner, Result

import genarium
from genarium.cli.main import genarium as command
from genarium.errors import BadInput
from genarium.ledger import Ledger
from tests.chat_models import STYLES, make_checkpoint


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_checkpoint(tmp_path_factory.mktemp("chat"), STYLES["qwen"], context=512))


def run(*words: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(command, ["chat", *words], input=stdin, standalone_mode=False)


def recipe_of(result: Result) -> dict[str, Any]:
    assert result.exception is None, result.exception
    return json.loads(result.stdout)["recipe"]


def test_a_conversation_goes_on_where_it_was(model: str) -> None:
    run("Hello", "there", "--model", model, "--max-new-tokens", "9", "--system", "Be kind.", "--temperature", "0.5")
    with Ledger() as ledger:
        [first] = ledger.history()
    again = recipe_of(run("And now?", "--continue", "last", "--json"))
    arguments = again["arguments"]
    assert arguments["messages"] == [
        {"role": "user", "content": "Hello there"},
        {"role": "assistant", "content": first.facts["text"]},
    ]
    kept = {"message": "And now?", "system": "Be kind.", "temperature": 0.5, "max_new_tokens": 9}
    assert {name: arguments[name] for name in kept} == kept
    assert again["model"] == first.recipe.as_dict()["model"]
    third = recipe_of(run("Bye", "--continue", first.id[:6], "--json", "--system", "Be rude."))
    assert third["arguments"]["messages"] == arguments["messages"]
    assert third["arguments"]["system"] == "Be rude."


def test_the_list_has_each_conversation_once_by_its_last_reply(model: str) -> None:
    settings = ("--model", model, "--max-new-tokens", "5")
    run("First", *settings)
    run("Second", *settings)
    run("Second again", "--continue", "last")
    run("Second, third time", "--continue", "last")
    listed = json.loads(run("--list", "--json").stdout)
    assert [(row["first"], row["messages"]) for row in listed] == [("Second", 6), ("First", 2)]
    # A branch from the middle is a conversation of its own.
    with Ledger() as ledger:
        second = next(entry for entry in ledger.history() if entry.recipe.arguments["message"] == "Second")
    run("Elsewhere", "--continue", second.id)
    listed = json.loads(run("--list", "--json").stdout)
    assert [(row["first"], row["messages"]) for row in listed] == [("Second", 4), ("Second", 6), ("First", 2)]
    shown = CliRunner().invoke(command, ["show", listed[1]["id"]], standalone_mode=False).stdout
    assert "user: Second\n\nassistant: " in shown
    assert "\n\nuser: Second, third time\n\nassistant: " in shown


def test_a_reply_is_made_again_from_its_recipe(model: str) -> None:
    run("Hello", "--model", model, "--max-new-tokens", "20")
    run("And now?", "--continue", "last")
    with Ledger() as ledger:
        last, first = ledger.history()
    assert last.path.read_text("utf-8") == last.facts["text"]
    for entry in (last, first):
        done = CliRunner().invoke(command, ["reproduce", entry.id, "--json"], standalone_mode=False)
        assert json.loads(done.stdout)["equal"], done.stdout


def test_python_goes_on_with_the_messages_of_a_reply(model: str) -> None:
    [reply] = genarium.chat("Hello", model=model, max_new_tokens=8, seed=1)
    [second] = genarium.chat("And now?", model=model, max_new_tokens=8, seed=1, messages=reply.messages)
    assert [message["content"] for message in second.messages] == ["Hello", reply.text, "And now?", second.text]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("Hello", "--model", "starter/nobody"), "no starter model called 'nobody'"),
        (("Hello", "--model", "MODEL", "--messages", '{"role": "wizard", "content": "Hi"}'), "one of system, user"),
        (("Hello", "--model", "MODEL", "--messages", '{"role": "user"}'), "messages needs content"),
        (("Hello", "--model", "MODEL", "--messages", '{"role": "user", "content": "a", "x": 1}'), "has no 'x'"),
        (("Hello", "--model", "MODEL", "--messages", '{"role": "system", "content": "a"}', "--system", "b"), "once"),
        (("Hello", "--model", "MODEL", "--messages", "Hi"), "is not JSON"),
        (("Hello", "--model", "MODEL", "--template", "mine"), "'checkpoint', 'plain'"),
        (("Hello", "--model", "MODEL", "--max-new-tokens", "512"), "context of 512"),
        (("Hello", "--model", "MODEL", "--max-new-tokens", "9", "--date", "soon"), "2026-01-31"),
        (("Hello", "--continue", "last"), "there is no conversation yet"),
        (("  ", "--model", "MODEL"), "message is empty"),
        (("--model", "MODEL"), "chat needs a message"),
        (("--model", "MODEL", "--json"), "give a message with --json"),
    ],
)
def test_a_mistake_is_a_sentence(model: str, words: tuple[str, ...], said: str) -> None:
    result = run(*(model if word == "MODEL" else word for word in words))
    message = getattr(result.exception, "message", "") or str(result.exception)
    assert said in message
    assert "\n" not in message


def test_binary_standard_input_is_a_sentence(model: str) -> None:
    result = run("-", "--model", model, stdin=b"\xff\xfe\x00\x80")
    assert isinstance(result.exception, BadInput)
    assert "not UTF-8" in str(result.exception)


class Slow(BaseHTTPRequestHandler):
    """Says `reply` and what it was asked; where that is `long`, a word every tenth of a second without end."""

    asked: list[list[dict[str, str]]]

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(sent["messages"])
        said = sent["messages"][-1]["content"]
        if said == "fail":
            self.send_error(500, "broken")
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            for number in range(300 if said == "long" else 1):
                self._say(f"word{number} " if said == "long" else f"reply to {said}", None)
                time.sleep(0.1 if said == "long" else 0)
            self._say("", "stop")
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:  # the other side has stopped listening
            pass

    def _say(self, text: str, reason: str | None) -> None:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[dict[str, str]]]]:
    Slow.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield Slow.asked
        server.shutdown()


# The terminal becomes its own, so that Ctrl-C reaches it as from a keyboard.
IN_A_TERMINAL = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from genarium.cli.main import main
main()
"""


class Terminal:
    """The command in a terminal of its own."""

    def __init__(self, *words: str):
        self.near, far = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", IN_A_TERMINAL, *words], stdin=far, stdout=far, stderr=far, start_new_session=True
        )
        os.close(far)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.near, text.encode())

    def wait_for(self, text: str, seconds: float = 600.0) -> str:
        """All that came until `text` did; it is used up by this."""
        until = time.monotonic() + seconds
        while text not in self.seen:
            left = until - time.monotonic()
            assert left > 0, f"{text!r} did not come in {self.seen!r}"
            if select.select([self.near], [], [], left)[0]:
                try:
                    self.seen += os.read(self.near, 4096).decode(errors="replace")
                except OSError:  # it has ended
                    assert text in self.seen, f"{text!r} did not come in {self.seen!r}"
        before, _, self.seen = self.seen.partition(text)
        return before


def test_a_conversation_in_a_terminal(endpoint: list[list[dict[str, str]]]) -> None:
    terminal = Terminal("chat", "--model", "openai:m", "--seed", "3")
    terminal.wait_for("> ")
    terminal.type("one\n")
    terminal.wait_for("reply to one")
    terminal.wait_for("> ")
    terminal.type("/system Be kind.\n")
    terminal.wait_for("system: Be kind.")
    terminal.type("/nonsense\n")
    terminal.wait_for("no command /nonsense")
    terminal.type("fail\n")
    terminal.wait_for("genarium: ")
    terminal.wait_for("> ")
    terminal.type("long\n")
    terminal.wait_for("word3")
    terminal.type("\x03")
    terminal.wait_for("stopped here")
    terminal.wait_for("> ")
    terminal.type("three\n")
    terminal.wait_for("reply to three")
    terminal.wait_for("> ")
    terminal.type("\x04")
    terminal.wait_for("genarium chat --continue")
    assert terminal.process.wait(600) == 0

    last = endpoint[-1]
    assert last[:4] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "reply to one"},
        {"role": "user", "content": "long"},
    ]
    assert last[4]["content"].startswith("word0 word1 word2")  # what was said before Ctrl-C stays said
    assert last[5:] == [{"role": "user", "content": "three"}]
    [row] = json.loads(run("--list", "--json").stdout)
    assert (row["first"], row["last"], row["messages"]) == ("one", "reply to three", 6)


def test_one_reply_is_streamed_to_a_terminal(endpoint: list[list[dict[str, str]]]) -> None:
    terminal = Terminal("chat", "long", "--model", "openai:m")
    terminal.wait_for("word0")
    terminal.wait_for("word1")
    assert len(endpoint) == 1
    assert terminal.process.poll() is None  # it came while the rest was being written
    terminal.type("\x03")
    terminal.wait_for("stopped")
    assert terminal.process.wait(600) == 130
