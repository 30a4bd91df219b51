"""Literal tables of the sources, converters and engines."""
