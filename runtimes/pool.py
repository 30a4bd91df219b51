"""Things that one thread uses at a time, lent to several."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from edgeml.core.errors import TargetError

__all__ = ["Pool"]

Item = TypeVar("Item")


class Pool(Generic[Item]):
    """Lends items, and makes them when they are first needed. Takers beyond the limit wait.

    Args:
        make: Makes an item.
        limit: At most so many.
    """

    def __init__(self, make: Callable[[], Item], limit: int) -> None:
        self._make: Callable[[], Item] | None = make
        self._left = limit
        self._lock = threading.Lock()
        self._idle: SimpleQueue[Item | None] = SimpleQueue()
        self._get = self._idle.get_nowait

    def take(self) -> Item:
        """An item, for the caller alone until `give`.

        Raises:
            TargetError: The pool is closed, or the item cannot be made.
        """
        try:
            item = self._get()
        except Empty:
            item = self._another()
        if item is None:
            self._idle.put(None)  # for the next taker
            raise TargetError("The session is closed.", fix="open another: package.session(recipe).")
        return item

    def give(self, item: Item) -> None:
        """Takes an item back."""
        if self._make is not None:
            self._idle.put(item)

    def close(self) -> None:
        """Lets go of all items; those that are lent, when they are given back."""
        self._make = None
        while True:
            try:
                self._get()
            except Empty:
                break
        self._idle.put(None)

    def _another(self) -> Item | None:
        with self._lock:
            if self._make is not None and self._left > 0:
                item = self._make()
                self._left -= 1
                return item
        return self._idle.get()
