"""Find, verify, load and save checkpoints in the ecosystem's own folder layouts."""
