"""Record what the package `min-dalle` computes, for tests/models/test_dalle.py to hold ours to.

The package is unmaintained, so no test depends on it. To record again:

    pip install --no-deps --target PACKAGE min-dalle==0.4.11 emoji requests
    PYTHONPATH=PACKAGE:. python scripts/record_dalle.py tests/data/dalle.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from min_dalle.models import DalleBartDecoder, DalleBartEncoder, VQGanDetokenizer
from min_dalle.text_tokenizer import TextTokenizer

from tests import dalle_folders as folders

PROMPTS = ["flying bat", "A Flying  BAT", "fire 🔥 Ünïcode", "", "q7 flying\tbird"]
TEXT = [0, 9, 33, 41, 5, 2]
DRAWN = [47, 3, 0, 31, 12]
CODES = [[[3, 900], [16383, 12]]]


def main(file: Path) -> None:
    torch.set_grad_enabled(False)
    encoder = DalleBartEncoder(folders.LAYERS, folders.WIDTH, 2, folders.TEXT, folders.PLACES, folders.INNER, "cpu")
    decoder = DalleBartDecoder(folders.IMAGE - 1, folders.WIDTH, 2, folders.INNER, folders.LAYERS, "cpu")
    load(encoder, folders.encoder_shapes())
    load(decoder, folders.decoder_shapes(256))  # the package knows no smaller picture

    text = torch.ones(2, folders.PLACES, dtype=torch.long)
    text[0, :2] = torch.tensor([TEXT[0], TEXT[-1]])
    text[1, : len(TEXT)] = torch.tensor(TEXT)
    states = encoder(text)
    past = torch.zeros(folders.LAYERS, 4, 256, folders.WIDTH)
    logits = []
    for place, token in enumerate(DRAWN):
        given, at = torch.tensor([[token]]), torch.tensor([place])
        out, past = decoder(text.ne(1)[:, None, None, :], states, past, given, at)
        logits.append(out[:, -1])

    vqgan = VQGanDetokenizer()
    shapes = folders.vqgan_shapes(16384, 256, (128, 128, 256, 256, 512), (False,) * 4 + (True,))
    vqgan.load_state_dict(folders.weights(shapes))
    found = vqgan.embedding(torch.tensor(CODES)).permute(0, 3, 1, 2).contiguous()
    image = vqgan.decoder(vqgan.post_quant_conv(found))

    folder = file.parent
    folders.write_words(folder)
    merges = (folder / "merges.txt").read_text("utf-8").split("\n")[1:-1]
    tokenizer = TextTokenizer(json.loads((folder / "vocab.json").read_text("utf-8")), merges)
    for name in ("vocab.json", "merges.txt"):
        (folder / name).unlink()

    recorded = {
        "prompts": PROMPTS,
        "tokens": [tokenizer.tokenize(prompt) for prompt in PROMPTS],
        "text": TEXT,
        "states": numbers(states[1, : len(TEXT), ::16]),
        "drawn": DRAWN,
        "logits": numbers(torch.stack(logits, dim=1)[..., ::5]),
        "codes": CODES,
        "picture": numbers(image[0, :, ::6, ::6]),
    }
    file.write_text(json.dumps(recorded) + "\n", "utf-8")


def load(model: torch.nn.Module, shapes: folders.Shapes) -> None:
    """As the package does: a norm without a scale in the file keeps its ones."""
    missing, unexpected = model.load_state_dict(folders.weights(shapes), strict=False)
    assert not unexpected
    assert all(name.removesuffix(".weight").endswith(folders.UNSCALED) for name in missing)


def numbers(tensor: torch.Tensor) -> Any:
    return [numbers(part) for part in tensor] if tensor.dim() else round(tensor.item(), 6)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
