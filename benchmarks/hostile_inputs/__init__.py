"""Hostile inputs by kind: a module a kind, each with `inputs(folder)`; see `hostile.py`."""
