"""Decoders as onnxruntime graphs made of their config, with weights of 8 or 4 bits. Imports no torch."""
