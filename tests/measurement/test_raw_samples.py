"""Raw input as packages declare it, on real packages."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import edgeml
from edgeml.cli.bench_table import measurement_table
from edgeml.measurement import Options, bench
from edgeml.measurement.raw_samples import raw_sample
from edgeml.preprocessing import Audio, Declaration, Image, Table
from tests.support.identity_onnx import write_identity_onnx

AUDIO = Audio(
    front_end="log-mel", sample_rate=16000, frame_length=480, frame_step=320, fft_size=512, mel_bins=10, low_hz=20.0,
    high_hz=4000.0, log_offset=1e-6, samples=16000,
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "declaration", "shape"),
    [
        ((8, 6, 3), Image(height=8, width=6), (480, 640, 3)),
        ((8, 6, 1), Image(height=8, width=6, colour="gray", resize="area"), (480, 640, 1)),
        ((49, 10), AUDIO, (16000,)),
    ],
)
def test_the_time_of_preprocessing_is_measured_on_a_typical_sample(
    sizes: tuple[int, ...],
    declaration: Declaration,
    shape: tuple[int, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = np.random.default_rng(0).random((20, *sizes), np.float32)
    package = edgeml.build(
        write_identity_onnx(tmp_path, "float32", *sizes), evaluation=x, preprocessing=declaration, recipes=["onnx-fp32"]
    )
    with package.session("onnx-fp32") as session:
        raw = raw_sample(session, package.golden_inputs())
        assert isinstance(raw, np.ndarray)
        assert raw.shape == shape
        assert session.prepare(raw, raw=True)["x"].shape == (1, *sizes)
    single, offline = bench(package, options=Options(seconds=0.1, cold_starts=0)).measurements
    assert offline.preprocessing_ms is None
    assert single.preprocessing_ms is not None
    figure = single.preprocessing_ms
    assert figure.low is not None
    assert figure.high is not None
    assert 0 < figure.low <= figure.value <= figure.high
    monkeypatch.setenv("COLUMNS", "200")
    measurement_table([single, offline])
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("preprocessing")]
    (median,) = re.findall(r"([\d.]+) \[", row)
    assert float(median) == pytest.approx(figure.value, rel=0.01)


def test_a_row_of_a_table_is_the_first_of_the_samples(tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((20, 4), np.float32)
    declaration = Table(columns=("a", "b", "c", "d"))
    package = edgeml.build(
        write_identity_onnx(tmp_path, "float32"), evaluation=x, preprocessing=declaration, recipes=["onnx-fp32"]
    )
    with package.session("onnx-fp32") as session:
        raw = raw_sample(session, package.golden_inputs())
        assert raw == dict(zip("abcd", x[0].tolist(), strict=True))
        np.testing.assert_array_equal(session.prepare(raw, raw=True)["x"], x[:1])


def test_a_package_that_declares_nothing_has_no_such_figure(tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((20, 4), np.float32)
    package = edgeml.build(write_identity_onnx(tmp_path, "float32"), evaluation=x, recipes=["onnx-fp32"])
    with package.session("onnx-fp32") as session:
        assert raw_sample(session, package.golden_inputs()) is None
