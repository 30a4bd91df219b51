"""scikit-learn models."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edgeml.core.decisions import Decision
from edgeml.core.errors import EdgemlError, InputError, StorageError, UnsupportedModelError
from edgeml.core.source import Reference, SourceInfo, Task
from edgeml.core.system.files import read_bytes
from edgeml.core.system.machine import installed_version
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.sources.pickled import unpickled
from edgeml.sources.sklearn_gaps import gaps_of
from edgeml.sources.sklearn_table import ModelTable, model_table
from edgeml.sources.sklearn_trusted_types import TRUSTED_TYPES
from edgeml.sources.state_digest import state_digest

__all__ = ["SUFFIX", "SklearnSource", "open_source", "save"]

SUFFIX = ".skops"


@dataclass(frozen=True, slots=True)
class SklearnSource:
    """A loaded scikit-learn model and its description.

    Attributes:
        method: What gives its scores or values: ``predict_proba``, ``decision_function``, ``predict`` or
            ``transform``; of a classifier ``predict`` gives votes.
        table: What it reads of the table that it was trained on.
    """

    info: SourceInfo
    model: Any
    method: Literal["predict_proba", "decision_function", "predict", "transform"]
    table: ModelTable

    def reference(self, inputs: dict[str, np.ndarray]) -> Reference:
        """The model's own answers, all rows in one call.

        On one thread: which of several equally near neighbours scikit-learn takes, and the last bits of sums,
        depend on the number of threads.

        Args:
            inputs: ``features``, float32 ``[samples, n_features]``, given to the model as they are; or one
                ``[samples, 1]`` for each column of a table in which there is text.
        """
        rows = self.table.rows(inputs)
        (output,) = self.info.signature.outputs
        decision = self.info.decision
        with _one_thread():
            if decision is None:
                return Reference({output.name: _dense(getattr(self.model, self.method)(rows))})
            labels = np.searchsorted(self.model.classes_, self.model.predict(rows)).astype(np.int64)
            if self.method == "predict":
                scores = np.eye(len(decision.labels), dtype=np.float32)[labels]
            else:
                scores = _dense(getattr(self.model, self.method)(rows))
        return Reference({output.name: scores}, labels)


def save(model: Any, path: Path) -> None:
    """Hands a model in memory over as a ``.skops`` file.

    Raises:
        InputError: It is no scikit-learn estimator.
        UnsupportedModelError: It is not fitted, or skops cannot save it.
        StorageError: The file cannot be written.
    """
    import skops.io

    _check_fitted(model)
    try:
        skops.io.dump(model, path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error}") from error
    except Exception as error:  # skops names no error of its own
        raise UnsupportedModelError(
            f"skops cannot save the {type(model).__name__}: {error}",
            fix="replace the part that it names; functions of your own cannot be saved.",
        ) from error


def open_source(path: Path, *, trust: bool = False) -> SklearnSource:
    """Loads a ``.skops`` file, after every type in it was found harmless; a pickle only if it is trusted.

    Args:
        path: The file.
        trust: Whether all types in it are let through, and pickles and joblib files are loaded.

    Raises:
        InputError: It is no readable ``.skops`` file of a scikit-learn estimator.
        UnsupportedModelError: It holds types that are not trusted, or a model that edgeml does not carry.
        StorageError: The file cannot be read.
    """
    model = _load(path, trust=trust) if path.suffix.lower() == SUFFIX else unpickled(path, trust=trust)
    _check_fitted(model)
    model = getattr(model, "best_estimator_", model)  # of a search: all that it answers comes from it
    digest = state_digest(model)
    for step in (model, *(step for _, step in getattr(model, "steps", ()))):
        if hasattr(step, "n_jobs"):
            step.n_jobs = None  # one job sums in one order, so that the last bits are the same every time
    return _describe(model, digest)


def _load(path: Path, *, trust: bool) -> Any:
    import skops.io

    data = read_bytes(path)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = "schema.json" in archive.namelist()
    except zipfile.BadZipFile as error:
        raise InputError(
            f"{path.name} is no skops file: it is no ZIP archive.",
            fix="save the model by skops.io.dump(model, 'model.skops').",
        ) from error
    if not found:
        raise InputError(
            f"{path.name} is no skops file: the archive has no schema.json.",
            fix="save the model by skops.io.dump(model, 'model.skops').",
        )
    try:
        untrusted = sorted(set(skops.io.get_untrusted_types(data=data)) - TRUSTED_TYPES)
        if trust or not untrusted:
            return skops.io.loads(data, trusted=sorted(TRUSTED_TYPES | set(untrusted)))
    except Exception as error:  # skops and what it calls raise many kinds; all mean that the file cannot be read
        raise InputError(
            f"{path.name}: skops {installed_version('skops')} and scikit-learn "
            f"{installed_version('scikit-learn')} cannot load it: {error}",
            fix="save it again with the versions that are installed here.",
        ) from error
    raise UnsupportedModelError(
        f"{path.name} holds types that are not trusted: {', '.join(untrusted)}.",
        fix="take them out of the model; or, if you trust whoever made it with your files and your machine, "
        "say --trust-source (trust_source=True).",
    )


def _check_fitted(model: Any) -> None:
    from sklearn.base import BaseEstimator
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if not isinstance(model, BaseEstimator):
        raise InputError(f"A {type(model).__name__} is no scikit-learn estimator.")
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise UnsupportedModelError(
            f"The {type(model).__name__} is not fitted.", fix="call its fit() before packaging it."
        ) from error


def _describe(model: Any, digest: str) -> SklearnSource:
    name = _architecture(model)
    task, method = _task(model, name)
    count = _feature_count(model)
    if count is None:
        raise UnsupportedModelError(
            f"The {name} does not take a table of numbers (it has no n_features_in_).",
            fix="put what turns the raw input into numbers before the package.",
        )
    decision = _decision(model, name, method) if task == "classification" else None
    table = model_table(model, count)
    # The output's shape is seen, not derived: it depends on options, and on how many classes or targets there were.
    try:
        probe = table.rows(table.samples(2))
        with _one_thread():
            several = decision is not None and np.ndim(model.predict(probe)) > 1
            if decision is not None and method == "predict":
                shape: tuple[int, ...] = (2, len(decision.labels))
            else:
                shape = _dense(getattr(model, method)(probe)).shape
    except EdgemlError:
        raise
    except Exception as error:  # scikit-learn raises many kinds
        taken = "text and float32 numbers" if table.typed else "float32 numbers"
        raise UnsupportedModelError(
            f"The {name} does not take rows of {len(table.columns)} {taken}: {error}"
        ) from error
    if several:
        raise _several_labels(name)
    output = TensorSpec(
        "scores" if decision else "values", (None, *shape[1:]), "float32", meaning="scores" if decision else "values"
    )
    if decision is not None and len(shape) == 1:
        decision = Decision(decision.labels, threshold=0.0)
    with _one_thread():
        inputs = gaps_of(table, getattr(model, method))
    signature = Signature(inputs, (output,))
    versions = {
        package: installed_version(package) or "unknown" for package in ("scikit-learn", "numpy", "scipy", "skops")
    }
    info = SourceInfo("sklearn", name, signature, task, decision, digest, versions, columns=table.columns_of_inputs)
    return SklearnSource(info, model, method, table)


def _architecture(model: Any) -> str:
    name = type(model).__name__
    if not hasattr(model, "steps"):
        return name
    return f"{name}({', '.join('passthrough' if _skipped(step) else _architecture(step) for _, step in model.steps)})"


def _skipped(step: Any) -> bool:
    return step is None or isinstance(step, str)  # 'passthrough'


def _feature_count(model: Any) -> int | None:
    for _, step in getattr(model, "steps", ()):
        if not _skipped(step):
            return _feature_count(step)
    if type(model).__name__ == "IsotonicRegression":
        return 1  # it takes one column, and does not say so
    count = getattr(model, "n_features_in_", None)
    return None if count is None else int(count)


def _task(model: Any, name: str) -> tuple[Task, Any]:
    from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor

    if is_classifier(model):
        methods = ("predict_proba", "decision_function", "predict")
        return "classification", next(method for method in methods if hasattr(model, method))
    if is_regressor(model):
        return "regression", "predict"
    if is_clusterer(model) and hasattr(model, "predict"):
        return "clustering", "predict"
    if hasattr(model, "transform") and not is_outlier_detector(model):
        return "transformation", "transform"
    raise UnsupportedModelError(
        f"The {name} is no classifier, regressor, clusterer with predict, or transformer.",
        fix="package a model of one of these kinds.",
    )


def _decision(model: Any, name: str, method: str) -> Decision:
    if isinstance(model.classes_, list):
        raise _several_labels(name)
    labels = tuple(model.classes_.tolist())
    if not all(isinstance(label, bool | int | float | str) for label in labels):
        raise UnsupportedModelError(
            f"The {name} has labels of type {type(labels[0]).__name__}.", fix="train it with numbers or text as labels."
        )
    return Decision(labels, probabilities=method == "predict_proba")


def _several_labels(name: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"The {name} gives several labels for a row.", fix="train and package one classifier for each of them."
    )


def _dense(values: Any) -> np.ndarray:
    if hasattr(values, "tocsr"):
        raise UnsupportedModelError(
            "The model gives a sparse matrix.", fix="make it dense, for instance by sparse_output=False."
        )
    try:
        return np.ascontiguousarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise UnsupportedModelError(f"The model's output is no table of numbers: {error}") from error


@contextmanager
def _one_thread() -> Iterator[None]:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), warnings.catch_warnings():
        # The columns come by position here, also to a model that was trained on a table with named ones.
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        yield
