"""Benchmarks of a real package: what the figures say beside what a plain loop, the file and the system say."""

from __future__ import annotations

import importlib.util
from importlib import metadata
from time import perf_counter_ns

import msgspec
import numpy as np
import pytest

import edgeml
from edgeml.core.errors import InputError, TargetError
from edgeml.core.records.benchmark_results import Results, decode_results, encode_results, pack_times, unpack_times
from edgeml.measurement import Case, Options, bench, compare_cases, compare_with_baseline, plan_cases, this_machine
from edgeml.measurement.workload import make_server
from tests.support.processes import repository

QUICK = Options(seconds=0.1, cold_starts=0)


@pytest.fixture(scope="module")
def package() -> edgeml.Package:
    """An artifact for each engine, of a small net on images of 8 by 8."""
    return edgeml.open_package(repository() / "tests" / "data" / "format1.edgeml")


@pytest.fixture(scope="module")
def results(package: edgeml.Package) -> Results:
    told: list[Case] = []
    found = bench(
        package,
        scenarios=["single-stream", "offline", "multi-stream"],
        options=Options(seconds=0.15, cold_starts=1),
        progress=told.append,
    )
    assert [case.artifact for case in told] == ["tflite-int8"] * 3 + ["onnx-fp32"] * 3
    return found


def test_results_say_what_was_measured_and_where(package: edgeml.Package, results: Results) -> None:
    assert decode_results(encode_results(results), "results") == results
    assert results.package.name == "digits-format1"
    assert results.package.digest == package.digest()
    assert results.machine.versions["numpy"] == np.__version__
    assert [item.engine for item in results.measurements[::3]] == [
        f"{name} {metadata.version(name)}" for name in ("ai-edge-litert", "onnxruntime")
    ]
    for item in results.measurements:
        record = package.artifact(item.artifact)
        assert item.size_bytes == len(package.read(record.file))
        assert item.times is not None
        assert item.queries >= item.times.count > 0
        assert item.seconds >= 0.15
        assert item.conditions.others is not None


def test_latency_is_that_of_a_plain_loop(package: edgeml.Package, results: Results) -> None:
    array = package.golden_inputs()["image"]
    for item in results.measurements:
        if item.scenario != "single-stream":
            continue
        with package.session(item.artifact) as session:
            times = []
            for turn in range(3000):
                start = perf_counter_ns()
                session.predict(array[turn % 16 : turn % 16 + 1])
                times.append(perf_counter_ns() - start)
        medians = {quantile.at: quantile.ms.value for quantile in item.latency}
        assert medians[0.5] <= medians[0.9] <= medians[0.99]
        assert item.times is not None
        queries = unpack_times(item.times)
        assert medians[0.5] == pytest.approx(np.median(queries) / 1e6, rel=0.1)
        # Nothing disturbed the fastest calls of two loops; a wrong unit or batch is off by eight or more.
        assert 0.25 < queries.min() / min(times) < 4


def test_throughput_is_that_of_the_times(results: Results) -> None:
    for turn, item in enumerate(results.measurements):
        assert item.times is not None
        assert item.throughput is not None
        if item.queries == item.times.count:
            seconds = unpack_times(item.times).sum() / 1e9
            assert item.throughput.value == pytest.approx(item.queries * item.batch / seconds, rel=0.01)
        assert (item.batch == 1, item.batch == 8, item.batch >= 64) == (turn % 3 == 0, turn % 3 == 2, turn % 3 == 1)


def test_fresh_processes_tell_cold_start_and_memory(results: Results) -> None:
    for item in results.measurements:
        if item.scenario == "single-stream":
            assert item.cold_start_ms is not None
            assert item.cold_start_ms.value > 50  # Python and numpy alone take longer
            assert item.peak_mb is not None
            assert 0 < item.peak_mb < 200
        else:
            assert item.cold_start_ms is None


def test_threads_batches_and_targets_multiply(package: edgeml.Package) -> None:
    found = plan_cases(package, threads=[1, 2], batches=[1, 4, 4], scenarios=["offline", "single-stream"])
    assert len(found.cases) == 2 * 2 * (2 + 1)
    assert found.skipped == ()
    mixed = plan_cases(package, targets=["cpu", "micro"] if importlib.util.find_spec("tflite_micro") else ["cpu"])
    assert {case.target for case in mixed.cases if case.artifact == "onnx-fp32"} == {"cpu"}
    if importlib.util.find_spec("tflite_micro"):
        (skipped,) = mixed.skipped
        assert skipped.startswith("onnx-fp32 on micro: ")


@pytest.mark.slow
def test_the_arena_is_that_of_tflite_micro(package: edgeml.Package) -> None:
    pytest.importorskip("tflite_micro")
    found = bench(
        package,
        artifacts=["tflite-int8"],
        targets=["micro"],
        scenarios=["single-stream"],
        options=Options(seconds=0.05, cold_starts=1),
    )
    with package.session("tflite-int8", target="micro") as session:
        assert found.measurements[0].arena_bytes == getattr(session, "arena_bytes", None)
    assert found.measurements[0].peak_mb is None  # it lives in another process


