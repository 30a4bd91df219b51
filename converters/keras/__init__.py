"""Keras models to TFLite and ONNX."""
