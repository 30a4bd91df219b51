"""Records that are written as strict JSON."""
