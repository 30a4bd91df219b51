"""Artifacts from existing ONNX files."""
