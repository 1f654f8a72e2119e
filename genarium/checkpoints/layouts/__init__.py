"""One published layout a file: detect, load, save."""
