"""The pool of lanes, with more takers than items."""

from __future__ import annotations

import threading

import pytest

from edgeml.core.errors import TargetError
from edgeml.runtimes.session.pool import Pool


def test_one_taker_at_a_time_has_an_item() -> None:
    made: list[list[int]] = []
    wrong: list[object] = []

    def make() -> list[int]:
        made.append([])
        return made[-1]

    pool = Pool(make, 2)

    def work(taker: int) -> None:
        for _ in range(2000):
            item = pool.acquire()
            item.append(taker)
            if item != [taker]:
                wrong.append(item)
            item.clear()
            pool.release(item)

    threads = [threading.Thread(target=work, args=(taker,)) for taker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert not wrong
    assert len(made) <= 2


def test_closing_waits_for_an_item_that_is_being_made() -> None:
    begun, finish, closed = threading.Event(), threading.Event(), threading.Event()
    order: list[str] = []

    def make() -> object:
        begun.set()
        finish.wait(10)
        order.append("made")
        return object()

    pool = Pool(make, 1)
    taker = threading.Thread(target=pool.acquire)
    taker.start()
    assert begun.wait(10)

    def close() -> None:
        pool.close()
        order.append("closed")
        closed.set()

    closer = threading.Thread(target=close)
    closer.start()
    assert not closed.wait(0.05)
    finish.set()
    assert closed.wait(10)
    taker.join()
    closer.join()
    assert order == ["made", "closed"]
    with pytest.raises(TargetError, match="closed"):
        pool.acquire()
