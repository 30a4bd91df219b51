"""Records that are stored as strict JSON."""
