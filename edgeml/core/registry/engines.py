"""Lookup of engines by format and target, in the registry's table and among plug-ins.

A plug-in is a distribution that declares an entry point in the group ``edgeml.engines``, named ``FORMAT.TARGET``, for a
class of the protocol `edgeml.runtimes.EngineAdapter`::

    [project.entry-points."edgeml.engines"]
    "tflite.npu" = "acme_npu:NpuAdapter"

The table's own engines come first. Where several engines of a format and target are installed, `find_engine` says
which one opens sessions.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from edgeml.core.errors import EdgemlError, MissingDependencyError, TargetError
from edgeml.core.registry.tables import ENGINES, Engine
from edgeml.core.system.imports import EXTRA_OF_MODULE, resolve

if TYPE_CHECKING:
    from edgeml.core.engine import EngineAdapter
    from edgeml.core.session import Session, SessionOpener

__all__ = [
    "GROUP",
    "adapter_of",
    "engines",
    "find_engine",
    "load_modules",
    "missing_dependency",
    "obstacle",
    "open_session",
]

GROUP = "edgeml.engines"
_FORMATS = ("tflite", "onnx")
_OPEN_SESSION = "edgeml.runtimes.session.session:open_session"
_UNAVAILABLE = "edgeml.core.registry.availability:unavailable"  # by name: that module imports this one


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _are_names(value: object) -> bool:
    return isinstance(value, tuple | list | set | frozenset) and all(map(_is_name, value))


# Attributes that are read before an artifact is opened.
_ATTRIBUTES: Mapping[str, tuple[Callable[[object], bool], str]] = MappingProxyType(
    {
        "name": (_is_name, "text"),
        "targets": (_are_names, "a tuple of text"),
        "precisions": (_are_names, "a tuple of text"),
        "obstacle": (callable, "a class method"),
        "tiny_model": (callable, "a class method"),
    }
)


def engines() -> Iterator[Engine]:
    """Iterate over the table's engines, then over those of plug-ins, which are looked up only when reached."""
    yield from ENGINES
    from importlib.metadata import entry_points

    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        format_, _, target = point.name.partition(".")
        if format_ in _FORMATS and target:
            module, _, attribute = point.value.partition(":")  # `point.module` fails for an invalid value
            module, attribute = module.strip(), attribute.partition("[")[0].strip()
            name = point.dist.name if point.dist is not None else module
            yield Engine(format_, target, f"{module}:{attribute}", module.partition(".")[0], name)


def load_modules(adapter: str) -> None:
    """Import the third-party modules of an engine of the table, which opening an artifact would import.

    Args:
        adapter: Class of the engine's adapter, as ``module:attribute``; that of a plug-in does nothing.
    """
    for engine in ENGINES:
        if engine.adapter == adapter and missing_dependency(engine) is None:
            for name in (engine.module, f"{engine.module}.interpreter"):
                if importlib.util.find_spec(name) is not None:
                    importlib.import_module(name)
            return


def missing_dependency(engine: Engine) -> MissingDependencyError | None:
    """Return the error that the engine's module is not installed, or None."""
    if engine.distribution or importlib.util.find_spec(engine.module) is not None:
        return None
    what = f"Running .{engine.format} artifacts on target '{engine.target}' by {engine.module}"
    return MissingDependencyError(what, EXTRA_OF_MODULE[engine.module])


def find_engine(format_: str, target: str = "cpu") -> SessionOpener:
    """Return a function that opens sessions of a format on a target.

    On the CPU the table's first installed engine opens sessions. On other targets each session is opened by the first
    installed engine that is available and does not fail; the session's `reason` says why others were not used.

    Raises:
        TargetError: The target is unknown, no engine runs the format there, or a plug-in cannot be loaded.
        MissingDependencyError: The engine is not installed.
    """
    absences = []
    installed = []
    for engine in engines():
        if (engine.format, engine.target) == (format_, target):
            absent = missing_dependency(engine)
            if absent is None:
                if target == "cpu" and not engine.distribution:
                    return open_session(engine)  # plug-ins are not looked for: that takes 15 ms of a start
                installed.append(engine)
            else:
                absences.append(absent)
    if len(installed) == 1:
        return open_session(installed[0])
    if installed:
        return partial(_open_first, installed)
    if absences:
        raise absences[0]
    targets = list(dict.fromkeys(engine.target for engine in engines()))
    if target not in targets:
        raise TargetError(f"Unknown target '{target}'.", fix=f"use one of {', '.join(targets)}.")
    formats = dict.fromkeys(engine.format for engine in engines() if engine.target == target)
    alternatives = dict.fromkeys(engine.target for engine in engines() if engine.format == format_)
    raise TargetError(
        f"Target '{target}' runs {' and '.join(formats)} artifacts, not {format_}.",
        fix=f"use an artifact of format {' or '.join(formats)}, or one of the targets {', '.join(alternatives)}.",
    )


