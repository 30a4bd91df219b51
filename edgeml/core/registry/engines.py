"""Lookup of engines by format and target, in the registry's table and among plug-ins.

A plug-in is a distribution that declares an entry point in the group ``edgeml.engines``, named ``FORMAT.TARGET``, for a
class of the protocol `edgeml.runtimes.EngineAdapter`::

    [project.entry-points."edgeml.engines"]
    "tflite.npu" = "acme_npu:NpuAdapter"

Engines of the table precede those of plug-ins.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from edgeml.core.errors import EdgemlError, MissingDependencyError, TargetError
from edgeml.core.registry.tables import ENGINES, Engine
from edgeml.core.system.imports import EXTRA_OF_MODULE, resolve

if TYPE_CHECKING:
    from edgeml.core.engine import EngineAdapter
    from edgeml.core.session import SessionOpener

__all__ = ["GROUP", "adapter_of", "engines", "find_engine", "missing_dependency", "obstacle", "open_session"]

GROUP = "edgeml.engines"
_FORMATS = ("tflite", "onnx")
_CLASS_MEMBERS = ("name", "targets", "precisions", "obstacle", "tiny_model")  # used before an artifact is loaded
_OPEN_SESSION = "edgeml.runtimes.session.session:open_session"


def engines() -> Iterator[Engine]:
    """Iterate over the table's engines, then over those of plug-ins, which are looked up only when reached."""
    yield from ENGINES
    from importlib.metadata import entry_points

    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        format_, _, target = point.name.partition(".")
        if format_ in _FORMATS and target:
            name = point.dist.name if point.dist is not None else point.module
            yield Engine(format_, target, f"{point.module}:{point.attr}", point.module.partition(".")[0], name)


def missing_dependency(engine: Engine) -> MissingDependencyError | None:
    """Return the error that the engine's module is not installed, or None."""
    if engine.distribution or importlib.util.find_spec(engine.module) is not None:
        return None
    what = f"Running .{engine.format} artifacts on target '{engine.target}' by {engine.module}"
    return MissingDependencyError(what, EXTRA_OF_MODULE[engine.module])


def find_engine(format_: str, target: str = "cpu") -> SessionOpener:
    """Return a function that opens sessions of a format on a target.

    Raises:
        TargetError: The target is unknown, no engine runs the format there, or a plug-in cannot be loaded.
        MissingDependencyError: The engine is not installed.
    """
    errors = []
    for engine in engines():
        if (engine.format, engine.target) == (format_, target):
            error = missing_dependency(engine)
            if error is None:
                return open_session(engine)
            errors.append(error)
    if errors:
        raise errors[0]
    targets = list(dict.fromkeys(engine.target for engine in engines()))
    if target not in targets:
        raise TargetError(f"Unknown target '{target}'.", fix=f"use one of {', '.join(targets)}.")
    formats = dict.fromkeys(engine.format for engine in engines() if engine.target == target)
    alternatives = dict.fromkeys(engine.target for engine in engines() if engine.format == format_)
    raise TargetError(
        f"Target '{target}' runs {' and '.join(formats)} artifacts, not {format_}.",
        fix=f"use an artifact of format {' or '.join(formats)}, or one of the targets {', '.join(alternatives)}.",
    )


def open_session(engine: Engine) -> SessionOpener:
    """Return a function that opens sessions with the engine.

    Raises:
        TargetError: The engine is a plug-in's and cannot be loaded.
    """
    return partial(resolve(_OPEN_SESSION), adapter_of(engine))


def adapter_of(engine: Engine) -> type[EngineAdapter]:
    """Return the class that loads artifacts into the engine.

    Raises:
        TargetError: The engine is a plug-in's and cannot be loaded.
    """
    if not engine.distribution:
        adapter: type[EngineAdapter] = resolve(engine.adapter)
        return adapter
    try:
        adapter = resolve(engine.adapter)
    except Exception as error:  # a plug-in may raise anything
        raise TargetError(
            f"The engine of {engine.distribution} for target '{engine.target}' cannot be loaded: "
            f"{type(error).__name__}: {error}",
            fix=f"pip install --upgrade {engine.distribution}, or pip uninstall {engine.distribution}",
        ) from error
    lacking = [name for name in _CLASS_MEMBERS if not hasattr(adapter, name)]
    if lacking:
        raise TargetError(
            f"The engine of {engine.distribution} for target '{engine.target}' lacks {', '.join(lacking)}.",
            fix="derive the class from edgeml.runtimes.EngineAdapter, which has defaults.",
        )
    return adapter


def obstacle(engine: Engine) -> EdgemlError | None:
    """Return the error why the engine cannot be used on this machine, with a fix; None if it can."""
    error = missing_dependency(engine)
    if error is not None:
        return error
    try:
        return adapter_of(engine).obstacle(engine.target)
    except EdgemlError as problem:
        return problem
    except Exception as problem:  # noqa: BLE001  # of a plug-in, or of native code that does not load
        return TargetError(f"{engine.module} fails: {type(problem).__name__}: {problem}")
