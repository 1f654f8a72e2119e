"""What people expect of any command line: defaults, quiet and verbose, suggestions, completion, full disks, Ctrl-C."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from genarium.cli.main import genarium as command
from tests.conftest import Command

TEXT = ("text", "The fox", "--max-new-tokens", "4", "--seed", "7")


def groups(group: click.Group, ctx: click.Context) -> list[click.Group]:
    found = [group]
    for name in group.list_commands(ctx):
        if isinstance(inner := group.get_command(ctx, name), click.Group):
            found += groups(inner, ctx)
    return found


def test_every_command_is_told_in_one_line_that_is_not_cut() -> None:
    with click.Context(command, info_name="genarium") as ctx:
        for group in groups(command, ctx):
            for name in group.list_commands(ctx):
                inner = group.get_command(ctx, name)
                assert inner is not None
                sentence = inner.get_short_help_str(1000)
                assert 0 < len(sentence) <= 68, f"{name}: {sentence}"
                assert not sentence.endswith("..."), name


@pytest.mark.parametrize(
    ("typed", "meant"),
    [(["txt", "a"], "did you mean text?"), (["histroy"], "did you mean history?"), (["models", "lst"], "mean list?")],
)
def test_a_mistyped_command_gets_a_suggestion(typed: list[str], meant: str) -> None:
    done = CliRunner().invoke(command, typed)
    assert done.exit_code == 2
    assert meant in done.stderr


def test_defaults_come_from_the_file_and_the_environment(
    genarium: Command, home: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def used(*more: str) -> dict[str, object]:
        arguments = ("text", "The fox", "--seed", "7", "--json", *more)
        recipe = json.loads(genarium(*arguments).stdout)["recipe"]
        return {"model": recipe["model"]["reference"], "n": recipe["arguments"]["max_new_tokens"]}

    home.mkdir(parents=True)
    (home / "config.toml").write_text(f'model = "{tiny}"\n[text]\nmax_new_tokens = 3\n')
    assert used() == {"model": str(tiny), "n": 3}
    assert used("--max-new-tokens", "2") == {"model": str(tiny), "n": 2}
    monkeypatch.setenv("GENARIUM_TEXT_MAX_NEW_TOKENS", "4")
    monkeypatch.setenv("GENARIUM_MODEL", str(tiny.parent / "nowhere"))
    assert used("--model", str(tiny)) == {"model": str(tiny), "n": 4}
    assert "nowhere" in genarium("text", "The fox").stderr


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("[text]\nmax_new_token = 3\n", "[text] no option 'max_new_token'; did you mean max_new_tokens?"),
        ('[text]\nmax_new_tokens = "x"\n', "[text] max_new_tokens = 'x': 'x' is not a valid integer."),
        ("[txt]\nn = 3\n", "no command 'txt'; did you mean text?"),
        ("n = 3\n", "n = 3 stands under no command"),
        ("[train]\ngpd = { steps = 3 }\n", ""),  # told when `train` is asked for
        ("[text\n", "can't be read as TOML"),
    ],
)
def test_a_wrong_default_is_named(home: Path, written: str, told: str) -> None:
    home.mkdir(parents=True)
    (home / "config.toml").write_text(written)
    done = CliRunner().invoke(command, ["text", "The fox", "-n", "0"])
    assert told in str(done.exception)
    assert done.exit_code != 0


def test_quiet_says_nothing_beside_the_result_and_verbose_says_more(genarium: Command, tiny: Path) -> None:
    plain = genarium(*TEXT, "--model", tiny)
    quiet = genarium(*TEXT, "--model", tiny, "-q")
    told = genarium(*TEXT, "--model", tiny, "-v")
    assert plain.stdout == quiet.stdout == told.stdout
    assert quiet.stderr == ""
    assert "kept " in plain.stderr
    assert f"s  loading {tiny}" in told.stderr
    assert "seed 7" in told.stderr
    assert "s  loading" not in plain.stderr
    assert genarium("text", "", "-q").stderr == "genarium: prompt is empty; give it some text\n"


def test_what_is_not_to_be_kept_leaves_no_trace(genarium: Command, home: Path, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    done = genarium(*TEXT, "--model", tiny, "--no-keep", "-o", out)
    assert out.read_text() == done.stdout
    assert "kept /" not in done.stderr
    assert f"wrote {out}" in done.stderr
    assert not list(home.glob("artefacts/*"))
    assert json.loads(genarium("history", "--json").stdout) == []
    lost = genarium("image", "a red bus", "--no-keep")
    assert (lost.returncode, "nothing would be left" in lost.stderr) == (2, True)


def test_deleted_artefacts_are_gone_with_their_ratings(genarium: Command, home: Path, tiny: Path) -> None:
    genarium(*TEXT, "--model", tiny, "-n", "2")
    newer, older = (entry["id"] for entry in json.loads(genarium("history", "--json").stdout))
    genarium("rate", older, "better", "--than", newer)
    assert genarium("history", "delete", newer).returncode == 2  # nobody there to ask
    assert (home / "artefacts" / newer).is_dir()
    assert genarium("history", "delete", newer, "--yes").stderr == f"deleted {newer}\n"
    assert not (home / "artefacts" / newer).exists()
    (left,) = json.loads(genarium("history", "--json").stdout)
    assert (left["id"], left["ratings"]) == (older, [])
    assert genarium("reproduce", older).returncode == 0
    assert "no artefact" in genarium("show", newer).stderr
    genarium("history", "delete", older, "--yes")
    assert json.loads(genarium("history", "--json").stdout) == []


def test_the_name_of_a_file_is_not_taken_for_a_text(genarium: Command, tmp_path: Path) -> None:
    (tmp_path / "a tale.txt").write_text("The fox ran. The hen slept. The farmer woke.")
    for task in ("summarize", "classify"):
        done = genarium(task, str(tmp_path / "a tale.txt"), *(("--labels", "a,b") if task == "classify" else ()))
        assert (done.returncode, "is the name of a file; to have it read: --file '" in done.stderr) == (2, True)
    assert genarium("summarize", "The fox ran. " * 400, "--no-keep").returncode == 0


def test_where_output_can_go_is_told_before_a_model_works(genarium: Command, tmp_path: Path) -> None:
    wrong = genarium("image", "a red bus", "-o", tmp_path / "bus.xyz")
    assert wrong.stderr.startswith("genarium: image writes ")
    assert ".png" in wrong.stderr
    (tmp_path / "file").write_text("")
    under = genarium("image", "a red bus", "-o", tmp_path / "file" / "bus.png")
    assert (under.returncode, "is a file, not a folder" in under.stderr) == (1, True)


def test_images_are_named_by_the_file_that_was_asked_for(genarium: Command, tmp_path: Path) -> None:
    out = tmp_path / "strip.png"
    done = genarium("image", "a red bus", "-n", "2", "--seed", "1", "--steps", "1", "-o", out)
    assert done.stdout == f"{out}\n"
    assert f"wrote {out}" in done.stderr


def test_a_plot_beside_a_table_prints_no_line_of_its_own(genarium: Command, tmp_path: Path) -> None:
    done = genarium("embed", "--compare", "bank", "the river bank", "a bank loan", "-o", tmp_path / "bank.png")
    assert "---" not in done.stdout + done.stderr
    assert "contextual ones move" not in done.stdout
    assert (tmp_path / "bank.png").is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["history", "--json"], ["models", "list"]])
def test_a_full_disk_is_told_in_a_sentence(home: Path, arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "genarium", *arguments], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert done.stderr == b"genarium: can't read or write the output: no space left on device\n"


def test_ctrl_c_while_libraries_load_is_answered_in_a_sentence(home: Path, tiny: Path) -> None:
    """Interrupted at its imports, wherever they are: a hook interrupts as soon as the module is looked for."""
    code = (
        "import os, signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == os.environ['AT']: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "sys.argv = ['genarium', 'text', 'The fox', '--model', os.environ['TINY'], '--backend', os.environ['BY']]\n"
        "from genarium.__main__ import start\n"
        "start()\n"
    )
    for module in ("click", "genarium.run", "numpy", "torch", "genarium.models.gpt", "onnxruntime"):
        env = os.environ | {"AT": module, "TINY": str(tiny), "BY": "onnx" if module == "onnxruntime" else "torch"}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, check=False)
        assert done.returncode == 130, module
        assert done.stderr == b"\ngenarium: stopped; what was finished is kept, nothing is half-written\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_where_the_shell_looks(
    genarium: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    done = genarium("completion", "install")
    written = Path(done.stdout.strip())
    assert written.is_relative_to(tmp_path)
    assert written.read_text() == genarium("completion", "show", "--shell", shell).stdout
    assert "_GENARIUM_COMPLETE" in written.read_text()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["genarium", "hist"], "history"),
        (["genarium", "text", "--max"], "--max-new-tokens"),
        (["genarium", "text", "--model", "starter/te"], "starter/text"),
        (["genarium", "history", "del"], "delete"),
        (["genarium", "show", "la"], "last"),
    ],
)
def test_the_shell_is_told_what_fits(home: Path, words: list[str], expected: str) -> None:
    env = os.environ | {
        "_GENARIUM_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run([sys.executable, "-m", "genarium"], capture_output=True, text=True, env=env, check=False)
    assert f"plain,{expected}" in done.stdout.splitlines()


def test_results_have_one_shape(home: Path, tiny: Path) -> None:
    import genarium

    story = genarium.text("The fox", model=str(tiny), max_new_tokens=4, seed=7)
    assert story.text == story[0].text  # type: ignore[attr-defined]
    assert story.path == story[0].path
    several = genarium.text("The fox", model=str(tiny), max_new_tokens=4, seed=7, n=2)
    assert several.text == "\n\n".join(one.text for one in several)  # type: ignore[attr-defined]
    images = genarium.image("a red bus", n=2, seed=1, steps=1)
    assert images.text == "a red bus"
    assert images.path == images.artefacts[-1].path  # the sheet of both
    labels = genarium.classify(["fine"], labels=["good", "bad"])
    assert "fine" in labels.text
    assert labels.path == labels.artefacts[0].path


def test_a_table_is_written_in_each_of_its_formats(genarium: Command, tmp_path: Path) -> None:
    for suffix, beginning in ((".csv", "text,label,"), (".tsv", "text\tlabel\t"), (".jsonl", '{"label":')):
        out = tmp_path / f"labelled{suffix}"
        done = genarium("classify", "a fine day", "--labels", "good,bad", "-o", out)
        assert done.returncode == 0, done.stderr
        assert out.read_text().startswith(beginning)


def test_threads_are_those_that_were_asked_for(genarium: Command, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert "cpu: 1 threads" in genarium("doctor", "--threads", "1").stdout
    assert genarium(*TEXT, "--model", tiny, "--threads", "3").stdout == genarium(*TEXT, "--model", tiny).stdout
    assert "0 is not in the range" in genarium("text", "a", "--threads", "0").stderr
