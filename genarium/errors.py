"""The few errors Genarium raises on purpose. Each message is one plain sentence with the way out."""


def first_line(error: BaseException) -> str:
    """What a library's error says, for a sentence of ours: its first line, at most 300 characters, or its kind."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]


def excerpt(text: str, most: int = 60) -> str:
    """A text in a sentence or a line of a table: on one line, and of a long one the beginning."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


class GenariumError(Exception):
    """Anything the person in front of the machine can put right. `exit_code` is the command line's."""

    exit_code = 1


class BadInput(GenariumError, ValueError):
    """An argument is out of range, of the wrong type, or missing."""

    exit_code = 2


class ModelNotFound(GenariumError):
    """No such starter, folder or hub repository, or the hub can't be reached."""


class BadCheckpoint(GenariumError):
    """A checkpoint is there but can't be used: parts missing, damaged, unsafe or of an unknown kind."""


class MissingPackage(BadCheckpoint):
    """What runs a checkpoint, or trains one, needs a package that the base install leaves out (`extras.py`)."""


class StorageError(GenariumError):
    """The data folder or the ledger can't be read or written."""


class RemoteError(GenariumError):
    """An OpenAI-compatible endpoint refused or failed."""
