"""Float artifacts on rows made from the source itself."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import edgeml
from edgeml.core.artifact import Artifact, Needs
from edgeml.core.goal import Goal, Verdict
from edgeml.core.recipe import find_recipe
from edgeml.core.records.evidence import Evaluation, Fidelity, ProbeFidelity
from edgeml.core.records.evidence_details import Evidence
from edgeml.pipeline.evaluation_data import EvaluationData
from edgeml.pipeline.outcome import ProofRun, ProvenArtifact
from edgeml.pipeline.probing import ProbeSet
from edgeml.pipeline.reference import ReferenceOutputs
from edgeml.pipeline.saved_inputs import save_inputs
from edgeml.sources.sklearn import SklearnSource, open_source, save

X, Y = load_iris(return_X_y=True)
X = X.astype(np.float32)


class Proof:
    """The verdict on outputs for the rows that are made from a model."""

    def __init__(self, model: Any, folder: Path) -> None:
        save(model, folder / "model.skops")
        self.source: SklearnSource = open_source(folder / "model.skops")
        self.probes = self.source.probes({"features": X})
        self.rows = self.probes.inputs["features"]

    def verdict(self, outputs: np.ndarray, recipe_id: str = "onnx-fp32") -> tuple[Verdict, ProbeFidelity]:
        info, recipe = self.source.info, find_recipe(recipe_id)
        judged = ReferenceOutputs(self.source.reference({"features": X}), info)
        held = ProbeSet(
            self.probes.inputs,
            ReferenceOutputs(self.probes.reference, info),
            judged,
            {"features": X},
            self.source.compared_columns(),
            self.source.reference,
        )
        artifact = Artifact(recipe_id, b"", info.signature, Needs("onnxruntime", "1", ()), ())
        run = ProofRun({}, (), None, probe_outputs={"scores": outputs.astype(np.float32)})
        proven = ProvenArtifact(
            artifact, run, Evaluation(Fidelity(1, 200.0, 200.0, 0.0)), Verdict("released", (), (), None), Evidence()
        )
        proven = held.hold(proven, recipe, Goal())
        assert proven.evaluation.probes is not None
        return proven.verdict, proven.evaluation.probes


def test_outputs_of_the_source_itself_pass(tmp_path: Path) -> None:
    model = RandomForestClassifier(10, random_state=0).fit(X, Y)
    proof = Proof(model, tmp_path)
    verdict, figures = proof.verdict(model.predict_proba(proof.rows))
    assert verdict.status == "released"
    assert figures == ProbeFidelity(len(proof.rows), 0)


def test_a_single_row_that_differs_is_enough_and_is_named(tmp_path: Path) -> None:
    model = LogisticRegression(max_iter=500).fit(X, Y)
    proof = Proof(model, tmp_path)
    outputs = model.predict_proba(proof.rows)
    outputs[7] = outputs[7, ::-1]
    verdict, figures = proof.verdict(outputs)
    assert (verdict.status, figures.differing) == ("rejected", 1)
    (reason,) = verdict.reasons
    assert reason.startswith(f"1 of {len(proof.rows)} rows made from the model itself differ from the source, for ")
    assert f"features [{proof.rows[7, 0]:.9g}, " in reason
    assert f"expected [{proof.probes.reference.outputs['scores'][7, 0]:.9g}, " in reason


def multiplied(model: Any, rows: np.ndarray) -> np.ndarray:
    """Answers of a scaler and a tree, with a product where scikit-learn divides, and other last bits so."""
    scaler, tree = model
    factor, mean = np.float32(1 / scaler.scale_), np.float32(scaler.mean_)
    return np.asarray(tree.predict_proba(rows * factor - mean * factor))


def test_either_side_of_a_threshold_behind_arithmetic(tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=0)).fit(X, Y)
    proof = Proof(model, tmp_path)
    differ = int((multiplied(model, proof.rows) != model.predict_proba(proof.rows)).any(axis=1).sum())
    assert differ
    verdict, figures = proof.verdict(multiplied(model, proof.rows))
    assert (verdict.status, figures.differing, figures.excused) == ("released", 0, differ)


def test_only_the_sources_side_of_a_threshold_on_the_input(tmp_path: Path) -> None:
    model = DecisionTreeClassifier(random_state=0).fit(X, Y)
    moved = copy.deepcopy(model)
    down = np.nextafter(moved.tree_.threshold.astype(np.float32), np.float32(-np.inf))
    moved.tree_.threshold[...] = down
    proof = Proof(model, tmp_path)
    verdict, figures = proof.verdict(moved.predict_proba(proof.rows))
    assert verdict.status == "rejected"
    assert figures.differing
    assert not figures.excused


def test_float16_may_round_and_not_more(tmp_path: Path) -> None:
    model = LogisticRegression(max_iter=500).fit(X, Y)
    proof = Proof(model, tmp_path)
    outputs = model.predict_proba(proof.rows.astype(np.float16))
    assert proof.verdict(outputs, "onnx-fp16")[0].status == "released"
    assert proof.verdict(outputs)[0].status == "rejected"
    outputs[: len(outputs) // 20] = outputs[: len(outputs) // 20, ::-1]
    assert proof.verdict(outputs, "onnx-fp16")[0].status == "rejected"


def test_nan_is_no_answer(tmp_path: Path) -> None:
    model = LogisticRegression(max_iter=500).fit(X, Y)
    proof = Proof(model, tmp_path)
    outputs = model.predict_proba(proof.rows)
    outputs[3] = np.nan
    assert proof.verdict(outputs)[1].differing == 1


def test_columns_that_are_compared_alone_are_not_moved(tmp_path: Path) -> None:
    """Else thresholds on the inputs would count as noise, and lower the floor."""
    save(RandomForestClassifier(3, random_state=0).fit(X, Y), tmp_path / "model.skops")
    source = open_source(tmp_path / "model.skops")
    data = EvaluationData("evaluation", {"features": X})
    for name, compared, moved in (("all", source.compared_columns(), None), ("some", {"features": (0, 2)}, {1, 3})):
        (tmp_path / name).mkdir()
        files = save_inputs(data, None, source.info, tmp_path / name, compared).moved
        if moved is None:
            assert files is None
        else:
            assert files is not None
            assert set(np.flatnonzero((np.load(files["features"]) != X).any(axis=0)).tolist()) == moved


@pytest.mark.slow
def test_a_forest_on_a_table_with_gaps_and_texts_is_released_with_its_figures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": np.where(rng.random(200) < 0.1, np.nan, np.round(rng.uniform(20, 200, 200), 1)),
            "rooms": rng.integers(1, 6, 200).astype(float),
            "city": rng.choice(["Oslo", "Paris", "Łódź"], 200),
            "note": rng.choice(["très beau café", "quiet street near a park", "sunny, no lift"], 200),
        }
    )
    columns = ColumnTransformer(
        [
            ("numbers", SimpleImputer(), ["size", "rooms"]),
            ("city", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["city"]),
            ("note", CountVectorizer(lowercase=False, ngram_range=(1, 2)), "note"),
        ]
    )
    target = frame["size"].fillna(90) + 10 * frame["rooms"] > 130
    model = make_pipeline(columns, RandomForestClassifier(10, random_state=0)).fit(frame, target)
    package = edgeml.build(model, evaluation=(frame, target), recipes="onnx-fp32")
    record = package.artifact("onnx-fp32")
    assert record.verdict.reasons == ()
    assert record.verdict.released
    probes = record.evaluation.probes
    assert probes is not None
    assert probes.rows > 200
    assert probes.differing == 0
    package.save(tmp_path / "forest.edgeml")
    opened = edgeml.open_package(tmp_path / "forest.edgeml").artifact("onnx-fp32")
    assert opened.evaluation.probes == probes


@pytest.mark.slow
def test_word_pairs_over_stop_words_are_missed_beyond_the_evaluation_and_rejected() -> None:
    """onnxruntime joins the words that stand side by side; scikit-learn drops stop words first."""
    texts = ["great phone", "screen works like magic", "bad screen", "phone broke like glass"] * 6
    target = np.array([1, 1, 0, 0] * 6)
    frame = pd.DataFrame({"note": texts, "stars": np.linspace(0, 1, 24)})
    words = CountVectorizer(ngram_range=(1, 2), stop_words=["like"], lowercase=False)
    columns = ColumnTransformer([("words", words, "note"), ("rest", "passthrough", ["stars"])])
    model = make_pipeline(columns, LogisticRegression()).fit(frame, target)
    plain = np.array(["like" not in text for text in texts])
    record = edgeml.build(model, evaluation=(frame[plain], target[plain]), recipes="onnx-fp32").artifact("onnx-fp32")
    assert record.evaluation.fidelity.flips == 0
    assert record.evaluation.fidelity.sqnr_db > 90
    assert record.verdict.status == "rejected"
    assert "rows made from the model itself differ from the source" in record.verdict.reasons[0]
    assert "like" in record.verdict.reasons[0]
