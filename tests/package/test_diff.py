from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.metrics import mean_absolute_error

import edgeml
from edgeml.cli.diff_measured import measured_lines
from edgeml.core.errors import InputError, VerificationError
from edgeml.core.goal import Verdict
from edgeml.core.records.benchmark_results import Results
from edgeml.core.records.evidence import Latency
from edgeml.core.tensors import Quantization
from edgeml.package import PackageDiff, diff_packages
from edgeml.package.diff import Change, Flip
from edgeml.package.diff.compatibility import _precedence
from edgeml.package.manifest import ArtifactRecord, Manifest, RefusalRecord
from tests.support.hints import install_hint
from tests.support.linear_onnx import write_linear_onnx
from tests.support.measured import measured_results

IRIS = load_iris().data  # the golden inputs of the small package are all of one class


def changed(package: edgeml.Package, *, without: str = "", **fields: Any) -> edgeml.Package:
    """The package with another manifest, and without one recipe's artifact."""
    manifest = msgspec.structs.replace(package.manifest, **fields)
    if without:
        golden = msgspec.structs.replace(
            manifest.golden, runs=tuple(run for run in manifest.golden.runs if run.recipe != without)
        )
        kept = tuple(record for record in manifest.artifacts if record.recipe != without)
        manifest = msgspec.structs.replace(manifest, artifacts=kept, golden=golden)
    return edgeml.Package.of(manifest, {name: package.read(name) for name in named(manifest)})


def named(manifest: Manifest) -> list[str]:
    golden = manifest.golden
    names = [record.file for record in manifest.artifacts]
    names += [record.evidence for record in manifest.artifacts if record.evidence]
    for group in (golden.inputs, golden.outputs, *(run.outputs for run in golden.runs)):
        names += group.values()
    return names


def with_record(package: edgeml.Package, recipe: str, **fields: Any) -> edgeml.Package:
    def one(record: ArtifactRecord) -> ArtifactRecord:
        return msgspec.structs.replace(record, **fields) if record.recipe == recipe else record

    return changed(package, artifacts=tuple(one(record) for record in package.manifest.artifacts))


def with_needs(package: edgeml.Package, recipe: str, **fields: Any) -> edgeml.Package:
    needs = msgspec.structs.replace(package.artifact(recipe).needs, **fields)
    return with_record(package, recipe, needs=needs)


def with_source(package: edgeml.Package, **fields: Any) -> edgeml.Package:
    return changed(package, source=msgspec.structs.replace(package.manifest.source, **fields))


def with_labels(package: edgeml.Package, *labels: Any) -> edgeml.Package:
    decision = package.manifest.source.decision
    assert decision is not None
    return with_source(package, decision=msgspec.structs.replace(decision, labels=labels))


def of_recipe(found: PackageDiff, recipe: str) -> Any:
    (artifact,) = [artifact for artifact in found.artifacts if artifact.recipe == recipe]
    return artifact


def test_a_package_does_not_differ_from_itself(small_package: edgeml.Package) -> None:
    found = diff_packages(small_package, small_package)
    assert found.same
    assert found.compatible
    assert found.old_digest == found.new_digest == small_package.verify().digest
    assert (found.identity, found.signature, found.reasons, found.remarks) == ((), (), (), ())
    assert found.labels.same
    assert [prediction.status for prediction in found.predictions] == ["same", "same"]
    assert all(artifact.same_bytes and artifact.old == artifact.new for artifact in found.artifacts)


def test_another_name_and_version(small_package: edgeml.Package) -> None:
    found = diff_packages(small_package, changed(small_package, name="irises", version="2.0.0-rc.1", author="A"))
    assert found.identity == (
        Change("name", "iris", "irises"), Change("version", "1.2.3", "2.0.0-rc.1"), Change("author", None, "A"),
    )  # fmt: skip
    assert not found.same
    assert found.compatible
    assert found.remarks == ("The packages have different names.",)


@pytest.mark.parametrize(
    ("version", "remark"),
    [
        ("1.2.3", "The packages have the same version, but different contents."),
        ("1.2.3-rc.1", "The new version 1.2.3-rc.1 comes before the old version 1.2.3."),
        ("1.10.0", None),
    ],
)
def test_versions_that_do_not_go_up(small_package: edgeml.Package, version: str, remark: str | None) -> None:
    found = diff_packages(small_package, changed(small_package, version=version, author="A"))
    assert found.remarks == ((remark,) if remark else ())


def test_versions_are_ordered_as_semver_orders_them() -> None:
    ordered = [
        "0.9.0", "1.0.0-1", "1.0.0-2", "1.0.0-11", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta",
        "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.2.0", "1.10.0", "2.0.0+x-1",
    ]  # fmt: skip
    backwards = ordered[::-1]
    assert sorted(backwards, key=_precedence) == ordered
    assert _precedence("1.0.0+a") == _precedence("1.0.0+b-c")


