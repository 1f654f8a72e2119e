"""One picture at the size of `microsoft/vq-diffusion-ithq`, of random weights: seconds a step, and resident memory.

    python -m benchmarks.vq_diffusion FOLDER [--steps 4]

FOLDER is made where it is not there yet, of state dicts in float32 as published (5.5 GB). The sizes are those of
configs/ithq.yaml and OUTPUT/pretrained_model/taming_dvae/config.yaml of github.com/microsoft/VQ-Diffusion as diffusers'
conversion reads them, and CLIP ViT-B/32's text encoder, but for its vocabulary. Seconds are wall time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.twice import make_twice
from genarium.engines.image.vq_diffusion import VQDiffusionImage
from tests.vq_folders import Sizes, write_folder

ITHQ: Sizes = {
    "text_encoder": {
        "hidden_size": 512,
        "intermediate_size": 2048,
        "num_hidden_layers": 12,
        "num_attention_heads": 8,
        "max_position_embeddings": 77,
    },
    "vqvae": {
        "block_out_channels": (64, 128, 256, 512),
        "down_block_types": ("DownEncoderBlock2D",) * 3 + ("AttnDownEncoderBlock2D",),
        "up_block_types": ("AttnUpDecoderBlock2D",) + ("UpDecoderBlock2D",) * 3,
        "layers_per_block": 2,
        "latent_channels": 256,
        "num_vq_embeddings": 4096,
        "vq_embed_dim": 128,
        "norm_num_groups": 32,
    },
    "transformer": {
        "num_attention_heads": 16,
        "attention_head_dim": 88,
        "num_layers": 36,
        "num_vector_embeds": 4097,
        "sample_size": 32,
        "num_embeds_ada_norm": 100,
        "cross_attention_dim": 512,
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--make", action="store_true", help="only make the folder, whose memory is not a picture's")
    given = parser.parse_args()
    if not given.folder.is_dir():
        write_folder(given.folder, safe=False, sizes=ITHQ)
    if given.make:
        return
    make_twice(VQDiffusionImage(given.folder), steps=given.steps)


if __name__ == "__main__":
    main()
