"""scikit-learn models to ONNX operators, or to TensorFlow functions and so to TFLite."""
