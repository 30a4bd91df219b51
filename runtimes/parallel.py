"""Work on all cores of one process: engines let go of Python's lock while they compute."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["cores", "in_order"]

Task = TypeVar("Task")
Result = TypeVar("Result")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(
    tasks: Sequence[Task],
    work: Callable[[Task], Result],
    workers: int,
    done: Callable[[int], object] | None = None,
) -> list[Result]:
    """The results of tasks, in their order. The caller's thread works too.

    Args:
        tasks: What to work on.
        work: Called from several threads.
        workers: At most so many threads.
        done: Told in the caller's thread how many tasks are done.

    Raises:
        Exception: What the earliest of the failed tasks raised. Later tasks are not begun.
    """
    results: dict[int, Result] = {}
    failures: dict[int, BaseException] = {}
    positions = iter(range(len(tasks)))

    def serve(done: Callable[[int], object] | None = None) -> None:
        position = 0
        try:
            while not failures:
                position = next(positions, -1)
                if position < 0:
                    return
                results[position] = work(tasks[position])
                if done is not None:
                    done(len(results))
        except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
            failures[position] = error

    helpers = min(workers, len(tasks)) - 1
    threads = [threading.Thread(target=serve, name="edgeml", daemon=True) for _ in range(helpers)]
    for thread in threads:
        thread.start()
    serve(done)
    for thread in threads:
        thread.join()
    if failures:
        raise failures[min(failures)]
    if done is not None:
        done(len(tasks))
    return [results[position] for position in range(len(tasks))]