def test_labels_in_another_order_are_not_compatible(small_package: edgeml.Package) -> None:
    found = diff_packages(small_package, with_labels(small_package, 0, 2, 1), inputs=IRIS)
    assert not found.compatible
    assert found.reasons == ("2 labels have another position among the scores.",)
    assert (found.labels.added, found.labels.removed, found.labels.moved) == ((), (), (2, 1))
    by_scores, by_label = found.predictions
    assert by_scores.status == by_label.status == "ran"
    assert by_scores.flipped is not None
    assert by_scores.flipped > len(by_scores.flips) == 20  # only so many are named
    assert all({flip.old, flip.new} == {1, 2} for flip in by_scores.flips)
    assert by_scores.max_difference == 0.0
    assert by_label.flipped == 0  # this artifact gives the label itself


@pytest.mark.parametrize(
    ("labels", "added", "removed"),
    [
        (("a", "b", "[bold]c[/]"), ("a", "b", "[bold]c[/]"), (0, 1, 2)),
        ((0, 1, 3), (3,), (2,)),
        ((0.0, 1.0, 2.0), (0.0, 1.0, 2.0), (0, 1, 2)),
    ],
)
def test_other_labels(
    small_package: edgeml.Package, labels: tuple[Any, ...], added: tuple[Any, ...], removed: tuple[Any, ...]
) -> None:
    found = diff_packages(small_package, with_labels(small_package, *labels))
    assert (found.labels.added, found.labels.removed) == (added, removed)
    assert found.reasons == (f"{len(removed)} labels were removed and {len(added)} added.",)


def test_a_lost_artifact(small_package: edgeml.Package) -> None:
    less = changed(small_package, without="onnx-fp32")
    found = diff_packages(small_package, less)
    assert found.reasons == ("onnx-fp32: was released and is not in the new package.",)
    assert of_recipe(found, "onnx-fp32").new is None
    assert [prediction.recipe for prediction in found.predictions] == ["tflite-fp32"]
    back = diff_packages(less, small_package)
    assert back.compatible
    assert of_recipe(back, "onnx-fp32").old is None
    assert of_recipe(back, "onnx-fp32").new.size_bytes == len(small_package.read("artifacts/onnx-fp32.onnx"))


def test_a_refused_and_a_rejected_artifact(small_package: edgeml.Package) -> None:
    refused = changed(
        small_package, without="onnx-fp32", refused=(RefusalRecord("onnx-fp32", "No converter knows it."),)
    )
    found = diff_packages(small_package, refused)
    assert found.reasons == ("onnx-fp32: was released and is refused: No converter knows it.",)
    rejected = with_record(small_package, "tflite-fp32", verdict=Verdict("rejected", ("too slow", "too large")))
    found = diff_packages(small_package, rejected)
    assert found.reasons == ("tflite-fp32: was released and is rejected: too slow; too large.",)
    assert diff_packages(rejected, small_package).compatible


@pytest.mark.parametrize(
    ("recipe", "needs", "told"),
    [
        ("tflite-fp32", {"engine_version": "99.1"}, "tflite 99.1 or newer"),
        ("tflite-fp32", {"operators": ("FULLY_CONNECTED", "GELU", "SOFTMAX")}, "operator GELU"),
        ("tflite-fp32", {"cpu_features": ("x86_64:sse4_1",)}, "CPU feature x86_64:sse4_1"),
        ("onnx-fp32", {"opset": 99}, "opset 99"),
        ("onnx-fp32", {"engine": "other"}, "engine other"),
    ],
)
def test_new_needs(small_package: edgeml.Package, recipe: str, needs: dict[str, Any], told: str) -> None:
    more = with_needs(small_package, recipe, **needs)
    found = diff_packages(small_package, more)
    assert f"{recipe}: now requires {told}." in found.reasons
    assert of_recipe(found, recipe).needs
    back = diff_packages(more, small_package)
    assert of_recipe(back, recipe).needs
    assert told not in of_recipe(back, recipe).new_needs


def test_versions_of_engines_are_compared_as_numbers(small_package: edgeml.Package) -> None:
    old = with_needs(small_package, "tflite-fp32", engine_version="2.9.0")
    assert diff_packages(old, with_needs(old, "tflite-fp32", engine_version="2.9")).compatible
    assert not diff_packages(old, with_needs(old, "tflite-fp32", engine_version="2.10")).compatible


def with_wider_input(record: ArtifactRecord) -> ArtifactRecord:
    spec = record.signature.inputs[0]
    wider = msgspec.structs.replace(spec, shape=(spec.shape[0], 5))
    return msgspec.structs.replace(record, signature=msgspec.structs.replace(record.signature, inputs=(wider,)))


