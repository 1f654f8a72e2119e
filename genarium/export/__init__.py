"""Decoders written in the layouts that other programs open: GGUF, ONNX, and Hugging Face's folder of safetensors."""
