"""Engines that make vectors of texts, and order texts by them."""
