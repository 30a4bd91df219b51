"""Calibration streams: its samples are never all in memory beside what conversion needs."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support.mlperf import mlperf_model
from tests.support.processes import repository

LIMIT_MB = 1500


@pytest.mark.slow
def test_a_thousand_calibration_samples_of_vww() -> None:
    folder = mlperf_model("vww_96.h5").parent.parent
    done = subprocess.run(
        [
            sys.executable,
            "benchmarks/peak_memory.py",
            folder,
            "--recipe=tflite-int8",
            "--recipe=onnx-int8",
        ],
        cwd=repository(),
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"largest (\d+) MB", done.stdout)
    assert found is not None, done.stderr
    assert 200 < int(found[1]) <= LIMIT_MB, done.stdout
