"""Native networks, one family a file: config dataclass, layers, model, nothing else."""
