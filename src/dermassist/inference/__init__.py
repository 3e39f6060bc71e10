"""Answering with ONNX Runtime, and exporting for it."""
