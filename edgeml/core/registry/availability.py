"""Availability of accelerators: a tiny model is run once in a child process, and the result is cached."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from edgeml._version import __version__
from edgeml.core.errors import EdgemlError, StorageError, TargetError
from edgeml.core.registry.engines import adapter_of, obstacle, open_session
from edgeml.core.registry.tables import Engine
from edgeml.core.system.digest import digest_of
from edgeml.core.system.files import atomic_write
from edgeml.core.system.machine import drivers, installed_version

__all__ = ["Trial", "unavailable"]

_TIMEOUT_S = 60.0
_TOLERANCE = 1e-2  # for GPUs that compute in float16, on values up to 8
_MAX_CACHED = 256
_PRINTED_ERROR = re.compile(r"^ERROR: (?:\[[^]]*\] )?(.+)", re.MULTILINE)
_DRIVER_FIX = "install another version of the driver, or of the engine."


class _Result(Struct, frozen=True, omit_defaults=True):
    """Outcome of a trial.

    Attributes:
        reason: Reason for the failure; empty if the engine runs.
        fix: Advice on the failure.
    """

    reason: str = ""
    fix: str = ""


def unavailable(engine: Engine) -> EdgemlError | None:
    """Return the error why an engine does not run on this machine; None if it does.

    If the engine has a tiny model for the target, the model is run once in a child process, which a faulty driver may
    crash. The result is kept in the user's cache until the engine, the drivers or the user's access to them change.
    """
    problem = obstacle(engine)
    if problem is not None:
        return problem
    try:
        if adapter_of(engine).tiny_model(engine.target) is None:
            return None
    except Exception as error:  # noqa: BLE001  # raised by a plug-in
        return TargetError(f"{engine.module} fails: {type(error).__name__}: {error}")
    version = installed_version(adapter_of(engine).name) or installed_version(engine.module)
    key = digest_of(msgspec.json.encode([__version__, engine, version, drivers()]))
    results = _read_cache()
    result = results.get(key)
    if result is None:
        result = _try(engine)
        _write_cache({**dict(list(results.items())[-_MAX_CACHED:]), key: result})
    return TargetError(result.reason, fix=result.fix) if result.reason else None


def _try(engine: Engine) -> _Result:
    # Imported here: a device with cached results starts some milliseconds sooner without them.
    import tempfile

    from edgeml.core.system.worker import Worker, WorkerCrash

    prefix = f"Target '{engine.target}' does not run a tiny model with {engine.module}"
    with (
        tempfile.TemporaryDirectory(prefix="edgeml-") as folder,
        Worker(f"{Trial.__module__}:Trial", engine, Path(folder)) as child,
    ):
        try:
            child.call("run", returns=type(None), timeout_s=_TIMEOUT_S)
        except WorkerCrash as error:
            return _Result(f"{prefix}: {error.message}", _DRIVER_FIX)
        except EdgemlError as error:
            cause = _PRINTED_ERROR.search(error.log)  # native code gives the reason only on stderr
            return _Result(f"{prefix}: {cause[1] if cause else error.message}", error.fix or _DRIVER_FIX)
    return _Result()


class Trial:
    """A trial, run in a child process by a `Worker`."""

    def __init__(self, settings: Engine) -> None:
        self._engine = settings

    def run(self) -> None:
        """Run the tiny model.

        Raises:
            TargetError: The engine cannot run the model, or returns wrong outputs.
        """
        model = adapter_of(self._engine).tiny_model(self._engine.target)
        assert model is not None
        opener = open_session(self._engine)
        with opener(model.data, model.signature, needs=model.needs, target=self._engine.target) as session:
            output = session.predict(model.sample)
        if not isinstance(output, np.ndarray) or not np.allclose(output, model.expected, atol=_TOLERANCE):
            raise TargetError(f"expected the output {model.expected!s}, got {output!s:.100}.", fix="update the driver.")


def _cache_file() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "edgeml" / "targets.json"


def _read_cache() -> dict[str, _Result]:
    try:
        return msgspec.json.decode(_cache_file().read_bytes(), type=dict[str, _Result])
    except (OSError, RuntimeError, msgspec.DecodeError):  # no file yet, no home folder, or a file of another version
        return {}


def _write_cache(results: dict[str, _Result]) -> None:
    with contextlib.suppress(OSError, RuntimeError, StorageError):  # the next program tries again
        path = _cache_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, msgspec.json.encode(results))
