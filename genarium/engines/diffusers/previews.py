"""About what latents show, for whoever watches them being denoised."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

# Latents of Stable Diffusion 1 and 2 to colours, by least squares: a preview, not a decoding.
LATENT_RGB = ((0.298, 0.207, 0.208), (0.187, 0.286, 0.173), (-0.158, 0.189, 0.264), (-0.184, -0.271, -0.473))


def preview(latents: Tensor | None) -> np.ndarray | None:
    """(H, W, 3) uint8 of latents (1, 4, H, W), or of the middle frame of (1, 4, F, H, W) or (1, F, 4, H, W).

    None for latents of another kind.
    """
    if latents is not None and latents.ndim == 5:
        of_frames = latents if latents.shape[1] == len(LATENT_RGB) else latents.transpose(1, 2)
        latents = of_frames[:, :, of_frames.shape[2] // 2]
    if latents is None or latents.ndim != 4 or latents.shape[1] != len(LATENT_RGB):
        return None
    colours = torch.einsum("chw,cr->hwr", latents[0].float().cpu(), torch.tensor(LATENT_RGB))
    return ((colours + 1) * 127.5).clamp(0, 255).byte().numpy()
