"""Calibration data for converters, and reduced precision of ONNX models."""
