"""Data and models of `edgeml demo`."""
