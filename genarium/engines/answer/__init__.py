"""Engines that find answers in texts."""
