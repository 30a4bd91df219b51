"""`edgeml bench` as a user runs it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import edgeml
from edgeml.cli.bench_table import measurement_table
from edgeml.core.records.benchmark_results import (
    Conditions,
    Results,
    Times,
    decode_results,
    encode_results,
    pack_times,
    unpack_times,
)
from tests.support.packing import artifact_bytes
from tests.support.processes import repository

Run = Callable[..., "subprocess.CompletedProcess[str]"]
PACKAGE = repository() / "tests" / "data" / "format1.edgeml"
QUICK = ("--seconds", "0.1", "--cold-starts", "0", "--artifact", "onnx-fp32")


@pytest.fixture(scope="module")
def results(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of both scenarios, with the journal beside it."""
    path = tmp_path_factory.mktemp("bench") / "results.json"
    done = run("bench", PACKAGE, *QUICK, "-o", path, "--journal", path.with_name("journal"), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(path.read_text())
    return path


def changed(path: Path, folder: Path, **fields: Any) -> Path:
    file = folder / "changed.json"
    file.write_bytes(encode_results(msgspec.structs.replace(decode_results(path.read_bytes(), "r"), **fields)))
    return file


def failed(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 2, done.stderr
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_table_for_people(run: Run, results: Path) -> None:
    done = run("bench", PACKAGE, *QUICK, "--journal", results.with_name("journal"), env=os.environ | {"COLUMNS": "200"})
    assert done.returncode == 0
    head, *rows = done.stdout.splitlines()
    assert head.split()[:4] == ["artifact", "target", "scenario", "threads"]
    assert [row.split()[2] for row in rows[:2]] == ["single-stream", "offline"]


def test_doubts_of_each_setting_are_told(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    single = decode_results(results.read_bytes(), "r").measurements[0]
    doubtful = [
        msgspec.structs.replace(single, threads=threads, conditions=Conditions(flags=(flag,)))
        for threads, flag in ((1, "It was hot."), (2, "It was busy."))
    ]
    measurement_table(doubtful)
    told = capsys.readouterr().out
    assert "onnx-fp32 on cpu, single-stream, 1 thread: It was hot." in told
    assert "onnx-fp32 on cpu, single-stream, 2 threads: It was busy." in told


def test_what_a_journal_holds_is_not_measured_again(run: Run, results: Path, tmp_path: Path) -> None:
    lines = results.with_name("journal").read_bytes().splitlines(keepends=True)
    assert len(lines) == 3
    journal = tmp_path / "journal"
    journal.write_bytes(b"".join(lines[:2]) + lines[2][:100])  # cut off while it was written
    done = run("bench", PACKAGE, *QUICK, "--journal", journal, "--json")
    assert done.returncode == 0, done.stderr
    before, after = decode_results(results.read_bytes(), "before"), decode_results(done.stdout.encode(), "after")
    assert after.measurements[0] == before.measurements[0]
    assert after.measurements[1] != before.measurements[1]
    assert after.date == before.date
    assert len(journal.read_bytes().splitlines()) == 3


@pytest.mark.slow
def test_a_journal_of_something_else_is_refused(run: Run, results: Path, tmp_path: Path) -> None:
    journal = results.with_name("journal")
    kept = journal.read_bytes()
    failed(run("bench", PACKAGE, *QUICK, "--seconds", "5", "--journal", journal), "journal of other options")
    assert journal.read_bytes() == kept
    other = tmp_path / "journal"
    other.write_bytes(kept.replace(decode_results(results.read_bytes(), "r").package.digest.encode(), b"sha256:0"))
    failed(run("bench", PACKAGE, *QUICK, "--journal", other), "journal of another package")
    for text in ("no journal\n", '{"a": "file of one line without an end"}', "\0"):
        other.write_text(text)
        failed(run("bench", PACKAGE, *QUICK, "--journal", other), "is not a journal of this version of edgeml")
        assert other.read_text() == text
    same = tmp_path / "same"
    failed(run("bench", PACKAGE, *QUICK, "--journal", same, "-o", same), "give another --output")
    other.write_bytes(kept[:40])  # cut off in its first line
    assert run("bench", PACKAGE, *QUICK, "--journal", other).returncode == 0


def test_a_regression_is_exit_code_1(run: Run, results: Path, tmp_path: Path) -> None:
    def baseline(factor: float) -> Path:
        read: Results = decode_results(results.read_bytes(), "r")
        single = read.measurements[0]
        assert single.times is not None
        times = pack_times(factor * unpack_times(single.times))
        return changed(results, tmp_path, measurements=(msgspec.structs.replace(single, times=times),))

    kept = ("--journal", results.with_name("journal"), "--fail-if", "slower=5%")
    done = run("bench", PACKAGE, *QUICK, *kept, "--baseline", baseline(0.1))
    assert done.returncode == 1, done.stderr
    assert re.search(
        r"failed: onnx-fp32 on cpu, single-stream takes (9\.9|10\.0)\d* times \[.*; 5% more is", done.stderr
    )
    assert run("bench", PACKAGE, *QUICK, *kept, "--baseline", baseline(1.0)).returncode == 0
    assert run("bench", PACKAGE, *QUICK, *kept, "--baseline", baseline(10.0)).returncode == 0


@pytest.mark.slow
def test_what_the_baseline_does_not_hold_is_told(run: Run, results: Path, tmp_path: Path) -> None:
    output, kept = tmp_path / "new.json", ("--journal", results.with_name("journal"))
    single = decode_results(results.read_bytes(), "r").measurements[0]
    baseline = changed(results, tmp_path, measurements=(single,))
    done = run("bench", PACKAGE, *QUICK, *kept, "--baseline", baseline, "--fail-if", "slower=5%")
    assert done.returncode == 0, done.stderr
    (told,) = (line for line in done.stderr.splitlines() if line.startswith("not compared: "))
    assert told.startswith("not compared: onnx-fp32 on cpu, offline, batch ")
    # Nothing in common is seen before anything is measured.
    long = ("--seconds", "300", "--threads", "1", "--baseline", baseline)
    failed(run("bench", PACKAGE, *QUICK, *long, "-o", output), "does not share a measurement")
    for times, words in ((pack_times(np.zeros(50)), "a median time of 0"), (Times(9, 1.0, "AAAA"), "cannot be read")):
        baseline = changed(results, tmp_path, measurements=(msgspec.structs.replace(single, times=times),))
        failed(run("bench", PACKAGE, *QUICK, "--seconds", "300", "--baseline", baseline), words)


@pytest.mark.slow
def test_bad_input_is_said_to_be_so(run: Run, results: Path, tmp_path: Path) -> None:
    def bench(*arguments: object) -> subprocess.CompletedProcess[str]:
        return run("bench", PACKAGE, *QUICK, *arguments)

    package = decode_results(results.read_bytes(), "r").package
    other = changed(results, tmp_path, package=msgspec.structs.replace(package, name="wine"))
    failed(bench("--baseline", other), "The baseline is of package 'wine', expected 'digits-format1'.")
    failed(bench("--baseline", changed(results, tmp_path, format=0)), "older format 0")
    cut = tmp_path / "cut.json"
    cut.write_bytes(results.read_bytes()[:-100])
    failed(bench("--baseline", cut), "cut.json is not a valid results file")
    failed(bench("--target", "moon"), "Unknown target 'moon'")
    failed(bench("--scenario", "server"), "needs a latency bound")
    failed(bench("--latency-bound", "5"), "add --scenario server")
    failed(bench("--scenario", "single-stream", "--batch", "4"), "--batch does not apply to --scenario single-stream")
    failed(bench("--threads", "100000"), "not in the range")
    failed(bench("--compare", ""), "--compare is empty")
    failed(bench("--fail-if", "slower=5%"), "give --baseline")
    for condition in ("slower=much", "slower=5", "slower=0.05", "slower=-5%", "slower=nan%", "slower", "faster=5%"):
        failed(bench("--fail-if", condition, "--baseline", results), "expected for instance slower=5%")
    failed(bench("--compare", "tflite-int8", "--baseline", results), "--compare cannot be combined")
    failed(bench("-o", tmp_path / "none" / "results.json"), "cannot be written")


@pytest.mark.slow
def test_two_are_compared_in_one_run(run: Run, tmp_path: Path) -> None:
    output = tmp_path / "compared.json"
    done = run("bench", PACKAGE, *QUICK, "--compare", "tflite-int8", "--seconds", "0.5", "-o", output)
    assert done.returncode == 0, done.stderr
    (found,) = decode_results(output.read_bytes(), "r").comparisons
    assert found.verdict != "faster"  # on a quiet machine it is slower
    than = "than" if found.verdict == "slower" else "from"
    assert f"onnx-fp32 on cpu is {found.verdict} {than} tflite-int8 on cpu: " in done.stdout
    copy = tmp_path / "next.edgeml"
    copy.write_bytes(PACKAGE.read_bytes())
    done = run("bench", PACKAGE, *QUICK, "--compare", copy, "--seconds", "0.5", "--json")
    (found,) = decode_results(done.stdout.encode(), "r").comparisons
    assert 0.5 < found.ratio.value < 2
    assert found.baseline == "next.edgeml: onnx-fp32 on cpu"


@pytest.mark.slow
def test_what_has_no_like_on_the_other_side_is_left_out_unless_named(run: Run) -> None:
    pytest.importorskip("tflite_micro")
    done = run("bench", PACKAGE, "--seconds", "0.1", "--compare", "@micro", "--json")
    assert done.returncode == 0, done.stderr
    (found,) = decode_results(done.stdout.encode(), "r").comparisons
    assert (found.what, found.baseline) == ("tflite-int8 on cpu", "tflite-int8 on micro")
    assert "not measured: onnx-fp32 on cpu: " in done.stderr
    failed(run("bench", PACKAGE, "--artifact", "onnx-fp32", "--compare", "@micro"), "not onnx")
    failed(run("bench", PACKAGE, "--compare", "tflite-int4"), "does not contain an artifact 'tflite-int4'")


@pytest.mark.slow
def test_a_package_is_compared_with_a_bare_file(run: Run, tmp_path: Path) -> None:
    package = edgeml.open_package(PACKAGE)
    file, output = tmp_path / "old.tflite", tmp_path / "compared.json"
    file.write_bytes(artifact_bytes(package, "tflite-int8"))
    done = run("bench", PACKAGE, *QUICK, "--compare", file.name, "--seconds", "0.3", "-o", output, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (found,) = decode_results(output.read_bytes(), "r").comparisons
    digest = f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    assert found.verdict != "faster"
    assert found.baseline_file is not None
    assert (found.baseline_file.name, found.baseline_file.digest) == ("old.tflite", digest)
    assert found.baseline_file.size_bytes == file.stat().st_size
    assert f"old.tflite: 18.5 kB, {digest}; input image int8 [1, 8, 8, 1]" in done.stdout

    done = run("bench", file, *QUICK[:4], "--scenario", "single-stream")
    assert done.returncode == 0, done.stderr
    assert "not measured: cold start and memory" in done.stderr
    failed(run("bench", file, "--compare", PACKAGE), f"fix: edgeml bench {PACKAGE} --compare {file}")
    failed(run("bench", file, "--device", "pi@nowhere"), "edgeml build")
    failed(run("bench", PACKAGE, *QUICK, "--compare", tmp_path / "none.onnx"), "none.onnx: file not found")
    (tmp_path / "text.onnx").write_text("no model at all")
    failed(run("bench", PACKAGE, *QUICK, "--compare", tmp_path / "text.onnx"), "text.onnx is not an ONNX file")
