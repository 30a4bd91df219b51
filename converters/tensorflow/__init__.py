"""Conversion of TensorFlow functions, traced from Keras and scikit-learn models, to TFLite and ONNX."""
