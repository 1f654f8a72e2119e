"""Image engines: the protocol, and what makes images."""
