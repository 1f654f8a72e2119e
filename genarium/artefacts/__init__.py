"""What tasks make: texts, tables, pictures, videos, sound. Each kind knows its bytes and how to show itself."""

from genarium.artefacts.answer import Answer, Citation
from genarium.artefacts.artefact import Artefact
from genarium.artefacts.audio import Audio
from genarium.artefacts.captions import Captions
from genarium.artefacts.heat import Heat
from genarium.artefacts.image import Image
from genarium.artefacts.media import Media
from genarium.artefacts.plot import Plot
from genarium.artefacts.png import Png
from genarium.artefacts.records import Records
from genarium.artefacts.reply import Reply
from genarium.artefacts.sheet import Sheet
from genarium.artefacts.summary import Summary
from genarium.artefacts.text import Text
from genarium.artefacts.transcript import Transcript
from genarium.artefacts.vectors import Vectors
from genarium.artefacts.video import Video

__all__ = [
    "Answer",
    "Artefact",
    "Audio",
    "Captions",
    "Citation",
    "Heat",
    "Image",
    "Media",
    "Plot",
    "Png",
    "Records",
    "Reply",
    "Sheet",
    "Summary",
    "Text",
    "Transcript",
    "Vectors",
    "Video",
]
