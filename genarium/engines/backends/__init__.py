"""What multiplies: libraries that run a network for an engine."""
