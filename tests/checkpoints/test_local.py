"""Models of Ollama, LM Studio and the hub's cache are found where those keep them, and run or refused by name."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from genarium.checkpoints.store import local
from genarium.checkpoints.store.find import find
from genarium.cli.main import genarium
from genarium.engines import registry
from genarium.engines.text.protocol import TextRequest
from genarium.errors import BadCheckpoint, ModelNotFound
from genarium.export.export import export
from genarium.progress import listening
from tests import gguf_files
from tests.exported_models import made


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("models")
    folder = made(where / "llama", "llama", {})
    return export(str(folder), "gguf", dtype="float32", output=str(where / "model.gguf")).path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder without any models."""
    from huggingface_hub import constants

    monkeypatch.setattr(Path, "home", lambda: tmp_path / "user")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    monkeypatch.setenv("GENARIUM_HOME", str(tmp_path / "home"))
    return tmp_path


def ollama(home: Path, file: Path, name: str, more: list[dict[str, Any]] | None = None) -> Path:
    """The file as Ollama keeps a model of this name (host/namespace/name/tag)."""
    sha = hashlib.sha256(file.read_bytes()).hexdigest()
    blob = home / "ollama" / "blobs" / f"sha256-{sha}"
    blob.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, blob)
    manifest = home / "ollama" / "manifests" / name
    manifest.parent.mkdir(parents=True, exist_ok=True)
    layers = [{"mediaType": local.MODEL, "digest": f"sha256:{sha}", "size": blob.stat().st_size}, *(more or [])]
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": layers}))
    return blob


def listed() -> dict[str, dict[str, Any]]:
    done = CliRunner().invoke(genarium, ["models", "list", "--local", "--json"])
    assert done.exception is None
    return {row["reference"]: row for row in json.loads(done.stdout)}


def test_models_of_ollama_are_listed_and_run(home: Path, file: Path) -> None:
    blob = ollama(home, file, "registry.ollama.ai/library/fox/1b")
    ollama(home, file, "registry.ollama.ai/someone/fox/latest")
    ollama(home, file, "hf.co/other/fox/Q8_0")
    rows = listed()
    assert set(rows) == {"ollama:fox:1b", "ollama:someone/fox:latest", "ollama:hf.co/other/fox:Q8_0"}
    row = rows["ollama:fox:1b"]
    assert (row["program"], row["architecture"], row["bytes"]) == ("Ollama", "llama", file.stat().st_size)
    assert "text" in row["tasks"]
    assert (row["why"], row["native"]) == ("", True)
    request = TextRequest(max_new_tokens=5, temperature=0)
    texts = [
        next(iter(registry.open_text(reference).write(["The fox"], request))).text for reference in [*rows, str(file)]
    ]
    assert len(set(texts)) == 1
    found = find("ollama:someone/fox", default="text")  # latest
    assert (found.path, found.digest) == (blob, hashlib.sha256(blob.read_bytes()).hexdigest())


def test_what_ollama_keeps_beside_a_model_is_said_or_refused(home: Path, file: Path) -> None:
    def layer(kind: str) -> dict[str, Any]:
        return {"mediaType": f"application/vnd.ollama.image.{kind}", "digest": f"sha256:{'0' * 64}", "size": 1}

    ollama(home, file, "registry.ollama.ai/library/fox/latest", [layer("system"), layer("template")])
    heard: list[str] = []
    with listening(lambda event: heard.append(str(event.preview))):
        find("ollama:fox", default="text")
    assert any("the system message that Ollama keeps beside it is not used" in one for one in heard)
    ollama(home, file, "registry.ollama.ai/library/owl/latest", [layer("adapter")])
    with pytest.raises(BadCheckpoint, match="with an adapter beside it"):
        find("ollama:owl", default="text")


@pytest.mark.parametrize("damage", ["{", "[]", "{}", '{"layers": [{"mediaType": 1, "digest": "sha256:../../etc"}]}'])
def test_damaged_manifests_are_one_sentence(damage: str, home: Path, file: Path) -> None:
    ollama(home, file, "registry.ollama.ai/library/fox/latest").unlink()
    with pytest.raises(BadCheckpoint, match="is not here whole"):
        find("ollama:fox", default="text")
    (home / "ollama/manifests/registry.ollama.ai/library/fox/latest").write_text(damage)
    with pytest.raises(BadCheckpoint, match="has a damaged manifest"):
        find("ollama:fox", default="text")
    assert listed() == {}
    for name in ("owl", "", "../../x", "a/b/c/d", "fox:"):
        with pytest.raises(ModelNotFound):
            find(f"ollama:{name}", default="text")


def test_models_of_lm_studio_and_the_hub_are_listed(home: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genarium.extras.is_installed", lambda package: False)
    place = home / "user" / ".lmstudio" / "models" / "owner" / "fox-GGUF"
    place.mkdir(parents=True)
    shutil.copyfile(file, place / "fox.gguf")
    shutil.copyfile(file, place / "mmproj-fox.gguf")
    strange = gguf_files.write(file.parent / "llama", place / "other.gguf", pre="tekken")
    for part in (1, 2):
        name = f"big-0000{part}-of-00002.gguf"
        gguf_files.write(
            file.parent / "llama", place / name, pre="gpt-2", changes={"split.count": 2, "split.no": part - 1}
        )
    snapshot = home / "hub" / "models--owner--owl" / "snapshots" / ("0" * 40)
    snapshot.parent.mkdir(parents=True)
    shutil.copytree(file.parent / "llama", snapshot)
    (home / "hub" / "models--owner--owl" / "refs").mkdir()
    (home / "hub" / "models--owner--owl" / "refs" / "main").write_text("0" * 40)
    rows = listed()
    assert set(rows) == {
        *(str(place / name) for name in ("fox.gguf", "other.gguf", "big-00001-of-00002.gguf")),
        "owner/owl",
    }
    assert rows[str(place / "fox.gguf")]["name"] == "owner/fox-GGUF/fox"
    assert "text" in rows[str(place / "fox.gguf")]["tasks"]
    assert "cuts words in the way 'tekken'" in rows[str(strange)]["why"]
    assert 'llama.cpp runs it: pip install "genarium[gguf]"' in rows[str(strange)]["why"]
    assert rows[str(strange)]["native"] is False
    big = rows[str(place / "big-00001-of-00002.gguf")]
    assert "one of 2 parts of a model; put them together" in big["why"]
    assert big["bytes"] == sum(one.stat().st_size for one in place.glob("big-*"))
    assert (rows["owner/owl"]["program"], rows["owner/owl"]["architecture"]) == ("hub", "llama")
    assert "text" in rows["owner/owl"]["tasks"]
    shown = CliRunner().invoke(genarium, ["models", "list", "--local"]).stdout
    assert "LM Studio" in shown
    assert "not run here: " in shown


def test_where_nothing_is_that_is_said() -> None:
    done = CliRunner().invoke(genarium, ["models", "list", "--local"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no models of Ollama, LM Studio or the hub" in done.stderr
