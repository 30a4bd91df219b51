"""What a training may hold, however it is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgeml.core.errors import InputError
from edgeml.trainers import (
    Autoencoder,
    Conv,
    Csv,
    Data,
    Dense,
    Digits,
    DsCnn,
    Fit,
    Idx,
    Images,
    MobileNetV1,
    Model,
    Npz,
    ResNet8,
    Search,
    Sklearn,
    Training,
)

GRID = Search(grid={"estimator__alpha": [1.0, 2.0]})
NETS = [Dense(), Conv(), DsCnn(), ResNet8(), MobileNetV1(), Autoencoder()]


@pytest.mark.parametrize("net", NETS, ids=lambda net: type(net).__name__)
def test_nets_are_fitted_and_not_searched(net: Model) -> None:
    assert Training(data=Digits(), model=net, fit=Fit(epochs=1)).fit == Fit(epochs=1)
    with pytest.raises(InputError, match="search: only kind"):
        Training(data=Digits(), model=net, search=GRID)


def test_estimators_are_searched_and_not_fitted_by_epochs() -> None:
    assert Training(data=Digits(), model=Sklearn(estimator="Ridge"), search=GRID).search == GRID
    with pytest.raises(InputError, match="fit: only nets support it"):
        Training(data=Digits(), model=Sklearn(estimator="Ridge"), fit=Fit())


def test_an_estimator_or_the_steps_of_a_pipeline_are_given() -> None:
    steps = ({"estimator": "PCA"}, {"estimator": "Ridge"})
    assert isinstance(Training(data=Digits(), model=Sklearn(steps=steps)).model, Sklearn)
    for model in (Sklearn(), Sklearn(estimator="Ridge", steps=steps)):
        with pytest.raises(InputError, match="either 'estimator' or 'steps'"):
            Training(data=Digits(), model=model)


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        (Digits(), []),
        (Csv(path=Path("a.csv")), ["a.csv"]),
        (Npz(path=Path("a.npz")), ["a.npz"]),
        (Images(path=Path("folder")), ["folder"]),
        (Idx(images=Path("x"), labels=Path("y")), ["x", "y"]),
    ],
)
def test_paths_are_all_that_the_data_come_from(data: Data, paths: list[str]) -> None:
    assert Training(data=data, model=Dense()).paths == [Path(path) for path in paths]


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("model", "dropout", 1.0),
        ("model", "dropout", -0.1),
        ("model", "l2", -1e-9),
        ("model", "hidden", [0]),
        ("split", "evaluation", 0.0),
        ("split", "validation", 1.0),
        ("split", "calibration", 0),
        ("fit", "epochs", 0),
        ("fit", "learning_rate", 0.0),
        ("fit", "schedule", "linear"),
        ("fit", "patience", 0),
        (None, "seed", -1),
        (None, "seed", 2**32),
    ],
)
def test_what_is_out_of_bounds_is_refused_with_its_place(table: str | None, key: str, value: object) -> None:
    training: dict[str, Any] = {"data": {"kind": "digits"}, "model": {"kind": "dense"}, "split": {}, "fit": {}}
    msgspec.convert(training, type=Training)
    (training if table is None else training[table])[key] = value
    place = key if table is None else rf"{table}\.{key}"
    with pytest.raises(msgspec.ValidationError, match=rf"at `\$\.{place}"):
        msgspec.convert(training, type=Training)
