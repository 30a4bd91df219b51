"""Trained models: load and audit them, describe them, and compute their reference outputs."""
