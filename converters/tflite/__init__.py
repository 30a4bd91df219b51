"""Artifacts from existing TFLite files."""
