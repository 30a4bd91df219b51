"""Runtimes: artifact to session, one adapter per engine. Imported as `edgeml.runtimes` only.

What a plug-in needs is named here: a class of the protocol `EngineAdapter`, whose `instance` gives an `EngineInstance`
or an `ArrayInstance`, `check_tensor` for the artifact's tensors, and `OperatorCount` with `count_operators` for its
`placement`.
"""

if __name__ != "edgeml.runtimes":
    raise ImportError("import this package as edgeml.runtimes")

from edgeml.core.engine import ArrayInstance, EngineAdapter, EngineInstance, check_tensor
from edgeml.core.placement import OperatorCount, count_operators

__all__ = ["ArrayInstance", "EngineAdapter", "EngineInstance", "OperatorCount", "check_tensor", "count_operators"]