def _open_first(candidates: Sequence[Engine], *arguments: Any, **options: Any) -> Session:
    """Open a session by the first engine that can.

    An engine that is not available is skipped, since opening it may abort the process.

    Raises:
        TargetError: All engines fail; the message has all reasons.
    """
    unavailable = resolve(_UNAVAILABLE)
    failures: list[EdgemlError] = []
    reasons: list[str] = []
    for engine in candidates:
        failure: EdgemlError | None = unavailable(engine)
        if failure is None:
            try:
                session: Session = open_session(engine)(*arguments, **options)
            except (TargetError, MissingDependencyError) as error:
                failure = error
            else:
                if reasons:
                    session.reason = f"Other engines were tried first: {'; '.join(reasons)}."
                return session
        failures.append(failure)
        reasons.append(f"{_name_engine(engine)}: {failure.message.rstrip('.')}")
    fixes = dict.fromkeys(failure.fix.rstrip(".") for failure in failures if failure.fix)
    raise TargetError(
        f"No engine can run the artifact on target '{candidates[0].target}'. {'; '.join(reasons)}.",
        fix="; or ".join(fixes),
        log="".join(failure.log for failure in failures),
    )


def open_session(engine: Engine) -> SessionOpener:
    """Return a function that opens sessions by an engine.

    Raises:
        TargetError: The engine is a third party's, and cannot be loaded.
    """
    opener: SessionOpener = partial(resolve(_OPEN_SESSION), adapter_of(engine))
    return partial(_open_plugin, engine, opener) if engine.distribution else opener


def _open_plugin(engine: Engine, opener: SessionOpener, *arguments: Any, **options: Any) -> Session:
    """Open a session by an engine of a third party.

    Raises:
        TargetError: The engine raises an exception that is not an `EdgemlError`.
    """
    try:
        return opener(*arguments, **options)
    except EdgemlError:
        raise
    except (Exception, SystemExit) as error:
        raise _plugin_error(engine, error) from error


def adapter_of(engine: Engine) -> type[EngineAdapter]:
    """Return the class that opens artifacts by the engine.

    Raises:
        TargetError: The engine is a third party's, and cannot be loaded, or an attribute is missing or not of its type.
    """
    if not engine.distribution:
        adapter: type[EngineAdapter] = resolve(engine.adapter)
        return adapter
    try:
        adapter = resolve(engine.adapter)
    except (Exception, SystemExit) as error:  # a plug-in may raise anything
        raise TargetError(
            f"The engine of {engine.distribution} for target '{engine.target}' cannot be loaded: "
            f"{type(error).__name__}: {error}",
            fix=_upgrade(engine),
        ) from error
    lacking = [name for name in _ATTRIBUTES if not hasattr(adapter, name)]
    if lacking:
        raise TargetError(
            f"The engine of {engine.distribution} for target '{engine.target}' lacks {', '.join(lacking)}.",
            fix="derive the class from edgeml.runtimes.EngineAdapter, which has defaults.",
        )
    for name, (is_valid, expected) in _ATTRIBUTES.items():
        value = getattr(adapter, name)
        if not is_valid(value):
            raise TargetError(
                f"The engine of {engine.distribution} for target '{engine.target}' has {name}={value!r:.100}, "
                f"expected {expected}.",
                fix=_upgrade(engine),
            )
    return adapter


def obstacle(engine: Engine) -> EdgemlError | None:
    """Return the reason why the engine cannot be used on this machine, with its fix; None where it can."""
    absent = missing_dependency(engine)
    if absent is not None:
        return absent
    try:
        problem: object = adapter_of(engine).obstacle(engine.target)
    except EdgemlError as error:
        return error
    except (Exception, SystemExit) as error:  # noqa: BLE001  # of a plug-in, or of native code that does not load
        return _plugin_error(engine, error)
    if problem is None or isinstance(problem, EdgemlError):
        return problem
    return TargetError(
        f"{_name_engine(engine)}: obstacle() returned {problem!r:.200}, expected None or an EdgemlError.",
        fix=_upgrade(engine),
    )


def _plugin_error(engine: Engine, error: BaseException) -> TargetError:
    return TargetError(f"{_name_engine(engine)} fails: {type(error).__name__}: {error}", fix=_upgrade(engine))


def _name_engine(engine: Engine) -> str:
    return engine.distribution or engine.module


def _upgrade(engine: Engine) -> str:
    """Return the fix for an engine of a third party; empty for the table's own."""
    if not engine.distribution:
        return ""
    return f"pip install --upgrade {engine.distribution}, or pip uninstall {engine.distribution}"