def test_other_inputs_are_not_compatible_and_not_run(small_package: edgeml.Package) -> None:
    signature = small_package.manifest.source.signature
    wider = msgspec.structs.replace(signature.inputs[0], shape=(None, 5))
    manifest = small_package.manifest
    records = tuple(map(with_wider_input, manifest.artifacts))
    source = msgspec.structs.replace(
        manifest.source, signature=msgspec.structs.replace(signature, inputs=(wider,)), digest="sha256:" + "0" * 64
    )
    other = changed(small_package, source=source, artifacts=records)
    other = with_labels(other, 0, 2, 1)  # so that there is something to run
    found = diff_packages(small_package, other)
    assert found.signature == (Change("input features", "float32 [any, 4]", "float32 [any, 5]"),)
    assert "Input features was float32 [any, 4] and is float32 [any, 5]." in found.reasons
    assert {prediction.status for prediction in found.predictions} == {"not run"}


def test_another_quantization_is_a_remark(small_package: edgeml.Package) -> None:
    signature = small_package.artifact("tflite-fp32").signature

    def scaled(scale: float) -> edgeml.Package:
        spec = msgspec.structs.replace(signature.inputs[0], dtype="int8", quantization=Quantization(scale, 0))
        return with_record(small_package, "tflite-fp32", signature=msgspec.structs.replace(signature, inputs=(spec,)))

    found = diff_packages(scaled(0.5), scaled(0.25))
    assert found.compatible
    assert any("the quantization of input features changed" in remark for remark in found.remarks)
    assert of_recipe(found, "tflite-fp32").quantization == (
        Change("input features", "scale 0.5, zero point 0", "scale 0.25, zero point 0"),
    )


def test_another_dtype_of_an_artifact_is_not_compatible(small_package: edgeml.Package) -> None:
    signature = small_package.artifact("tflite-fp32").signature
    spec = msgspec.structs.replace(signature.inputs[0], dtype="int8")
    other = with_record(small_package, "tflite-fp32", signature=msgspec.structs.replace(signature, inputs=(spec,)))
    found = diff_packages(small_package, other)
    assert found.reasons == ("tflite-fp32: input features was float32 [1, 4] and is int8 [1, 4].",)


def test_latencies_of_different_processors_are_not_comparable(small_package: edgeml.Package) -> None:
    measured = with_record(small_package, "onnx-fp32", measurement=Latency(9, 1.0, 2.0))
    other = changed(measured, cpu=msgspec.structs.replace(measured.manifest.cpu, architecture="riscv64"))
    found = diff_packages(measured, other)
    assert any("different processors" in remark for remark in found.remarks)
    assert of_recipe(found, "onnx-fp32").new.median_ms == 1.0
    assert not any("different processors" in remark for remark in diff_packages(small_package, other).remarks)


def test_figures_of_different_data_are_not_comparable(small_package: edgeml.Package) -> None:
    data = msgspec.structs.replace(small_package.manifest.data, evaluation="sha256:" + "0" * 64)
    found = diff_packages(small_package, changed(small_package, data=data, version="2.0.0"))
    assert found.remarks == ("The packages were judged on different data: their figures are not comparable.",)


def test_inputs_of_the_caller(small_package: edgeml.Package) -> None:
    x = np.zeros((3, 4), np.float32)
    found = diff_packages(small_package, with_labels(small_package, 2, 1, 0), inputs=x)
    assert [prediction.samples for prediction in found.predictions] == [3, 3]
    old = int(small_package.session("tflite-fp32").classify(x)[0])
    assert found.predictions[0].flips[0] == Flip("row 0", old, 2 - old)
    for wrong, told in ((x[:0], "got 0 samples"), (x[:, :2], "got shape"), (x * np.nan, "NaN")):
        with pytest.raises(InputError, match=f"inputs.*{told}"):
            diff_packages(small_package, small_package, inputs=wrong)


def test_other_golden_inputs_are_all_run(small_package: edgeml.Package) -> None:
    from sklearn.linear_model import LogisticRegression

    x, y = load_iris(return_X_y=True)
    other = edgeml.build(
        LogisticRegression(C=1e-4).fit(x[50:], y[50:]), name="iris", version="1.3.0", evaluation=(x[50:], y[50:]),
        recipes=["onnx-fp32"], goal=edgeml.Goal(max_drop=0.4), licence="Apache-2.0",
    )  # fmt: skip
    found = diff_packages(small_package, other)
    (prediction,) = found.predictions
    assert prediction.status == "ran"
    assert prediction.samples == 32
    golden = np.concatenate([x[:16], x[50:66]]).astype(np.float32)
    labels = [package.session("onnx-fp32").classify(golden) for package in (small_package, other)]
    assert prediction.flipped == int((labels[0] != labels[1]).sum()) > 0
    assert {flip.sample for flip in prediction.flips} == {
        f"old golden {i}" if i < 16 else f"new golden {i - 16}" for i in np.flatnonzero(labels[0] != labels[1])
    }
    assert {change.what for change in found.identity} == {
        "version", "source digest", "goal", "judged on", "evaluation data",
    }  # fmt: skip


