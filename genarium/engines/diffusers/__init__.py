"""What pictures and videos share of running a folder of the diffusers library: weights, memory, prompts, samplers."""
