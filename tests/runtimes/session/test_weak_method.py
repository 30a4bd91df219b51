from __future__ import annotations

import weakref

import pytest

from edgeml.core.errors import TargetError
from edgeml.runtimes.session.weak_method import loose


class Counter:
    """An object whose method something that it holds may call."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, number: int, *, times: int = 1) -> int:
        self.count += number * times
        return self.count


def test_a_call_reaches_the_object() -> None:
    counter = Counter()
    add = loose(counter.add)
    assert add(2) == 2
    assert add(3, times=2) == 8
    assert counter.count == 8


@pytest.mark.usefixtures("no_cycles_found")
def test_the_object_goes_with_its_last_user_and_then_the_method_fails() -> None:
    counter = Counter()
    add, gone = loose(counter.add), weakref.ref(counter)
    del counter
    assert gone() is None
    with pytest.raises(TargetError, match="The session is closed"):
        add(1)
