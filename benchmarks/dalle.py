"""One picture at the size of DALL·E mini or mega, of random weights: seconds, and the largest resident memory.

    python -m benchmarks.dalle FOLDER [--size mini|mega]

FOLDER is made where it is not there yet, as the package `min-dalle` keeps a model: the Transformer's weights in half
precision (0.8 GB for mini), the VQGAN's in float32. Seconds are wall time: use a machine that does nothing else.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from benchmarks.twice import make_twice
from genarium.engines.image.dalle import DalleImage
from tests import dalle_folders as shapes

WIDTHS = {"mini": (1024, 2730, 12, 50264, 16385), "mega": (2048, 4096, 24, 50272, 16415)}
VQGAN = (16384, 256, (128, 128, 256, 256, 512), (False, False, False, False, True))


def make(root: Path, size: str) -> None:
    shapes.WIDTH, shapes.INNER, shapes.LAYERS, shapes.TEXT, shapes.IMAGE = WIDTHS[size]
    folder = root / f"dalle_bart_{size}"
    folder.mkdir(parents=True)
    (root / "vqgan").mkdir(exist_ok=True)
    torch.save(random(shapes.encoder_shapes(), torch.float16), folder / "encoder.pt")
    torch.save(random(shapes.decoder_shapes(256), torch.float16), folder / "decoder.pt")
    torch.save(random(shapes.vqgan_shapes(*VQGAN), torch.float32), root / "vqgan" / "detoker.pt")
    shapes.write_words(folder)


def random(wanted: shapes.Shapes, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Matrices that keep the size of what goes through them; norms are ones."""
    state = {}
    for name, shape in wanted.items():
        fan_in = 1 if "embed" in name else torch.tensor(shape[1:]).prod().item() if len(shape) > 1 else 0
        norm = torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
        state[name] = (torch.randn(shape) * fan_in**-0.5 if fan_in else norm).to(dtype)
    return state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=list(WIDTHS), default="mini")
    parser.add_argument("--make", action="store_true", help="only make the folder, whose memory is not a picture's")
    given = parser.parse_args()
    folder = given.folder / f"dalle_bart_{given.size}"
    if not folder.is_dir():
        torch.manual_seed(0)
        make(given.folder, given.size)
    if given.make:
        return
    engine = DalleImage(folder)
    make_twice(engine)
    print(engine._dtype)


if __name__ == "__main__":
    main()
