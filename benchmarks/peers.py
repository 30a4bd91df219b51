"""One sample through edgeml and through its peers' runners, on the same ONNX artifact and one thread.

    python benchmarks/peers.py MLPERF_FOLDER [--packages FOLDER] [--json FILE]

Needs `pip install polygraphy`. Its runner checks names, shapes and dtypes, as ours does; ours also makes sure that no
sample holds NaN or infinity. Beside both stands onnxruntime's own `run`. All are timed in turn.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import raw
from interleaved import table, timed, write
from nets import net

import edgeml


def row_of(name: str, recipe: str, package: edgeml.Package, rounds: int) -> dict:
    """One artifact; Polygraphy's runner has a session of its own with the options of the raw one."""
    from polygraphy.backend.onnxrt import OnnxrtRunner

    data = package.read(package.artifact(recipe).file)
    own, run = raw.onnx_session(data, 1), raw.onnx(data)
    takes, gives = own.get_inputs()[0].name, own.get_outputs()[0].name
    with package.session(recipe) as session, OnnxrtRunner(lambda: own) as runner:
        x = np.random.default_rng(0).random((1, *session.signature.inputs[0].shape[1:]), dtype=np.float32)
        np.testing.assert_array_equal(runner.infer({takes: x})[gives], run(x))
        calls = {
            "edgeml": lambda: session.predict(x),
            "onnxruntime": lambda: run(x),
            "polygraphy": lambda: runner.infer({takes: x}),
        }
        found = timed(calls, rounds=rounds, runs=100)
    row: dict = {"net": name, "artifact": recipe}
    row |= {f"{key} us": float(np.median(times)) for key, times in found.items()}
    row["polygraphy / edgeml"] = float(np.median(found["polygraphy"] / found["edgeml"]))
    return row


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--packages", type=Path, default=Path("benchmarks/packages"))
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    for name in ("ad", "kws", "ic", "vww"):
        package = net(name, given.folder, given.packages)
        rows += [row_of(name, recipe, package, given.rounds) for recipe in ("onnx-fp32", "onnx-int8")]
    print(table(rows))
    write(given.json, rows)


if __name__ == "__main__":
    main()
