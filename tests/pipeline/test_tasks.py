"""Tasks beyond one label: one trained model each, in all recipes, with the metrics of scikit-learn and pycocotools."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn import metrics as theirs
from sklearn.neighbors import NearestNeighbors

import edgeml
from edgeml.core.errors import InputError, MissingDependencyError
from edgeml.core.recipe import RECIPES
from edgeml.core.records.evidence import Metrics
from edgeml.core.source import SourceInfo
from edgeml.core.system.worker import Worker
from edgeml.package.manifest import ArtifactRecord
from tests.support.hints import install_hint
from tests.support.task_models import TaskModel, TaskModelsSettings

pytestmark = pytest.mark.slow

Trained = Callable[[str], TaskModel]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """Trains the model of a task."""
    folder = tmp_path_factory.mktemp("tasks")
    with Worker("tests.support.task_models:TaskModels", TaskModelsSettings(folder), folder) as worker:
        yield lambda task: worker.call("train", task, returns=TaskModel)


def each_released(package: edgeml.Package, least: int = 8) -> Iterator[tuple[ArtifactRecord, edgeml.Session]]:
    """The released artifacts, which are nearly all."""
    assert len(package.released) >= least, [r.verdict.reasons for r in package.manifest.artifacts]
    for recipe in package.released:
        with package.session(recipe) as session:
            yield package.artifact(recipe), session


def metrics_of(record: ArtifactRecord) -> Metrics:
    assert record.evaluation.metrics is not None
    return record.evaluation.metrics


def test_multi_label(trained: Trained, tmp_path: Path) -> None:
    model = trained("multi_label")
    (y,) = model.y.values()
    labels = ["rain", "wind", "fog", "snow"]
    package = edgeml.build(model.path, calibration=model.calibration, evaluation=(model.x, y), labels=labels)
    assert package.manifest.source.task == "multi-label"
    source = model.answers[""] > 0.5
    for record, session in each_released(package):
        applies = session.classify(model.x)
        assert (applies.dtype, applies.shape, session.labels) == (np.bool_, y.shape, tuple(labels))
        found = metrics_of(record)
        assert found.f1 == pytest.approx(theirs.f1_score(y, applies, average="macro"))
        assert found.accuracy == pytest.approx(theirs.accuracy_score(y, applies))
        assert found.auc == pytest.approx(theirs.roc_auc_score(y, session.predict(model.x)))
        assert record.evaluation.fidelity.agreement == pytest.approx((applies == source).mean(), abs=1e-9)
        drop = record.evaluation.drop
        assert drop is not None
        assert drop.value == pytest.approx(theirs.f1_score(y, source, average="macro") - found.f1)
        assert drop.low <= drop.value <= drop.high
        details = package.evidence(record.recipe)
        assert details is not None
        by_label = theirs.f1_score(y, applies, average=None)
        assert [score.artifact for score in details.label_scores] == pytest.approx(by_label.tolist())
    session = package.session("onnx-fp32")
    assert np.array_equal(session.classify(model.x), source)
    applies, scores = session.classify(model.x[:3], scores=True)
    np.testing.assert_allclose(scores, model.answers[""][:3], atol=1e-6)
    assert session.top(model.x[:1], 2).labels[0, 0] == labels[int(model.answers[""][0].argmax())]
    package.save(tmp_path / "tags.edgeml")
    assert edgeml.open_package(tmp_path / "tags.edgeml").manifest == package.manifest


def test_segmentation(trained: Trained) -> None:
    """Masks of numbers and one-hot masks are the same truth; pixels that never change do not reject."""
    model = trained("segmentation")
    (y,) = model.y.values()
    assert (y[:, 0] == 0).all()
    package = edgeml.build(
        model.path, calibration=model.calibration, evaluation=(model.x, y), labels=["ground", "box", "ball"]
    )
    assert package.manifest.source.task == "segmentation"
    source = model.answers[""].argmax(axis=-1)
    for record, session in each_released(package):
        masks = session.classify(model.x)
        found = metrics_of(record)
        assert found.mean_iou == pytest.approx(theirs.jaccard_score(y.ravel(), masks.ravel(), average="macro"))
        assert found.mean_iou is not None
        assert found.mean_iou > 0.5
        assert found.accuracy == pytest.approx((masks == y).mean())
        fidelity = record.evaluation.fidelity
        assert fidelity.labels == y.size
        assert fidelity.agreement == pytest.approx((masks == source).mean(), abs=1e-6)
    one_hot = np.eye(3, dtype=np.float32)[y]
    again = edgeml.build(model.path, evaluation=(model.x, one_hot), recipes="onnx-fp32")
    assert again.artifact("onnx-fp32").evaluation == package.artifact("onnx-fp32").evaluation
    unknown = y.copy()
    unknown[:, :8] = -1
    half = edgeml.build(model.path, evaluation=(model.x, unknown), recipes="onnx-fp32")
    masks = half.session("onnx-fp32").classify(model.x)
    expected = theirs.jaccard_score(y[:, 8:].ravel(), masks[:, 8:].ravel(), average="macro")
    assert metrics_of(half.artifact("onnx-fp32")).mean_iou == pytest.approx(expected)


def test_sequences(trained: Trained) -> None:
    model = trained("sequence")
    (y,) = model.y.values()
    labels = np.array(["down", "up", "peak"])
    package = edgeml.build(
        model.path, calibration=model.calibration, evaluation=(model.x, labels[y]), labels=labels.tolist()
    )
    assert package.manifest.source.task == "sequence"
    for record, session in each_released(package):
        steps = session.classify(model.x)
        assert (steps.shape, steps.dtype.kind) == (y.shape, "U")
        found = metrics_of(record)
        assert found.accuracy == pytest.approx((steps == labels[y]).mean())
        assert found.f1 == pytest.approx(theirs.f1_score(labels[y].ravel(), steps.ravel(), average="macro"))
    assert np.array_equal(package.session("onnx-fp32").classify(model.x), labels[model.answers[""].argmax(axis=-1)])


def test_several_outputs(trained: Trained, tmp_path: Path, run: Callable[..., Any]) -> None:
    """Each output has a task and metric of its own; the worst drop decides."""
    model = trained("outputs")
    kinds = np.array(["a", "b", "c"])
    truth = {**model.y, "kind": kinds[model.y["kind"]]}
    package = edgeml.build(
        model.path,
        calibration=model.calibration,
        evaluation=(model.x, truth),
        labels={"kind": kinds.tolist()},
        task={"tags": "multi-label"},
    )
    tasks = {name: head.task for name, head in package.manifest.source.heads.items()}
    assert tasks == {"kind": "classification", "size": "regression", "tags": "multi-label"}
    for record, session in each_released(package):
        answers, values = session.classify(model.x), session.predict(model.x)
        figures = record.evaluation.outputs
        assert isinstance(values, dict)
        assert {name: each.shape for name, each in answers.items()} == {"kind": (300,), "tags": (300, 2)}
        kind, size, tags = (figures[name].metrics for name in ("kind", "size", "tags"))
        assert kind is not None and size is not None and tags is not None
        assert kind.accuracy == pytest.approx((answers["kind"] == truth["kind"]).mean())
        assert size.r2 == pytest.approx(theirs.r2_score(truth["size"], values["size"][:, 0]), abs=1e-6)
        assert tags.f1 == pytest.approx(theirs.f1_score(truth["tags"], answers["tags"], average="macro"))
        drops = {name: each.drop.value for name, each in figures.items() if each.drop is not None}
        worst = record.evaluation.drop
        assert worst is not None
        assert (worst.output in drops, worst.value) == (True, max(drops.values()))
        agreements = [figures[name].agreement for name in answers]
        assert record.evaluation.fidelity.agreement == min(each for each in agreements if each is not None)
    assert package.session("onnx-fp32").labels == {"kind": ("a", "b", "c"), "tags": (0, 1)}

    arrays: dict[str, Any] = {"x": model.x, **{f"y.{name}": each for name, each in model.y.items()}}
    np.savez(tmp_path / "data.npz", **arrays)
    command = run("build", str(model.path), "-o", "heads.edgeml", "--evaluation", "data.npz", "--recipe", "onnx-fp32",
                  "--task", "tags=multi-label", "--json", cwd=tmp_path)  # fmt: skip
    assert command.returncode == 0, command.stderr
    (record,) = edgeml.open_package(tmp_path / "heads.edgeml").manifest.artifacts
    assert record.evaluation.outputs["tags"] == package.artifact("onnx-fp32").evaluation.outputs["tags"]
    assert run("predict", "heads.edgeml", "data.npz", "-o", "out.npz", cwd=tmp_path).returncode == 0
    with np.load(tmp_path / "out.npz") as out:
        assert sorted(out) == ["kind", "labels_kind", "labels_tags", "size", "tags"]
        assert np.array_equal(out["labels_tags"], package.session("onnx-fp32").classify(model.x)["tags"])
    shown = run("inspect", "heads.edgeml", cwd=tmp_path).stdout
    assert "tags: multi-label" in shown


def test_anomalies_of_an_autoencoder(trained: Trained) -> None:
    model = trained("anomaly")
    (y,) = model.y.values()
    package = edgeml.build(model.path, calibration=model.calibration, evaluation=(model.x, y), task="anomaly")
    for record, session in each_released(package, least=6):
        error = np.square(np.asarray(session.predict(model.x), np.float64) - model.x).mean(axis=1)
        found = metrics_of(record).auc
        assert found == pytest.approx(theirs.roc_auc_score(y, error))
        assert found is not None
        assert found > 0.9


def test_embeddings(trained: Trained) -> None:
    model = trained("embedding")
    (y,) = model.y.values()
    package = edgeml.build(model.path, calibration=model.calibration, evaluation=(model.x, y), task="embedding")
    for record, session in each_released(package):
        values = np.asarray(session.predict(model.x))
        nearest = NearestNeighbors(n_neighbors=6, metric="cosine").fit(values).kneighbors(values)[1][:, 1:]
        found = metrics_of(record)
        assert found.recall_at_1 == pytest.approx((y[nearest[:, 0]] == y).mean(), abs=1 / 300)
        assert found.recall_at_5 == pytest.approx((y[nearest] == y[:, None]).any(axis=1).mean(), abs=1 / 300)
        cosine = theirs.pairwise.cosine_similarity(values, model.answers[""]).diagonal().mean()
        assert found.cosine == pytest.approx(cosine, abs=1e-5)


def test_detection(trained: Trained) -> None:
    """In all recipes that are released mean average precision stays within a point; it is far from that of no boxes."""
    pytest.importorskip("pycocotools")
    model = trained("detection")
    (y,) = model.y.values()
    boxes = [rows[rows[:, 4] >= 0] for rows in y]
    package = edgeml.build(
        model.path,
        calibration=model.calibration,
        evaluation=(model.x, boxes),
        boxes="cxcywh",
        labels=["red", "green", "blue"],
    )
    source = package.manifest.source
    assert (source.task, source.boxes is not None and source.boxes.labels) == ("detection", ("red", "green", "blue"))
    assert {"tflite-int8", "onnx-int8"} <= set(package.released)
    for record, _ in each_released(package, least=9):
        found, drop = metrics_of(record).mean_average_precision, record.evaluation.drop
        assert found is not None and drop is not None
        assert found > 0.5
        assert drop.value < 0.01
        assert drop.low <= drop.value <= drop.high
    with pytest.raises(InputError, match="got the format None"):
        edgeml.build(model.path, evaluation=(model.x, boxes), task="detection", recipes="onnx-fp32")
    with pytest.raises(InputError, match=r"expected 3, one for each class"):
        edgeml.build(model.path, evaluation=(model.x, boxes), boxes="cxcywh", labels=["one"], recipes="onnx-fp32")
    for sample, wrong in ((7, np.zeros((2, 4))), (9, np.full((1, 5), np.nan))):
        bad = [wrong if number == sample else rows for number, rows in enumerate(boxes)]
        with pytest.raises(InputError, match=f"sample {sample}"):
            edgeml.build(model.path, evaluation=(model.x, bad), boxes="cxcywh", recipes="onnx-fp32")
    raw = edgeml.build(model.path, evaluation=model.x, task="detection", recipes="onnx-fp32")
    assert any("average precision needs decoded boxes" in text for text in raw.artifact("onnx-fp32").verdict.remarks)


def test_average_precision_without_its_extra_is_refused_before_any_work(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    model, steps = trained("detection"), list[str]()
    with pytest.raises(MissingDependencyError, match="Average precision needs the extra 'detection'") as caught:
        edgeml.build(
            model.path,
            evaluation=(model.x, [np.zeros((0, 5))] * len(model.x)),
            boxes="cxcywh",
            recipes="onnx-fp32",
            progress=lambda step: steps.append(step.text),
        )
    assert caught.value.fix == install_hint("detection")
    assert not any("convert" in text for text in steps)


def test_probabilities_that_do_not_show_in_the_model_decide_at_a_half(keras_models: Worker) -> None:
    path = keras_models.call("make", "hard_sigmoid", returns=Path)
    x = np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32)
    (scores,) = keras_models.call("answers", path, [x], returns=list[np.ndarray])
    package = edgeml.build(path, evaluation=(x, (scores > 0.5).astype(int)), task="multi-label", recipes="onnx-fp32")
    record = package.artifact("onnx-fp32")
    assert metrics_of(record).accuracy == 1
    assert any("above 0.5, since its values are between 0 and 1" in text for text in record.verdict.remarks)
    assert np.array_equal(package.session("onnx-fp32").classify(x), scores > 0.5)


def test_tasks_survive_the_manifest(trained: Trained) -> None:
    model = trained("outputs")
    package = edgeml.build(model.path, evaluation=model.x, recipes="onnx-fp32")
    assert len(RECIPES) == 9
    encoded = msgspec.json.encode(package.manifest.source)
    assert msgspec.json.decode(encoded, type=SourceInfo) == package.manifest.source
    record = package.artifact("onnx-fp32")
    assert any("task='multi-label'" in text for text in record.verdict.remarks)
    assert record.evaluation.fidelity.agreement == 1
