"""Measuring in a child process: the artifacts of a package, or a bare model file."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from edgeml.core.packaged import Packaged
from edgeml.core.results import Comparison, Measurement, Scenario
from edgeml.core.source import is_bare
from edgeml.measurement import Case, Options, Plan, compare_cases, measure, plan
from edgeml.package import open_package

__all__ = ["Benching", "BenchingSettings"]


class BenchingSettings(Struct, frozen=True):
    """What is measured.

    Attributes:
        file: A package, or a model file.
        trust: Whether what the audit of a model file finds is let through.
    """

    file: Path
    trust: bool = False


class Benching:
    """Lives in a `Worker`."""

    def __init__(self, settings: BenchingSettings) -> None:
        self._file = settings.file
        self._trust = settings.trust
        self._package = self._opened(settings.file)

    def plan(
        self,
        artifacts: tuple[str, ...],
        targets: tuple[str, ...],
        threads: tuple[int, ...],
        batches: tuple[int, ...],
        scenarios: tuple[Scenario, ...],
        options: Options,
    ) -> Plan:
        """As `plan`."""
        return plan(
            self._package,
            artifacts=artifacts,
            targets=targets,
            threads=threads,
            batches=batches,
            scenarios=scenarios,
            options=options,
        )

    def measure(self, case: Case, options: Options) -> Measurement:
        """As `measure`."""
        return measure(self._package, self._file, case, options)

    def compare(self, case: Case, other: str, options: Options) -> Comparison:
        """Measures a case in turn with that of another package, a model file, or another artifact or target."""
        if is_bare(other):
            from edgeml.pipeline.bare_file import open_bare_file  # which devices need not load

            file = open_bare_file(Path(other), beside=self._package, trust=self._trust)
            found = compare_cases(self._package, case, file, replace(case, artifact=file.released[0]), options)
            return replace(found, beside_file=file.ref)
        if other.endswith(".edgeml"):
            return compare_cases(self._package, case, open_package(other), case, options)
        artifact, _, target = other.partition("@")
        beside = replace(case, artifact=artifact or case.artifact, target=target or case.target)
        return compare_cases(self._package, case, self._package, beside, options)

    def _opened(self, path: Path) -> Packaged:
        if not is_bare(path):
            return open_package(path)
        from edgeml.pipeline.bare_file import open_bare_file

        return open_bare_file(path, trust=self._trust)
