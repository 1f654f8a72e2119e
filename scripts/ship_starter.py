"""Put a trained folder among the starters: half precision, its card kept, its sha256s recorded.

python scripts/ship_starter.py runs/starter-text text
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from genarium import files
from genarium.checkpoints.layouts import gpt
from genarium.checkpoints.layouts.pipeline import INDEX
from genarium.checkpoints.store import adapters, catalogue, folder

KINDS = ("*.json", "*.safetensors")


def main(source: Path, name: str) -> None:
    target = catalogue.FOLDER / name
    if adapters.is_adapter(source):
        half = {key: tensor.half() for key, tensor in load_file(source / adapters.WEIGHTS).items()}
        files.write_atomically(target / adapters.WEIGHTS, save(half, metadata={"format": "pt"}))
        for described in (adapters.CONFIG, "config.json"):
            files.write_atomically(target / described, (source / described).read_bytes())
    elif (source / INDEX).exists():
        # Its networks are in half precision already.
        for part in ("", "unet", "vae", "transformer", "planner", "scheduler"):
            for file in (file for kind in KINDS for file in (source / part).glob(kind) if file.stem != "training"):
                files.write_atomically(target / part / file.name, file.read_bytes())
    elif folder.read_config(source)["model_type"] == "blip":  # half precision already, as training writes it
        for part in ("config.json", folder.WEIGHTS, "preprocessor_config.json"):
            files.write_atomically(target / part, (source / part).read_bytes())
        folder.copy_tokenizer(source, target)
    else:
        kept = {k: v for k, v in folder.read_config(source).items() if k in ("bos_token_id", "eos_token_id")}
        gpt.save(gpt.load(source), target, dtype=torch.float16, extra=kept)
        folder.copy_tokenizer(source, target)
    if (source / "training.json").exists():
        files.write_atomically(target / "training.json", (source / "training.json").read_bytes())
    listed = json.loads((catalogue.FOLDER / "catalogue.json").read_text("utf-8"))
    shipped = sorted(f for kind in KINDS for f in target.rglob(kind))
    listed[name]["files"] = {file.relative_to(target).as_posix(): files.sha256(file) for file in shipped}
    files.write_atomically(catalogue.FOLDER / "catalogue.json", json.dumps(listed, indent=2).encode() + b"\n")
    print(f"{target.name}: {sum(f.stat().st_size for f in shipped) / 2**20:.2f} MiB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
