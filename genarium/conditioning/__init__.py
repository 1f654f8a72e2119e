"""From words to what a denoiser reads."""
