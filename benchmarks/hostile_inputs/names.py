"""Names that no file has, or that lead to what is no ordinary file, wherever the command line takes a name."""

from __future__ import annotations

import os
import socket
from pathlib import Path

COMMANDS = {
    "model": ["text", "The fox", "--max-new-tokens", "2", "--seed", "1", "--model", "NAME"],
    "chat model": ["chat", "Hello", "--max-new-tokens", "2", "--model", "NAME"],
    "output": ["text", "The fox", "--max-new-tokens", "2", "--seed", "1", "-o", "NAME"],
    "context file": ["answer", "Who ran?", "--context-file", "NAME"],
    "questions": ["answer", "--questions", "NAME", "--context", "The fox ran."],
    "text file": ["summarize", "--file", "NAME"],
    "table": ["classify", "--file", "NAME", "--labels", "good,bad"],
    "photo": ["caption", "NAME"],
    "photo to explain": ["explain", "NAME", "--caption", "a bat"],
    "documents": ["index", "NAME"],
    "index": ["ask", "Who ran?", "--index", "NAME"],
    "model to show": ["models", "show", "NAME"],
    "search": ["history", "--search", "NAME"],
    "artefact": ["show", "NAME"],
    "rated": ["rate", "NAME", "up"],
    "training text": ["train", "gpt", "--data", "NAME", "--preset", "tiny", "--steps", "1", "--out", "trained"],
    "examples": ["finetune", "--data", "NAME", "--epochs", "1", "--out", "tuned"],
    "host": ["serve", "--port", "0", "--host", "NAME", "--api-key", "long-enough"],
}


def names(folder: Path) -> dict[str, str]:
    """Each by what it is; made in `folder`. Devices are reached by links, so that a program may replace those only."""
    os.mkfifo(folder / "pipe")
    for device in ("zero", "full", "null", "random"):
        (folder / device).symlink_to(f"/dev/{device}")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "round").symlink_to("around")
    (folder / "around").symlink_to("round")
    (folder / "itself").mkdir()
    (folder / "itself" / "again").symlink_to(".")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(folder / "socket"))
    strange = folder / "strange-model"
    strange.mkdir()
    os.mkfifo(strange / "config.json")
    endless = folder / "endless-model"
    endless.mkdir()
    (endless / "config.json").symlink_to("/dev/zero")
    return {
        "300 characters": "a" * 300,
        "5,000 characters": "a/" * 2500,
        "an unknown user": "~nosuchuser/x",
        "half a character": os.fsdecode(b"\xff\xfe"),
        "escape sequences": "\x1b]0;owned\x07\x1b[2J",
        "two lines": "a\ngenarium: all is well",
        "written backwards": "exe.\u202etxt",
        "the working folder": "/proc/self/cwd",
        "the folder above": "../..",
        "nothing": "",
        "a pipe": str(folder / "pipe"),
        "a socket": str(folder / "socket"),
        "/dev/zero": str(folder / "zero"),
        "/dev/full": str(folder / "full"),
        "a dangling link": str(folder / "dangling"),
        "links in a circle": str(folder / "round"),
        "a folder in itself": str(folder / "itself"),
        "a pipe as config.json": str(strange),
        "/dev/zero as config.json": str(endless),
    }


def inputs(folder: Path) -> dict[str, list[tuple[str, list[str], bytes]]]:
    """By command: what it is, the arguments, and standard input."""
    given = names(folder)
    listens = ("the working folder", "nothing")
    return {
        f"a name as {what}": [
            (said, [name if word == "NAME" else word for word in words], b"")
            for said, name in given.items()
            if not (what == "host" and said in listens)  # where an empty name is every address, rightly
        ]
        for what, words in COMMANDS.items()
    }
