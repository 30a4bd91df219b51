"""A child process that runs artifacts, under limits of memory and time."""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Callable
from typing import Any, Self, TypeVar

import msgspec

from edgeml.core.errors import ConversionError, IsolationError, TargetError
from edgeml.core.system.limits import Limits
from edgeml.core.system.locks import ForkSafeLock
from edgeml.core.system.temporary import TemporaryFolder
from edgeml.core.system.worker import Worker, WorkerCrash, WorkerKilled, WorkerTimeout

__all__ = ["Isolation", "NoSettings"]

T = TypeVar("T")

_PROCESS = "edgeml.runtimes.session.isolated_process:IsolatedProcess"  # by name: core does not import runtimes


class NoSettings(msgspec.Struct, frozen=True):
    """Settings of an `IsolatedProcess`, which learns of each artifact by a call."""


class Isolation:
    """A child process for the artifacts of isolated sessions.

    A session has one of its own, or several sessions share one that holds an artifact at a time, which saves the start
    of a process for each. The call after a crash or a time-out starts another child. Threads take turns. A fork of
    this process gets a child of its own. The child ends with `close`, and with this process.

    Args:
        limits: Limits of the child.

    Attributes:
        limits: Limits of the child.
        holder: The artifact that the child holds; None after its end.

    Raises:
        StorageError: Temporary files cannot be written.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.holder: object = None
        self._lock = ForkSafeLock()
        self._closed = False
        self._create_worker()

    def call(self, method: str, *arguments: object, returns: Any, timeout_s: float) -> Any:
        """Call a method of the `IsolatedProcess`, within a function that `exchange` calls.

        Args:
            method: Name of the method.
            arguments: Arguments of the method.
            returns: Type of the result.
            timeout_s: Time after which the child is killed.
        """
        return self._worker.call(
            method, *arguments, returns=returns, timeout_s=timeout_s if math.isfinite(timeout_s) else None
        )

    def exchange(self, calls: Callable[[], T], *, engine: str, closed: Callable[[], TargetError]) -> T:
        """Make calls to the child, for one thread at a time, and translate what goes wrong.

        Args:
            calls: Function that makes the calls. After a kill from outside, the function is called again.
            engine: Name of the engine, for messages.
            closed: Creates the error after `close`.

        Raises:
            IsolationError: The artifact crashed the child, or exceeded a limit.
            TargetError: The engine fails.
            ResourceError: The child cannot be started, or was killed twice.
        """
        with self._lock:
            if self._closed:
                raise closed()
            if self._process != os.getpid():  # a fork leaves the child to its parent
                self._create_worker()
            if not self._worker.is_running:
                self.holder = None
            try:
                try:
                    return calls()
                except WorkerKilled:
                    self.holder = None
                    # A child ends with the thread that started it, so that one such end is not significant.
                    if self._closed:
                        raise
                    return calls()
            except Exception as error:
                if self._closed:  # during the call, by a signal handler
                    raise closed() from error
                known = _known(error, engine)
                if known is error:
                    raise
                raise known from error

    def close(self) -> None:
        """End the child, after the call of another thread; later calls are refused."""
        self._closed = True
        with self._lock:
            self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _create_worker(self) -> None:
        folder = TemporaryFolder()
        self._worker = Worker(_PROCESS, NoSettings(), folder.path)
        self._process, self.holder = os.getpid(), None
        self._finalizer = weakref.finalize(self, _end, self._worker, folder, self._process)


def _known(error: Exception, engine: str) -> Exception:
    """Return the error for the caller."""
    if isinstance(error, WorkerTimeout):
        return IsolationError(
            f"{engine} does not finish the artifact within the time limit: {error.message}",
            fix="do not use the artifact; or, if it is known to be slow, allow more: timeout_s= (--timeout on the "
            "command line).",
            log=error.log,
        )
    if isinstance(error, WorkerCrash):
        return IsolationError(
            f"The artifact ends the engine that runs it, {engine}: {error.message}",
            fix="use another artifact, or build another recipe or batch; or, if this one is known to need much memory, "
            "allow more: memory_mb= (--memory on the command line).",
            log=error.log,
        )
    if isinstance(error, ConversionError):  # an exception that is not edgeml's
        return TargetError(f"{engine} failed to run the artifact: {error.message}", log=error.log)
    if isinstance(error, TargetError):
        error.log = ""  # the child's traceback: the message holds all of it
    return error


def _end(child: Worker, folder: TemporaryFolder, process: int) -> None:
    if os.getpid() == process:  # a fork leaves the child to its parent
        child.close()
        folder.close()
