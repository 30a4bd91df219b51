"""Isolated sessions beside sessions in this process: calls of 1 and 64 samples, opening, and memory.

python benchmarks/isolation.py PACKAGE... [--artifact RECIPE]... [--rounds 30] [--json FILE]

Calls are timed in turn, opening from `session` to the first answer. Memory is that of the child process at its most,
beside that which this process has. The answers must be equal, bit for bit.
"""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path
from time import perf_counter_ns

import numpy as np
from interleaved import table, timed, write
from peak_memory import children, peak_mb

import edgeml

COUNTS = (1, 64)
OPENINGS = 5


def opening_ms(package: edgeml.Package, recipe: str, x: object, *, isolated: bool) -> float:
    """Median of the milliseconds from opening to the first answer."""
    times = []
    for _ in range(OPENINGS):
        begin = perf_counter_ns()
        with package.session(recipe, isolated=isolated) as session:
            session.predict(x)
        times.append((perf_counter_ns() - begin) / 1e6)
    return float(np.median(times))


def row_of(package: edgeml.Package, recipe: str, rounds: int) -> dict:
    """One artifact."""
    golden = package.golden_inputs()
    data = {}
    for count in COUNTS:
        arrays = {name: array[np.arange(count) % len(array)] for name, array in golden.items()}
        data[count] = arrays if len(arrays) > 1 else next(iter(arrays.values()))
    row: dict = {"net": package.name, "artifact": recipe}
    with package.session(recipe) as here, package.session(recipe, isolated=True) as isolated:
        for count, x in data.items():
            if not np.array_equal(np.asarray(here.predict(x)), np.asarray(isolated.predict(x))):
                raise SystemExit(f"{package.name}, {recipe}: the answers differ.")
            calls = {"here": partial(here.predict, x), "isolated": partial(isolated.predict, x)}
            times = timed(calls, rounds=rounds, runs=max(1, 64 // count))
            row |= {f"{name} us, {count}": float(np.median(values)) for name, values in times.items()}
        (child,) = children(os.getpid()) - {os.getpid()}
        row["child MB"] = peak_mb(child)
    row |= {
        "opening here ms": opening_ms(package, recipe, data[1], isolated=False),
        "opening isolated ms": opening_ms(package, recipe, data[1], isolated=True),
    }
    return row


def main() -> None:
    """Measures each artifact, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path, nargs="+")
    parser.add_argument("--artifact", action="append", metavar="RECIPE", help="repeatable; all released by default")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    for path in given.packages:
        package = edgeml.open_package(path)
        rows += [row_of(package, recipe, given.rounds) for recipe in given.artifact or package.released]
    print(table(rows))
    write(given.json, rows)


if __name__ == "__main__":
    main()
