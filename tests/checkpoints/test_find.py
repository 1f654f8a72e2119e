"""A model reference leads to its files: starters, folders, the hub's cache, and a hub (here one on this machine)."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from genarium.checkpoints.processors import tokenizer
from genarium.checkpoints.store import catalogue, digest, find
from genarium.data.text import bpe_tokenizer
from genarium.errors import BadCheckpoint, ModelNotFound

COMMIT = "607a30d783dfa663caf39e06633721c8d4cfcd7e"
STORY = "The fox ran over the hill. The owl sat in the tree and sang to the moon. "


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gpt2")
    made = bpe_tokenizer([STORY], 300)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=made.get_vocab_size(), n_positions=64, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    (folder / "tokenizer.json").write_text(made.to_str())
    return folder


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the user's is read or written."""
    from huggingface_hub import constants

    monkeypatch.setenv("GENARIUM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's protocol as fetching a public model takes."""

    folder: Path

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = self.path.split("?")[0]
        headers, content = {"Content-Type": "application/json"}, b"{}"
        if path.startswith("/api/models/someone/tiny/tree/"):
            files = [
                {"type": "file", "path": f.name, "size": f.stat().st_size, "oid": "0"} for f in self.folder.iterdir()
            ]
            content = json.dumps(files).encode()
        elif path.startswith("/api/models/someone/tiny"):
            siblings = [{"rfilename": file.name} for file in self.folder.iterdir()]
            content = json.dumps({"id": "someone/tiny", "sha": COMMIT, "siblings": siblings}).encode()
        elif path.startswith("/someone/tiny/resolve/"):
            content = (self.folder / path.rsplit("/", 1)[1]).read_bytes()
            headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)


@pytest.fixture
def hub(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    from huggingface_hub import constants

    Hub.folder = checkpoint
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        )
        yield endpoint
        server.shutdown()


def test_a_hub_model_is_fetched_once_and_then_works_offline(
    hub: str, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find.find("someone/tiny", default="text")
    assert found.path is not None
    assert (found.path / "model.safetensors").read_bytes() == (checkpoint / "model.safetensors").read_bytes()
    assert found.digest == digest.of_folder(checkpoint)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert find.find("someone/tiny", default="text") == found


def test_a_model_the_hub_does_not_have_is_a_sentence(hub: str) -> None:
    with pytest.raises(ModelNotFound, match="no model 'someone/else' on the hub"):
        find.find("someone/else", default="text")


def test_a_model_in_the_hubs_cache_is_found_by_its_id_and_revision(checkpoint: Path, tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--gpt2"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "snapshots").mkdir()
    (repository / "snapshots" / COMMIT).symlink_to(checkpoint)
    by_name = find.find("gpt2", default="text")
    assert by_name.digest == find.find(f"gpt2@{COMMIT}", default="text").digest == digest.of_folder(checkpoint)


@pytest.mark.parametrize("name", ["kuprel/min-dalle", "microsoft/vq-diffusion-ithq"])
def test_what_is_published_as_pickles_alone_is_to_be_fetched_by_hand(name: str) -> None:
    with pytest.raises(ModelNotFound, match=rf"hf download {name} --local-dir .* name that: --model \./"):
        find.download(name)


def test_without_a_network_it_says_so_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    # TEST-NET-1 (RFC 5737) answers nobody: where the system lets the connection start at all, it hangs.
    monkeypatch.setattr(constants, "ENDPOINT", "https://192.0.2.1")
    monkeypatch.setattr(find, "CONNECT_SECONDS", 0.5)
    began = time.perf_counter()
    with pytest.raises(ModelNotFound, match=r"can't be reached.*starter/text"):
        find.find("someone/unknown", default="text")
    assert time.perf_counter() - began < 60  # the system would wait for two minutes


def test_the_digest_is_of_the_content_and_follows_changes(checkpoint: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
    assert digest.of_folder(copy) == digest.of_folder(checkpoint)
    (copy / "notes.md").write_text("not part of what the model says")
    assert digest.of_folder(copy) == digest.of_folder(checkpoint)
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    changed = digest.of_folder(copy)
    assert changed != digest.of_folder(checkpoint)
    lines = [
        f"{hashlib.sha256((copy / name).read_bytes()).hexdigest()}  {name}\n"
        for name in sorted(p.name for p in copy.iterdir() if p.suffix in (".json", ".safetensors"))
    ]
    assert changed == hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("reference", ["./nowhere", "/nowhere/at/all", "two words", "a/b/c", ""])
def test_what_can_be_no_model_is_refused_without_asking_the_hub(reference: str) -> None:
    with pytest.raises(ModelNotFound, match="name a folder, a hub id"):
        find.find(reference, default="text")


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"")
    with pytest.raises(BadCheckpoint, match="is a file"):
        find.find(str(file), default="text")


def test_every_starter_is_as_shipped_and_small() -> None:
    fetched_by_whoever_wants_it = ["retriever", "speech", "transcribe"]
    for starter in catalogue.starters().values():
        assert starter.files
        if starter.name not in fetched_by_whoever_wants_it or starter.here is not None:
            assert starter.damaged() == []
        assert len(starter.card()) > 500
    assert catalogue.starter("text").size < 16 * 2**20
    assert sum(starter.size for starter in catalogue.starters().values() if not starter.module) < 64 * 2**20


def test_vocab_and_merges_read_as_tokenizer_json_does(checkpoint: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    whole = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    whole.model.save(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    older = tokenizer.load(tmp_path)
    for text in (STORY, "  spaces  and\nlines\t", "ünï 狐🦊", "<|endoftext|>The end"):
        assert older.encode(text).ids == tokenizer.load(checkpoint).encode(text).ids
        assert older.decode(older.encode(text).ids, skip_special_tokens=False) == text
