from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import edgeml
from edgeml.core.errors import InputError, MissingDependencyError, StorageError, TargetError, VerificationError
from edgeml.core.goal import Verdict
from edgeml.core.records.evidence import Latency
from edgeml.package import Failure
from edgeml.package.archive import Archive
from tests.support.hints import install_hint
from tests.support.small_package import SMALL_RECIPES


def contents_of(package: edgeml.Package) -> dict[str, bytes]:
    return {name: package.read(name) for name in package.manifest.files}


def with_records(package: edgeml.Package, change: Callable[[Any], Any]) -> edgeml.Package:
    """The package with changed records of its artifacts."""
    artifacts = tuple(change(record) for record in package.manifest.artifacts)
    manifest = msgspec.structs.replace(package.manifest, artifacts=artifacts)
    return edgeml.Package.of(manifest, contents_of(package))


def test_a_saved_package_is_the_built_one(small_package: edgeml.Package, tmp_path: Path) -> None:
    path = tmp_path / "x.edgeml"
    small_package.save(str(path))
    again = edgeml.open_package(str(path))
    assert again.manifest == small_package.manifest
    assert contents_of(again) == contents_of(small_package)
    again.save(tmp_path / "y.edgeml")
    assert (tmp_path / "y.edgeml").read_bytes() == path.read_bytes()
    again.save(path)
    assert (tmp_path / "y.edgeml").read_bytes() == path.read_bytes()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["x.edgeml", "y.edgeml"]


def test_the_archive_of_what_was_read_is_the_file(small_package_file: Path) -> None:
    package = edgeml.open_package(small_package_file)
    archive = Archive(small_package_file)
    assert next(iter(archive.sizes)) == "manifest.json"
    assert package.read("artifacts/onnx-fp32.onnx") == archive.read("artifacts/onnx-fp32.onnx")


def test_both_artifacts_are_released_and_predict(small_package_file: Path) -> None:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    x, y = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(x, y)
    package = edgeml.open_package(small_package_file)
    assert package.released == SMALL_RECIPES
    for recipe in SMALL_RECIPES:
        session = package.session(recipe)
        np.testing.assert_array_equal(session.classify(x), model.predict(x))
        np.testing.assert_allclose(np.asarray(session.predict(x)), model.predict_proba(x), atol=1e-5)
    np.testing.assert_array_equal(edgeml.load(small_package_file).classify(x), model.predict(x))


def test_verify_tells_what_it_checked(small_package_file: Path) -> None:
    digest = "sha256:" + hashlib.sha256(small_package_file.read_bytes()).hexdigest()
    found = edgeml.open_package(small_package_file).verify(digest=digest)
    assert found.digest == digest
    assert {(check.recipe, check.family, check.status) for check in found.golden} == {
        ("tflite-fp32", "xnnpack", "holds"),
        ("onnx-fp32", "ort", "holds"),
        *([("tflite-fp32", "tflm", "holds")] if find_spec("tflite_micro") else []),
    }
    with zipfile.ZipFile(small_package_file) as archive:
        assert found.entries == len(archive.namelist())


@pytest.mark.parametrize("digest", ["sha256:" + "0" * 64, "", "sha256:", "md5:0"])
def test_verify_holds_the_whole_file_to_a_digest(small_package_file: Path, digest: str) -> None:
    with pytest.raises(VerificationError, match=r"has the digest sha256:[0-9a-f]{64}, expected"):
        edgeml.open_package(small_package_file).verify(digest=digest)


def test_artifacts_that_are_not_there(small_package: edgeml.Package) -> None:
    with pytest.raises(
        InputError, match=r"does not contain an artifact 'tflite-int8'\. Fix: choose one of tflite-fp32, onnx-fp32"
    ):
        small_package.artifact("tflite-int8")
    with pytest.raises(InputError, match="does not contain an artifact 'x'"):
        small_package.session("x")


def test_a_refused_artifact_is_answered_with_its_reason(small_package: edgeml.Package) -> None:
    from edgeml.package.manifest import RefusalRecord

    refused = (RefusalRecord("onnx-int8", "It needs samples.", "give some."),)
    manifest = msgspec.structs.replace(small_package.manifest, refused=refused)
    package = edgeml.Package.of(manifest, contents_of(small_package))
    with pytest.raises(InputError, match=r"does not contain 'onnx-int8': It needs samples\. Fix: give some\."):
        package.session("onnx-int8")


def test_the_smallest_is_the_best_where_nothing_was_measured(small_package: edgeml.Package) -> None:
    sizes = {record.recipe: len(small_package.read(record.file)) for record in small_package.manifest.artifacts}
    assert small_package.best() == min(sizes, key=lambda recipe: sizes[recipe]) == "onnx-fp32"


