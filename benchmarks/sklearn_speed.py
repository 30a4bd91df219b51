"""Sessions beside scikit-learn itself: a logistic-regression pipeline and a forest of 100 trees, on digits.

    python benchmarks/sklearn_speed.py [--json FILE]

One sample and 10,000, `predict` of each artifact beside `predict_proba`, in turn. The bounds: 20 times as fast on one
sample; twice as fast on 10,000 for the pipeline by one of its artifacts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from interleaved import table, timed, write
from nets import ESTIMATORS, packed


def main() -> None:
    """Fits, builds, measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    for name in ESTIMATORS:
        package, model, x = packed(name)
        for count, runs in ((1, 10), (10_000, 1)):
            some = np.resize(x, (count, x.shape[1]))
            sessions = {recipe: package.session(recipe) for recipe in package.released}
            calls = {
                recipe: lambda session=session, some=some: session.predict(some) for recipe, session in sessions.items()
            }
            found = timed(
                calls | {"source": lambda model=model, some=some: model.predict_proba(some)},
                rounds=given.rounds,
                runs=runs,
            )
            rows += [
                {
                    "model": name,
                    "samples": count,
                    "artifact": recipe,
                    "scikit-learn us": float(np.median(found["source"])),
                    "ours us": float(np.median(found[recipe])),
                    "times as fast": float(np.median(found["source"] / found[recipe])),
                }
                for recipe in sessions
            ]
    print(table(rows))
    write(given.json, rows)


if __name__ == "__main__":
    main()
