"""Opening of artifacts by engines: checks of target, machine and placement."""

from __future__ import annotations

from edgeml.core.artifact import Needs
from edgeml.core.engine import EngineAdapter
from edgeml.core.errors import EdgemlError, TargetError
from edgeml.core.placement import Placement
from edgeml.core.system.machine import missing_features
from edgeml.core.tensors import Signature

__all__ = ["open_adapter"]


def open_adapter(
    engine: type[EngineAdapter],
    data: bytes,
    signature: Signature,
    *,
    needs: Needs,
    target: str,
    threads: int | None,
    allow_fallback: bool,
) -> EngineAdapter:
    """Load an artifact by an engine in this process; `core.session.SessionOpener` describes arguments and errors."""
    if target not in engine.targets:
        raise TargetError(
            f"{engine.name} does not support target '{target}'.", fix=f"use {' or '.join(engine.targets)}."
        )
    if signature.free_sizes and not engine.runs_free_sizes:
        raise TargetError(
            f"{engine.name} on target '{target}' does not run artifacts with free sizes: "
            f"{', '.join(signature.free_sizes)}.",
            fix="fix them in the build: --size NAME=N (sizes= in Python).",
        )
    obstacle = engine.obstacle(target)
    if obstacle is not None:
        raise obstacle
    lacking = missing_features(needs.cpu_features)
    if lacking:
        raise TargetError(
            f"The artifact gives different outputs on CPUs without {', '.join(lacking)}, such as this one.",
            fix="use an artifact without that need, or build the package on a CPU like this one.",
        )
    try:
        adapter = engine(data, signature, needs=needs, target=target, threads=threads or 1)
    except EdgemlError:
        raise
    except Exception as error:  # engines and plug-ins raise many types
        raise TargetError(
            f"{engine.name} failed to open the artifact on target '{target}': {type(error).__name__}: {error}"
        ) from error
    if target != "cpu" and not allow_fallback and not adapter.runs_all_operators:
        try:
            _refuse_fallback(adapter, target)
        except Exception as error:  # noqa: BLE001  # engines and plug-ins raise many types
            adapter.close()
            known = error if isinstance(error, EdgemlError) else adapter.translate(error)
            raise known from (None if known is error else error)
    return adapter


def _refuse_fallback(adapter: EngineAdapter, target: str) -> None:
    elsewhere = Placement(target, adapter.placement()).elsewhere
    if elsewhere:
        named = ", ".join(f"{item.operator} ×{item.count} ({item.place})" for item in elsewhere)
        raise TargetError(
            f"Target '{target}' does not support all operators of the artifact; these would run elsewhere: {named}.",
            fix="choose another artifact or target, or allow it: allow_fallback=True.",
        )
