"""Worker threads that split the tasks of one call. They run in parallel because engines release the GIL."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from edgeml.core.system.locks import ForkSafeLock

if TYPE_CHECKING:
    from queue import SimpleQueue

__all__ = ["WorkerThreads"]

Task = TypeVar("Task")
Result = TypeVar("Result")


class WorkerThreads:
    """Threads that help callers with many tasks.

    Threads are started on first use and kept: starting one takes about 0.25 ms on an idle machine, waking one about
    0.05 ms. A thread serves one caller at a time. Callers never wait for a free thread: they work on the
    tasks themselves.

    Args:
        size: Maximum number of threads.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = ForkSafeLock()
        self._process = 0  # id of the process that started the threads
        self._started = self._idle = 0
        self._jobs: SimpleQueue[Callable[[], None] | None] | None = None
        self._stop: Callable[[], object] | None = None

    def map_ordered(
        self,
        tasks: Sequence[Task],
        work: Callable[[Task], Result],
        workers: int,
        done: Callable[[], object] | None = None,
    ) -> list[Result]:
        """Apply a function to all tasks and return the results in the order of the tasks.

        The caller's thread works too.

        Args:
            tasks: Each is passed to `work`.
            work: The function. Several threads call it.
            workers: Maximum number of threads, including the caller's.
            done: Called in the caller's thread after each task that it ran, and once after all tasks have succeeded.

        Raises:
            Exception: The exception of the earliest failed task. Later tasks are not started.
            BaseException: `KeyboardInterrupt` and the like, which take precedence over any `Exception`.
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
            except BaseException as error:  # noqa: BLE001 - likewise; the key -1 gives it precedence
                failures[-1] = error

        try:
            finished = self._dispatch(serve, min(workers, len(tasks)) - 1)
            serve(done)
            for lock in finished:
                lock.acquire()  # released when the thread has finished its last task
        finally:
            deque(positions, maxlen=0)  # drain the iterator, so that threads start no further task
        if failures:
            error = failures[min(failures)]
            failures.clear()
            try:
                raise error
            finally:
                del error  # its traceback holds this frame, and with it the caller's arguments
        if done is not None:
            done()
        return [results[position] for position in range(len(tasks))]

    def close(self) -> None:
        """Let the threads end when they have finished their tasks."""
        with self._lock:
            self._size = self._idle = 0
            if self._stop is not None:
                self._stop()

    def _dispatch(self, serve: Callable[[], None], count: int) -> list[threading.Lock]:
        """Run `serve` on at most `count` idle or new threads; return locks that they release when they finish."""
        locks: list[threading.Lock] = []
        if count < 1:
            return locks
        with self._lock:
            jobs = self._jobs
            if jobs is None or self._process != os.getpid():  # a fork does not inherit its parent's threads
                jobs = self._reset()
            for _ in range(count):
                if self._idle:
                    self._idle -= 1
                elif self._started < self._size:
                    try:
                        threading.Thread(target=_run_jobs, args=(jobs,), name="edgeml", daemon=True).start()
                    except RuntimeError:  # the system's limit is reached, or the program is ending
                        break
                    self._started += 1
                else:
                    break
                finished = threading.Lock()
                finished.acquire()
                jobs.put(partial(self._run_and_release, serve, finished))
                locks.append(finished)
        return locks

    def _run_and_release(self, serve: Callable[[], None], finished: threading.Lock) -> None:
        serve()
        with self._lock:
            if self._size:
                self._idle += 1
        finished.release()

    def _reset(self) -> SimpleQueue[Callable[[], None] | None]:
        """Forget all threads and create a new job queue; return the queue."""
        from queue import SimpleQueue  # not loaded by programs that run one sample at a time

        self._process = os.getpid()
        self._started = self._idle = 0
        jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        stop = weakref.finalize(self, jobs.put, None)
        stop.atexit = False
        self._jobs, self._stop = jobs, stop
        return jobs


def _run_jobs(jobs: SimpleQueue[Callable[[], None] | None]) -> None:
    """Run jobs until a None arrives.

    A thread does not refer to its `WorkerThreads`, so that this can be garbage-collected, which puts the None.
    """
    while (job := jobs.get()) is not None:
        job()
        del job  # releases the caller's arguments while the thread is idle
    jobs.put(None)  # for the next thread