def test_the_fastest_is_the_best_where_latency_was_measured(small_package: edgeml.Package) -> None:
    times = {"tflite-fp32": 1.0, "onnx-fp32": 2.0}
    measured = with_records(
        small_package,
        lambda record: msgspec.structs.replace(record, measurement=Latency(9, times[record.recipe], 3.0)),
    )
    assert measured.best() == "tflite-fp32"


def test_a_rejected_artifact_is_never_chosen_and_runs_when_it_is_named(small_package: edgeml.Package) -> None:
    rejected = Verdict("rejected", ("It is too large.",))

    def only(*recipes: str) -> edgeml.Package:
        return with_records(
            small_package,
            lambda record: msgspec.structs.replace(record, verdict=rejected) if record.recipe in recipes else record,
        )

    assert only("onnx-fp32").best() == "tflite-fp32"
    assert only("onnx-fp32").session("onnx-fp32").classify(np.zeros((1, 4))).shape == (1,)
    with pytest.raises(TargetError, match="does not contain a released artifact"):
        only(*SMALL_RECIPES).best()


def hide(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """Makes third-party modules look as if they were not installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, package=None: None if name in modules else find(name, package)
    )
    for module in modules:
        for loaded in [name for name in sys.modules if name.partition(".")[0] == module]:
            monkeypatch.delitem(sys.modules, loaded)
        monkeypatch.setitem(sys.modules, module, None)


def test_the_best_is_one_whose_engine_is_there(small_package: edgeml.Package, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "onnxruntime", "tflite_micro")
    assert small_package.best() == "tflite-fp32"
    status = {(check.family, check.status) for check in small_package.verify().golden}
    assert {("xnnpack", "holds"), ("ort", "not run")} <= status <= {*status, ("tflm", "not run")}
    with pytest.raises(MissingDependencyError, match=re.escape(install_hint("onnx"))):
        small_package.session("onnx-fp32")


def test_without_any_engine(small_package: edgeml.Package, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "onnxruntime", "ai_edge_litert", "tflite_micro")
    with pytest.raises(MissingDependencyError, match=r"pip install -e '.*\[(litert|onnx)\]'"):
        small_package.best()
    with pytest.raises(TargetError, match="all digests match, but no golden vector could be run"):
        small_package.verify()


def test_without_what_the_cpu_must_have(small_package: edgeml.Package) -> None:
    import platform

    needed = (f"{platform.machine()}:abacus",)
    package = with_records(
        small_package,
        lambda record: msgspec.structs.replace(
            record, needs=msgspec.structs.replace(record.needs, cpu_features=needed)
        ),
    )
    with pytest.raises(TargetError, match="requires abacus, which this CPU does not support"):
        package.best()
    with pytest.raises(TargetError, match="abacus"):
        package.verify()


def failing(package: edgeml.Package) -> edgeml.Package:
    failure = Failure("onnx-int8", {"log.txt": b"noise", "reproduce.py": b"print()"})
    return edgeml.Package.of(
        package.manifest, contents_of(package), failures=(failure,), shared_failure_files={"source.keras": b"model"}
    )


def test_what_is_kept_of_failures_lies_beside_the_package(small_package: edgeml.Package, tmp_path: Path) -> None:
    path = tmp_path / "x.edgeml"
    failing(small_package).save(path)
    folder = tmp_path / "x.edgeml.failed"
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == [
        "edgeml.txt",
        "onnx-int8/log.txt",
        "onnx-int8/reproduce.py",
        "source.keras",
    ]
    assert (folder / "onnx-int8" / "log.txt").read_bytes() == b"noise"
    failing(small_package).save(path)
    small_package.save(path)
    assert not folder.exists()  # of the package that was there before


def test_what_is_kept_of_failures_cannot_be_written(small_package: edgeml.Package, tmp_path: Path) -> None:
    path = tmp_path / "x.edgeml"
    (tmp_path / "x.edgeml.failed").write_text("a file")
    with pytest.raises(StorageError, match="The package is saved, but"):
        failing(small_package).save(path)
    edgeml.open_package(path).verify()


def test_any_zip_tool_reads_a_package(small_package_file: Path, tmp_path: Path) -> None:
    unzip = shutil.which("unzip")
    if unzip is None:
        pytest.skip("unzip is not installed")
    subprocess.run([unzip, "-q", small_package_file, "-d", tmp_path], check=True)
    package = edgeml.open_package(small_package_file)
    for name, record in package.manifest.files.items():
        data = (tmp_path / name).read_bytes()
        assert (len(data), "sha256:" + hashlib.sha256(data).hexdigest()) == (record.size_bytes, record.sha256)
