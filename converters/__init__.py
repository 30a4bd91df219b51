"""Converters from sources to artifacts, by framework and format. Importable as `edgeml.converters` only."""

if __name__ != "edgeml.converters":
    raise ImportError("import this package as edgeml.converters")
