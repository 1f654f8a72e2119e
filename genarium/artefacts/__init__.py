"""What tasks make: text now, pictures, video and sound later. Each kind knows its bytes and how to show itself."""

from genarium.artefacts.answer import Answer, Citation
from genarium.artefacts.artefact import Artefact
from genarium.artefacts.plot import Plot
from genarium.artefacts.records import Records
from genarium.artefacts.reply import Reply
from genarium.artefacts.summary import Summary
from genarium.artefacts.text import Text
from genarium.artefacts.vectors import Vectors

__all__ = ["Answer", "Artefact", "Citation", "Plot", "Records", "Reply", "Summary", "Text", "Vectors"]
