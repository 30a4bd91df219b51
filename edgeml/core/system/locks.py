"""Locks that survive signal handlers and forks."""

from __future__ import annotations

import os
import threading

__all__ = ["ForkSafeLock", "lock_file"]


class ForkSafeLock:
    """A lock for short sections, which signal handlers and forks may interrupt.

    The lock is re-entrant, since a signal handler that closes a session runs in the thread that holds the lock. A
    forked process gets a new lock: threads of the parent, which may hold the old one, do not exist in the child.
    """

    def __init__(self) -> None:
        self._lock, self._process = threading.RLock(), os.getpid()

    def acquire(self, *, blocking: bool = True) -> bool:
        """Acquire the lock; return whether that succeeded."""
        process = os.getpid()
        if self._process != process:
            self._lock, self._process = threading.RLock(), process
        return self._lock.acquire(blocking)

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def lock_file(descriptor: int, *, wait: bool = True) -> None:
    """Lock an open file or folder for this process and those that inherit the descriptor.

    Args:
        descriptor: The file or folder.
        wait: Whether to wait while another process holds the lock.

    Raises:
        BlockingIOError: Another process holds the lock, and `wait` is false.
    """
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
