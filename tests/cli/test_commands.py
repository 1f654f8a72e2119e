"""The command line, end to end and in processes of its own: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import STORY, Command


def text_command(tiny: Path, *more: str) -> list[str]:
    return ["text", "The fox", "--model", str(tiny), "--max-new-tokens", "12", "--seed", "7", *more]


def test_a_text_is_made_shown_rated_found_and_made_again(genarium: Command, tiny: Path) -> None:
    done = genarium(*text_command(tiny, "-n", "2"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The fox") == 2
    kept = [Path(line.removeprefix("kept ")) for line in done.stderr.splitlines() if line.startswith("kept ")]
    assert [file.read_text() in done.stdout for file in kept] == [True, True]
    identifier = kept[1].parent.name

    shown = genarium("show", identifier)
    assert kept[1].read_text() in shown.stdout
    assert [line.split()[1] for line in shown.stdout.splitlines() if line.startswith("seed:")] == ["7"]
    assert "AI-generated" in shown.stdout
    assert genarium("rate", identifier, "4", "--note", "a good one").stdout == f"{identifier} rated 4/5 (a good one)\n"
    entries = json.loads(genarium("history", "--json").stdout)
    assert [entry["id"] for entry in entries] == [file.parent.name for file in reversed(kept)]
    assert entries[0]["ratings"][0]["note"] == "a good one"
    assert identifier in genarium("history", "--search", "fox").stdout

    again = genarium("reproduce", identifier)
    assert again.returncode == 0
    assert "equal, byte for byte" in again.stdout
    assert len(json.loads(genarium("history", "--json").stdout)) == 2


def test_json_has_recipe_texts_counts_and_speeds(genarium: Command, tiny: Path) -> None:
    done = genarium(*text_command(tiny, "-n", "2", "--json"))
    found = json.loads(done.stdout)
    assert done.stderr == ""
    assert found["recipe"]["seed"] == 7
    assert found["recipe"]["arguments"]["max_new_tokens"] == 12
    assert len(found["texts"]) == 2
    assert found["completion_tokens"] == sum(a["completion_tokens"] for a in found["artefacts"])
    assert found["prompt_tokens"] > 0
    assert 0 < found["time_to_first_token"] < found["seconds"]
    assert found["tokens_per_second"] > 0


def test_a_pipe_in_and_a_file_out(genarium: Command, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    piped = genarium("text", "-", *text_command(tiny)[2:], "-o", str(out), stdin="The fox\n")
    assert piped.stdout == genarium(*text_command(tiny)).stdout
    assert out.read_text() == piped.stdout
    assert genarium(*text_command(tiny), "-o", "/proc/no/such").returncode == 1


def test_a_reader_that_goes_away_is_no_error(tiny: Path) -> None:
    command = [sys.executable, "-m", "genarium.cli.main", *text_command(tiny)]
    done = subprocess.run(f"{' '.join(repr(c) for c in command)} | true", shell=True, capture_output=True, check=False)
    assert b"Traceback" not in done.stderr


def test_ctrl_c_leaves_nothing_half_written(home: Path, tiny: Path) -> None:
    command = [sys.executable, "-m", "genarium.cli.main", "text", "The", "--model", str(tiny), "-n", "100"]
    command += ["--max-new-tokens", "80", "--seed", "1", "--stop", "e"]  # so that rows end at different times
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 600
        # The first is sure to be whole when the second is there: one whose row isn't written yet is taken back.
        while time.monotonic() < until and process.poll() is None:
            if len(list(home.glob("artefacts/[!.]*/text.txt"))) >= 2:
                break
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=600)
    assert process.returncode in (0, 130), error
    assert b"Traceback" not in error
    assert list(home.glob("artefacts/*"))
    for folder in home.glob("artefacts/*"):
        assert not folder.name.startswith(".")
        assert sorted(p.name for p in folder.iterdir()) == ["recipe.json", "text.txt"]


def test_help_lists_every_command_and_loads_nothing_heavy(genarium: Command) -> None:
    shown = genarium("--help").stdout
    for name in ("text", "history", "show", "reproduce", "rate", "models", "train", "doctor"):
        assert f"\n  {name} " in shown
        assert genarium(name, "--help").returncode == 0
    script = "import sys\nsys.argv = ['genarium', '--help']\nfrom genarium.cli.main import main\n"
    script += "try:\n    main()\nexcept SystemExit:\n    pass\nassert 'torch' not in sys.modules\n"
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


BAD_INPUT: list[tuple[list[str], int, str]] = [
    (["text"], 2, "text needs prompt: the text to continue; - reads it from standard input"),
    (["text", ""], 2, "prompt is empty; give it some text"),
    (["text", "   "], 2, "prompt is empty"),
    (["text", "-"], 2, "prompt is empty"),
    (["text", "a", "--temperature", "-1"], 2, "temperature must be at least 0, got -1"),
    (["text", "a", "--top-p", "2"], 2, "top_p must be at most 1, got 2"),
    (["text", "a", "-n", "0"], 2, "n must be at least 1, got 0"),
    (["text", "a", "-n", "x"], 2, "'x' is not a valid integer"),
    (["text", "a", "--colour", "red"], 2, "No such option"),
    (["text", "a", "--model", "./nowhere"], 1, "no folder './nowhere'"),
    (["text", "a", "--model", "starter/nothing"], 1, "no starter model called 'nothing'; there are starter/"),
    (["text", "a", "--model", "openai:"], 1, "needs a model's name"),
    (["text", "a", "--model", "openai:m"], 1, "set OPENAI_BASE_URL"),
    (["tex", "a"], 2, "no command 'tex'; did you mean text?"),
    (["show", "zzz"], 2, "is not an artefact's id"),
    (["rate", "0123456789", "up"], 2, "no artefact 0123456789"),
    (["train", "gpt"], 2, "train gpt needs data"),
    (["train", "gpt", "--data", "/no/such/text"], 2, "no text called '/no/such/text'"),
    (["train", "mlp"], 2, "mlp"),
]


@pytest.mark.parametrize(("arguments", "code", "sentence"), BAD_INPUT, ids=lambda v: " ".join(v) if v is list else None)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    genarium: Command, home: Path, arguments: list[str], code: int, sentence: str
) -> None:
    offline = {"OPENAI_BASE_URL": "", "OPENAI_API_KEY": ""}
    done = genarium(*arguments, env=offline)
    assert done.returncode == code
    assert done.stdout == ""
    assert sentence in done.stderr
    assert done.stderr.startswith("genarium: ")
    assert done.stderr.count("\n") == 1
    assert not home.exists() or not list(home.glob("artefacts/*"))


def test_a_hub_model_without_a_network_is_said_at_once_with_the_starters(genarium: Command, tmp_path: Path) -> None:
    env = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "hub")}
    done = genarium("text", "a", "--model", "gpt2", env=env)
    assert done.returncode == 1
    assert "gpt2 is not on this machine and the hub can't be reached" in done.stderr
    assert "starter/text" in done.stderr


def damaged(tiny: Path, folder: Path, name: str) -> Path:
    """A copy of the model with one thing wrong."""
    folder.mkdir()
    for file in tiny.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    if name == "no config":
        (folder / "config.json").unlink()
    elif name == "broken config":
        (folder / "config.json").write_text("{")
    elif name == "truncated":
        weights.write_bytes(content[: len(content) // 2])
    elif name == "corrupted header":
        weights.write_bytes(content[:9] + b"\xff" * 20 + content[29:])
    elif name == "pickle":
        weights.unlink()
        (folder / "pytorch_model.bin").write_bytes(b"PK\x03\x04")
    elif name == "another size":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"n_embd": 64}))
    elif name == "no tokenizer":
        (folder / "tokenizer.json").unlink()
    elif name == "not a number":
        weights.write_bytes(content[:-4] + b"\x00\x00\xc0\x7f")
    return folder


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("no config", "config.json"),
        ("broken config", "config.json"),
        ("truncated", "model.safetensors"),
        ("corrupted header", "model.safetensors"),
        ("pickle", "convert"),
        ("another size", "has shape"),
        ("no tokenizer", "tokenizer.json"),
        ("not a number", "not numbers"),
    ],
)
def test_a_damaged_checkpoint_is_one_sentence(
    genarium: Command, tiny: Path, tmp_path: Path, home: Path, what: str, sentence: str
) -> None:
    done = genarium("text", "a", "--model", damaged(tiny, tmp_path / "model", what))
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(home.glob("artefacts/*"))


def test_a_prompt_longer_than_the_context_is_cut_and_said_or_refused(genarium: Command, tiny: Path) -> None:
    arguments = ["text", STORY * 20, "--model", str(tiny), "--max-new-tokens", "8"]
    cut = genarium(*arguments)
    assert cut.returncode == 0
    assert "note: the prompt has" in cut.stderr
    refused = genarium(*arguments, "--strict")
    assert refused.returncode == 2
    assert "only 88 fit beside 8 new ones" in refused.stderr


@pytest.mark.parametrize("home_is", ["read-only", "a file", "not a database"])
def test_a_data_folder_that_can_not_be_used_is_said_before_anything_is_made(
    genarium: Command, tiny: Path, tmp_path: Path, home_is: str
) -> None:
    place = tmp_path / "place"
    if home_is == "a file":
        place.touch()
    elif home_is == "not a database":
        place.mkdir()
        (place / "ledger.sqlite").write_text("no database " * 100)
    else:
        place = Path("/proc/genarium")
    done = genarium(*text_command(tiny), env={"GENARIUM_HOME": str(place)})
    assert done.returncode == 1
    assert "GENARIUM_HOME" in done.stderr
    assert done.stdout == ""


def test_a_training_text_shorter_than_one_context_is_said(genarium: Command, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("The fox.")
    arguments = ["train", "gpt", "--data", tmp_path / "short.txt", "--preset", "tiny", "--tokenizer", "char"]
    done = genarium(*arguments, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "fewer than one context of 64" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_disk_that_fills_while_training_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "story.txt").write_text(STORY * 200)
    arguments = ["train", "gpt", "--data", str(tmp_path / "story.txt"), "--preset", "tiny", "--tokenizer", "char"]
    arguments += ["--out", str(tmp_path / "out"), "--checkpoint-minutes", "0", "--steps", "100000", "--device=cpu"]
    command = [sys.executable, "-m", "genarium.cli.main", *arguments]
    state = tmp_path / "out" / "training.safetensors"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not state.exists() and process.poll() is None:
            time.sleep(0.01)
        process.terminate()
    good = state.read_bytes()

    def small_disk() -> None:
        """No file may grow beyond half of the state: writing fails as it does on a full disk."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(good) // 2, len(good) // 2))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = subprocess.run(command, preexec_fn=small_disk, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "what was saved before is untouched" in done.stderr
    assert "Traceback" not in done.stderr
    assert state.read_bytes() == good
    assert not list(state.parent.glob(".*.part"))


