"""The mean of two trained captioners' weights, one trained on from the other: it often knows what both know.

Wortsman et al. 2022, arXiv:2109.01903. The recipe kept is that of the first folder, which was trained on; it says so.

python scripts/average.py runs/more runs/before runs/mean
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import torch

from genarium import files
from genarium.checkpoints.layouts import blip
from genarium.checkpoints.store.folder import WEIGHTS
from genarium.training.adapters import average
from genarium.training.sources.captions import PIXELS


def main(trained_on: Path, before: Path, out: Path) -> None:
    mean = average([blip.load_captioner(folder).requires_grad_(True) for folder in (trained_on, before)])
    shutil.copytree(trained_on, out, ignore=shutil.ignore_patterns("training.safetensors"))
    blip.save(mean, out, PIXELS, dtype=torch.float16)
    recipe = json.loads((trained_on / "training.json").read_text("utf-8"))
    recipe.pop("measured", None)
    recipe["averaged_with"] = files.sha256(before / WEIGHTS)
    files.write_atomically(out / "training.json", json.dumps(recipe, indent=2).encode() + b"\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
