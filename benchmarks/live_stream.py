"""How soon a live stream is answered, and how fast one whose items are ready.

    python benchmarks/live_stream.py PACKAGE [--json FILE]

Samples come at 30 a second, and in bursts of 10 three times a second: from when each came to its answer. Then 100,000
samples that are ready, by default and gathered without a bound in time, in turn. The bound of the first: 50 ms.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, sleep

import numpy as np
from interleaved import table, write

import edgeml
from edgeml.core.session import Session

ITEMS, READY, TURNS = 90, 100_000, 5


def waits_ms(session: Session, samples: np.ndarray, burst: int) -> np.ndarray:
    """Milliseconds from each sample to its answer, of 30 samples a second in bursts of so many."""
    came: list[float] = []

    def camera() -> Iterator[np.ndarray]:
        for i in range(ITEMS):
            if i % burst == 0:
                sleep(burst / 30)
            came.append(perf_counter())
            yield samples[i % len(samples)]

    answered = [perf_counter() for _ in session.stream(camera())]
    return 1000 * (np.array(answered) - np.array(came))


def ready_s(session: Session, samples: np.ndarray, max_delay_ms: float | None) -> float:
    """Seconds for samples that are ready."""
    begun = perf_counter()
    rows = (samples[i % len(samples)] for i in range(READY))
    assert sum(1 for _ in session.stream(rows, max_delay_ms=max_delay_ms)) == READY
    return perf_counter() - begun


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    package = edgeml.open_package(given.package)
    (samples,) = package.golden_inputs().values()
    rows = []
    for recipe in package.released:
        with package.session(recipe) as session:
            even, bursts = (waits_ms(session, samples, burst) for burst in (1, 10))
            live, gathered = [], []
            for _ in range(TURNS):
                live.append(ready_s(session, samples, 20.0))
                gathered.append(ready_s(session, samples, None))
            rows.append(
                {
                    "artifact": recipe,
                    "median ms": float(np.median(even)),
                    "longest ms": float(even.max()),
                    "longest of bursts ms": float(bursts.max()),
                    "ready s": float(np.median(live)),
                    "gathered s": float(np.median(gathered)),
                    "ratio": float(np.median(np.array(live) / np.array(gathered))),
                }
            )
    print(table(rows))
    write(given.json, rows)


if __name__ == "__main__":
    main()
