"""Video engines: the protocol, and what makes videos."""
