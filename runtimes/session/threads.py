"""Work on all cores of one process: engines let go of Python's lock while they compute."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from queue import SimpleQueue

__all__ = ["Crew"]

Task = TypeVar("Task")
Result = TypeVar("Result")


class Crew:
    """Threads that help callers with many tasks.

    They are started when they are first needed, and kept: starting one takes a quarter of a millisecond where the
    machine was idle, waking one a fifth of that. A helper serves one caller at a time. Callers never wait for one:
    they do what nobody helps with themselves.

    Args:
        size: Helpers, at most.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._process = 0  # whose threads the helpers are: none's so far
        self._started = self._idle = 0
        self._jobs: SimpleQueue[Callable[[], None] | None] | None = None
        self._dismiss: Callable[[], object] | None = None

    def in_order(
        self,
        tasks: Sequence[Task],
        work: Callable[[Task], Result],
        workers: int,
        done: Callable[[], object] | None = None,
    ) -> list[Result]:
        """The results of tasks, in their order. The caller's thread works too.

        Args:
            tasks: What to work on.
            work: Called from several threads.
            workers: At most so many threads, the caller's among them.
            done: Called in the caller's thread after each of its tasks, and at the end.

        Raises:
            Exception: What the earliest of the failed tasks raised. Later tasks are not begun.
            KeyboardInterrupt: And the like, whatever else failed.
        """
        results: dict[int, Result] = {}
        failures: dict[int, BaseException] = {}
        positions = iter(range(len(tasks)))

        def serve(done: Callable[[], object] | None = None) -> None:
            position = 0
            try:
                while not failures:
                    position = next(positions, -1)
                    if position < 0:
                        return
                    results[position] = work(tasks[position])
                    if done is not None:
                        done()
            except Exception as error:  # noqa: BLE001 - raised again by the caller's thread
                failures[position] = error
            except BaseException as error:  # noqa: BLE001 - likewise, before all others
                failures[-1] = error

        try:
            helping = self._hired(serve, min(workers, len(tasks)) - 1)
            serve(done)
            for helper in helping:
                helper.acquire()  # until it has done its last task
        finally:
            deque(positions, maxlen=0)  # whose caller was interrupted begins no other
        if failures:
            error = failures[min(failures)]
            failures.clear()
            try:
                raise error
            finally:
                del error  # its traceback holds this frame, and with it what the caller gave
        if done is not None:
            done()
        return [results[position] for position in range(len(tasks))]

    def close(self) -> None:
        """Lets the helpers end, when they have nothing left to do."""
        with self._lock:
            self._size = self._idle = 0
            if self._dismiss is not None:
                self._dismiss()

    def _hired(self, serve: Callable[[], None], wanted: int) -> list[threading.Lock]:
        """Sets helpers to work, as many as are free; each lock is let go of when its helper has come to the end."""
        helping: list[threading.Lock] = []
        if wanted < 1:
            return helping
        with self._lock:
            jobs = self._jobs
            if jobs is None or self._process != os.getpid():  # a fork has none of its parent's threads
                jobs = self._assemble()
            for _ in range(wanted):
                if self._idle:
                    self._idle -= 1
                elif self._started < self._size:
                    try:
                        threading.Thread(target=_wait, args=(jobs,), name="edgeml", daemon=True).start()
                    except RuntimeError:  # the system gives no more threads, or the program is ending
                        break
                    self._started += 1
                else:
                    break
                ended = threading.Lock()
                ended.acquire()
                jobs.put(partial(self._help, serve, ended))
                helping.append(ended)
        return helping

    def _help(self, serve: Callable[[], None], ended: threading.Lock) -> None:
        serve()
        with self._lock:
            if self._size:
                self._idle += 1
        ended.release()

    def _assemble(self) -> SimpleQueue[Callable[[], None] | None]:
        """Begins without helpers; gives the queue of their jobs."""
        from queue import SimpleQueue  # not needed by those who run one sample at a time

        self._process = os.getpid()
        self._started = self._idle = 0
        jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        dismiss = weakref.finalize(self, jobs.put, None)
        dismiss.atexit = False
        self._jobs, self._dismiss = jobs, dismiss
        return jobs


def _wait(jobs: SimpleQueue[Callable[[], None] | None]) -> None:
    """What a helper does. It knows nothing of its crew, whose end is the last job."""
    while (job := jobs.get()) is not None:
        job()
        del job  # and with it what the caller gave, while there is nothing to do
    jobs.put(None)  # for the next helper
