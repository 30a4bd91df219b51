"""The timed work: queries of a package's golden inputs to a session."""

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
from edgeml.measurement.subject import Measurable
from edgeml.measurement.timing import Call, Clock

__all__ = ["choose_offline_batch", "make_opener", "make_query", "make_server"]

_OFFLINE_S = 0.05
_MAX_SAMPLES = 4096
_MAX_BYTES = 2**26
_PILOTS = 5


def make_query(session: Session, samples: Mapping[str, np.ndarray], batch: int) -> Call:
    """Return a call that predicts a batch; successive calls go through the samples in a cycle.

    Args:
        session: Session to predict with.
        samples: Arrays ``[samples, ...]`` by input name.
        batch: Samples per query.
    """
    count = len(next(iter(samples.values())))
    query_count = min(math.lcm(count, batch) // batch, max(1, int(_MAX_BYTES // (_sample_bytes(samples) * batch))))
    selections = [np.arange(index * batch, (index + 1) * batch) % count for index in range(query_count)]
    queries = [{name: array[selection] for name, array in samples.items()} for selection in selections]
    predict = session.predict
    data = itertools.cycle([next(iter(inputs.values())) for inputs in queries] if len(samples) == 1 else queries)
    return lambda: predict(next(data))


def make_server(session: Session, samples: Mapping[str, np.ndarray]) -> Server:
    """Return a call that predicts a number of queries, of one sample each, as one batch.

    Args:
        session: Session to predict with.
        samples: Arrays ``[samples, ...]`` by input name.
    """
    count = len(next(iter(samples.values())))
    queries = itertools.cycle([{name: array[i : i + 1] for name, array in samples.items()} for i in range(count)])
    predict, only_name = session.predict, next(iter(samples)) if len(samples) == 1 else None

    def serve(number: int) -> object:
        if number == 1:
            inputs = next(queries)
        else:
            batch = list(itertools.islice(queries, number))
            inputs = {name: np.concatenate([query[name] for query in batch]) for name in samples}
        return predict(inputs if only_name is None else inputs[only_name])

    return serve


def choose_offline_batch(session: Session, samples: Mapping[str, np.ndarray], clock_ns: Clock) -> int:
    """Return the power of two of samples that takes about a twentieth of a second one by one, within a memory limit."""
    call = make_query(session, samples, 1)
    call()
    times = []
    for _ in range(_PILOTS):
        start = clock_ns()
        call()
        times.append(clock_ns() - start)
    fitting = _OFFLINE_S * 1e9 / max(1, sorted(times)[_PILOTS // 2])
    limit = min(_MAX_SAMPLES, _MAX_BYTES / _sample_bytes(samples))
    return int(2 ** math.floor(math.log2(max(1.0, min(fitting, limit)))))


def make_opener(package: Measurable, case: Case) -> Opener:
    """Return a context manager factory for the case's query; each context opens its own session."""

    @contextlib.contextmanager
    def open_query() -> Iterator[Call]:
        sizes = case.sizes_for(package)
        with package.session(case.artifact, target=case.target, threads=case.threads, sizes=sizes) as session:
            yield make_query(session, package.golden_inputs(sizes), case.batch or 1)

    return open_query


def _sample_bytes(samples: Mapping[str, np.ndarray]) -> float:
    return max(1.0, sum(array.nbytes / len(array) for array in samples.values()))
