"""From nothing to the first prediction, and the memory it takes, beside the raw engines.

    python benchmarks/cold_start.py MLPERF_FOLDER [--packages FOLDER] [--json FILE]

Whole processes in turn: Python's start, imports, open, verify the digest, load, predict. In process: the same without
start and imports of engine, numpy and edgeml. Resident memory after the first prediction. Last, the growth of a stream
of a million samples (ad tflite-int8) behind its first thousand. The bounds: 1.2 times the raw script's time, 2 ms in
process, 12 MB plus the artifact, 50 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter_ns

from interleaved import table, write
from nets import net

TOLD = """
import importlib
import json
import sys
from time import perf_counter_ns
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
def tell():
    print(json.dumps({"ms": (perf_counter_ns() - begin) / 1e6, "mb": resident()}))
"""
RAW_TFLITE = """
import numpy as np
from ai_edge_litert.interpreter import Interpreter
begin = perf_counter_ns()
i = Interpreter(model_path=sys.argv[1], num_threads=1)
i.allocate_tensors()
t, g = i.get_input_details()[0], i.get_output_details()[0]
x = np.zeros(t["shape"], np.float32)
s, z = t["quantization"]
if s:
    x = np.clip(np.rint(x / np.float32(s)) + z, -128, 127).astype(t["dtype"])
i.set_tensor(t["index"], x)
i.invoke()
y = i.get_tensor(g["index"])
s, z = g["quantization"]
if s:
    y = (y.astype(np.float32) - np.float32(z)) * np.float32(s)
tell()
"""
RAW_ONNX = """
import numpy as np
import onnxruntime
begin = perf_counter_ns()
o = onnxruntime.SessionOptions()
o.intra_op_num_threads = 1
s = onnxruntime.InferenceSession(sys.argv[1], o, providers=["CPUExecutionProvider"])
t = s.get_inputs()[0]
y = s.run(None, {t.name: np.zeros((1, *t.shape[1:]), np.float32)})[0]
tell()
"""
OURS = """
import numpy as np
import edgeml
edgeml.open_package, importlib.import_module(sys.argv[3]), importlib.import_module(sys.argv[4])
importlib.import_module("edgeml.runtimes.session.session")
begin = perf_counter_ns()
s = edgeml.open_package(sys.argv[1]).session(sys.argv[2])
y = s.predict(np.zeros((1, *s.signature.inputs[0].shape[1:]), np.float32))
tell()
"""
STREAM = """
import numpy as np
import edgeml
begin = perf_counter_ns()
x = np.random.default_rng(0).random((1000, 640), dtype=np.float32)
first = most = 0
with edgeml.open_package(sys.argv[1]).session("tflite-int8") as s:
    for n, _ in enumerate(s.stream(x[i % 1000] for i in range(int(sys.argv[2])))):
        if n == 999:
            first = resident()
        if n % 20000 == 0:
            most = max(most, resident())
print(json.dumps({"ms": (perf_counter_ns() - begin) / 1e6, "mb": max(most, resident()) - first}))
"""


# Bytecode is kept, as an installed package has it.
KEPT = tempfile.mkdtemp(prefix="bytecode-")
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
ENVIRONMENT["PYTHONPYCACHEPREFIX"] = KEPT


def measured(code: str, *arguments: str) -> dict[str, float]:
    """What a script tells of itself, and the time of its process."""
    begin = perf_counter_ns()
    command = [sys.executable, "-c", TOLD + code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
    whole = (perf_counter_ns() - begin) / 1e6
    return json.loads(done.stdout.splitlines()[-1]) | {"whole": whole}


def row_of(name: str, recipe: str, given: argparse.Namespace, folder: Path) -> dict:
    """One artifact."""
    package = net(name, given.folder, given.packages)
    record = package.artifact(recipe)
    file = folder / Path(record.file).name
    file.write_bytes(package.read(record.file))
    tflite = recipe.startswith("tflite")
    scripts = {
        "raw": (RAW_TFLITE if tflite else RAW_ONNX, str(file)),
        "ours": (
            OURS,
            str(given.packages / f"{name}.edgeml"),
            recipe,
            "ai_edge_litert.interpreter" if tflite else "onnxruntime",
            "edgeml.runtimes.engines.litert" if tflite else "edgeml.runtimes.engines.onnxruntime",
        ),
    }
    found: dict[str, list[dict[str, float]]] = {key: [] for key in scripts}
    for script in scripts.values():
        measured(*script)
    for _ in range(given.rounds):
        for key, script in scripts.items():
            found[key].append(measured(*script))

    def median(key: str, what: str) -> float:
        return statistics.median(run[what] for run in found[key])

    return {
        "net": name,
        "artifact": recipe,
        "raw process ms": median("raw", "whole"),
        "times that": statistics.median(
            ours["whole"] / raw["whole"] for ours, raw in zip(found["ours"], found["raw"], strict=True)
        ),
        "raw in process ms": median("raw", "ms"),
        "more ms": median("ours", "ms") - median("raw", "ms"),
        "raw MB": median("raw", "mb"),
        "more MB": median("ours", "mb") - median("raw", "mb"),
        "artifact MB": package.manifest.files[record.file].size_bytes / 1e6,
    }


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--packages", type=Path, default=Path("benchmarks/packages"))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            row_of(name, recipe, given, Path(folder))
            for name in ("ad", "vww")
            for recipe in ("tflite-int8", "onnx-int8")
        ]
    print(table(rows))
    grown = measured(STREAM, str(given.packages / "ad.edgeml"), str(given.samples))
    print(f"stream of {given.samples} samples: {grown['mb']:.1f} MB more than after 1000, {grown['ms'] / 1000:.1f} s")
    shutil.rmtree(KEPT)
    write(given.json, [*rows, {"stream": given.samples, "more MB": grown["mb"], "seconds": grown["ms"] / 1000}])


if __name__ == "__main__":
    main()
