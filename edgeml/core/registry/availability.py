"""Whether an engine runs on this machine's accelerator: tried once by a tiny model, in a process of its own."""

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
_TOLERANCE = 1e-2  # of a GPU that computes in float16, on values up to 8
_MOST_RESULTS = 256
_PRINTED = re.compile(r"^ERROR: (?:\[[^]]*\] )?(.+)", re.MULTILINE)
_FIX = "install another version of the driver, or of the engine."


class _Result(Struct, frozen=True, omit_defaults=True):
    """What came of a trial: the reason and the fix, or neither where the engine runs."""

    reason: str = ""
    fix: str = ""


def unavailable(engine: Engine) -> EdgemlError | None:
    """Why an engine does not run on this machine; None where it does.

    Where the engine has a tiny model for the target, that is run once in a child process, which drivers may take down.
    The result is kept in the user's cache for as long as the engine, the drivers and what the user may reach stay.
    """
    problem = obstacle(engine)
    if problem is not None:
        return problem
    try:
        if adapter_of(engine).tiny_model(engine.target) is None:
            return None
    except Exception as error:  # noqa: BLE001  # of a plug-in
        return TargetError(f"{engine.module} fails: {type(error).__name__}: {error}")
    version = installed_version(adapter_of(engine).name) or installed_version(engine.module)
    key = digest_of(msgspec.json.encode([__version__, engine, version, drivers()]))
    known = _kept()
    result = known.get(key)
    if result is None:
        result = _tried(engine)
        _keep({**dict(list(known.items())[-_MOST_RESULTS:]), key: result})
    return TargetError(result.reason, fix=result.fix) if result.reason else None


def _tried(engine: Engine) -> _Result:
    # Imported here: a device whose results are known starts without them, some milliseconds sooner.
    import tempfile

    from edgeml.core.system.worker import Worker, WorkerCrash

    where = f"Target '{engine.target}' does not run a tiny model by {engine.module}"
    with (
        tempfile.TemporaryDirectory(prefix="edgeml-") as folder,
        Worker(f"{Trial.__module__}:Trial", engine, Path(folder)) as child,
    ):
        try:
            child.call("run", returns=type(None), timeout_s=_TIMEOUT_S)
        except WorkerCrash as error:
            return _Result(f"{where}: {error.message}", _FIX)
        except EdgemlError as error:
            printed = _PRINTED.search(error.log)  # native code says why on stderr alone
            return _Result(f"{where}: {printed[1] if printed else error.message}", error.fix or _FIX)
    return _Result()


class Trial:
    """The child's side of a trial, in a `Worker`."""

    def __init__(self, settings: Engine) -> None:
        self._engine = settings

    def run(self) -> None:
        """Run the tiny model.

        Raises:
            TargetError: The engine does not take it, or gives wrong answers.
        """
        model = adapter_of(self._engine).tiny_model(self._engine.target)
        assert model is not None
        opened = open_session(self._engine)(model.data, model.signature, needs=model.needs, target=self._engine.target)
        with opened as session:
            found = session.predict(model.sample)
        if not isinstance(found, np.ndarray) or not np.allclose(found, model.expected, atol=_TOLERANCE):
            raise TargetError(f"It gives {found!s:.100} in place of {model.expected!s}.", fix="update the driver.")


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "edgeml" / "targets.json"


def _kept() -> dict[str, _Result]:
    try:
        return msgspec.json.decode(_cache().read_bytes(), type=dict[str, _Result])
    except (OSError, RuntimeError, msgspec.DecodeError):  # none yet, no home, or another version's
        return {}


def _keep(results: dict[str, _Result]) -> None:
    with contextlib.suppress(OSError, RuntimeError, StorageError):  # then the next program tries again
        path = _cache()
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, msgspec.json.encode(results))
