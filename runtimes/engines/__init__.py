"""Engines: one adapter per runtime library."""
