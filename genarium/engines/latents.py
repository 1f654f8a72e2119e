"""What latents show before they are decoded."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

# Latents of Stable Diffusion 1 and 2 to colours, by least squares: a preview, not a decoding.
LATENT_RGB = ((0.298, 0.207, 0.208), (0.187, 0.286, 0.173), (-0.158, 0.189, 0.264), (-0.184, -0.271, -0.473))


def preview(latents: Tensor | None) -> np.ndarray | None:
    """About what the latents (1, 4, H, W) show, (H, W, 3) uint8; None for latents of another kind.

    Of a video, (1, 4, F, H, W) or (1, F, 4, H, W), it is the middle frame.
    """
    if latents is not None and latents.ndim == 5:
        by_frame = latents if latents.shape[1] == len(LATENT_RGB) else latents.transpose(1, 2)
        latents = by_frame[:, :, by_frame.shape[2] // 2]
    if latents is None or latents.ndim != 4 or latents.shape[1] != len(LATENT_RGB):
        return None
    colours = torch.einsum("chw,cr->hwr", latents[0].float().cpu(), torch.tensor(LATENT_RGB))
    return ((colours + 1) * 127.5).clamp(0, 255).byte().numpy()
