"""TensorFlow functions, to which Keras and scikit-learn models are traced, to TFLite and ONNX."""
