"""Text-to-image pipeline folders on the diffusers library, which is an extra.

What is ours beside the library's defaults:

- DPM-Solver++(2M) in 20 steps (Lu et al. 2022, arXiv:2211.01095) for folders that name a plain scheduler.
- On a CPU that multiplies it, bfloat16 inside the networks alone: the latents, the sampler's sums and a small text
  encoder stay in float32. The denoiser lies channels-last.
- One image at a time, each from a generator of its own, so that its bytes are the same however many are asked for.
- What memory is short of is picked from configs and headers before any weights are read, and said.
- What a folder's pipeline can't do, and what it would not read, is refused before anything is loaded.
"""

from genarium.engines.image.diffusers.engine import DiffusersImage

__all__ = ["DiffusersImage"]
