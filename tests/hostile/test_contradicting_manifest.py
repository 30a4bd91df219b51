"""Manifests of valid types, in canonical form and with right digests, whose parts contradict each other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import edgeml
from edgeml.core.errors import InputError, PackageError, TargetError
from edgeml.package.manifest import Manifest, encode_manifest
from tests.support.forging import forged, with_manifest

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture(scope="module")
def data(small_package_file: Path) -> bytes:
    return small_package_file.read_bytes()


def changed(data: bytes, change: Callable[[Any], object]) -> bytes:
    """The package with a changed manifest, in the canonical order of fields."""

    def apply(manifest: Any, contents: dict[str, bytes]) -> None:
        change(manifest)

    def canonical(text: bytes) -> bytes:
        with contextlib.suppress(InputError):  # of a goal
            return encode_manifest(msgspec.json.decode(text, type=Manifest))
        return text

    return with_manifest(forged(data, apply), canonical)


def refuse(data: bytes, path: Path, match: str) -> PackageError:
    path.write_bytes(data)
    with pytest.raises(PackageError, match=match) as caught:
        edgeml.open_package(path)
    assert path.name in caught.value.message
    return caught.value


@pytest.mark.parametrize("path", sorted(DATA.glob("*.edgeml")), ids=lambda path: path.name)
def test_packages_of_before_open(path: Path) -> None:
    assert edgeml.open_package(path).released


def artifact(manifest: Any, recipe: str = "onnx-fp32") -> Any:
    return next(record for record in manifest["artifacts"] if record["recipe"] == recipe)


def tensor(manifest: Any, kind: str = "outputs", recipe: str = "tflite-fp32") -> Any:
    return artifact(manifest, recipe)["signature"][kind][0]


CONTRADICTIONS: dict[str, tuple[Callable[[Any], object], str]] = {
    "fewer labels": (lambda m: m["source"]["decision"].update(labels=[0, 1]), "expected 2 scores for 2 labels"),
    "no labels": (lambda m: m["source"]["decision"].update(labels=[]), "0 labels"),
    "a label twice": (lambda m: m["source"]["decision"].update(labels=[0, 1, 1]), "2 of them different"),
    "labels of two kinds": (lambda m: m["source"]["decision"].update(labels=[0, "a", "b"]), "are text, and others"),
    "a label of 70 bits": (lambda m: m["source"]["decision"].update(labels=[0, 1, 2**63]), "more than 64 bits"),
    "a threshold": (lambda m: m["source"]["decision"].update(threshold=0.5), "decides between 3 labels"),
    "an axis of 9": (lambda m: m["source"]["decision"].update(axis=9), "on axis 9 of the scores"),
    "an axis of 9, of one score": (
        lambda m: m["source"]["decision"].update(axis=9, labels=[0, 1], threshold=0.5), "on axis 9 of the scores",
    ),
    "boxes it lacks": (
        lambda m: m["source"].update(boxes={"format": "xyxy", "output": "other", "scores": "scores"}),
        "boxes are in an output",
    ),
    "classes of boxes it lacks": (
        lambda m: m["source"].update(
            boxes={"format": "xyxy", "output": "scores", "scores": "scores", "classes": "other"}
        ),
        "boxes are in an output",
    ),
    "no scores": (lambda m: tensor(m).pop("meaning"), "neither scores nor labels"),
    "scores as labels": (lambda m: tensor(m).update(meaning="label"), "more than one label"),
    "labels of a regressor": (lambda m: m["source"].update(decision=None), "does not classify"),
    "no inputs": (lambda m: artifact(m)["signature"].update(inputs=[]), "0 inputs"),
    "no outputs of the source": (lambda m: m["source"]["signature"].update(outputs=[]), "0 outputs"),
    "other names": (lambda m: tensor(m, "inputs").update(name="other"), "expected those of the source"),
    "another shape": (lambda m: tensor(m, "inputs").update(shape=[1, 5]), "another shape"),
    "a negative size": (lambda m: tensor(m, "inputs").update(shape=[1, -4]), "has the shape"),
    "a huge size": (lambda m: tensor(m, "inputs").update(shape=[1, 10**12]), "has the shape"),
    "a quantized float": (lambda m: tensor(m).update(quantization={"scale": 1.0, "zero_point": 0}), "is quantized"),
    "a scale of 0": (
        lambda m: tensor(m).update(dtype="int8", quantization={"scale": 0.0, "zero_point": 0}), "a scale of 0",
    ),
    "a zero point": (
        lambda m: tensor(m).update(dtype="int8", quantization={"scale": 1.0, "zero_point": 128}), "zero point of 128",
    ),
    "a negative time": (
        lambda m: artifact(m).update(measurement={"runs": 1, "median_ms": -1.0, "p95_ms": 1.0}), "time of -1",
    ),
    "a latency of nothing": (
        lambda m: artifact(m).update(measurement={"runs": 1, "median_ms": 1.0, "p95_ms": 0.0}), "time of 0",
    ),
    "an agreement of 17": (lambda m: artifact(m)["evaluation"]["fidelity"].update(agreement=17.0), "share of 17"),
    "a dtype of text": (lambda m: tensor(m).update(source_dtype="string"), "is float32, and string in the source"),
    "an equality of 3": (
        lambda m: artifact(m)["evaluation"]["fidelity"].update(worst_integers={"output": "y", "equal": 3.0}),
        "share of 3",
    ),
    "1e308 dB": (lambda m: artifact(m)["evaluation"]["fidelity"].update(sqnr_db=1e308), "dB"),
    "a negative bound": (lambda m: m["golden"]["runs"][0].update(bounds={"scores": -1.0}), "bounds"),
    "a run twice": (lambda m: m["golden"].update(runs=m["golden"]["runs"][:1] * 2), "list of files|listed twice"),
    "no digest": (lambda m: m["source"].update(digest="none"), "digest is 'none'"),
    "a goal": (lambda m: m.update(goal={"max_drop": -1.0}), "max_drop is -1.0"),
    "an input it lacks": (lambda m: m["source"].update(whole_inputs=["other"]), "an input that it does not have"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contradiction_is_refused_on_opening(name: str, data: bytes, tmp_path: Path) -> None:
    change, match = CONTRADICTIONS[name]
    refuse(changed(data, change), tmp_path / "forged.edgeml", match)


NEWER: dict[str, Callable[[Any], object]] = {
    "a scalar": lambda m: tensor(m, "inputs").update(shape=[]),
    "an output without a batch": lambda m: tensor(m, recipe="onnx-fp32").update(shape=[3]),
    "a second decision": lambda m: [o.update(meaning="scores") for o in artifact(m)["signature"]["outputs"]],
}


@pytest.mark.parametrize("name", NEWER)
def test_what_a_later_version_may_add_is_not_called_damaged(name: str, data: bytes, tmp_path: Path) -> None:
    newer = changed(data, NEWER[name])
    error = refuse(newer, tmp_path / "newer.edgeml", "not supported by this version of edgeml")
    assert "newer version" in error.fix


@pytest.mark.parametrize(("old", "new"), [(b'"iris"', b'"iris\\n"'), (b'"1.2.3"', b'"1.2.3\\n"')])
def test_a_name_that_ends_with_a_line_end(old: bytes, new: bytes, data: bytes, tmp_path: Path) -> None:
    refuse(with_manifest(data, lambda text: text.replace(old, new, 1)), tmp_path / "line.edgeml", "manifest is invalid")


def test_the_command_exits_with_3(data: bytes, tmp_path: Path, run: Callable[..., Any]) -> None:
    path = tmp_path / "goal.edgeml"
    path.write_bytes(changed(data, lambda manifest: manifest.update(goal={"max_drop": -1.0})))
    done = run("inspect", path)
    assert done.returncode == 3
    assert done.stderr.startswith("error: goal.edgeml")


def test_text_labels_of_an_artifact_that_returns_numbers(data: bytes, tmp_path: Path) -> None:
    """Its other artifacts, which return scores, are as good as before."""
    path = tmp_path / "labels.edgeml"
    path.write_bytes(changed(data, lambda manifest: manifest["source"]["decision"].update(labels=["a", "b", "c"])))
    package = edgeml.open_package(path)
    with pytest.raises(TargetError, match="returns labels as int64, but the model's labels are text"):
        package.session("onnx-fp32")
    x = np.array([[5.1, 3.5, 1.4, 0.2]], np.float32)
    assert package.session("tflite-fp32").classify(x).tolist() == ["a"]
