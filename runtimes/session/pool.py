"""Things that one thread uses at a time, lent to several."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from edgeml.core.errors import TargetError

if TYPE_CHECKING:
    from queue import SimpleQueue

__all__ = ["Pool", "closed_error"]

Item = TypeVar("Item")


class Pool(Generic[Item]):
    """Lends items, and makes them when they are first needed. Takers beyond the limit wait.

    What was given back last is lent first: it is what the core's cache still holds.

    Args:
        make: Makes an item.
        limit: At most so many.
    """

    def __init__(self, make: Callable[[], Item], limit: int) -> None:
        self._make: Callable[[], Item] | None = make
        self._left = limit
        self._idle: list[Item] = []  # whose append and pop need no lock
        self._pop = self._idle.pop
        self._lock = threading.Lock()
        self._waiting = 0
        self._handed: SimpleQueue[Item | None] | None = None

    def take(self) -> Item:
        """An item, for the caller alone until `give`.

        Raises:
            TargetError: The pool is closed, or the item cannot be made.
        """
        try:
            return self._pop()
        except IndexError:
            return self._another()

    def give(self, item: Item) -> None:
        """Takes an item back."""
        # First the item, then the look at who waits: a taker says that it waits before it looks for an item once more.
        self._idle.append(item)
        if self._waiting:
            self._hand_over()
        if self._make is None:
            self._idle.clear()

    def close(self) -> None:
        """Lets go of all items; those that are lent, when they are given back."""
        with self._lock:  # no item is being made when this is over
            self._make = None
            self._idle.clear()
            for _ in range(self._waiting):
                self._queue().put(None)
            self._waiting = 0

    def _hand_over(self) -> None:
        with self._lock:
            if self._waiting and self._idle:
                try:
                    item = self._pop()
                except IndexError:  # another taker was faster, and gives it back in its turn
                    return
                self._waiting -= 1
                self._queue().put(item)

    def _another(self) -> Item:
        with self._lock:
            if self._make is None:
                raise closed_error()
            if self._left > 0:
                made = self._make()
                self._left -= 1
                return made
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
        """What waiting takers are handed. Made under the lock, when the first one waits."""
        if self._handed is None:
            from queue import SimpleQueue

            self._handed = SimpleQueue()
        return self._handed


def closed_error() -> TargetError:
    """The error of using a session after its end."""
    return TargetError("The session is closed.", fix="open another: package.session(recipe).")