class Endpoint(BaseHTTPRequestHandler):
    """A server that speaks as much of the completions protocol as one streamed answer takes."""

    status = 200

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.status)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        if self.status != 200:
            return
        words = [f" {asked['prompt'][0] if isinstance(asked['prompt'], list) else asked['prompt']}", " again", "."]
        for index in range(asked.get("n", 1)):
            for number, word in enumerate(words):
                ended = "stop" if number == len(words) - 1 else None
                choice = {"index": index, "text": word, "finish_reason": ended, "logprobs": None}
                chunk = {"id": "c", "object": "text_completion", "created": 0, "model": "m", "choices": [choice]}
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")


@pytest.fixture
def endpoint() -> Iterator[str]:
    Endpoint.status = 200
    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def test_an_endpoint_is_a_model_like_any_other(genarium: Command, endpoint: str) -> None:
    env = {"OPENAI_BASE_URL": endpoint, "OPENAI_API_KEY": "none"}
    found = json.loads(genarium("text", "Once", "--model", "openai:m", "-n", "2", "--json", env=env).stdout)
    assert found["texts"] == [" Once again.", " Once again."]
    assert found["recipe"]["model"] == {"reference": "openai:m", "digest": ""}
    Endpoint.status = 401
    refused = genarium("text", "Once", "--model", "openai:m", env=env)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1


