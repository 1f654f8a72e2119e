"""Engines that speak and that hear: the protocols, and what turns words into phonemes."""
