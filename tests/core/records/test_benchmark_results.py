"""Results files: what is written is read again, and nothing else is."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import msgspec
import numpy as np
import pytest

from edgeml.core.errors import InputError
from edgeml.core.records.benchmark_results import (
    FORMAT,
    Conditions,
    Figure,
    Machine,
    Measurement,
    PackageRef,
    Quantile,
    Results,
    Times,
    decode_results,
    encode_results,
    pack_times,
    unpack_times,
)
from edgeml.core.system.machine import cpu

TIMES = np.random.default_rng(0).lognormal(10, 0.3, 500)


@pytest.fixture
def results() -> Results:
    measurement = Measurement(
        artifact="tflite-int8",
        target="cpu",
        engine="an engine 1.0",
        scenario="single-stream",
        threads=None,
        batch=1,
        queries=500,
        warm_up=9,
        seconds=0.5,
        latency=(Quantile(0.5, Figure(0.02, 0.01, None)),),
        throughput=Figure(50.0),
        size_bytes=1000,
        conditions=Conditions(("A flag.",), others=0.5),
        times=pack_times(TIMES),
    )
    machine = Machine("A processor", cpu(), 2, 1000.0, "Linux 6", "", "3.11.7", {"numpy": "2.0"})
    return Results(
        FORMAT, "0.1", "2026-11-20T16:00:00Z", machine, PackageRef("net", "1.0.0", "sha256:00"), (measurement,)
    )


def test_what_is_written_is_read_again(results: Results) -> None:
    data = encode_results(results)
    assert decode_results(data, "r.json") == results
    assert encode_results(decode_results(data, "r.json")) == data


def test_times_keep_a_two_thousandth_of_their_median(results: Results) -> None:
    times = results.measurements[0].times
    assert times is not None
    np.testing.assert_allclose(unpack_times(times), TIMES, atol=np.median(TIMES) / 2000)


def test_of_many_times_every_so_many_th_is_kept() -> None:
    many = np.arange(100_000.0)
    times = pack_times(many)
    assert times.count == 20_000
    np.testing.assert_allclose(unpack_times(times), many[::5], atol=25)
    wide = np.array([1.0, 1.0, 1e15])
    assert unpack_times(pack_times(wide))[2] == pytest.approx(1e15)
    assert len(unpack_times(pack_times(np.zeros(0)))) == 0


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(results: Results, share: float) -> None:
    data = encode_results(results)
    with pytest.raises(InputError, match=r"r\.json is not a valid results file"):
        decode_results(data[: int(share * len(data))], "r.json")


@pytest.mark.parametrize(("found", "words"), [(0, "older format 0"), (FORMAT + 1, "newer format 2")])
def test_another_format_is_named(results: Results, found: int, words: str) -> None:
    data = encode_results(msgspec.structs.replace(results, format=found))
    with pytest.raises(InputError, match=words):
        decode_results(data, "r.json")


def changed(results: Results, **fields: Any) -> bytes:
    tree = json.loads(encode_results(results))
    tree["measurements"][0].update(fields)
    return json.dumps(tree).encode()


@pytest.mark.parametrize(
    "fields",
    [
        {"batch": 0},
        {"queries": -1},
        {"seconds": "0.5"},
        {"scenario": "stream"},
        {"artifact": "x" * 10_001},
        {"unknown": 1},
        {"latency": [{"at": 1.5, "ms": {"value": 1}}]},
        {"times": {"count": 20_001, "unit_ns": 1, "data": ""}},
        {"times": {"count": 1, "unit_ns": 0, "data": ""}},
    ],
    ids=str,
)
def test_what_is_no_result_is_refused(results: Results, fields: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="not a valid results file"):
        decode_results(changed(results, **fields), "r.json")


@pytest.mark.parametrize("data", [b"[" * 100_000, b"\xff\xfe", b"null", b'{"format": "1"}', b'{"format": 1e999}'])
def test_hostile_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="not a valid results file"):
        decode_results(data, "r.json")


@pytest.mark.parametrize(
    "data",
    [
        "not base64!",
        base64.b64encode(b"no zlib").decode(),
        base64.b64encode(zlib.compress(b"\0" * 2**26)).decode(),  # a bomb
        base64.b64encode(zlib.compress(b"\0" * 4)).decode(),
        base64.b64encode(zlib.compress(b"\0" * 8)[:-3]).decode(),
    ],
    ids=["text", "bytes", "bomb", "fewer", "cut"],
)
def test_damaged_times_are_refused(data: str) -> None:
    with pytest.raises(InputError, match="times of a measurement"):
        unpack_times(Times(2, 1.0, data))
