"""Readers for what users have, and tokenizers made from it."""
