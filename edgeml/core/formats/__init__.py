"""Model files at the level of bytes."""
