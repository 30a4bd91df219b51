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


@pytest.mark.parametrize("classes", ["numbers", None])
def test_a_table_of_numbers_to_a_package(classes: str | None, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal([0, 100], [1, 30], size=(200, 2)).round(3)
    y = x[:, 0] * 30 + x[:, 1]
    target = np.where(y > 100, 7, 3) if classes else y
    lines = [f"{a},{b},{one}" for (a, b), one in zip(x, target, strict=True)]
    (tmp_path / "a.csv").write_text("\n".join(["slope,height,y", *lines]))
    data = Csv(path=tmp_path / "a.csv", target="y", task="classification" if classes else None)
    model = Sklearn(estimator="LogisticRegression" if classes else "Ridge")
    trained = train(Training(data=data, model=model, build=Packaging(recipes=ONE)), tmp_path / "out")
    package = build_trained(trained, tmp_path / "out")
    assert package.released == ONE
    metrics = package.manifest.artifacts[0].evaluation.metrics
    assert metrics is not None
    assert package.manifest.data.judged_samples == 50
    assert (metrics.accuracy if classes else metrics.r2) == pytest.approx(
        trained.metrics.accuracy if classes else trained.metrics.r2, abs=1e-6
    )
    package.save(tmp_path / "a.edgeml")
    row = {"height": 100.0, "slope": 2.0, "other": "x"}
    session = edgeml.load(tmp_path / "a.edgeml")
    if classes:
        assert session.classify([row], raw=True)[0] == 7
    else:
        assert np.asarray(session.predict([row], raw=True)).item() == pytest.approx(160, abs=2)


@pytest.mark.parametrize("wanted", [Packaging(name="Two Words"), Packaging(version="1"), Packaging(recipes=("x",))])
def test_what_build_would_not_take_is_told_before_anything_is_trained(wanted: Packaging) -> None:
    with pytest.raises(InputError):
        check_packaging(wanted)
