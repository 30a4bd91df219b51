"""Trained models: loading and auditing them, their description and their own answers."""
