"""ONNX operators of scikit-learn estimators: one file per family, named after it."""
