"""Engines that give texts labels: a trained head, vectors, or a language model."""