def test_a_dead_endpoint_is_a_sentence(genarium: Command) -> None:
    env = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": "none"}
    done = genarium("text", "Once", "--model", "openai:m", env=env)
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr


def test_doctor_says_what_is_there_and_what_is_wrong(genarium: Command, tmp_path: Path) -> None:
    checks = {check["what"]: check for check in json.loads(genarium("doctor", "--json").stdout)}
    assert checks["torch"]["ok"]
    assert checks["starter/text"]["found"] == "verified (sha256)"
    assert checks["starter/encoder"]["ok"]
    assert "cpu" in checks["device"]["found"] or "cuda" in checks["device"]["found"]
    (tmp_path / "file").touch()
    broken = genarium("doctor", env={"GENARIUM_HOME": str(tmp_path / "file")})
    assert broken.returncode == 1
    assert "BAD  data folder" in broken.stdout


def test_models_are_listed_and_shown(genarium: Command, tiny: Path) -> None:
    listed = {row["reference"]: row for row in json.loads(genarium("models", "list", "--json").stdout)}
    assert listed["starter/text"]["bytes"] < 16 * 2**20
    assert "bits per byte" in genarium("models", "show", "starter/text").stdout
    shown = json.loads(genarium("models", "show", str(tiny), "--json").stdout)
    assert shown["config"]["model_type"] == "gpt2"
    assert Path(shown["path"]).samefile(tiny)
