"""One training loop for every family; objectives say what is learned."""
