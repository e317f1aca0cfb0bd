"""Writes a Hugging Face checkpoint as the packed ONNX graph that the engine runs."""
