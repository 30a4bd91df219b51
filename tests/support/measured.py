"""Results files by plain loops: real times, and the quantiles that their order gives."""

from __future__ import annotations

import base64
import platform
import time
import zlib
from collections.abc import Sequence

import numpy as np

import edgeml
from edgeml.core.records.benchmark_results import (
    FORMAT,
    Comparison,
    Conditions,
    Figure,
    Machine,
    Measurement,
    PackageRef,
    Quantile,
    Results,
    Times,
)
from edgeml.core.system.machine import cpu

__all__ = ["compact", "measured_results", "reference"]


def compact(times_ns: np.ndarray) -> Times:
    """Times in the form that results keep."""
    data = base64.b64encode(zlib.compress(times_ns.astype("<u4").tobytes())).decode()
    return Times(len(times_ns), 1.0, data)


def reference(package: edgeml.Package) -> PackageRef:
    """The package as a results file names it."""
    return PackageRef(package.manifest.name, package.manifest.version, package.digest())


def measured_results(
    package: edgeml.Package,
    inputs: np.ndarray,
    *,
    device: str = "",
    recipes: Sequence[str] | None = None,
    queries: int = 200,
    batches: Sequence[int] = (1, 8, 64),
    threads: Sequence[int] = (1, 2),
    slower: float = 1.0,
    flags: tuple[str, ...] = (),
) -> Results:
    """Measures artifacts on this machine.

    Args:
        package: The package.
        inputs: Samples.
        device: What to call the machine.
        recipes: Which artifacts; by default the released ones.
        queries: How many single samples to time.
        batches: Sizes of the offline scenario's calls. `threads`: for each of these.
        slower: By what times are multiplied, so that two devices differ.
        flags: What to say of all measurements.
    """
    found = []
    for recipe in recipes or package.released:
        with package.session(recipe, threads=1) as session:
            times = _times(lambda: session.predict(inputs[:1]), queries) * slower  # called at once
            found.append(_single(package, recipe, session.engine, times, flags))
        for count in threads:
            with package.session(recipe, threads=count) as session:
                for batch in batches:
                    x = np.resize(inputs, (batch, *inputs.shape[1:]))
                    times = _times(lambda: session.predict(x), 9) * slower  # noqa: B023
                    found.append(_offline(package, recipe, session.engine, times, batch, count, flags))
    ratio = Comparison("tflite-int8", "onnx-int8", Figure(0.93, 0.9, 0.97), "faster", 40, Conditions())
    machine = Machine(
        platform.processor() or platform.machine(), cpu(), 2, 8192.0, platform.platform(), "performance",
        platform.python_version(), {"numpy": np.__version__}, device,
    )  # fmt: skip
    return Results(
        FORMAT, edgeml.__version__, "2026-11-20T16:00:00Z", machine, reference(package), tuple(found), (ratio,)
    )


def _times(call: object, count: int) -> np.ndarray:
    assert callable(call)
    for _ in range(3):
        call()
    times = []
    for _ in range(count):
        begin = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - begin)
    return np.array(times)


def _figure(times: np.ndarray, at: float) -> Figure:
    """An order statistic, with those some two deviations of its rank below and above it."""
    ordered, count = np.sort(times) / 1e6, len(times)
    spread = 1.96 * np.sqrt(count * at * (1 - at))
    low, high = int(count * at - spread), int(np.ceil(count * at + spread))
    return Figure(
        float(ordered[int(count * at)]),
        float(ordered[low]) if low >= 0 else None,
        float(ordered[high]) if high < count else None,
    )


def _single(
    package: edgeml.Package, recipe: str, engine: str, times: np.ndarray, flags: tuple[str, ...]
) -> Measurement:
    return Measurement(
        recipe, "cpu", engine, "single-stream", 1, 1, len(times), 3, float(times.sum()) / 1e9,
        tuple(Quantile(at, _figure(times, at)) for at in (0.5, 0.9, 0.95, 0.99)),
        None, _size(package, recipe), Conditions(flags), compact(times),
    )  # fmt: skip


def _offline(
    package: edgeml.Package, recipe: str, engine: str, times: np.ndarray, batch: int, threads: int,
    flags: tuple[str, ...],
) -> Measurement:  # fmt: skip
    rates = np.sort(batch / (times / 1e9))
    rate = Figure(float(np.median(rates)), float(rates[1]), float(rates[-2]))
    return Measurement(
        recipe, "cpu", engine, "offline", threads, batch, len(times), 3, float(times.sum()) / 1e9, (), rate,
        _size(package, recipe), Conditions(flags),
    )  # fmt: skip


def _size(package: edgeml.Package, recipe: str) -> int:
    return package.manifest.files[package.artifact(recipe).file].size_bytes
