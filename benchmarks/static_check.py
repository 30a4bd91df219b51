"""The static check of an artifact's bytes, as a share of the cold start that it is a part of.

    python benchmarks/static_check.py [--packages FOLDER] [--rounds N] [--json FILE]

Processes from nothing to the first prediction: the demo's artifacts, a forest of 100 trees as ONNX with 1.2 million
attribute values, and a network of 100 MB as ONNX. In each the time of the check, with the import of its modules, and
that of the whole process; medians. The bound: 5%.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
from pathlib import Path

import numpy as np
import onnx
from cold_start import KEPT, measured
from interleaved import table, write
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import RandomForestRegressor

import edgeml

CODE = """
import numpy as np
import edgeml
import edgeml.package.package as package_module
begin, checked = perf_counter_ns(), 0
check_artifact = package_module.check_artifact
def timed(*arguments, **options):
    global checked
    begun = perf_counter_ns()
    check_artifact(*arguments, **options)
    checked += perf_counter_ns() - begun
package_module.check_artifact = timed
session = edgeml.open_package(sys.argv[1]).session(sys.argv[2], threads=1)
session.predict(np.zeros((1, *session.signature.inputs[0].shape[1:]), np.float32))
print(json.dumps({"check_ms": checked / 1e6}))
"""


def forest(path: Path) -> None:
    """A random forest of 100 trees, as one operator with a value for each node."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((880, 20)).astype(np.float32)
    y = x[:, 0] * x[:, 1] + np.sin(3 * x[:, 2]) + 0.1 * rng.standard_normal(880)
    model = RandomForestRegressor(100, random_state=0).fit(x, y)
    edgeml.build(model, name="forest", evaluation=(x[:100], y[:100]), recipes="onnx-fp32").save(path)


def large(path: Path) -> None:
    """25 layers of 4 MB."""
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array((rng.standard_normal((1024, 1024)) / 32).astype(np.float32), f"w{i}") for i in range(25)
    ]
    names = ["x", *(f"h{i}" for i in range(24)), "y"]
    nodes = [helper.make_node("MatMul", [names[i], f"w{i}"], [names[i + 1]]) for i in range(25)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1024]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    file = path.with_suffix(".onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    x = rng.standard_normal((64, 1024)).astype(np.float32)
    edgeml.build(file, name="large", evaluation=x, recipes="onnx-fp32").save(path)


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, default=Path("benchmarks/packages"))
    parser.add_argument("--demo", type=Path, default=Path("demo"))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    given.packages.mkdir(exist_ok=True)
    for make in (forest, large):
        path = given.packages / f"{make.__name__}.edgeml"
        if not path.exists():
            make(path)
    packages = [*sorted(given.demo.glob("*.edgeml")), given.packages / "forest.edgeml", given.packages / "large.edgeml"]
    rows = []
    for path in packages:
        for recipe in edgeml.open_package(path).released:
            runs = [measured(CODE, str(path), recipe) for _ in range(given.rounds)]
            check, whole = (statistics.median(run[key] for run in runs) for key in ("check_ms", "whole"))
            size = edgeml.open_package(path).size_bytes(recipe)
            row = {"package": path.stem, "artifact": recipe, "size_kb": round(size / 1000, 1)}
            row |= {"check_ms": round(check, 2), "cold_start_ms": round(whole, 1), "share": round(check / whole, 4)}
            rows.append(row)
    print(table(rows))
    shutil.rmtree(KEPT)
    write(given.json, rows)


if __name__ == "__main__":
    main()
