"""Where the inputs of `fuzz.py` come from: whole files, what runs them, and small mutations."""
