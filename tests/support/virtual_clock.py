"""Time that passes only when a call takes it: what is measured is then known."""

from __future__ import annotations

from collections.abc import Callable, Iterator

__all__ = ["VirtualClock"]


class VirtualClock:
    """A clock in nanoseconds, a sleep by it, and calls that take as long as told.

    Args:
        look_ns: What each look at it costs.
        tick_ns: Its resolution.
    """

    def __init__(self, *, look_ns: int = 0, tick_ns: int = 1) -> None:
        self.now = 0
        self.calls = 0
        self._look_ns = look_ns
        self._tick_ns = tick_ns

    def __call__(self) -> int:
        self.now += self._look_ns
        return self.now // self._tick_ns * self._tick_ns

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)

    def call(self, durations_ns: Iterator[float]) -> Callable[[], None]:
        """A call that takes the next of the durations."""

        def work() -> None:
            self.now += round(next(durations_ns))
            self.calls += 1

        return work
