"""Text engines: the protocol, and what writes text."""
