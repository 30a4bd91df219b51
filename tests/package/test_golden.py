from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime
import pytest

import edgeml
from edgeml.core.errors import InputError, MissingDependencyError, PackageError, TargetError
from edgeml.core.session import Session
from edgeml.core.tensors import Quantization, Signature, TensorSpec
from edgeml.demo.digits import Digits
from edgeml.package.golden import GoldenCheck, bounds, check_run, golden_inputs
from edgeml.package.manifest import Golden, GoldenRun
from edgeml.package.npy import encode_array

INPUTS = {"x": np.zeros((16, 2), np.float32)}


class FakeSession:
    """Gives what it is told to."""

    family = "xnnpack"

    def __init__(self, outputs: dict[str, np.ndarray] | Exception) -> None:
        self._outputs = outputs

    def __enter__(self) -> FakeSession:
        return self

    def __exit__(self, *_: object) -> None: ...

    def run_raw(self, inputs: Mapping[str, object]) -> dict[str, np.ndarray]:
        if isinstance(self._outputs, Exception):
            raise self._outputs
        return self._outputs


def check(
    stored: np.ndarray, found: np.ndarray | Exception, bound: float | None = None, *, opened: Any = None
) -> GoldenCheck:
    run = GoldenRun("tflite-int8", "xnnpack", "2", {"y": "golden/y.npy"}, {} if bound is None else {"y": bound})
    outputs = found if isinstance(found, Exception) else {"y": found}
    session: Session = FakeSession(outputs)  # type: ignore[assignment]
    return check_run(run, INPUTS, lambda name: encode_array(stored), opened or (lambda *_, **__: session))


def column(*values: float, dtype: str = "float32") -> np.ndarray:
    return np.array(values, dtype).reshape(-1, 1)


@pytest.mark.parametrize(
    ("stored", "found", "bound", "status"),
    [
        (column(1, 2), column(1, 2), 0.0, "holds"),
        (column(1, 2), column(1, 2.5), 0.5, "holds"),
        (column(1, 2), column(1, 2.5), 0.49, "fails"),
        (column(1, 2), column(1, np.nan), 1e30, "fails"),
        (column(1, 2), column(1, np.inf), 1e30, "fails"),
        (column(-128, 127, dtype="int8"), column(-127, 127, dtype="int8"), 1.0, "holds"),
        (column(-128, 127, dtype="int8"), column(-126, 127, dtype="int8"), 1.0, "fails"),
        (column(-128, dtype="int8"), column(127, dtype="int8"), 1.0, "fails"),  # no wrapping around
        (column(0, dtype="uint8"), column(255, dtype="uint8"), 1.0, "fails"),
        (column(1, 2), column(1, 2, dtype="int8"), 1.0, "fails"),
        (column(1, 2), column(1, 2).T, 1.0, "fails"),
        (column(1, 2), column(1), 1.0, "fails"),
        (np.array([3, 4]), np.array([3, 4]), None, "holds"),
        (np.array([3, 4]), np.array([3, 5]), None, "fails"),
        (np.array(["a", "b"]), np.array(["a", "b"]), None, "holds"),
        (np.array(["a", "b"]), np.array(["a", "bb"]), None, "fails"),
    ],
)
def test_outputs_are_held_to_the_bound(stored: np.ndarray, found: np.ndarray, bound: float | None, status: str) -> None:
    assert check(stored, found, bound).status == status


def test_an_output_that_is_not_there_fails() -> None:
    run = GoldenRun("tflite-int8", "xnnpack", "2", {"y": "golden/y.npy"}, {"y": 1.0})
    session: Any = FakeSession({"z": column(1)})
    found = check_run(run, INPUTS, lambda name: encode_array(column(1)), lambda *_, **__: session)
    assert (found.status, found.detail) == ("fails", "'y': got nothing, expected float32 [1, 1]")


@pytest.mark.parametrize("error", [TargetError("It broke."), InputError("They do not fit.")])
def test_a_run_that_is_refused_fails(error: Exception) -> None:
    found = check(column(1), error, 1.0)
    assert (found.status, found.detail) == ("fails", str(error))


@pytest.mark.parametrize("error", [MissingDependencyError("It", "litert"), TargetError("This CPU lacks vnni.")])
def test_without_its_engine_it_is_not_run(error: Exception) -> None:
    def opened(*_: object, **__: object) -> Session:
        raise error

    found = check(column(1), column(1), 1.0, opened=opened)
    assert (found.status, found.detail) == ("not run", str(error))


def test_another_family_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeSession, "family", "tflm")
    found = check(column(1), column(5), 1.0)
    assert found.status == "not run"
    assert "tflm" in found.detail


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        check(column(1), ZeroDivisionError(), 1.0)


@pytest.mark.parametrize("array", [np.zeros((15, 2), np.float32), np.zeros((17, 2), np.float32)])
def test_inputs_are_as_many_as_the_manifest_says(array: np.ndarray) -> None:
    golden = Golden(16, {"x": "golden/x.npy"}, {}, ())
    with pytest.raises(PackageError, match=r"golden/x\.npy: got shape .*, expected 16 samples"):
        golden_inputs(golden, lambda name: encode_array(array))
    assert golden_inputs(golden, lambda name: encode_array(INPUTS["x"]))["x"].shape == (16, 2)


def test_bounds_are_a_step_for_integers_and_a_share_of_the_peak_for_floats() -> None:
    step = Quantization(0.1, 0)
    signature = Signature(
        (),
        (
            TensorSpec("i", (None, 1), "int8", step),
            TensorSpec("near", (None, 1), "float32"),
            TensorSpec("far", (None, 1), "float32"),
            TensorSpec("label", (None,), "int64", meaning="label"),
            TensorSpec("id", (None,), "int64"),  # and this one, too, has to be equal
            TensorSpec("flag", (None,), "bool"),
        ),
    )
    raw = {
        "i": column(1, -20, dtype="int8"),
        "near": column(1, -20),
        "far": column(1, -20),
        "label": np.array([0, 1]),
        "id": np.array([2**60, 1]),
        "flag": np.array([True, False]),
    }
    reference = {"i": column(9, 9), "near": column(1, -20), "far": column(1.5, -20)}
    found = bounds(raw, reference, signature)
    assert found == {"i": 1.0, "near": pytest.approx(20 * 1e-4), "far": pytest.approx(0.5)}


def test_outputs_of_one_call_hold_for_ranges_of_a_batch(net_package: edgeml.Package, digits: Digits) -> None:
    """As earlier versions stored them: those of samples one at a time are others."""
    x = digits.evaluation[:16].copy()
    x[3] *= 50
    artifact = net_package.artifact("onnx-dynamic")
    (stored,) = onnxruntime.InferenceSession(net_package.read(artifact.file)).run(None, {"image": x})
    run = GoldenRun("onnx-dynamic", "ort", "1.0", {"scores": "file"}, {"scores": 1e-5})
    whole, moved = encode_array(stored), encode_array(stored + np.float32(1e-3))
    assert check_run(run, {"image": x}, lambda _: whole, net_package.session).status == "holds"
    assert check_run(run, {"image": x}, lambda _: moved, net_package.session).status == "fails"
