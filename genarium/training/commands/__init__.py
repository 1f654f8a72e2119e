"""One `train …` a file."""
