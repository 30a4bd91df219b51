"""Which engine runs a format on a target: the registry's table, and what third parties add to it.

A third party's distribution declares an entry point in the group ``edgeml.engines``, named ``FORMAT.TARGET``, of a
class of the protocol `edgeml.runtimes.EngineAdapter`::

    [project.entry-points."edgeml.engines"]
    "tflite.npu" = "acme_npu:NpuAdapter"

The table's own engines come first.
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

__all__ = ["GROUP", "adapter_of", "engines", "find_engine", "missing", "obstacle", "open_session"]

GROUP = "edgeml.engines"
_FORMATS = ("tflite", "onnx")
_ASKED = ("name", "targets", "precisions", "obstacle", "tiny_model")  # of an adapter that has opened nothing yet
_OPEN_SESSION = "edgeml.runtimes.session.session:open_session"


def engines() -> Iterator[Engine]:
    """All engines that are known here, ours first. Third parties' are read only when it comes to them."""
    yield from ENGINES
    from importlib.metadata import entry_points

    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        format_, _, target = point.name.partition(".")
        if format_ in _FORMATS and target:
            name = point.dist.name if point.dist is not None else point.module
            yield Engine(format_, target, f"{point.module}:{point.attr}", point.module.partition(".")[0], name)


def missing(engine: Engine) -> MissingDependencyError | None:
    """The error that the engine's module is not installed, or None."""
    if engine.distribution or importlib.util.find_spec(engine.module) is not None:
        return None
    what = f"Running .{engine.format} artifacts on target '{engine.target}' by {engine.module}"
    return MissingDependencyError(what, EXTRA_OF_MODULE[engine.module])


def find_engine(format_: str, target: str = "cpu") -> SessionOpener:
    """What opens sessions of that format on that target.

    Raises:
        TargetError: Nobody knows the target, no engine runs the format there, or a third party's cannot be loaded.
        MissingDependencyError: The engine is not installed.
    """
    absences = []
    for engine in engines():
        if (engine.format, engine.target) == (format_, target):
            absent = missing(engine)
            if absent is None:
                return open_session(engine)
            absences.append(absent)
    if absences:
        raise absences[0]
    targets = list(dict.fromkeys(engine.target for engine in engines()))
    if target not in targets:
        raise TargetError(f"There is no target '{target}'.", fix=f"take one of {', '.join(targets)}.")
    runs = dict.fromkeys(engine.format for engine in engines() if engine.target == target)
    there = dict.fromkeys(engine.target for engine in engines() if engine.format == format_)
    raise TargetError(
        f"Target '{target}' runs {' and '.join(runs)} artifacts, not {format_}.",
        fix=f"take an artifact of format {' or '.join(runs)}, or one of the targets {', '.join(there)}.",
    )


def open_session(engine: Engine) -> SessionOpener:
    """What opens sessions by the engine.

    Raises:
        TargetError: It is a third party's, and cannot be loaded.
    """
    return partial(resolve(_OPEN_SESSION), adapter_of(engine))


def adapter_of(engine: Engine) -> type[EngineAdapter]:
    """The class that opens artifacts by the engine.

    Raises:
        TargetError: It is a third party's, and cannot be loaded.
    """
    if not engine.distribution:
        adapter: type[EngineAdapter] = resolve(engine.adapter)
        return adapter
    try:
        adapter = resolve(engine.adapter)
    except Exception as error:  # a plug-in may raise whatever it likes
        raise TargetError(
            f"The engine of {engine.distribution} for target '{engine.target}' cannot be loaded: "
            f"{type(error).__name__}: {error}",
            fix=f"pip install --upgrade {engine.distribution}, or pip uninstall {engine.distribution}",
        ) from error
    lacking = [name for name in _ASKED if not hasattr(adapter, name)]
    if lacking:
        raise TargetError(
            f"The engine of {engine.distribution} for target '{engine.target}' lacks {', '.join(lacking)}.",
            fix="derive it from edgeml.runtimes.EngineAdapter, whose defaults it then has.",
        )
    return adapter


def obstacle(engine: Engine) -> EdgemlError | None:
    """Why the engine cannot be used on this machine, with the command that mends it; None where it can."""
    absent = missing(engine)
    if absent is not None:
        return absent
    try:
        return adapter_of(engine).obstacle(engine.target)
    except EdgemlError as error:
        return error
    except Exception as error:  # noqa: BLE001  # of a plug-in, or of native code that does not load
        return TargetError(f"{engine.module} fails: {type(error).__name__}: {error}")
