"""A table with text and gaps on the command line: a model to a package, and a CSV file to prices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.ensemble import RandomForestRegressor

import edgeml
from tests.support.houses import houses, pipeline

Run = Callable[..., "CompletedProcess[str]"]


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, held-out rows, and the package of both."""
    path = tmp_path_factory.mktemp("houses")
    frame, prices = houses(500, 0)
    skops.io.dump(pipeline(RandomForestRegressor(20, random_state=0)).fit(frame, prices), path / "houses.skops")
    held_out, truth = houses(200, 1)
    held_out.assign(price=truth).to_csv(path / "held-out.csv", index=False)
    made = run(
        "build", "houses.skops", "-o", "houses.edgeml", "--evaluation", "held-out.csv", "--target", "price",
        "--recipe", "onnx-fp32", cwd=path,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return path


def test_prices_from_a_csv_with_gaps(run: Run, folder: Path, tmp_path: Path) -> None:
    rows, _ = houses(100, 2, gaps=0.3)
    rows.to_csv(tmp_path / "new.csv", index=False, encoding="utf-8-sig")
    made = run("predict", folder / "houses.edgeml", tmp_path / "new.csv", "-o", tmp_path / "out.npz")
    assert made.returncode == 0, made.stderr
    wanted = skops.io.load(folder / "houses.skops", trusted=["numpy.dtype", "sklearn.tree._tree.Tree"]).predict(rows)
    found = np.load(tmp_path / "out.npz")["scores"]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert run("predict", folder / "houses.edgeml", tmp_path / "new.csv", "-o", tmp_path / "out.csv").returncode == 0
    assert pd.read_csv(tmp_path / "out.csv")["scores"].to_numpy(np.float32).tolist() == found.tolist()
    assert run("verify", folder / "houses.edgeml").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("target", [[], ["--target", "price"]])
def test_calibration_from_a_csv_with_or_without_the_target(
    run: Run, folder: Path, target: list[str], tmp_path: Path
) -> None:
    table = folder / "held-out.csv"
    made = run(
        "build", folder / "houses.skops", "-o", tmp_path / "x.edgeml", "--calibration", table, "--evaluation", table,
        "--recipe", "onnx-fp32", *target,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    data = edgeml.open_package(tmp_path / "x.edgeml").manifest.data
    assert (data.calibration_samples, data.overlap, data.labelled) == (200, 200, bool(target))


def test_the_columns_are_told(run: Run, folder: Path) -> None:
    told = run("inspect", folder / "houses.edgeml").stderr
    assert "district [batch, 1] text, may be missing" in told
    assert "age [batch, 1] may be missing" in told
    assert "raw       district: column district of a table" in told


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("area,rooms,age\n80,3,10\n", "columns are missing: district"),
        ("area,rooms,age,district\n80,three,10,north\n", "line 2, column 'rooms': got 'three', expected a number"),
        ("area,rooms,age,district\n", "and no rows"),
        ("", "new.csv is empty"),
        ("area;rooms;age;district\n80;3;10;north\n", "separate the fields by commas, not by ';'"),
        ("area,rooms,age,district\n80;3;10;north\n", "line 2: got 1 fields, expected 4"),
        ("area,rooms,age,district\n80,3,10,north\n80,3,10\n", "line 3: got 3 fields, expected 4"),
    ],
)
def test_tables_that_do_not_fit(run: Run, folder: Path, text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text(text, encoding="utf-8")
    made = run("predict", folder / "houses.edgeml", tmp_path / "new.csv", "-o", tmp_path / "out.npz")
    assert made.returncode == 2
    assert words in " ".join(made.stderr.split())
    assert "Traceback" not in made.stderr
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize(
    ("text", "target", "words"),
    [
        ("area,rooms,age,district,price\n", "price", "and no rows"),
        ("", "price", "held-out.csv is empty"),
        (
            "area,rooms,age,district,price\n80,3,10,north,1\n",
            "cost",
            "columns are missing: cost; it has area, rooms, age, district, price",
        ),
        ("area,rooms,age,district,price\n80,3,10,north,\n", "price", "line 2, column 'price': the field is empty"),
        ("area,rooms,price\n80,3,1\n", "price", "columns are missing: age"),
        (
            "area,rooms,age,district,price\n80,3,10,north,cheap\n",
            "price",
            "line 2, column 'price': got 'cheap', expected a number",
        ),
        ("area;rooms;age;district;price\n80;3;10;north;1\n", "price", "separate the fields by commas"),
    ],
)
def test_evaluation_tables_that_do_not_fit(
    run: Run, folder: Path, text: str, target: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "held-out.csv").write_text(text, encoding="utf-8")
    made = run(
        "build", folder / "houses.skops", "-o", tmp_path / "x.edgeml", "--evaluation", tmp_path / "held-out.csv",
        "--target", target,
    )  # fmt: skip
    assert made.returncode == 2
    assert words in " ".join(made.stderr.split())
    assert "Traceback" not in made.stderr
    assert not (tmp_path / "x.edgeml").exists()
