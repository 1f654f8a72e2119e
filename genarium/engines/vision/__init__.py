"""Engines that look at images: captions, matches, and maps of what each word is about."""
