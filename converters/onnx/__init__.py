"""Existing ONNX files as artifacts."""
