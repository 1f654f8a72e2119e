"""Ways to run a checkpoint: a protocol and its implementations for each capability; `registry.py` chooses."""
