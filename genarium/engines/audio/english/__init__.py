"""English as it is read aloud: what is written into words, words into phonemes."""