@pytest.mark.slow
def test_a_server_holds_its_bound(package: edgeml.Package) -> None:
    options = Options(seconds=0.1, latency_bound_ms=500.0)
    results = bench(package, artifacts=["onnx-fp32"], scenarios=["server"], batches=[1, 32], options=options)
    rates = []
    for found in results.measurements:
        assert found.throughput is not None
        p99 = {quantile.at: quantile.ms.value for quantile in found.latency}[0.99]
        assert p99 <= 500 == found.latency_bound_ms
        rates.append(found.throughput.value)
    assert [found.batch for found in results.measurements] == [1, 32]
    assert 100 < rates[0] < rates[1]  # 32 samples in one call take some 2 us each, one by one 20


def test_a_server_gathers_queries_in_their_order(package: edgeml.Package) -> None:
    with package.session("onnx-fp32") as session:
        samples = package.golden_inputs()
        serve = make_server(session, samples)
        answers = [np.asarray(serve(count)) for count in (1, 5, 16, 1, 20)]
        every = np.asarray(session.predict(samples["image"]))
    assert [len(answer) for answer in answers] == [1, 5, 16, 1, 20]
    np.testing.assert_allclose(np.concatenate(answers), every[np.arange(43) % len(every)], atol=1e-6)


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"artifacts": ["tflite-int4"]}, InputError, "does not contain an artifact 'tflite-int4'"),
        ({"targets": ["moon"]}, TargetError, "Unknown target 'moon'"),
        ({"artifacts": ["onnx-fp32"], "targets": ["micro"]}, TargetError, "not onnx"),
        ({"artifacts": ["onnx-fp32", "tflite-int8"], "targets": ["micro"]}, TargetError, "not onnx"),
        ({"scenarios": ["server"]}, InputError, "latency bound"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    package: edgeml.Package, asked: dict[str, list[str]], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        bench(package, options=QUICK, **asked)  # type: ignore[arg-type]


def test_two_artifacts_are_measured_in_turn(package: edgeml.Package) -> None:
    first = Case("tflite-int8", "cpu", "single-stream", None, 1)
    second = Case("onnx-fp32", "cpu", "multi-stream", None, 128)  # some 40 times the time, whatever else runs
    found = compare_cases(package, first, package, second, Options(seconds=0.5))
    assert found.verdict == "faster"
    assert found.ratio.value < 0.5
    assert (found.what, found.baseline) == ("tflite-int8 on cpu", "onnx-fp32 on cpu, batch 128")


def slowed(results: Results, factor: float) -> Results:
    """The same run on a machine on which everything took so many times as long."""
    changed = [
        msgspec.structs.replace(item, times=pack_times(factor * unpack_times(item.times)))
        for item in results.measurements
        if item.times is not None
    ]
    return msgspec.structs.replace(results, measurements=tuple(changed))


def test_a_run_is_compared_with_an_earlier_one(results: Results) -> None:
    same = compare_with_baseline(results, results)
    assert [item.verdict for item in same] == ["indistinguishable"] * 6
    worse = {item.what: item for item in compare_with_baseline(slowed(results, 3.0), results)}
    single = worse["tflite-int8 on cpu, single-stream"]
    assert single.verdict == "slower"
    assert single.ratio.value == pytest.approx(3.0, rel=0.01)
    better = {item.what: item for item in compare_with_baseline(slowed(results, 1 / 3), results)}
    assert better["tflite-int8 on cpu, single-stream"].verdict == "faster"


def test_a_baseline_of_something_else_is_refused(results: Results) -> None:
    replace = msgspec.structs.replace
    other = replace(results, package=replace(results.package, name="wine"))
    with pytest.raises(InputError, match="of package 'wine', expected 'digits-format1'"):
        compare_with_baseline(results, other)
    with pytest.raises(InputError, match="another machine: its cores is 64"):
        compare_with_baseline(results, replace(results, machine=replace(this_machine(), cores=64)))
    with pytest.raises(InputError, match="does not hold any times"):
        compare_with_baseline(results, replace(results, measurements=()))
    elsewhere = [replace(item, target="gpu") for item in results.measurements]
    with pytest.raises(InputError, match="does not share a measurement with this run"):
        compare_with_baseline(results, replace(results, measurements=tuple(elsewhere)))


def test_free_sizes_are_measured_at_one_number(sound_package: edgeml.Package) -> None:
    options = Options(seconds=0.02, cold_starts=1)
    (first,) = bench(sound_package, artifacts=["onnx-fp32"], scenarios=["single-stream"], options=options).measurements
    assert first.sizes == {"length": 400}
    (other,) = bench(
        sound_package, artifacts=["onnx-fp32"], scenarios=["single-stream"], options=options, sizes={"length": 90_000}
    ).measurements
    assert other.sizes == {"length": 90_000}
    with pytest.raises(InputError, match="expected a number for each of length"):
        bench(sound_package, artifacts=["onnx-fp32"], options=options, sizes={"width": 3})
