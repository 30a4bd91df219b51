"""Comparison of two packages' outputs on the same inputs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import numpy as np
from msgspec import Struct

from edgeml.core.caller_inputs import arrays_by_input
from edgeml.core.decisions import Decision, decide
from edgeml.core.errors import (
    InputError,
    IsolationError,
    MissingDependencyError,
    TargetError,
    VerificationError,
)
from edgeml.core.isolation import Isolation
from edgeml.core.session import Session
from edgeml.core.source import DENSE
from edgeml.core.system.limits import Limits
from edgeml.core.tensors import Label
from edgeml.package.diff.manifests import tensor_changes, typed
from edgeml.package.diff.values import Flip, PredictionDiff
from edgeml.package.golden import golden_inputs
from edgeml.package.package import Package

__all__ = ["Samples", "caller_samples", "golden_samples", "prediction_diffs"]

_SEVERAL = {*DENSE, "multi-label"}  # tasks with several labels for a sample
_MAX_FLIPS = 20


class Samples(Struct, frozen=True):
    """Inputs for both packages.

    Attributes:
        inputs: Arrays ``[samples, ...]`` by input name.
        names: Name of each sample, such as ``golden 3``.
    """

    inputs: dict[str, np.ndarray]
    names: tuple[str, ...]


def caller_samples(data: object, old: Package) -> Samples:
    """Return the caller's inputs, named by their rows.

    Raises:
        InputError: The inputs are empty or do not fit the old package.
    """
    arrays = arrays_by_input(data, old.manifest.source.signature, "inputs")
    count = len(next(iter(arrays.values())))
    if count == 0:
        raise InputError("inputs: got 0 samples, expected at least 1.")
    return Samples(arrays, tuple(f"row {i}" for i in range(count)))


def golden_samples(old: Package, new: Package) -> Samples | None:
    """Return the golden inputs of both packages, the old package's first; None if they do not fit each other.

    Golden inputs that are the same in both packages, as those of two trainings on the same data, occur once.
    """
    before, after = (golden_inputs(package.manifest.golden, package.read) for package in (old, new))
    shapes = [{name: array.shape[1:] for name, array in arrays.items()} for arrays in (before, after)]
    if not before or shapes[0] != shapes[1]:
        return None
    count = [len(next(iter(arrays.values()))) for arrays in (before, after)]
    if count[0] == count[1] and all(np.array_equal(array, after[name]) for name, array in before.items()):
        return Samples(before, tuple(f"golden {i}" for i in range(count[0])))
    inputs = {name: np.concatenate([array, after[name]]) for name, array in before.items()}
    names = [
        f"{which} golden {i}" for which, samples in zip(("old", "new"), count, strict=True) for i in range(samples)
    ]
    return Samples(inputs, tuple(names))


def prediction_diffs(old: Package, new: Package, samples: Samples | None, limits: Limits) -> tuple[PredictionDiff, ...]:
    """Compare the outputs of each artifact that both packages contain, if its engine is installed.

    Raises:
        VerificationError: An artifact ends its engine, or exceeds a limit.
    """
    recipes = {record.recipe for record in new.manifest.artifacts}
    with Isolation(limits) as isolation:
        return tuple(
            _prediction_diff(record.recipe, old, new, samples, isolation)
            for record in old.manifest.artifacts
            if record.recipe in recipes
        )


def _prediction_diff(
    recipe: str, old: Package, new: Package, samples: Samples | None, isolation: Isolation
) -> PredictionDiff:
    files = [package.manifest.files[package.artifact(recipe).file].sha256 for package in (old, new)]
    sources = old.manifest.source, new.manifest.source
    if files[0] == files[1] and sources[0].decisions == sources[1].decisions:
        return PredictionDiff(recipe, "same")
    changes = tensor_changes(sources[0].signature, sources[1].signature)
    if samples is None or any(change.what.startswith(("input ", "order of inputs")) for change in changes):
        return PredictionDiff(recipe, "not run", "the two packages take different inputs")
    try:
        sessions, outputs = [], []
        for package in (old, new):
            with _named(package), package.session(recipe, isolated=isolation) as session:
                sessions.append(session)
                outputs.append(session.run(samples.inputs))
    except (InputError, MissingDependencyError, TargetError) as error:
        return PredictionDiff(recipe, "not run", str(error))
    decisions = [source.decision for source in sources if source.decision is not None and source.task not in _SEVERAL]
    labels = None
    if len(decisions) == 2:
        try:
            labels = [_labels(*each) for each in zip(outputs, sessions, decisions, strict=True)]
        except (IndexError, StopIteration, ValueError) as error:  # the numbers of scores and labels differ
            return PredictionDiff(recipe, "not run", f"the outputs do not fit the labels: {error}")
    flips = _flips(labels[0], labels[1], samples.names) if labels else ()
    return PredictionDiff(
        recipe,
        "ran",
        samples=len(samples.names),
        flipped=len(flips) if labels else None,
        flips=flips[:_MAX_FLIPS],
        max_difference=_max_difference(outputs[0], outputs[1]),
    )


@contextlib.contextmanager
def _named(package: Package) -> Iterator[None]:
    """Name the package whose artifact ends its engine or exceeds a limit."""
    try:
        yield
    except IsolationError as error:
        raise VerificationError(f"{package.label}: {error.message}", fix=error.fix, log=error.log) from error


def _labels(outputs: Mapping[str, np.ndarray], session: Session, decision: Decision) -> list[Label]:
    labels: list[Label] = decide(outputs, session.signature.whole_outputs, decision).tolist()
    return labels


def _flips(old: list[Label], new: list[Label], names: tuple[str, ...]) -> tuple[Flip, ...]:
    return tuple(
        Flip(name, before, after)
        for name, before, after in zip(names, old, new, strict=True)
        if typed(before) != typed(after)
    )


def _max_difference(old: Mapping[str, np.ndarray], new: Mapping[str, np.ndarray]) -> float | None:
    """Return the largest absolute difference over float outputs of the same shape; None without such outputs."""
    differences = [
        float(np.abs(old[name].astype(np.float64) - new[name].astype(np.float64)).max(initial=0.0))
        for name in old
        if name in new and old[name].shape == new[name].shape and old[name].dtype.kind == new[name].dtype.kind == "f"
    ]
    return max(differences) if differences else None
