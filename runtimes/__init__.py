"""Runtimes: artifact to session, one adapter per engine. Imported as `edgeml.runtimes` only.

What a plug-in needs is named here: a class of the protocol `EngineAdapter`, whose `instance` gives an `EngineInstance`
or an `ArrayInstance`, `check_tensor` for the artifact's tensors, and `Placed` with `placed` for its `placement`.
"""

if __name__ != "edgeml.runtimes":
    raise ImportError("import this package as edgeml.runtimes")

from edgeml.core.engine import ArrayInstance, EngineAdapter, EngineInstance, check_tensor
from edgeml.core.placement import Placed, placed

__all__ = ["ArrayInstance", "EngineAdapter", "EngineInstance", "Placed", "check_tensor", "placed"]
