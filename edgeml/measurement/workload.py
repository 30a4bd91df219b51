"""What is timed: queries of a package's golden inputs to a session."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator, Mapping

import numpy as np

from edgeml.core.session import Session
from edgeml.measurement.cases import Case
from edgeml.measurement.comparison import Opener
from edgeml.measurement.scenarios import Server
from edgeml.measurement.subject import Packaged
from edgeml.measurement.timing import Call, Clock

__all__ = ["offline_batch", "opener", "query", "server"]

_OFFLINE_S = 0.05
_MOST_SAMPLES = 4096
_MOST_BYTES = 2**26
_PILOTS = 5


def query(session: Session, samples: Mapping[str, np.ndarray], batch: int) -> Call:
    """A call of `predict` on so many samples; each goes on where the last one ended, and after the last at the first.

    Args:
        session: What runs it.
        samples: Arrays ``[samples, ...]`` by input name.
        batch: Samples a query.
    """
    count = len(next(iter(samples.values())))
    turns = min(math.lcm(count, batch) // batch, max(1, int(_MOST_BYTES // (_sample_bytes(samples) * batch))))
    rows = [np.arange(turn * batch, (turn + 1) * batch) % count for turn in range(turns)]
    queries = [{name: array[row] for name, array in samples.items()} for row in rows]
    predict = session.predict
    data = itertools.cycle([next(iter(each.values())) for each in queries] if len(samples) == 1 else queries)
    return lambda: predict(next(data))


def server(session: Session, samples: Mapping[str, np.ndarray]) -> Server:
    """A call of `predict` on so many queries of one sample each, which it gathers into one array.

    Args:
        session: What runs it.
        samples: Arrays ``[samples, ...]`` by input name.
    """
    count = len(next(iter(samples.values())))
    queries = itertools.cycle([{name: array[i : i + 1] for name, array in samples.items()} for i in range(count)])
    predict, lone = session.predict, next(iter(samples)) if len(samples) == 1 else None

    def serve(number: int) -> object:
        if number == 1:
            given = next(queries)
        else:
            taken = list(itertools.islice(queries, number))
            given = {name: np.concatenate([one[name] for one in taken]) for name in samples}
        return predict(given if lone is None else given[lone])

    return serve


def offline_batch(session: Session, samples: Mapping[str, np.ndarray], clock_ns: Clock) -> int:
    """The power of two of samples that takes about a twentieth of a second one by one, within what memory allows."""
    one = query(session, samples, 1)
    one()
    times = []
    for _ in range(_PILOTS):
        start = clock_ns()
        one()
        times.append(clock_ns() - start)
    wanted = _OFFLINE_S * 1e9 / max(1, sorted(times)[_PILOTS // 2])
    most = min(_MOST_SAMPLES, _MOST_BYTES / _sample_bytes(samples))
    return int(2 ** math.floor(math.log2(max(1.0, min(wanted, most)))))


def opener(package: Packaged, case: Case) -> Opener:
    """Makes the case's query ready, with a session of its own each time."""

    @contextlib.contextmanager
    def ready() -> Iterator[Call]:
        with package.session(case.artifact, target=case.target, threads=case.threads) as session:
            yield query(session, package.golden_inputs(), case.batch or 1)

    return ready


def _sample_bytes(samples: Mapping[str, np.ndarray]) -> float:
    return max(1.0, sum(array.nbytes / len(array) for array in samples.values()))
