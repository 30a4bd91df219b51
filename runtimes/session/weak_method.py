"""Methods that do not hold their object."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar
from weakref import WeakMethod

from .pool import closed_error

__all__ = ["loose"]

Given = ParamSpec("Given")
Result = TypeVar("Result")


def loose(method: Callable[Given, Result]) -> Callable[Given, Result]:
    """A session's method, for what the session itself holds.

    A session that held itself would not go with its last user, but when Python looks for cycles: many later ones may
    be opened, each with an engine's memory, before that.
    """
    held = WeakMethod(method)

    def call(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        found = held()
        if found is None:  # of an interrupted call a thread may still be at work
            raise closed_error()
        return found(*args, **kwargs)

    return call
