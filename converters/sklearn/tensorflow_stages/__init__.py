"""TensorFlow operations of scikit-learn estimators, as stages of one function."""
