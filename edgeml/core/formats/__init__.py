"""Byte-level readers and static checks of model files."""
