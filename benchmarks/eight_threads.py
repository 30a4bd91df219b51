"""Eight threads on one session for half a minute: single samples, batches and streams, every answer compared.

python benchmarks/eight_threads.py PACKAGE [--target cpu] [--artifact RECIPE]... [--seconds 30] [--json FILE] [--add]

Needs the base package and an engine of the target, no more. Ends with 1 where an answer was wrong, or a call failed.
With `--add` the rows join those of other engines, which need not be installed together, in FILE.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from pathlib import Path

import numpy as np
from interleaved import table, write

import edgeml
from edgeml.core.errors import EdgemlError
from edgeml.core.session import Session

THREADS = 8


def row_of(session: Session, recipe: str, seconds: float) -> dict:
    """How many answers one artifact gave, and how many of them were wrong."""
    (takes,) = session.signature.inputs
    x = np.random.default_rng(0).random((THREADS * 16, *takes.shape[1:]), dtype=np.float32)
    wanted = np.concatenate([np.asarray(session.predict(x[i : i + 1])) for i in range(len(x))])
    # Answers of TFLite do not depend on the batch at all, those of ONNX in the last bits of float32.
    bound = 0.0 if recipe.startswith("tflite") else 1e-5 * float(np.abs(wanted).max())
    answers, wrong, errors = [0] * THREADS, [0] * THREADS, [0] * THREADS
    end = time.monotonic() + seconds

    def work(part: int) -> None:
        random, mine = np.random.default_rng(part), slice(16 * part, 16 * part + 16)
        while time.monotonic() < end:
            row = 16 * part + int(random.integers(16))
            try:
                found = [
                    (session.predict(x[row : row + 1]), wanted[row : row + 1]),
                    (session.predict(x[mine]), wanted[mine]),
                ]
                found.append((np.stack(list(session.stream(iter(x[mine])))), wanted[mine]))
            except Exception:  # noqa: BLE001 - any is counted
                errors[part] += 1
                continue
            answers[part] += sum(len(right) for _, right in found)
            wrong[part] += sum(bool(np.abs(got - right).max() > bound) for got, right in found)

    threads = [threading.Thread(target=work, args=(part,)) for part in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "artifact": recipe,
        "engine": f"{session.engine} {session.engine_version} on {session.target}",
        "seconds": seconds,
        "answers": sum(answers),
        "wrong": sum(wrong),
        "errors": sum(errors),
    }


def main() -> None:
    """Runs each artifact that the target takes, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--artifact", action="append", metavar="RECIPE", help="repeatable; all by default")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--add", action="store_true")
    given = parser.parse_args()
    package, rows = edgeml.open_package(given.package), []
    for recipe in given.artifact or [record.recipe for record in package.manifest.artifacts]:
        try:
            session = package.session(recipe, target=given.target)
        except EdgemlError as error:
            print(f"{recipe} is not run: {error.message}")
            continue
        with session:
            rows.append(row_of(session, recipe, given.seconds))
    if not rows:
        raise SystemExit(f"Target '{given.target}' runs none of the artifacts here.")
    print(table(rows))
    others = json.loads(given.json.read_text(encoding="utf-8"))["rows"] if given.add else []
    write(given.json, [*others, *rows])
    if any(row["wrong"] or row["errors"] for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
