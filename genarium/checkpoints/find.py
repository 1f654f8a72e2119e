"""From a model reference to files: `starter`, `starter/NAME`, a folder, a hub id, `openai:MODEL`."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from genarium.checkpoints import catalogue, digest
from genarium.errors import BadCheckpoint, ModelNotFound

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?(@[\w./-]+)?")
HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "README.md"]
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
    if reference.startswith("openai:"):
        if not reference.removeprefix("openai:").strip():
            raise ModelNotFound("openai: needs a model's name, as in openai:gpt-4o-mini")
        return Found(reference, None, "")
    if reference == "starter" or reference.startswith("starter/"):
        name = default if reference == "starter" else reference.removeprefix("starter/")
        folder = catalogue.starter(name).path
        return Found(f"starter/{name}", folder, digest.of_folder(folder))
    folder = Path(reference).expanduser()
    if reference and folder.is_dir():
        folder = folder.resolve()
        return Found(str(folder), folder, digest.of_folder(folder))
    if folder.is_file():
        raise BadCheckpoint(f"{reference} is a file; name the checkpoint's folder")
    if reference.startswith((".", "/", "~")) or not HUB_ID.fullmatch(reference):
        raise ModelNotFound(f"no folder {reference!r}; name a folder, a hub id such as gpt2, or one of {_starters()}")
    folder = download(reference)
    return Found(reference, folder, digest.of_folder(folder))


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
        if (cached / "config.json").exists() or (cached / "model_index.json").exists():
            return cached
    except LocalEntryNotFoundError:
        pass
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
            f"downloading {reference} failed ({error}); try again, it goes on where it stopped"
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
