"""Packages in a child process.

Digests prove that a package is whole, not that its engine survives it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from msgspec import Struct

from edgeml.cli.package_files import check_package_file
from edgeml.core.decisions import DECIDED, decide
from edgeml.core.errors import IsolationError, StorageError, TargetError, VerificationError
from edgeml.core.records.benchmark_results import read_results
from edgeml.core.session import ISOLATED_TARGETS
from edgeml.core.system.limits import Limits
from edgeml.core.system.temporary import TemporaryFolder
from edgeml.core.system.worker import Worker, WorkerCrash
from edgeml.core.tensors import Label
from edgeml.package import diff_packages, open_package
from edgeml.package.diff import PackageDiff
from edgeml.package.selection import AUTO
from edgeml.preprocessing import read_raw
from edgeml.preprocessing.array_files import read_array_file, select_inputs
from edgeml.preprocessing.raw_files import RAW_SUFFIXES
from edgeml.reporting import Format, make_report

__all__ = ["Predicted", "Running", "RunningSettings", "in_child", "running"]

_LIMITS = Limits()


class RunningSettings(Struct, frozen=True):
    """The package to run.

    Attributes:
        package: The file.
        limits: Limits of its artifacts.
        trust: Whether its author is trusted, as `open_package` describes.
    """

    package: Path
    limits: Limits = Limits()
    trust: bool = False


class Predicted(Struct, frozen=True):
    """The output of one artifact.

    Attributes:
        artifact: Recipe of the artifact.
        target: Target that it ran on.
        reason: Why this artifact and target were chosen; empty if both were named.
        placement: The operators on each device, in one line; empty if the engine does not report them.
        engine: Name of the engine.
        engine_version: Its version.
        arrays: ``scores``, or each output by name; and the ``labels`` of a classifier, of several outputs
            ``labels_NAME``.
        scores: Name among `arrays` of the scores that the classifier decides by; empty without such.
        classes: The classifier's labels in the order of its scores.
    """

    artifact: str
    target: str
    reason: str
    placement: str
    engine: str
    engine_version: str
    arrays: dict[str, np.ndarray]
    scores: str = ""
    classes: tuple[Label, ...] = ()


class Running:
    """An open package. Runs in a child process."""

    def __init__(self, settings: RunningSettings) -> None:
        self._package = open_package(settings.package, trust_source=settings.trust)
        self._limits, self._trust = settings.limits, settings.trust

    def predict(
        self, inputs: Path, recipe: str | None, target: str, threads: int | None, allow_fallback: bool
    ) -> Predicted:
        """Run an artifact, by default the best, on the arrays or the raw input in a file."""
        choice = self._package.choose(recipe, target=target)
        session = self._package.session(
            choice.recipe,
            target=choice.target,
            threads=threads,
            allow_fallback=allow_fallback,
            isolated=choice.target in ISOLATED_TARGETS and self._limits,
        )
        if inputs.suffix.lower() in RAW_SUFFIXES:
            data = session.prepare(read_raw(inputs, session.signature, session.preprocessing), raw=True)
        else:
            names = [spec.name for spec in session.signature.inputs]
            data = session.prepare(select_inputs(read_array_file(inputs), names))
        outputs, specs = session.run(data), session.signature.whole_outputs
        source_specs = [spec for spec in specs if spec.meaning not in DECIDED]
        names_in_file = {spec.name: "scores" if len(source_specs) == 1 else spec.name for spec in source_specs}
        arrays = {names_in_file[spec.name]: outputs[spec.name] for spec in source_specs}
        decision = self._package.manifest.source.decision
        scores = ""
        classes: tuple[Label, ...] = ()
        for name, head in self._package.manifest.source.heads.items():
            if head.decision is not None:
                (spec,) = (spec for spec in specs if spec.name == name)
                arrays[f"labels_{name}"] = decide(outputs, (spec,), head.decision)
        if decision is not None:
            arrays["labels"] = decide(outputs, specs, decision)
            scores = next((names_in_file[spec.name] for spec in source_specs if spec.meaning == "scores"), "")
            classes = decision.labels
        placement = ""
        with contextlib.suppress(TargetError):  # an older engine does not report it, and ran nevertheless
            placement = str(session.placement)
        return Predicted(
            choice.recipe,
            choice.target,
            "" if recipe is not None and target != AUTO else choice.reason,
            placement,
            session.engine,
            session.engine_version,
            arrays,
            scores,
            classes,
        )

    def diff(self, new: Path, inputs: Path | None, results: list[Path]) -> PackageDiff:
        """See `diff_packages`; this package is the old one."""
        data = select_inputs(read_array_file(inputs)) if inputs is not None else None
        return diff_packages(
            self._package,
            open_package(new, trust_source=self._trust),
            inputs=data,
            results=[*map(read_results, results)],
            limits=self._limits,
        )

    def report(self, results: list[Path], form: Format) -> bytes:
        """See `make_report`."""
        return make_report(self._package, results, form)


def running(package: Path, limits: Limits = _LIMITS, *, trust: bool = False) -> AbstractContextManager[Worker]:
    """Start a child that holds the package, as `in_child` does.

    Args:
        package: The package.
        limits: Limits of its artifacts.
        trust: Whether its author is trusted.

    Raises:
        PackageError: The file is evidently not a package.
        InputError: The file does not exist, or is a folder.
    """
    check_package_file(package)
    return in_child(Running, RunningSettings(package.absolute(), limits, trust), package.name)


@contextlib.contextmanager
def in_child(kind: type, settings: Struct, named: str) -> Iterator[Worker]:
    """Start a child that holds an object and runs artifacts.

    Args:
        kind: Class of the object.
        settings: Its settings.
        named: Name of the file that the artifacts are from, for messages.

    Raises:
        VerificationError: An artifact ended the process that ran it, or exceeded a limit.
    """
    try:
        with (
            TemporaryFolder() as folder,
            Worker(f"{kind.__module__}:{kind.__name__}", settings, folder) as worker,
        ):
            yield worker
    except WorkerCrash as error:
        raise VerificationError(
            f"{named} ends the engine that runs it: {error.message}", fix="do not use it here.", log=error.log
        ) from error
    except IsolationError as error:
        raise VerificationError(f"{named}: {error.message}", fix=error.fix, log=error.log) from error
    except TargetError as error:
        error.log = ""  # the message holds all of it
        raise
    except OSError as error:
        raise StorageError(f"Temporary files cannot be written: {error.strerror or error}.") from error
