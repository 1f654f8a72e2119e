"""Finding and reading checkpoints: references, digests, folders, tensors, adapters."""
