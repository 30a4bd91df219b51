"""Training files of others: scikit-learn runs none of their code and reads no other files."""

from __future__ import annotations

import csv
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import edgeml
from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.sources.sklearn_support import check_estimator
from edgeml.trainers import Csv, Digits, Search, Sklearn, Training
from edgeml.trainers.fit_worker import Trainer, TrainerSettings
from edgeml.trainers.sklearn_models import make_model

STEPS = [["scale", {"estimator": "StandardScaler"}], ["net", {"estimator": "LogisticRegression"}]]


class Trap:
    """Leave a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_pickles_in_the_folder_of_a_pipeline_are_not_loaded(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    y = (x[:, 0] > 0).astype(int)
    cache, opened = tmp_path / "cache", tmp_path / "opened"
    cached = Pipeline([("scale", StandardScaler()), ("net", LogisticRegression())], memory=str(cache)).fit(x, y)
    results = list(cache.rglob("output.pkl"))
    assert results
    for path in results:
        path.write_bytes(pickle.dumps(Trap(opened)))
    with pytest.raises(TypeError):
        cached.fit(x, y)
    assert opened.exists(), "scikit-learn loads what lies there, as this test assumes"
    opened.unlink()
    training = Training(
        data=Digits(), model=Sklearn(estimator="Pipeline", parameters={"memory": str(cache), "steps": STEPS})
    )
    with pytest.raises(InputError, match=r"model\.parameters\.memory: got .*, expected no text for 'memory'"):
        Trainer(TrainerSettings(training, tmp_path)).finish()
    assert not opened.exists()


@pytest.mark.parametrize(
    ("estimator", "parameters"),
    [
        ("Pipeline", {"steps": STEPS, "memory": "cache"}),
        ("FeatureAgglomeration", {"memory": "cache"}),
        ("AgglomerativeClustering", {"memory": "cache"}),
        ("OPTICS", {"memory": "cache"}),
        ("CountVectorizer", {"input": "filename"}),
        ("TfidfVectorizer", {"input": "file"}),
        ("HashingVectorizer", {"input": "filename"}),
        ("GridSearchCV", {"estimator": {"estimator": "SVC"}, "param_grid": {"C": [1.0]}, "pre_dispatch": "exit()"}),
        ("GridSearchCV", {"estimator": {"estimator": "Pipeline", "parameters": {"steps": STEPS}},
                          "param_grid": {"memory": ["cache"]}}),
        ("GridSearchCV", {"estimator": {"estimator": "Pipeline", "parameters": {"steps": STEPS}},
                          "param_grid": [{"net__C": [1.0]}, {"scale__memory": ["cache"]}]}),
        ("RandomizedSearchCV", {"estimator": {"estimator": "CountVectorizer"},
                                "param_distributions": {"input": ["content", "filename"]}}),
        ("BaggingClassifier", {"estimator": {"estimator": "Pipeline", "parameters": {"steps": STEPS, "memory": "m"}}}),
    ],
)  # fmt: skip
def test_texts_that_name_files_or_code_are_refused(estimator: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected no text for"):
        make_model(Sklearn(estimator=estimator, parameters=parameters), np.zeros((4, 2)), seed=0)


def test_a_grid_of_folders_is_refused(tmp_path: Path) -> None:
    model = Sklearn(steps=({"estimator": "Pipeline", "parameters": {"steps": STEPS}},))
    training = Training(data=Digits(), model=model, search=Search(grid={"pipeline__memory": [str(tmp_path)]}))
    with pytest.raises(InputError, match=r"search\.grid\.pipeline__memory: got .*, expected no text for 'memory'"):
        Trainer(TrainerSettings(training, tmp_path)).finish()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("estimator", "parameters"),
    [
        ("SVC", {"kernel": "poly", "class_weight": "balanced"}),
        ("CountVectorizer", {"token_pattern": "[a-z]+", "encoding": "latin-1", "stop_words": ["file"]}),
        ("TfidfVectorizer", {"input": "content", "analyzer": "char", "ngram_range": [1, 2]}),
        ("SimpleImputer", {"strategy": "constant", "fill_value": "filename", "missing_values": "?"}),
        ("GridSearchCV", {"estimator": {"estimator": "SVC"}, "param_grid": {"kernel": ["rbf"]}, "scoring": "f1"}),
        ("OneHotEncoder", {"categories": [["file", "memory"]], "handle_unknown": "ignore"}),
    ],
)
def test_texts_that_are_options_or_data_are_accepted(estimator: str, parameters: dict[str, Any]) -> None:
    model = make_model(Sklearn(estimator=estimator, parameters=parameters), np.zeros((4, 2)), seed=0)
    for name, value in parameters.items():
        if isinstance(value, str):
            assert getattr(model[-1], name) == value


def test_words_of_other_files_are_not_learned(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("hunter2")
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["text", "y"], *[[str(tmp_path / "secret.txt"), i % 2] for i in range(20)]])
    reader = {"estimator": "CountVectorizer", "parameters": {"input": "filename"}}
    columns = {"estimator": "ColumnTransformer", "parameters": {"transformers": [["t", reader, "text"]]}}
    model = Sklearn(table="as is", steps=(columns, {"estimator": "LogisticRegression"}))
    training = Training(data=Csv(path=tmp_path / "t.csv", target="y"), model=model)
    with pytest.raises(InputError, match=r"\.input: got 'filename'"):
        Trainer(TrainerSettings(training, tmp_path)).finish()


def test_a_reader_of_files_within_a_part_that_is_no_estimator_is_found() -> None:
    words = make_pipeline(CountVectorizer(), LogisticRegression())
    model = CalibratedClassifierCV(words, cv=2).fit(["some", "words"] * 4, [0, 1] * 4)
    check_estimator(model)
    model.calibrated_classifiers_[0].estimator[0].input = "filename"
    with pytest.raises(UnsupportedModelError, match="names of files"):
        check_estimator(model)


@pytest.mark.parametrize("hidden", [False, True])
def test_a_model_file_that_reads_files_is_refused(tmp_path: Path, hidden: bool) -> None:
    """Also where the fitted step alone says so, which the parameters of the pipeline do not show."""
    table = pd.DataFrame({"text": ["some", "words"]})
    columns = ColumnTransformer([("words", CountVectorizer(input="content" if hidden else "filename"), "text")])
    if not hidden:
        for text in table["text"]:
            (tmp_path / text).write_text(text)
        table = table.map(lambda text: str(tmp_path / text))
    model = make_pipeline(columns, LogisticRegression()).fit(table, [0, 1])
    if hidden:
        model[0].transformers_[0][1].input = "filename"
    skops.io.dump(model, tmp_path / "model.skops")
    with pytest.raises(UnsupportedModelError, match="names of files"):
        edgeml.build(tmp_path / "model.skops", recipes=("onnx-fp32",))
