"""Conversion of Keras models to TFLite and ONNX."""
