"""Runtimes: artifact to session, one adapter per engine. Import this package as `edgeml.runtimes`.

The public names are those that plug-ins need: the protocol `EngineAdapter`, whose `instance` returns an
`EngineInstance` or an `ArrayInstance`, `check_tensor` for the artifact's tensors, and `OperatorCount` and
`count_operators` for
`placement`.
"""

if __name__ != "edgeml.runtimes":
    raise ImportError("import this package as edgeml.runtimes")

from edgeml.core.engine import ArrayInstance, EngineAdapter, EngineInstance, check_tensor
from edgeml.core.placement import OperatorCount, count_operators

__all__ = ["ArrayInstance", "EngineAdapter", "EngineInstance", "OperatorCount", "check_tensor", "count_operators"]
