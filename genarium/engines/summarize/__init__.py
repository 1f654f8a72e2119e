"""Engines that summarise: sentences chosen, or a text that a model writes."""
