"""scikit-learn models."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edgeml.core.decisions import Decision
from edgeml.core.errors import EdgemlError, InputError, StorageError, UnsupportedModelError
from edgeml.core.source import Probes, Reference, SourceInfo, Task
from edgeml.core.system.files import read_bytes
from edgeml.core.system.machine import installed_version
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.sources.audit_archive import check_archive
from edgeml.sources.pickled import load_pickle
from edgeml.sources.sklearn_missing_values import probe_missing_values
from edgeml.sources.sklearn_probes import compared_columns, make_probes
from edgeml.sources.sklearn_support import check_estimator, refuse_foreign_types, without_searches
from edgeml.sources.sklearn_table import ModelTable, model_table
from edgeml.sources.sklearn_trusted_types import is_trusted
from edgeml.sources.state_digest import state_digest

__all__ = ["SUFFIX", "SklearnSource", "open_source", "save"]

SUFFIX = ".skops"
_SAVE_SKOPS = "save the model with skops.io.dump(model, 'model.skops')."


@dataclass(frozen=True, slots=True)
class SklearnSource:
    """A loaded scikit-learn model and its description.

    Attributes:
        info: Description of the model.
        model: The fitted estimator.
        method: Method that returns scores or values: ``predict_proba``, ``decision_function``, ``predict`` or
            ``transform``; the labels of a classifier's ``predict`` count as votes.
        table: The part of its training table that the model reads.
    """

    info: SourceInfo
    model: Any
    method: Literal["predict_proba", "decision_function", "predict", "transform"]
    table: ModelTable

    def reference(self, inputs: dict[str, np.ndarray]) -> Reference:
        """Return the model's own outputs, computed for all rows in one call.

        The call runs on one thread: the choice among equally near neighbors, and the last bits of sums, depend on the
        number of threads.

        Args:
            inputs: ``features``, float32 ``[samples, n_features]``, which the model receives unchanged; or one
                ``[samples, 1]`` for each column of a table that holds text.
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
            deciding = None
            if self.method == "predict_proba" and hasattr(self.model, "decision_function"):
                deciding = _dense(self.model.decision_function(rows))  # what `predict` compares, as scikit-learn has it
        return Reference({output.name: scores}, labels, deciding=deciding)

    def run_batches(self, batches: Sequence[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
        """Return the model's outputs for batches of at most 32 samples, each computed in one call."""
        return [self.reference(batch).outputs for batch in batches]

    def compared_columns(self) -> dict[str, tuple[int, ...]]:
        """Return the columns that the model only compares with thresholds or categories of its own, by input name."""
        return compared_columns(self.model, self.table)

    def probes(self, inputs: dict[str, np.ndarray]) -> Probes:
        """Return rows on the model's thresholds, at its categories and beyond its ranges. See `make_probes`."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # of unknown categories, and of overflows far from the data
            return make_probes(self.model, self.table, inputs, self.reference)


def save(model: Any, path: Path) -> None:
    """Save a model in memory to a ``.skops`` file.

    Raises:
        InputError: The object is not a scikit-learn estimator.
        UnsupportedModelError: The model is not fitted, holds estimators of other libraries, or skops cannot save it.
        StorageError: The file cannot be written.
    """
    import skops.io

    check_estimator(model)
    try:
        skops.io.dump(without_searches(model), path)  # whose settings, as distributions of SciPy, skops may not save
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error}") from error
    except Exception as error:  # skops documents no exception types
        raise UnsupportedModelError(
            f"skops cannot save the {type(model).__name__}: {error}",
            fix="replace the part that the message names; functions of your own cannot be saved.",
        ) from error


def open_source(path: Path, *, trust: bool = False, saved: bool = False) -> SklearnSource:
    """Load a ``.skops`` file of trusted types, or a pickle if the caller trusts its author.

    Args:
        path: The file.
        trust: Whether all types are accepted, and pickles and joblib files are loaded.
        saved: Whether `save` wrote the file: then all types are accepted, which are the caller's own.

    Raises:
        InputError: The file does not exist, or is not a readable ``.skops`` file of a scikit-learn estimator.
        UnsupportedModelError: The file holds types that are not trusted, or a model that edgeml does not support.
        StorageError: The file cannot be read.
    """
    model = _load(path, trust=trust or saved) if path.suffix.lower() == SUFFIX else load_pickle(path, trust=trust)
    check_estimator(model)
    model = without_searches(model)
    digest = state_digest(model)
    for step in (model, *(step for _, step in getattr(model, "steps", ()))):
        if hasattr(step, "n_jobs"):
            step.n_jobs = None  # one job sums in a fixed order, so that the last bits are reproducible
    return _describe(model, digest)


def _load(path: Path, *, trust: bool) -> Any:
    import skops.io

    data = read_bytes(path)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            check_archive(archive, path)
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise InputError(f"{path.name} is not a skops file: expected a ZIP archive.", fix=_SAVE_SKOPS) from error
    if "schema.json" not in names:
        raise InputError(f"{path.name} is not a skops file: schema.json was not found in the archive.", fix=_SAVE_SKOPS)
    try:
        types = skops.io.get_untrusted_types(data=data)
        untrusted = sorted(name for name in types if not is_trusted(name))
        if trust or not untrusted:
            return skops.io.loads(data, trusted=sorted(types))
    except ModuleNotFoundError as error:
        raise InputError(
            f"{path.name} holds classes of the module '{error.name}', which is not installed here.",
            fix="install the package that has it, or put its folder on PYTHONPATH; or save the model without them.",
        ) from error
    except Exception as error:  # skops and its dependencies raise many types; all mean that the file cannot be read
        raise InputError(
            f"{path.name}: skops {installed_version('skops')} and scikit-learn "
            f"{installed_version('scikit-learn')} cannot load it: {error}",
            fix="save it again with the versions that are installed here.",
        ) from error
    refuse_foreign_types(untrusted)
    raise UnsupportedModelError(
        f"{path.name} holds types that are not trusted: {', '.join(untrusted)}.",
        fix="remove them from the model; or, if you trust the author of the file with your files and your machine, "
        "use --trust-source (trust_source=True).",
    )


def _describe(model: Any, digest: str) -> SklearnSource:
    name = _architecture(model)
    task, method = _task(model, name)
    count = _feature_count(model)
    if count is None:
        raise UnsupportedModelError(
            f"The {name} does not read a table of numbers: its attribute n_features_in_ is missing.",
            fix="convert the raw input to numbers before the model, and package the rest of the pipeline.",
        )
    decision = _decision(model, name, method) if task == "classification" else None
    table = model_table(model, count)
    # The output's shape is measured: it depends on options, and on the number of classes or targets in training.
    try:
        probe = table.rows(table.samples(2))
        with _one_thread():
            multi_label = decision is not None and np.ndim(model.predict(probe)) > 1
            if decision is not None and method == "predict":
                shape: tuple[int, ...] = (2, len(decision.labels))
            else:
                shape = _dense(getattr(model, method)(probe)).shape
    except EdgemlError:
        raise
    except Exception as error:  # scikit-learn raises many types
        values = "text and float32 numbers" if table.typed else "float32 numbers"
        raise UnsupportedModelError(
            f"The {name} does not accept rows of {len(table.columns)} {values}: {error}"
        ) from error
    if multi_label:
        raise _multi_label_error(name)
    output = TensorSpec(
        "scores" if decision else "values", (None, *shape[1:]), "float32", meaning="scores" if decision else "values"
    )
    if decision is not None and len(shape) == 1:
        decision = Decision(decision.labels, threshold=0.0)
    with _one_thread():
        inputs = probe_missing_values(table, getattr(model, method))
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
        return 1  # which the estimator does not record
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
        f"The {name} is not supported: expected a classifier, regressor, clusterer with predict(), or transformer.",
        fix="package a model of one of these kinds.",
    )


def _decision(model: Any, name: str, method: str) -> Decision:
    if isinstance(model.classes_, list):
        raise _multi_label_error(name)
    labels = tuple(model.classes_.tolist())
    if not all(isinstance(label, bool | int | float | str) for label in labels):
        raise UnsupportedModelError(
            f"The {name} has labels of type {type(labels[0]).__name__}.", fix="train it with numbers or text as labels."
        )
    pairwise = method == "decision_function" and len(labels) > 2 and _compares_pairs(model)
    return Decision(labels, probabilities=method == "predict_proba", pairwise=pairwise)


def _compares_pairs(model: Any) -> bool:
    """Return whether the scores of `decision_function` compare pairs of labels, as support vector machines can."""
    if hasattr(model, "steps"):
        return _compares_pairs(model.steps[-1][1])
    if hasattr(model, "best_estimator_"):
        return _compares_pairs(model.best_estimator_)
    return getattr(model, "decision_function_shape", None) == "ovo"


def _multi_label_error(name: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"The {name} predicts several labels for a row, which is not supported.",
        fix="train and package one classifier for each label.",
    )


def _dense(values: Any) -> np.ndarray:
    if hasattr(values, "tocsr"):
        raise UnsupportedModelError(
            "The model returns a sparse matrix.", fix="make the output dense, for instance with sparse_output=False."
        )
    try:
        return np.ascontiguousarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise UnsupportedModelError(f"The model's output cannot be converted to float32: {error}") from error


@contextmanager
def _one_thread() -> Iterator[None]:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), warnings.catch_warnings():
        # Columns are passed by position, also to a model that was trained on named ones.
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        yield
