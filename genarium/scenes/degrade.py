"""What happens to pictures on their way through generators and files: blur, noise, bending, JPEG."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from genarium.data.images import to_tensor


def blur(images: Tensor, sigma: float) -> Tensor:
    """Gaussian, of `sigma` pixels, over (batch, 3, height, width)."""
    if sigma <= 0:
        return images
    reach = max(1, round(3 * sigma))
    taps = torch.exp(-(torch.arange(-reach, reach + 1, dtype=images.dtype) ** 2) / (2 * sigma**2))
    taps = (taps / taps.sum()).repeat(3, 1)
    padded = F.pad(images, (reach, reach, reach, reach), mode="replicate")
    across = F.conv2d(padded, taps[:, None, None, :], groups=3)
    return F.conv2d(across, taps[:, None, :, None], groups=3)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """(height, width, 3) uint8 as it comes back from a file."""
    kept = io.BytesIO()
    Image.fromarray(image).save(kept, "JPEG", quality=quality)
    return np.asarray(Image.open(kept).convert("RGB"))


def bend(images: Tensor, pixels: float, generator: torch.Generator) -> Tensor:
    """Smooth random displacement of up to about `pixels`."""
    batch, _, height, width = images.shape
    coarse = torch.randn(batch, 2, 6, 6, generator=generator) * pixels / 2
    shift = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    grid = torch.stack([x, y], dim=-1) + shift * torch.tensor([2 / width, 2 / height])
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True)


def roughen(images: np.ndarray, seed: int) -> Tensor:
    """From (batch, height, width, 3) uint8 to (batch, 3, height, width) in [-1, 1], no two damaged alike.

    A quarter goes through JPEG; then each quarter of the batch is bent, blurred or made from half the pixels to its
    own degree, and all get their own noise, fine and coarse, and their own contrast and tone.
    """
    random = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    worn = images.copy()
    for place in range(0, len(worn), 4):
        worn[place] = jpeg(worn[place], int(random.integers(30, 80)))
    x = to_tensor(worn)
    parts = []
    for part in x.chunk(4):
        worse = bend(part, random.uniform(0, 1.8), generator) if random.random() < 0.5 else part
        damage = random.random()
        if damage < 0.55:
            worse = blur(worse, random.uniform(0.3, 1.2))
        elif damage < 0.7:
            worse = F.interpolate(F.avg_pool2d(worse, 2), scale_factor=2.0, mode="bicubic", align_corners=False)
        parts.append(worse)
    x = torch.cat(parts)

    def each(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(len(x), *shape, generator=generator) * (high - low) + low

    fine = torch.randn(x.shape, generator=generator) * each(0, 0.12, 1, 1, 1)
    coarse = torch.randn(len(x), 3, 8, 8, generator=generator) * each(0, 0.12, 1, 1, 1)
    x = x + fine + F.interpolate(coarse, size=x.shape[-2:], mode="bilinear", align_corners=False)
    return (x * each(0.85, 1.1, 1, 1, 1) + each(-0.08, 0.08, 3, 1, 1)).clamp(-1, 1)
