"""Measuring in a child process: the artifacts of a package, or a bare model file."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from edgeml.core.errors import EdgemlError, InputError, MissingDependencyError, TargetError
from edgeml.core.records.benchmark_results import Comparison, FileRef, Measurement, Scenario
from edgeml.core.source import is_bare
from edgeml.measurement import BenchPlan, Case, Options, compare_cases, measure, plan_cases
from edgeml.measurement.subject import Measurable
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
        other: str | None,
    ) -> BenchPlan:
        """As `plan`; of what is compared with another, only what has its like there, unless it was named."""
        found = plan_cases(
            self._package,
            artifacts=artifacts,
            targets=targets,
            threads=threads,
            batches=batches,
            scenarios=scenarios,
            options=options,
        )

        if other is None:
            return found
        package, _ = self._package_of(other)
        problems = dict[tuple[str, str], EdgemlError]()
        for artifact, target in dict.fromkeys((case.artifact, case.target) for case in found.cases):
            recipe, place = _beside(artifact, target, other, package)
            try:
                package.session(recipe, target=place).close()
            except (InputError, TargetError, MissingDependencyError) as error:
                if artifacts:
                    raise
                problems[artifact, target] = error
        cases = tuple(case for case in found.cases if (case.artifact, case.target) not in problems)
        if not cases:
            raise next(iter(problems.values()))
        told = (f"{artifact} on {target}: {error.message}" for (artifact, target), error in problems.items())
        return BenchPlan(cases, (*found.skipped, *told))

    def measure(self, case: Case, options: Options) -> Measurement:
        """As `measure`."""
        return measure(self._package, self._file, case, options)

    def compare(self, case: Case, other: str, options: Options) -> Comparison:
        """Measures a case in turn with that of another package, a model file, or another artifact or target."""
        package, file = self._package_of(other)
        artifact, target = _beside(case.artifact, case.target, other, package)
        beside = replace(case, artifact=artifact, target=target)
        return replace(compare_cases(self._package, case, package, beside, options), baseline_file=file)

    def _package_of(self, other: str) -> tuple[Measurable, FileRef | None]:
        """Of what is compared with: the package, or the file as one."""
        if is_bare(other):
            from edgeml.measurement.model_file import open_model_file  # which devices need not load

            file = open_model_file(Path(other), reference=self._package, trust=self._trust)
            return file, file.ref
        return (open_package(other) if other.endswith(".edgeml") else self._package), None

    def _opened(self, path: Path) -> Measurable:
        if not is_bare(path):
            return open_package(path)
        from edgeml.measurement.model_file import open_model_file

        return open_model_file(path, trust=self._trust)


def _beside(artifact: str, target: str, other: str, package: Measurable) -> tuple[str, str]:
    """The artifact and target on the other side."""
    if is_bare(other):
        return package.released[0], target
    if other.endswith(".edgeml"):
        return artifact, target
    recipe, _, place = other.partition("@")
    return recipe or artifact, place or target
