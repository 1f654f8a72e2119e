"""What tests share: a data folder of their own, a small model of random weights, the command in its own process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.other_packages import install

# A busy machine is slow, not wrong.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# A shell's background jobs begin with SIGINT ignored, and would hand that on to the commands that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

STORY = "Der Fuchs läuft über den Hügel. The fox ran over the hill and sang to the moon. "

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of this test: nothing of the user's is read or written."""
    folder = tmp_path / "home"
    monkeypatch.setenv("GENARIUM_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def other_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH where pip installed two packages: one brings a task, one is broken."""
    return install(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 folder of random weights, context 96, over bytes."""
    import torch

    from genarium.checkpoints.layouts import gpt
    from genarium.data.text import END_OF_TEXT, bpe_tokenizer
    from genarium.models.gpt import GPT, GPTConfig

    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = bpe_tokenizer([STORY], 330)
    config = GPTConfig(
        vocab_size=tokenizer.get_vocab_size(),
        context_length=96,
        n_layers=2,
        n_heads=4,
        n_kv_heads=4,
        head_dim=8,
        d_model=32,
        d_ff=64,
    )
    torch.manual_seed(0)
    model = GPT(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    end = tokenizer.token_to_id(END_OF_TEXT)
    gpt.save(model, folder, extra={"bos_token_id": end, "eos_token_id": end})
    (folder / "tokenizer.json").write_text(tokenizer.to_str())
    return folder


@pytest.fixture
def genarium(home: Path) -> Command:
    """Runs `genarium ARGUMENTS` in a process of its own, with this test's data folder."""

    def run(
        *arguments: str | Path, stdin: str | bytes = "", env: dict[str, str] | None = None, timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [sys.executable, "-m", "genarium.cli.main", *map(str, arguments)],
            input=given,
            capture_output=True,
            env=os.environ | {"GENARIUM_HOME": str(home)} | (env or {}),
            timeout=timeout,
            check=False,
        )
        out, error = done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in error, error
        return subprocess.CompletedProcess(done.args, done.returncode, out, error)

    return run
