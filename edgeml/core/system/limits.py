"""Limits of memory and time for a child process that runs an artifact or a model."""

from __future__ import annotations

import contextlib
import math
import resource
import signal
import sys
from collections.abc import Iterator
from numbers import Real
from pathlib import Path
from typing import Self

from msgspec import Struct

from edgeml.core.errors import InputError
from edgeml.core.system.machine import cores

__all__ = ["DEFAULT_TIMEOUT_S", "Limits", "limited_memory", "limited_time"]

DEFAULT_TIMEOUT_S = 30.0  # far above one call of an engine: the slowest, TFLite Micro's, take some seconds
_BASE_MB = 256.0  # buffers of an engine for a model of a few kB
_COPIES = 4.0  # of an artifact in an engine: as loaded, as floats, and packed for the kernels
_ACTIVATIONS = (
    320.0  # memory of a network's activations, in sizes of its inputs and outputs; a net on sound needs above 192
)
_NO_LIMIT_MB = 2.0**40  # more than any machine has, and less than the system can count
_LONGEST_S = 1e9  # thirty years, which the system's timers can count
_THREAD_MB = 16.0  # stack and heap of a thread


class Limits(Struct, frozen=True):
    """Limits of a child process that runs an artifact or a model.

    Attributes:
        memory_mb: Memory in MB above that of the process with its engine and the artifact's bytes; infinite for no
            limit. None for `memory_mb_for`.
        timeout_s: Time in seconds of one call of the engine; infinite for no limit.
    """

    memory_mb: float | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S

    def memory_mb_for(self, size_bytes: int, sample_bytes: int) -> float:
        """Return the memory limit for an artifact; the default depends on its size and on the number of cores.

        Args:
            size_bytes: Size of the artifact.
            sample_bytes: Size of the inputs and outputs of one sample.
        """
        if self.memory_mb is not None:
            return self.memory_mb
        weights_mb, activations_mb = _COPIES * size_bytes / 2**20, _ACTIVATIONS * sample_bytes / 2**20
        return _BASE_MB + weights_mb + cores() * (_THREAD_MB + weights_mb + activations_mb)

    @classmethod
    def checked(cls, memory_mb: float | None, timeout_s: float) -> Self:
        """Return limits that a caller has chosen.

        Raises:
            InputError: A limit is not a number above 0.
        """
        values: tuple[tuple[str, object], ...] = (("memory_mb", memory_mb), ("timeout_s", timeout_s))
        for name, value in values:
            if value is not None and not (isinstance(value, Real) and float(value) > 0):
                raise InputError(f"{name} is {value!r}, expected a number above 0; math.inf for no limit.")
        memory = None if memory_mb is None else float(memory_mb)
        return cls(math.inf if memory is not None and memory > _NO_LIMIT_MB else memory, min(timeout_s, _LONGEST_S))


@contextlib.contextmanager
def limited_memory(memory_mb: float) -> Iterator[None]:
    """Limit the memory that this process may add to what it has: allocations beyond it fail.

    The limit is of private, writable memory (RLIMIT_DATA): address space would count what frameworks reserve and
    never use. It holds for all threads, and for child processes that are started meanwhile.

    Args:
        memory_mb: Memory in MB; infinite for no limit.
    """
    before, most = resource.getrlimit(resource.RLIMIT_DATA)
    if math.isfinite(memory_mb) and sys.platform == "linux":  # elsewhere the present size is not known
        limit = _data_bytes() + int(memory_mb * 2**20)
        for other in (before, most):
            limit = limit if other == resource.RLIM_INFINITY else min(limit, other)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, most))


@contextlib.contextmanager
def limited_time(timeout_s: float) -> Iterator[None]:
    """Let the system kill this process by SIGALRM if the block takes longer, whatever native code does.

    For child processes alone; `Worker` reports the signal as a time-out.

    Args:
        timeout_s: Time in seconds; infinite for no limit.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # a parent that ignores the signal passes that on
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
    signal.setitimer(signal.ITIMER_REAL, min(timeout_s, _LONGEST_S) if math.isfinite(timeout_s) else 0.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def _data_bytes() -> int:
    """Return the size of this process's private, writable memory, as RLIMIT_DATA counts it."""
    fields = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").split()
    return int(fields[fields.index("VmData:") + 1]) * 1024
