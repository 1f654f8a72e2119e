"""Scenes: endless composed pictures with true captions and full annotation, for small models to learn from."""

from __future__ import annotations

from genarium.scenes.ask import Ask, Wanted
from genarium.scenes.parse import Parsed, parse, stand_ins
from genarium.scenes.world import Scene, Thing, World, is_held_out

__all__ = ["Ask", "Parsed", "Scene", "Thing", "Wanted", "World", "is_held_out", "parse", "stand_ins"]
