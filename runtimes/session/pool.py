"""A pool of objects that are not thread-safe."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from edgeml.core.errors import TargetError
from edgeml.core.system.locks import ForkSafeLock

if TYPE_CHECKING:
    from queue import SimpleQueue

__all__ = ["Pool", "closed_error"]

Item = TypeVar("Item")


class Pool(Generic[Item]):
    """Objects for one thread at a time, created on demand. Callers beyond the limit wait.

    The object that was released last is acquired first: the core's cache still holds it.

    Args:
        create: Creates an object.
        limit: Maximum number of objects alive at once.
    """

    def __init__(self, create: Callable[[], Item], limit: int) -> None:
        self._create: Callable[[], Item] | None = create
        self._limit = self._left = limit
        self._process = os.getpid()
        self._idle: list[Item] = []  # append and pop are atomic
        self._pop = self._idle.pop
        self._lock = ForkSafeLock()
        self._waiting = 0
        self._handed: SimpleQueue[Item | None] | None = None

    def acquire(self) -> Item:
        """Return an object for the caller alone until `release`.

        Raises:
            TargetError: The pool is closed, or the object cannot be created.
        """
        try:
            return self._pop()
        except IndexError:
            return self._create_or_wait()

    def release(self, item: Item) -> None:
        """Return an object to the pool."""
        # First append, then look for waiting callers: a caller counts itself as waiting before it looks for an object
        # once more.
        self._idle.append(item)
        if self._waiting:
            self._hand_over()
        if self._create is None:
            self._idle.clear()

    def close(self) -> None:
        """Release idle objects now and borrowed ones on return."""
        with self._lock:  # no object is being created when this ends
            self._create = None
            self._idle.clear()
            for _ in range(self._waiting):
                self._queue().put(None)
            self._waiting = 0

    def _hand_over(self) -> None:
        with self._lock:
            if self._waiting and self._idle:
                try:
                    item = self._pop()
                except IndexError:  # another caller was faster, and releases the object in its turn
                    return
                self._waiting -= 1
                self._queue().put(item)

    def _create_or_wait(self) -> Item:
        with self._lock:
            if self._create is None:
                raise closed_error()
            if self._process != os.getpid():  # the parent's threads, which hold objects, do not exist in a fork
                self._process, self._left = os.getpid(), self._limit - len(self._idle)
                self._waiting, self._handed = 0, None
            if self._left > 0:
                item = self._create()
                self._left -= 1
                return item
            self._waiting += 1
            queue = self._queue()
            try:
                item = self._pop()
            except IndexError:
                pass
            else:
                self._waiting -= 1
                return item
        handed = queue.get()
        if handed is None:
            raise closed_error()
        return handed

    def _queue(self) -> SimpleQueue[Item | None]:
        """Return the queue of waiting callers, created under the lock when the first one waits."""
        if self._handed is None:
            from queue import SimpleQueue

            self._handed = SimpleQueue()
        return self._handed


def closed_error() -> TargetError:
    """Return the error for the use of a closed session."""
    return TargetError("The session is closed.", fix="open another: package.session(recipe).")
