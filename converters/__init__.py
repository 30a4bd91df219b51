"""Converters: source to artifact, one file per route. Imported as `edgeml.converters` only."""

if __name__ != "edgeml.converters":
    raise ImportError("import this package as edgeml.converters")
