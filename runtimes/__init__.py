"""Runtimes: artifact to session, one file per engine. Imported as `edgeml.runtimes` only."""

if __name__ != "edgeml.runtimes":
    raise ImportError("import this package as edgeml.runtimes")
