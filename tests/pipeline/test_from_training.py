"""From training files to packages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgeml
from edgeml.core.errors import InputError
from edgeml.pipeline import build_trained, check_packaging
from edgeml.trainers import Csv, Packaging, Sklearn, Training, train

ONE = ("onnx-fp32",)


def test_a_table_of_numbers_to_a_package(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal([0, 100], [1, 30], size=(200, 2)).round(3)
    y = np.where(x[:, 0] * 30 + x[:, 1] > 100, 7, 3)
    lines = [f"{a},{b},{one}" for (a, b), one in zip(x, y, strict=True)]
    (tmp_path / "a.csv").write_text("\n".join(["slope,height,y", *lines]))
    training = Training(
        data=Csv(path=tmp_path / "a.csv", target="y", task="classification"),
        model=Sklearn(estimator="LogisticRegression"),
        build=Packaging(recipes=ONE),
    )
    trained = train(training, tmp_path / "out")
    package = build_trained(trained, tmp_path / "out")
    assert package.released == ONE
    assert package.manifest.data.judged_samples == 50
    metrics = package.manifest.artifacts[0].evaluation.metrics
    assert metrics is not None
    assert metrics.accuracy == trained.metrics.accuracy
    package.save(tmp_path / "a.edgeml")
    row = {"height": 100.0, "slope": 2.0, "other": "x"}
    assert edgeml.load(tmp_path / "a.edgeml").classify([row], raw=True)[0] == 7


@pytest.mark.parametrize("wanted", [Packaging(name="Two Words"), Packaging(version="1"), Packaging(recipes=("x",))])
def test_what_build_would_not_take_is_told_before_anything_is_trained(wanted: Packaging) -> None:
    with pytest.raises(InputError):
        check_packaging(wanted)
