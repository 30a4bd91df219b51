"""What train() writes, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeml.core.errors import InputError, StorageError
from edgeml.trainers import Csv, Npz, Sklearn, Training, train

MODEL = Sklearn(estimator="LogisticRegression")


@pytest.fixture
def data(tmp_path: Path) -> Npz:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    np.savez(tmp_path / "data.npz", x=x, y=(x[:, 0] > 0).astype(int))
    return Npz(path=tmp_path / "data.npz")


def test_a_former_training_is_replaced_and_what_others_wrote_is_not(data: Npz, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    found = train(Training(data=data, model=MODEL), folder)
    assert set(found.files) == {path.name for path in folder.iterdir()}
    assert "confusion.png" in found.files
    (folder / "notes.txt").write_text("mine")
    again = train(Training(data=data, model=Sklearn(estimator="PCA")), folder)
    assert {path.name for path in folder.iterdir()} == {*again.files, "notes.txt"}
    assert "confusion.png" not in again.files
    (folder / "curves.png").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"curves\.png does not come from a training"):
        train(Training(data=data, model=MODEL), folder)
    assert (folder / "curves.png").read_bytes() == b"mine"


def test_what_is_trained_on_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.csv"
    path.write_text("a,y\n" + "1,low\n2,high\n" * 10)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"evaluation\.csv belongs to the training data"):
        train(Training(data=Csv(path=path, target="y"), model=MODEL), tmp_path)
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("evaluation.csv", before)]


def test_a_training_that_fails_writes_nothing(data: Npz, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not have a parameter 'D'"):
        train(Training(data=data, model=Sklearn(estimator="SVC", parameters={"D": 1})), tmp_path / "out")
    (tmp_path / "file").write_text("no folder")
    for folder in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(StorageError, match="file"):
            train(Training(data=data, model=MODEL), folder)
    assert {path.name for path in tmp_path.iterdir()} == {"data.npz", "file"}
