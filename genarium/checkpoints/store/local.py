"""Models that other programs keep on this machine: Ollama, LM Studio, and Hugging Face's cache. Nothing is copied.

Ollama keeps manifests (JSON) by name and blobs by sha256; the blob of the kind `MODEL` is a GGUF file. LM Studio keeps
GGUF files, and folders, under OWNER/NAME.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genarium import files
from genarium.checkpoints.fields import shown
from genarium.errors import BadCheckpoint, ModelNotFound, first_line
from genarium.progress import note

MODEL = "application/vnd.ollama.image.model"
ADAPTER = "application/vnd.ollama.image.adapter"
APART = {
    "application/vnd.ollama.image.projector": "the part that sees pictures",
    "application/vnd.ollama.image.system": "the system message",
    "application/vnd.ollama.image.params": "the settings",
}
"""What Ollama keeps beside a model that is not used here."""
REGISTRY, NAMESPACE = "registry.ollama.ai", "library"
NAME = re.compile(r"([\w.-]+(?::\d+)?/)?([\w.-]+/)?[\w.-]+(:[\w.-]+)?")
DIGEST = re.compile(r"sha256[:-][0-9a-f]{64}")
LATER_PART = re.compile(r"-(\d{5})-of-\d{5}\.gguf$", re.IGNORECASE)
LARGEST_MANIFEST = 2**20


@dataclass(frozen=True)
class Local:
    """A model of another program: what that calls it, what `--model` takes, where it lies, and its bytes."""

    program: str
    name: str
    reference: str
    path: Path
    size: int


def models() -> list[Local]:
    """All of them, by program and name. What can't be read is left out, and a note says so."""
    return [*_ollama(), *_lm_studio(), *_hub()]


def ollama_file(reference: str) -> Path:
    """The GGUF file of `ollama:NAME[:TAG]`. Raises ModelNotFound, BadCheckpoint."""
    name = reference.removeprefix("ollama:")
    if not NAME.fullmatch(name) or ".." in name:
        raise ModelNotFound(f"{shown(reference)} names no model of Ollama, as ollama:llama3.2:1b does")
    rest, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "latest")
    parts = rest.split("/")
    path = [*[REGISTRY, NAMESPACE][: 3 - len(parts)], *parts, tag]
    for folder in ollama_folders():
        manifest = folder.joinpath("manifests", *path)
        if manifest.is_file():
            return _blob(folder, manifest, reference, telling=True)
    there = ", ".join(model.reference for model in _ollama()) or "none is on this machine"
    raise ModelNotFound(
        f"Ollama has no model {name!r} here ({files.shortened(there, 300)}); get it: ollama pull {name}"
    )


def ollama_folders() -> list[Path]:
    """Where Ollama keeps models: OLLAMA_MODELS, else this user's folder and that of its service."""
    if named := os.environ.get("OLLAMA_MODELS"):
        return [Path(named).expanduser()]
    return [Path.home() / ".ollama" / "models", Path("/usr/share/ollama/.ollama/models")]


def _ollama() -> Iterator[Local]:
    for folder in ollama_folders():
        for manifest in _files(folder / "manifests"):
            parts = manifest.relative_to(folder / "manifests").parts
            if len(parts) != 4 or parts[-1].startswith("."):
                continue
            host, space, name, tag = parts
            prefix = f"{host}/{space}/" if host != REGISTRY else f"{space}/" if space != NAMESPACE else ""
            called = f"{prefix}{name}:{tag}"
            try:
                blob = _blob(folder, manifest, called)
                yield Local("Ollama", called, f"ollama:{called}", blob, blob.stat().st_size)
            except (BadCheckpoint, OSError) as error:
                note(f"left out of Ollama's models: {first_line(error)}")


