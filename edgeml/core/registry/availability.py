"""Availability of engines on this machine, tested by a trial: a tiny model in a child process.

The user's cache keeps the result of a trial: success until the engine, its plug-in, the drivers or the variables that
select devices change; failure for a few minutes, since its cause may pass or be mended without a trace.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from edgeml._version import __version__
from edgeml.core.engine import TinyModel
from edgeml.core.errors import EdgemlError, ResourceError, StorageError, TargetError
from edgeml.core.registry.engines import adapter_of, obstacle, open_session
from edgeml.core.registry.tables import Engine
from edgeml.core.system.digest import digest_of
from edgeml.core.system.files import atomic_write
from edgeml.core.system.machine import drivers, installed_version

__all__ = ["Trial", "unavailable"]

_TIMEOUT_S = 60.0
_FAILURE_LIFETIME_S = 300.0  # programs that start often do not wait for each trial; a mended device is soon used
_TOLERANCE = 1e-2  # of a GPU that computes in float16, on values up to 8
_MOST_RESULTS = 256
_PRINTED = re.compile(r"^ERROR: (?:\[[^]]*\] )?(.+)", re.MULTILINE)
_FIX = "install another version of the driver, or of the engine."


class _Result(Struct, frozen=True, omit_defaults=True):
    """Result of a trial.

    Attributes:
        reason: Reason of the failure; empty for success.
        fix: Fix for the failure.
        failed_s: Unix time of the failure, in seconds.
    """

    reason: str = ""
    fix: str = ""
    failed_s: float = 0.0

    def is_valid(self, now_s: float) -> bool:
        """Return whether the result still holds."""
        return not self.reason or 0 <= now_s - self.failed_s < _FAILURE_LIFETIME_S  # the clock may have been set back


def unavailable(engine: Engine) -> EdgemlError | None:
    """Return the reason why an engine does not run on this machine; None where it does.

    Where the engine has a tiny model for the target, that is run in a child process, which a driver may abort. All
    exceptions become the reason, since one broken engine must not hide the others.
    """
    try:
        return _find_problem(engine)
    except EdgemlError as error:
        return error
    except (Exception, SystemExit) as error:  # noqa: BLE001  # of a plug-in, or of a machine without resources
        name = engine.distribution or engine.module
        reason = f"{type(error).__name__}: {error}"
        return TargetError(f"Target '{engine.target}' by {name} cannot be tested: {reason}")


def _find_problem(engine: Engine) -> EdgemlError | None:
    problem = obstacle(engine)
    if problem is not None:
        return problem
    name = engine.distribution or engine.module
    try:
        model: object = adapter_of(engine).tiny_model(engine.target)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # of a plug-in
        return TargetError(f"{name} fails: {type(error).__name__}: {error}")
    if model is None:
        return None
    if not isinstance(model, TinyModel):
        return TargetError(f"{name}: tiny_model() returned {model!r:.200}, expected None or a TinyModel.")
    key = _key(engine)
    now_s = time.time()
    result = _read_results().get(key)
    age = ""
    if result is not None and result.is_valid(now_s):
        left_s = result.failed_s + _FAILURE_LIFETIME_S - now_s
        age = f" (tested {now_s - result.failed_s:.0f} s ago; the next test is possible in {left_s:.0f} s)"
    else:
        result, is_lasting = _run_trial(engine)
        if is_lasting:
            _write_result(key, result)
    return TargetError(f"{result.reason.rstrip('.')}{age}.", fix=result.fix) if result.reason else None


def _key(engine: Engine) -> str:
    """Return a digest of all that may change the result of a trial."""
    version = installed_version(adapter_of(engine).name) or installed_version(engine.module)
    plugin_version = installed_version(engine.distribution) if engine.distribution else None
    return digest_of(msgspec.json.encode([__version__, engine, version, plugin_version, drivers()]))


def _run_trial(engine: Engine) -> tuple[_Result, bool]:
    """Run a trial.

    Returns:
        The result, and whether to keep it. Timeouts, kills and a child that does not start tell more about the load of
        the machine than about the engine.
    """
    # Imported here: a device whose results are known starts without them, some milliseconds sooner.
    from edgeml.core.system.temporary import TemporaryFolder
    from edgeml.core.system.worker import Worker, WorkerCrash, WorkerTimeout

    where = f"Target '{engine.target}' does not run a tiny model with {engine.module}"
    try:
        with (
            TemporaryFolder() as folder,
            Worker(f"{Trial.__module__}:Trial", engine, folder) as child,
        ):
            child.call("run", returns=type(None), timeout_s=_TIMEOUT_S)
    except WorkerCrash as error:
        return _Result(f"{where}: {error.message}", _FIX, time.time()), not isinstance(error, WorkerTimeout)
    except (ResourceError, StorageError) as error:
        return _Result(f"{where}: {error.message}", error.fix, time.time()), False
    except EdgemlError as error:
        printed = _PRINTED.search(error.log)  # native code prints the reason on stderr only
        return _Result(f"{where}: {printed[1] if printed else error.message}", error.fix or _FIX, time.time()), True
    return _Result(), True


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


def _cache() -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not root.is_absolute():  # relative paths are invalid (XDG Base Directory Specification 0.8)
        root = Path.home() / ".cache"
    return root / "edgeml" / "targets.json"


def _read_results() -> dict[str, _Result]:
    """Read the results; none from a cache that is missing, damaged or of another version, which costs a trial."""
    try:
        return msgspec.json.decode(_cache().read_bytes(), type=dict[str, _Result])
    except (OSError, RuntimeError, ValueError, msgspec.DecodeError):  # RuntimeError: the user has no home
        return {}


def _write_result(key: str, result: _Result) -> None:
    """Add a result to those of the cache, which another process may have changed during the trial."""
    now_s = time.time()
    results = {other: kept for other, kept in _read_results().items() if other != key and kept.is_valid(now_s)}
    results = {**dict(list(results.items())[1 - _MOST_RESULTS :]), key: result}
    with contextlib.suppress(OSError, RuntimeError, ValueError, StorageError):  # then the next program tries again
        path = _cache()
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, msgspec.json.encode(results))
