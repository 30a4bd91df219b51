"""Results files that are none, or that belong elsewhere: refused, with the reason and what to do."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

import edgeml
from edgeml.core.errors import InputError, PackageError, StorageError
from edgeml.core.records.benchmark_results import Figure, PackageRef, Results, Times, encode_results
from edgeml.reporting import make_report
from edgeml.reporting.inputs import durations_ms
from tests.support.measured import compact

replace = msgspec.structs.replace


def with_first(results: Results, **changes: object) -> Results:
    first, *others = results.measurements
    return replace(results, measurements=(replace(first, **changes), *others))


def another_package(results: Results) -> bytes:
    return encode_results(replace(results, package=PackageRef("other", "2.0.0", "sha256:" + 64 * "a")))


def endless() -> Times:
    """Of one unit that is longer than any time."""
    return Times(1, 1e18, compact(np.array([2**32 - 1])).data)


def older(results: Results) -> bytes:
    return encode_results(results).replace(b'"format": 1', b'"format": 0', 1)


def newer(results: Results) -> bytes:
    return encode_results(results).replace(b'"format": 1', b'"format": 2', 1)


BAD: list[tuple[Callable[[Results], bytes], str]] = [
    (another_package, r"bad.json is of another package: other 2.0.0, sha256:a+….*expected digits-format1 1.0.0"),
    (older, "bad.json is of the older format 0; this edgeml reads format 1"),
    (newer, "bad.json is of the newer format 2; this edgeml reads format 1"),
    (lambda results: encode_results(results)[:-500], "bad.json is not a valid results file"),
    (lambda _: b"", "bad.json is not a valid results file"),
    (lambda _: b"[" * 100_000, "bad.json is not a valid results file"),
    (lambda results: encode_results(replace(results, measurements=(), comparisons=())), "holds neither a measurement"),
    (
        lambda results: encode_results(with_first(results, queries=0)),
        "the measurement of tflite-int8 on cpu holds 0 samples",
    ),
    (lambda results: encode_results(with_first(results, artifact="onnx-fp16")), "which format1.edgeml does not hold"),
    (lambda results: encode_results(with_first(results, times=Times(3, 1.0, "%%%"))), "tflite-int8 in bad.json cannot"),
    (lambda results: encode_results(with_first(results, times=Times(9, 1.0, "eJwDAAAAAAE="))), "expected 9 values"),
    (lambda results: encode_results(with_first(results, times=endless())), "of tflite-int8 is 4.29497e.21;"),
    (
        lambda results: encode_results(
            with_first(results, latency=(replace(results.measurements[0].latency[0], ms=Figure(-1.0)),))
        ),
        "a time or rate of tflite-int8 is -1; expected 1e-09 to",
    ),
]


@pytest.mark.parametrize(("spoil", "told"), BAD, ids=[told[:40] for _, told in BAD])
def test_bad_results_are_refused(
    package: edgeml.Package, measured: Results, tmp_path: Path, spoil: Callable[[Results], bytes], told: str
) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(spoil(measured))
    with pytest.raises(InputError, match=told) as raised:
        make_report(package, [path])
    assert raised.value.fix


def test_a_missing_file_is_refused(package: edgeml.Package, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.json: file not found"):
        make_report(package, [tmp_path / "gone.json"])


def test_what_cannot_be_read_is_the_storages_fault(package: edgeml.Package, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=f"{tmp_path} cannot be read: Is a directory"):
        make_report(package, [tmp_path])


def test_times_come_back_as_they_were_taken() -> None:
    times = np.array([1500, 2_000_000, 4_294_967_295], np.uint32)
    assert durations_ms(compact(times), "x").tolist() == pytest.approx([0.0015, 2.0, 4294.967295], rel=1e-15)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = base64.b64encode(zlib.compress(b"\0" * 50_000_000, 9)).decode()
    with pytest.raises(InputError, match="times of x are corrupt: expected 2 values"):
        durations_ms(Times(2, 1.0, bomb), "x")


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        (b'{"flips": 3}', "Expected `array`"),
        (b'{"recalls": [{"label": 0, "source": 1e308}]}', "<= 1.0"),
        (b'{"confusion": {"cells": [[10, 0, 1]]}}', "more classes than the package's 10"),
        (b'{"source_confusion": {"cells": [[0, 10, 1]]}}', "more classes than the package's 10"),
    ],
)
def test_damaged_evidence_is_refused(package: edgeml.Package, evidence: bytes, told: str) -> None:
    manifest = package.manifest
    contents = {name: package.read(name) for name in manifest.files}
    contents["evidence/tflite-int8.json"] = evidence
    with pytest.raises(PackageError, match=rf"'evidence/tflite-int8.json' is not sound: .*{told}"):
        make_report(edgeml.Package.of(manifest, contents), [], "markdown")


def test_devices_of_one_name_are_told_apart(package: edgeml.Package, measured: Results, tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.json" for i in range(2)]
    for path in paths:
        path.write_bytes(encode_results(measured))
    text = make_report(package, paths, "markdown").decode()
    for number in (1, 2):
        assert f"bench-1, 2026-11-20T16\\:00\\:00Z \\({number}\\)" in text
