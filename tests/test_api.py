"""The top level: its names, their help, and its functions, from the caller's side."""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import pydoc
import subprocess
import sys
import typing
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression

import edgeml
from edgeml.core import errors
from edgeml.core.records.benchmark_results import Results, encode_results
from edgeml.pipeline import Step
from tests.support.hostile_names import HOSTILE, hostile_package
from tests.support.processes import repository

# The plain modules of the project; the names of each are its `__all__`.
ROOT = repository() / "edgeml"
MODULES = sorted(
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
    for folder in [ROOT, *(path for path in ROOT.iterdir() if path.is_dir())]
    for path in (folder.glob("*.py") if folder == ROOT else folder.rglob("*.py"))
    if path.name != "__main__.py"
)
# Annotated by types of libraries that are loaded inside functions, or of modules that few programs need.
LAZY_HINTS = {"pd", "Evidence", "Verification", "IoBinding", "Isolation"}


def public_objects(module: ModuleType) -> dict[str, object]:
    return {name: getattr(module, name) for name in getattr(module, "__all__", ())}


def in_child(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=repository(), capture_output=True, text=True, check=False, env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


# Names and help


def test_the_top_level_names_what_the_design_names() -> None:
    functions = {"bench", "build", "diff", "load", "open_package", "report", "targets", "train"}
    others = {"Goal", "Package", "RECIPES", "Session", "__version__"}
    assert set(edgeml.__all__) == functions | others | set(errors.__all__)
    for name in errors.__all__:
        assert getattr(edgeml, name) is getattr(errors, name)


def test_help_of_the_package_shows_its_functions() -> None:
    text = pydoc.plain(pydoc.render_doc(edgeml))
    for name in ("build(", "load(", "open_package(", "train(", "bench(", "report(", "diff(", "targets("):
        assert name in text


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
def test_help_of_every_public_name_is_rendered(name: str) -> None:
    module = importlib.import_module(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of frameworks, for their own attributes
        assert pydoc.render_doc(module)
        for key, value in public_objects(module).items():
            if callable(value) or isinstance(value, ModuleType):
                assert pydoc.render_doc(value), key


def is_builtin_exception(kind: object) -> bool:
    """Whether a class has no signature of its own, as subclasses of exceptions that define nothing."""
    return (
        isinstance(kind, type)
        and issubclass(kind, BaseException)
        and kind.__init__ in {BaseException.__init__, Exception.__init__}
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
def test_signatures_and_types_of_public_names_are_readable(name: str) -> None:
    module = importlib.import_module(name)
    for key, value in public_objects(module).items():
        if getattr(value, "__module__", None) != name or is_builtin_exception(value):
            continue
        parts: dict[str, object] = {key: value}
        if inspect.isclass(value):
            methods = {k: v for k, v in vars(value).items() if inspect.isfunction(v) and not k.startswith("_")}
            parts |= {f"{key}.{method}": function for method, function in methods.items()}
        for part, function in parts.items():
            if not callable(function):
                continue
            assert inspect.signature(function) is not None, part
            missing = ""
            try:
                typing.get_type_hints(function)
            except NameError as error:
                missing = error.name or ""
            lazy = name.startswith(("edgeml.cli.", "edgeml.core.registry."))
            assert lazy or missing in LAZY_HINTS | {""}, part


@pytest.mark.parametrize("name", [name for name in edgeml.__all__ if name not in {"RECIPES", "__version__"}])
def test_every_name_of_the_top_level_has_help_with_a_signature(name: str) -> None:
    value = getattr(edgeml, name)
    assert pydoc.render_doc(value)
    assert inspect.getdoc(value)
    assert str(inspect.signature(value))
    if inspect.isfunction(value):
        hints = typing.get_type_hints(value)
        assert set(inspect.signature(value).parameters) <= set(hints)
        if name != "targets":
            assert "Args:" in (value.__doc__ or "")
        assert "Example:" in (value.__doc__ or "")


def test_names_are_completed_and_others_are_refused() -> None:
    assert set(edgeml.__all__) == set(dir(edgeml))
    with pytest.raises(AttributeError, match="module 'edgeml' has no attribute 'biuld'"):
        _ = edgeml.biuld


def test_importing_loads_neither_rich_nor_logging_nor_a_framework() -> None:
    code = "import numpy, sys; before = {*sys.modules}; import edgeml; print(*{*sys.modules} - before)"
    loaded = {name.partition(".")[0] for name in in_child(code).split()}
    assert "edgeml" in loaded
    assert not loaded & {
        "rich",
        "logging",
        "msgspec",
        "tensorflow",
        "keras",
        "sklearn",
        "onnxruntime",
        "ai_edge_litert",
    }


def test_importing_takes_less_than_a_tenth_of_a_second_above_numpy() -> None:
    code = "import time, numpy; start = time.perf_counter(); import edgeml; print(time.perf_counter() - start)"
    assert min(float(in_child(code)) for _ in range(3)) < 0.1


# Paths


@pytest.mark.parametrize("call", [edgeml.open_package, edgeml.load, edgeml.report, edgeml.bench, edgeml.build])
@pytest.mark.parametrize(
    ("path", "message"), [("missing.edgeml", "missing.edgeml"), ("a\0b", "null character"), ("", "path is empty")]
)
def test_paths_that_lead_nowhere_are_input_errors(call: Callable[[str], object], path: str, message: str) -> None:
    with pytest.raises(edgeml.InputError, match=message):
        call(path)


def test_packages_are_opened_and_saved_by_text_and_by_path(small_package_file: Path, tmp_path: Path) -> None:
    for path in (small_package_file, str(small_package_file)):
        package = edgeml.open_package(path)
        assert edgeml.load(path).labels == (0, 1, 2)
    for target in (tmp_path / "a.edgeml", str(tmp_path / "b.edgeml")):
        package.save(target)
    assert (tmp_path / "a.edgeml").read_bytes() == (tmp_path / "b.edgeml").read_bytes()
    with pytest.raises(edgeml.InputError, match="null character"):
        package.save("a\0b")
    with pytest.raises(edgeml.InputError, match="expected a path"):
        edgeml.open_package(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["net.onnx", "net.keras", "model.skops", "net.tflite"])
def test_a_model_file_in_place_of_a_package_is_named_as_such(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04" + b"x" * 200)
    with pytest.raises(edgeml.PackageError, match=rf"{name} is a model file.*edgeml build {name} -o"):
        edgeml.open_package(tmp_path / name)


# bench


@pytest.fixture(scope="module")
def results(small_package_file: Path) -> Results:
    return edgeml.bench(small_package_file, artifacts="onnx-fp32", seconds=0.02, cold_starts=0, progress=False)


def test_bench_measures_a_package_by_its_path(results: Results, small_package: edgeml.Package) -> None:
    assert results.package.digest == small_package.digest()
    settings = [(item.artifact, item.target, item.scenario) for item in results.measurements]
    assert settings == [("onnx-fp32", "cpu", "single-stream"), ("onnx-fp32", "cpu", "offline")]


def test_bench_takes_single_values_and_reports_each_measurement(small_package: edgeml.Package) -> None:
    steps: list[Step] = []
    found = edgeml.bench(
        small_package, artifacts="tflite-fp32", scenarios="offline", batches=4, threads=1, targets="cpu", seconds=0.02,
        cold_starts=0, progress=steps.append,
    )  # fmt: skip
    assert [(item.batch, item.threads) for item in found.measurements] == [(4, 1)]
    assert steps == [Step(0, 1, "tflite-fp32 on cpu, offline, 1 thread, batch 4")]


def test_bench_measures_a_bare_model_file(small_package: edgeml.Package, tmp_path: Path) -> None:
    path = tmp_path / "iris.onnx"
    path.write_bytes(small_package.read(small_package.artifact("onnx-fp32").file))
    found = edgeml.bench(path, scenarios="single-stream", seconds=0.02)
    assert [item.artifact for item in found.measurements] == ["onnx-fp32"]


def test_bench_refuses_artifacts_that_the_package_does_not_contain(small_package: edgeml.Package) -> None:
    with pytest.raises(edgeml.InputError, match="does not contain an artifact 'tflite-int4'"):
        edgeml.bench(small_package, artifacts="tflite-int4", seconds=0.02)


# report


@pytest.mark.slow
def test_a_report_is_saved_by_the_ending_of_its_path(
    small_package: edgeml.Package, results: Results, tmp_path: Path
) -> None:
    pytest.importorskip("jinja2")
    (tmp_path / "results.json").write_bytes(encode_results(results))
    page = edgeml.report(small_package, results)
    page.save(str(tmp_path / "r.html"))
    page.save(tmp_path / "r.md")
    text = (tmp_path / "r.html").read_text()
    assert text.lower().startswith("<!doctype html>")
    assert "iris 1.2.3" in text
    assert (tmp_path / "r.md").read_text() == page.render("markdown").decode()
    same = edgeml.report(small_package, str(tmp_path / "results.json"))
    assert same.render() == page.render()
    assert page._repr_html_().startswith("<iframe srcdoc=")
    assert "<script" not in page._repr_html_()
    assert repr(page) == f"<Report of {small_package!r} with 1 results file>"


@pytest.mark.parametrize("name", ["report.pdf", "report", "report.json"])
def test_a_report_of_another_ending_is_refused(small_package: edgeml.Package, name: str, tmp_path: Path) -> None:
    with pytest.raises(edgeml.InputError, match=r"is not supported.*\.html, \.htm, \.md, \.png"):
        edgeml.report(small_package).save(tmp_path / name)
    assert not (tmp_path / name).exists()
    with pytest.raises(edgeml.InputError, match="'pdf' is not supported"):
        edgeml.report(small_package).render("pdf")  # type: ignore[arg-type]


def test_results_of_another_package_are_refused_at_once(results: Results) -> None:
    with pytest.raises(edgeml.InputError, match="another package"):
        edgeml.report(repository() / "tests/data/format1.edgeml", results)


# diff


def test_diff_compares_paths_and_packages_on_inputs_of_a_file(
    small_package: edgeml.Package, small_package_file: Path, results: Results, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", load_iris().data[:7].astype(np.float32))
    same = edgeml.diff(small_package_file, small_package, inputs=tmp_path / "x.npy", results=results)
    assert same.same
    assert same.compatible
    assert repr(same).startswith("<PackageDiff: the packages are the same, sha256:")
    other = edgeml.diff(small_package, repository() / "tests/data/format1.edgeml")
    assert not other.compatible
    assert "not compatible" in repr(other)
    assert other.reasons[0].split("'")[0] in other._repr_html_()
    with pytest.raises(edgeml.InputError, match=r"missing\.npy"):
        edgeml.diff(small_package, small_package, inputs=tmp_path / "missing.npy")


# train


TRAINING = {
    "model": {"kind": "sklearn", "estimator": "LogisticRegression"},
    "build": {"name": "iris", "recipes": ["onnx-fp32"]},
}


@pytest.fixture
def iris_file(tmp_path: Path) -> Path:
    x, y = load_iris(return_X_y=True)
    np.savez(tmp_path / "iris.npz", x=x.astype(np.float32), y=y)
    return tmp_path / "iris.npz"


@pytest.mark.slow
def test_train_takes_a_dict_and_builds_the_package(iris_file: Path, tmp_path: Path) -> None:
    steps: list[Step] = []
    data = {"kind": "npz", "path": str(iris_file)}
    run = edgeml.train({**TRAINING, "data": data}, tmp_path / "run", progress=steps.append)
    assert run.metrics.accuracy is not None
    assert run.metrics.accuracy > 0.8
    assert run.model.is_file()
    assert run.package is not None
    assert run.package.released == ("onnx-fp32",)
    assert edgeml.open_package(tmp_path / "run" / "iris.edgeml").digest() == run.package.digest()
    assert steps[0].text == "training"
    assert steps[-1].text == "proving onnx-fp32"
    assert repr(run).startswith("<TrainingRun classification, accuracy ")
    assert "accuracy" in run._repr_html_()


@pytest.mark.slow
def test_train_takes_a_file(iris_file: Path, tmp_path: Path) -> None:
    (tmp_path / "iris.toml").write_text(
        '[data]\nkind = "npz"\npath = "iris.npz"\n[model]\nkind = "sklearn"\nestimator = "LogisticRegression"\n'
    )
    run = edgeml.train(str(tmp_path / "iris.toml"), str(tmp_path / "run"))
    assert run.package is None
    assert run.trained.task == "classification"


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"data": 3, "model": {"kind": "sklearn", "estimator": "SVC"}}, r"training, data: Expected"),
        ({"data": {"kind": "npz", "path": "x.npz"}, "modle": {}}, "modle"),
        ("missing.toml", r"missing\.toml"),
        ("a\0b", "null character"),
    ],
)
def test_trainings_that_are_not_valid_are_refused(training: typing.Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(edgeml.InputError, match=message):
        edgeml.train(training, tmp_path / "run")
    assert not (tmp_path / "run").exists()


# Texts and HTML


def test_a_package_is_shown_in_a_line_and_as_a_table(small_package: edgeml.Package) -> None:
    assert repr(small_package).startswith("<Package iris 1.2.3: 2 of 2 recipes released (tflite-fp32, onnx-fp32), ")
    assert repr(small_package).endswith(" kB>")
    page = small_package._repr_html_()
    assert page.startswith("<table><caption")
    for recipe in small_package.released:
        assert f"<td>{recipe}</td>" in page


def test_a_package_without_released_artifacts_says_so() -> None:
    x, y = load_iris(return_X_y=True)
    package = edgeml.build(
        LogisticRegression(max_iter=500).fit(x, y), recipes="onnx-fp32", goal={"max_size_bytes": 10}, evaluation=(x, y)
    )
    assert repr(package).startswith("<Package model 0.1.0: 0 of 1 recipes released, ")
    verdict = package.manifest.artifacts[0].verdict
    assert repr(verdict).startswith("<Verdict rejected: ")
    assert "10" in repr(verdict)
    assert "<td>reason</td>" in verdict._repr_html_()


@pytest.mark.slow
def renamed(package: edgeml.Package) -> edgeml.Package:
    """The package with hostile texts beside figures that stay as they are, so that it runs."""
    source = msgspec.structs.replace(
        package.manifest.source, architecture=HOSTILE[0], versions={HOSTILE[1]: HOSTILE[5]}
    )
    contents = {name: package.read(name) for name in package.manifest.files}
    return edgeml.Package.of(msgspec.structs.replace(package.manifest, source=source), contents)


def test_hostile_names_are_escaped_in_html(net_package: edgeml.Package) -> None:
    package = hostile_package(net_package, 60)
    pages = [package._repr_html_(), *(record.verdict._repr_html_() for record in package.manifest.artifacts)]
    with net_package.session("onnx-fp32") as session:
        session.reason, session.decision = HOSTILE[0], package.manifest.source.decision
        pages.append(session._repr_html_())  # type: ignore[attr-defined]
        pages.append(edgeml.diff(net_package, renamed(net_package))._repr_html_())
    for page in pages:
        assert "<script" not in page
        assert "<img" not in page
        assert "<svg" not in page
        assert "\u202e" not in page


def test_a_session_is_shown_with_its_tensors(small_package: edgeml.Package) -> None:
    with small_package.session("onnx-fp32") as session:
        assert repr(session).startswith("<Session on cpu, onnxruntime ")
        assert "features float32 [any, 4] -> " in repr(session)
        assert repr(session).endswith("3 labels>")
        assert "<td>features</td>" in session._repr_html_()  # type: ignore[attr-defined]


def test_results_are_shown_in_a_line_and_as_a_table(results: Results) -> None:
    assert repr(results).startswith("<Results of iris 1.2.3 on ")
    assert repr(results).endswith("2 measurements>")
    first = results.measurements[0]
    assert repr(first).startswith("<Measurement onnx-fp32 on cpu, single-stream: median ")
    assert repr(first).endswith(" samples/s>")
    assert results._repr_html_().count("<td>onnx-fp32</td>") == 2


def test_a_measured_package_shows_its_latency() -> None:
    x, y = load_iris(return_X_y=True)
    package = edgeml.build(LinearRegression().fit(x, y), evaluation=(x, y), recipes="onnx-fp32", measure=True)
    assert "<th>ms</th>" in package._repr_html_()
    assert "<th>R²</th>" in package._repr_html_()


def test_a_session_tells_its_labels(small_package: edgeml.Package, net_package: edgeml.Package) -> None:
    with small_package.session("onnx-fp32") as session:
        assert session.labels == (0, 1, 2)
    with net_package.session("onnx-fp32") as session:
        assert session.labels == net_package.manifest.source.decision.labels  # type: ignore[union-attr]


def test_a_session_of_a_regressor_has_no_labels() -> None:
    x, y = load_iris(return_X_y=True)
    package = edgeml.build(LinearRegression().fit(x, y), evaluation=(x, y), recipes="onnx-fp32")
    with package.session("onnx-fp32") as session:
        assert session.labels is None
        assert "labels" not in repr(session)


# logging


def test_load_records_its_choice(small_package_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="edgeml"):
        session = edgeml.load(small_package_file)
    chosen, opened = caplog.messages
    assert chosen == f"chose {session.reason}".rstrip(".")
    assert opened.endswith(f" on cpu by {session.engine}")
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("edgeml").handlers)


def test_without_a_handler_nothing_is_printed_and_logging_is_not_loaded() -> None:
    code = (
        "import sys, edgeml; edgeml.load('tests/data/format1.edgeml'); "
        "assert 'logging' not in sys.modules, 'loaded'; import logging; edgeml.load('tests/data/format1.edgeml')"
    )
    assert in_child(code) == ""