def _blob(folder: Path, manifest: Path, name: str, *, telling: bool = False) -> Path:
    """The file of the model that a manifest describes; `telling`: what else it has is said. Raises BadCheckpoint."""
    layers = _layers(manifest, name)
    if ADAPTER in layers:
        raise BadCheckpoint(f"{name} of Ollama is a model with an adapter beside it, which is not merged here")
    if MODEL not in layers:
        raise BadCheckpoint(f"{name} of Ollama has no model of its own on this machine; name another")
    if telling and (apart := [what for kind, what in APART.items() if kind in layers]):
        note(
            f"{name}: {', '.join(apart)} that Ollama keeps beside it {'are' if len(apart) > 1 else 'is'} not used here"
        )
    blob = folder / "blobs" / layers[MODEL].replace(":", "-")
    if not blob.is_file():
        raise BadCheckpoint(
            f"{name} of Ollama is not here whole: {blob.name} is missing; get it again with ollama pull"
        )
    return blob


def _layers(manifest: Path, name: str) -> dict[str, str]:
    """A manifest's digests by their kind."""
    told: Any = None
    with suppress(OSError, ValueError, RecursionError):
        if manifest.stat().st_size <= LARGEST_MANIFEST:
            told = json.loads(manifest.read_text("utf-8"))
    listed = told.get("layers") if isinstance(told, dict) else None
    found = {
        str(one.get("mediaType")): one["digest"]
        for one in (listed if isinstance(listed, list) else [])
        if isinstance(one, dict) and isinstance(one.get("digest"), str) and DIGEST.fullmatch(one["digest"])
    }
    if not found:
        raise BadCheckpoint(f"{name} of Ollama has a damaged manifest ({manifest}); get it again with ollama pull")
    return found


def lm_studio_folders() -> list[Path]:
    """Where LM Studio keeps models: under the home it was told of, else under its usual ones."""
    home = Path.home()
    pointer, found = home / ".lmstudio-home-pointer", []
    with suppress(OSError, ValueError):
        found = [Path(pointer.read_text("utf-8").strip()) / "models"]
    return list(dict.fromkeys([*found, home / ".lmstudio" / "models", home / ".cache" / "lm-studio" / "models"]))


def _lm_studio() -> Iterator[Local]:
    for folder in lm_studio_folders():
        listed = _files(folder)
        for file in listed:
            inner = file.relative_to(folder)
            later = LATER_PART.search(file.name)
            if len(inner.parts) != 3 or (later is not None and later[1] != "00001"):
                continue
            if file.suffix.lower() == ".gguf" and not file.name.startswith("mmproj"):
                size = sum(one.stat().st_size for one in _parts(file))
                yield Local("LM Studio", inner.with_suffix("").as_posix(), str(file), file, size)
            elif file.name == "config.json" and any(one.suffix == ".safetensors" for one in file.parent.iterdir()):
                size = sum(one.stat().st_size for one in file.parent.iterdir() if one.is_file())
                yield Local("LM Studio", inner.parent.as_posix(), str(file.parent), file.parent, size)


def _parts(file: Path) -> list[Path]:
    """The file, and the other parts of its model where it is the first of several."""
    if LATER_PART.search(file.name) is None:
        return [file]
    stem = file.name[: -len("-00001-of-00002.gguf")]
    return sorted(one for one in file.parent.iterdir() if one.name.startswith(stem) and LATER_PART.search(one.name))


def _files(folder: Path) -> list[Path]:
    """The ordinary files below a folder, sorted; none where it can't be read."""
    try:
        return sorted(file for file in folder.rglob("*") if file.is_file())
    except OSError:
        return []


def _hub() -> Iterator[Local]:
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repos = sorted(scan_cache_dir(constants.HF_HUB_CACHE).repos, key=lambda repo: repo.repo_id)
    except CacheNotFound:
        return
    for repo in repos:
        snapshots = sorted(repo.revisions, key=lambda one: ("main" not in one.refs, -one.last_modified))
        if repo.repo_type == "model" and snapshots:
            yield Local("hub", repo.repo_id, repo.repo_id, Path(snapshots[0].snapshot_path), repo.size_on_disk)
