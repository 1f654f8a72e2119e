"""What is looked at or listened to, not read: on a terminal the path of its file stands for it."""

from __future__ import annotations

from genarium.artefacts.artefact import Artefact


class Media(Artefact):
    """An artefact whose file is a picture, a video or a sound."""

    def in_words(self) -> str:
        return self.title()

    def __str__(self) -> str:
        return str(self.path) if self.path is not None else self.title()
