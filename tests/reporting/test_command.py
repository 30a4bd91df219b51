"""`edgeml report` as a user runs it."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import edgeml
from edgeml.reporting import make_report
from tests.support.hints import install_hint
from tests.support.make_format1 import PACKAGE
from tests.support.without import without

Run = Callable[..., subprocess.CompletedProcess[str]]


def cold(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """As `run`, in a process that loads each module itself."""
    words = [sys.executable, "-m", "edgeml", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ | variables)


def test_the_outputs_name_says_what_is_written(run: Run, results_files: tuple[Path, Path], tmp_path: Path) -> None:
    output = tmp_path / "report.md"
    done = run("report", PACKAGE, *results_files, "-o", output, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told == {"output": str(output), "format": "markdown", "size_bytes": output.stat().st_size, "results": 2}
    assert output.read_text(encoding="utf-8").startswith("## digits-format1 1.0.0\n")


@pytest.mark.slow
def test_a_comparison_is_told_with_and_without_measurements(
    run: Run, results_files: tuple[Path, Path], tmp_path: Path
) -> None:
    compared = tmp_path / "compared.json"
    bench = ["bench", PACKAGE, "--seconds", "0.3", "--cold-starts", "0"]
    done = run(*bench, "--artifact", "onnx-fp32", "--compare", "tflite-int8", "-o", compared)
    assert done.returncode == 0, done.stderr
    found = json.loads(compared.read_text())
    assert found["measurements"] == []
    (pair,) = found["comparisons"]
    low, ratio, high = (f"{pair['ratio'][name]:.3f}" for name in ("low", "value", "high"))
    # On a quiet machine the quantized net takes half the time.
    word = "slower" if float(low) > 1 else "faster" if float(high) < 1 else "indistinguishable"
    cells = ["onnx-fp32 on cpu", "tflite-int8 on cpu", word, f"{ratio} [{low}, {high}]", str(pair["rounds"])]

    package = edgeml.open_package(PACKAGE)
    median = package.artifact("tflite-int8").measurement
    assert median is not None
    text = make_report(package, [compared], "markdown").decode()
    assert f"| {' | '.join(cells)} | " in re.sub(r"\\(.)", r"\1", text)
    assert f"{median.median_ms:.4f}"[:5] in text.splitlines()[2]  # its own latency, for want of another
    assert "Devices side by side" not in text
    page = make_report(package, [*results_files, compared]).decode()
    rows = [html.unescape(cell) for cell in re.findall(r"<tr.*?</tr>", page, re.DOTALL) if word in cell]
    assert re.findall("<bdi>(.*?)</bdi>", rows[0])[:5] == cells
    assert "Devices side by side" in page
    same = tmp_path / "measured.json"  # by the same machine, which then is one device
    same.write_text(json.dumps(json.loads(results_files[0].read_text()) | {"machine": found["machine"]}))
    page = make_report(package, [compared, same]).decode()
    assert page.count("<dt>measured on</dt>") == 1
    assert page.count(f">{word}<") == 1


@pytest.mark.parametrize(
    ("damage", "code", "told"),
    [
        (lambda data: data[:-200], 2, "spoilt.json is not a valid results file"),
        (lambda data: data.replace(b'"sha256:', b'"sha256:0', 1), 2, "spoilt.json is of another package"),
        (lambda data: data.replace(b'"format": 1', b'"format": 0', 1), 2, "of the older format 0"),
    ],
    ids=["truncated", "another package", "older"],
)
def test_bad_results_are_exit_2_and_nothing_is_written(
    run: Run, results_files: tuple[Path, Path], tmp_path: Path, damage: object, code: int, told: str
) -> None:
    assert callable(damage)
    spoilt, output = tmp_path / "spoilt.json", tmp_path / "report.html"
    spoilt.write_bytes(damage(results_files[0].read_bytes()))
    done = run("report", PACKAGE, spoilt, "-o", output)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
    assert "fix: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not output.exists()


@pytest.mark.slow
@pytest.mark.parametrize("module", ["vl_convert", "jinja2"])
def test_a_missing_extra_is_one_clear_line(tmp_path: Path, module: str) -> None:
    done = cold("report", PACKAGE, "-o", tmp_path / "report.html", **without(tmp_path, [module]))
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: A report needs the extra 'report', which is not installed.",
        f"fix: {install_hint('report')}",
    ]
    done = cold("report", PACKAGE, "-o", tmp_path / "report.md", **without(tmp_path, [module]))
    assert done.returncode == 0, done.stderr  # text needs neither


def test_it_overwrites_nothing_that_it_reads(run: Run, results_files: tuple[Path, Path]) -> None:
    before = results_files[0].read_bytes()
    done = run("report", PACKAGE, results_files[0], "-o", results_files[0])
    assert done.returncode == 2
    assert "is also an input" in done.stderr
    assert results_files[0].read_bytes() == before
