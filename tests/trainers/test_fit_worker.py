"""Nets on tables, and the order of their classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from edgeml.core.errors import InputError
from edgeml.trainers import Csv, Dense, Digits, Fit, Training
from edgeml.trainers.fit_worker import Trainer, TrainerSettings

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, on saving
def test_a_net_has_its_classes_in_the_order_of_the_file(tmp_path: Path) -> None:
    import keras

    training = Training(data=Digits(classes=NAMES), model=Dense(hidden=(16,)), fit=Fit(epochs=4, learning_rate=0.01))
    trainer = Trainer(TrainerSettings(training, tmp_path))
    while trainer.epoch() is not None:
        pass
    trained = trainer.finish()
    assert trained.classes == NAMES
    with np.load(tmp_path / "evaluation.npz") as file:
        x, y = file["x"], file["y"]
    model = keras.saving.load_model(tmp_path / trained.model, compile=False)
    named = np.array(NAMES)[np.asarray(model(x)).argmax(axis=1)]
    assert trained.metrics.accuracy == accuracy_score(y, named) > 0.8


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("a,b,y\n" + "1,low,2\n2,high,3\n" * 9, ["column 'b' has text", "nets support only numbers"]),
        ("a,b,y\n" + "1,3,2\n2,,3\n" * 9, ["column 'b' has missing values", "data.drop = ['b']"]),
        ("a,b,y\n" + "1,3,2\n2,1e300,3\n" * 9, ["column 'b' has values that float32 cannot hold"]),
    ],
)
def test_a_net_takes_a_table_of_numbers_alone(table: str, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(table)
    with pytest.raises(InputError) as caught:
        Trainer(TrainerSettings(Training(data=Csv(path=tmp_path / "a.csv", target="y"), model=Dense()), tmp_path))
    for word in words:
        assert word in str(caught.value)