@pytest.mark.slow
def test_another_task(small_package: edgeml.Package) -> None:
    from sklearn.linear_model import LinearRegression

    x, y = load_iris(return_X_y=True)
    other = edgeml.build(LinearRegression().fit(x, y), name="iris", version="2.0.0", recipes=["tflite-fp32"])
    found = diff_packages(small_package, other)
    assert "The task was classification and is regression." in found.reasons
    assert found.labels.removed == (0, 1, 2)
    assert found.predictions[0].flipped is None


def test_the_evidence_of_regressors(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights, x = rng.normal(size=(4, 1)), rng.normal(size=(100, 4)).astype(np.float32)
    before = (x @ weights).astype(np.float32)
    y, packages, rises = before + rng.normal(0, 0.1, before.shape), [], []
    for version, noise in (("1.0.0", 0.01), ("1.1.0", 0.05)):
        write_linear_onnx(tmp_path / "net.onnx", weights + noise, softmax=False)
        packages.append(
            edgeml.build(
                tmp_path / "net.onnx", version=version, evaluation=(x, y), reference=before, recipes=["onnx-fp32"]
            )
        )
        after = packages[-1].session("onnx-fp32").predict(x)
        assert isinstance(after, np.ndarray)
        rises.append(mean_absolute_error(y, after) - mean_absolute_error(y, before))
    found = of_recipe(diff_packages(*packages), "onnx-fp32")
    assert [found.old.error_rise, found.new.error_rise] == pytest.approx(rises)
    assert (found.old.agreement, found.new.mcnemar_p, found.recalls) == (None, None, None)
    assert (found.missing_old, found.missing_new) == ((), ())


def test_results_of_benchmarks(small_package: edgeml.Package) -> None:
    def run(package: edgeml.Package, batch: int, arena_bytes: int | None, device: str = "") -> Results:
        """A single stream on the CPU and on TFLite Micro, and an offline batch."""
        results = measured_results(
            package, IRIS, recipes=["tflite-fp32"], queries=64, batches=(batch,), threads=(1,), device=device
        )
        single, offline = results.measurements
        micro = msgspec.structs.replace(single, target="micro", arena_bytes=arena_bytes)
        return msgspec.structs.replace(results, measurements=(single, micro, offline))

    other = changed(small_package, version="2.0.0")
    old, new = run(small_package, 8, 4000), run(other, 16, 5000)
    elsewhere = run(other, 8, None, device="pi4")
    found = diff_packages(small_package, other, results=[elsewhere, new, old]).measured
    here, there = found[:3], found[3:]
    for one, before, after in zip(here, old.measurements, new.measurements, strict=True):
        assert one.old == msgspec.structs.replace(before, times=None)
        assert one.new == msgspec.structs.replace(after, times=None)
    assert [one.old.arena_bytes for one in here if one.old] == [None, 4000, None]
    assert [one.new.arena_bytes for one in here if one.new] == [None, 5000, None]
    assert {(one.machine, one.old) for one in there} == {("pi4", None)}
    lines = list(measured_lines(found))
    assert any(line.startswith("tflite-fp32 on micro") and "; arena kB 4.0 -> 5.0" in line for line in lines)
    assert all(" missing -> " in line for line in lines if "(pi4)" in line)
    with pytest.raises(InputError, match=r"Results of iris 2\.0\.0, sha256:.*, belong to neither package"):
        diff_packages(small_package, small_package, results=[new])


def test_an_engine_that_is_not_there(small_package: edgeml.Package, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.package.test_package import hide

    hide(monkeypatch, "onnxruntime")
    found = diff_packages(small_package, with_labels(small_package, 0, 2, 1))
    assert [prediction.status for prediction in found.predictions] == ["ran", "not run"]
    assert install_hint("onnx") in found.predictions[1].detail


def test_a_damaged_entry_is_found_before_anything_is_said(small_package: edgeml.Package) -> None:
    files = dict(small_package.manifest.files)
    files["artifacts/onnx-fp32.onnx"] = msgspec.structs.replace(
        files["artifacts/onnx-fp32.onnx"], sha256="sha256:" + "0" * 64
    )
    damaged = edgeml.Package(msgspec.structs.replace(small_package.manifest, files=files), small_package._archive)
    with pytest.raises(VerificationError, match=r"onnx-fp32\.onnx"):
        diff_packages(small_package, damaged)
