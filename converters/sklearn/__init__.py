"""Conversion of scikit-learn models to ONNX, and through TensorFlow to TFLite."""
