"""The mean of two trained folders' weights, where one was trained on from the other: it often knows what both know.

Wortsman et al. 2022, arXiv:2109.01903. The recipe kept is that of the first folder, which was trained on; it says so.

python scripts/average.py runs/more runs/before runs/mean
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from safetensors.torch import load_file, save

from genarium import files

WEIGHTS = "model.safetensors"


def main(trained_on: Path, before: Path, out: Path) -> None:
    one, other = (load_file(folder / WEIGHTS) for folder in (trained_on, before))
    mean = {name: ((one[name].float() + other[name].float()) / 2).to(one[name].dtype) for name in one}
    shutil.copytree(trained_on, out, ignore=shutil.ignore_patterns("training.safetensors"))
    files.write_atomically(out / WEIGHTS, save(mean, metadata={"format": "pt"}))
    recipe = json.loads((trained_on / "training.json").read_text("utf-8"))
    recipe.pop("measured", None)
    recipe["averaged_with"] = files.sha256(before / WEIGHTS)
    files.write_atomically(out / "training.json", json.dumps(recipe, indent=2).encode() + b"\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
