"""Existing TFLite files as artifacts."""
