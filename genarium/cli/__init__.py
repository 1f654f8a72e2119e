"""The command line, built from the task signatures."""
