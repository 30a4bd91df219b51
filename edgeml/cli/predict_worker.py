"""Running a package in a child process: digests tell that it is whole, not that its engine survives it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from msgspec import Struct

from edgeml.cli.arrays import inputs_of, read_arrays
from edgeml.core.decisions import DECIDED, decide
from edgeml.core.errors import StorageError, TargetError, VerificationError
from edgeml.core.records.benchmark_results import read_results
from edgeml.core.system.worker import Worker, WorkerCrash
from edgeml.package import Verification, diff_packages, open_package
from edgeml.package.diff import PackageDiff
from edgeml.package.selection import AUTO
from edgeml.preprocessing import read_raw
from edgeml.preprocessing.raw_files import RAW_SUFFIXES
from edgeml.reporting import Format, make_report

__all__ = ["Predicted", "Running", "RunningSettings", "in_child", "running"]


class RunningSettings(Struct, frozen=True):
    """Which package."""

    package: Path


class Predicted(Struct, frozen=True):
    """What an artifact gave.

    Attributes:
        reason: Why this artifact and target were chosen; empty where both were named.
        placement: Which operators ran where, in one line; empty where the engine does not tell.
        arrays: ``scores``, or each output by name; and the ``labels`` of a classifier.
    """

    artifact: str
    target: str
    reason: str
    placement: str
    engine: str
    engine_version: str
    arrays: dict[str, np.ndarray]


class Running:
    """Lives in a `Worker`."""

    def __init__(self, settings: RunningSettings) -> None:
        self._package = open_package(settings.package)

    def verify(self, digest: str | None) -> Verification:
        """As `Package.verify`."""
        return self._package.verify(digest=digest)

    def predict(
        self, inputs: Path, recipe: str | None, target: str, threads: int | None, allow_fallback: bool
    ) -> Predicted:
        """Runs an artifact, by default the best, on the arrays in a file."""
        choice = self._package.choose(recipe, target=target)
        session = self._package.session(
            choice.recipe, target=choice.target, threads=threads, allow_fallback=allow_fallback
        )
        if inputs.suffix.lower() in RAW_SUFFIXES:
            data = session.prepare(read_raw(inputs, session.signature, session.preprocessing), raw=True)
        else:
            names = [spec.name for spec in session.signature.inputs]
            data = session.prepare(inputs_of(read_arrays(inputs), names))
        outputs = session.run(data)
        plain = {spec.name: outputs[spec.name] for spec in session.signature.outputs if spec.meaning not in DECIDED}
        arrays = {"scores": next(iter(plain.values()))} if len(plain) == 1 else plain
        decision = self._package.manifest.source.decision
        if decision is not None:
            arrays["labels"] = decide(outputs, session.signature.outputs, decision)
        placement = ""
        with contextlib.suppress(TargetError):  # an older engine does not tell, and ran nevertheless
            placement = str(session.placement)
        return Predicted(
            choice.recipe,
            choice.target,
            "" if recipe is not None and target != AUTO else choice.reason,
            placement,
            session.engine,
            session.engine_version,
            arrays,
        )

    def diff(self, new: Path, inputs: Path | None, results: list[Path]) -> PackageDiff:
        """As `diff_packages`, of this package as the old one."""
        data = inputs_of(read_arrays(inputs)) if inputs is not None else None
        return diff_packages(self._package, open_package(new), inputs=data, results=[*map(read_results, results)])

    def report(self, results: list[Path], form: Format) -> bytes:
        """As `make_report`."""
        return make_report(self._package, results, form)


def running(package: Path) -> AbstractContextManager[Worker]:
    """A child that holds the package, as `in_child`."""
    return in_child(Running, RunningSettings(package.absolute()), package.name)


@contextlib.contextmanager
def in_child(kind: type, settings: Struct, named: str) -> Iterator[Worker]:
    """A child that holds an object and runs artifacts.

    Args:
        kind: Of the object.
        settings: What it is made of.
        named: Whose artifacts they are, in messages.

    Raises:
        VerificationError: The child died of what it ran.
    """
    try:
        with (
            tempfile.TemporaryDirectory(prefix="edgeml-") as folder,
            Worker(f"{kind.__module__}:{kind.__name__}", settings, Path(folder)) as worker,
        ):
            yield worker
    except WorkerCrash as error:
        raise VerificationError(
            f"{named} ends the engine that runs it: {error.message}", fix="do not use it here.", log=error.log
        ) from error
    except TargetError as error:
        error.log = ""  # the message says it all
        raise
    except OSError as error:
        raise StorageError(f"Temporary files cannot be written: {error.strerror or error}.") from error
