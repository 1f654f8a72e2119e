"""The two bodies of documents that retrieval is measured on.

The books are a folder of plain text. The documentation is what packages pinned in constraints.txt carry: the long
descriptions in their metadata, and docstrings in their source.
"""

from __future__ import annotations

import shutil
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

DESCRIPTIONS = (
    "annotated-types anyio contourpy cycler execnet filelock fsspec h11 httpx2 huggingface_hub hypothesis "
    "idna iniconfig Jinja2 jiter markdown-it-py mpmath networkx numpy openai packaging pathspec pillow "
    "platformdirs pluggy pyparsing pypdf pytest pytest-xdist python-dateutil regex rfc8785 rich ruff safetensors "
    "shellingham sniffio sortedcontainers sympy tokenizers torch tqdm transformers truststore typer typing_extensions"
).split()
SOURCES = (
    "click/decorators.py networkx/algorithms/shortest_paths/astar.py networkx/algorithms/shortest_paths/generic.py "
    "networkx/algorithms/centrality/betweenness.py numpy/lib/_arraysetops_impl.py torch/nn/modules/dropout.py "
    "torch/nn/modules/loss.py torch/nn/modules/normalization.py torch/nn/modules/rnn.py torch/optim/adamw.py"
).split()


def documentation(folder: Path) -> Path:
    """The documentation of the installed packages, written into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in DESCRIPTIONS:
        metadata = distribution(name).metadata
        described = str(metadata.get_payload() or metadata["Description"])
        suffix = ".md" if "markdown" in (metadata["Description-Content-Type"] or "") else ".rst"
        (folder / f"{name.lower()}{suffix}").write_text(described, "utf-8")
    for source in SOURCES:
        spec = find_spec(source.partition("/")[0])
        assert spec is not None
        assert spec.origin is not None
        shutil.copyfile(Path(spec.origin).parents[1] / source, folder / source.replace("/", "."))
    return folder
