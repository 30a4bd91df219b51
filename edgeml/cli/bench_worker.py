"""Measuring in a child process: the artifacts of a package, or a bare model file."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from edgeml.core.errors import EdgemlError, InputError, MissingDependencyError, TargetError
from edgeml.core.isolation import Isolation
from edgeml.core.records.benchmark_results import Comparison, FileRef, Measurement, Scenario
from edgeml.core.source import is_bare
from edgeml.core.system.limits import Limits
from edgeml.measurement import BenchPlan, Case, Options, compare_cases, measure, plan_cases
from edgeml.measurement.cases import check_same_sizes, try_artifact
from edgeml.measurement.subject import Measurable
from edgeml.package import open_package

__all__ = ["BenchWorker", "BenchWorkerSettings"]


class BenchWorkerSettings(Struct, frozen=True):
    """Settings of a `BenchWorker`.

    Attributes:
        file: A package, or a model file.
        trust: Whether model files that do not pass the audit, and packages that were built from one, are run.
        limits: Limits of the run that checks each artifact before it is measured.
        sizes: Numbers for free sizes, by name; None for those of the package's golden inputs.
    """

    file: Path
    trust: bool = False
    limits: Limits = Limits()
    sizes: dict[str, int] | None = None


class BenchWorker:
    """Measures in a child process, as the object of a `Worker`."""

    def __init__(self, settings: BenchWorkerSettings) -> None:
        self._file = settings.file
        self._trust = settings.trust
        self._limits, self._sizes = settings.limits, settings.sizes
        self._package = self._open(settings.file)

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
        """Plan the cases; with another side, skip those that it cannot run, unless the artifacts were named."""
        planned = plan_cases(
            self._package,
            artifacts=artifacts,
            targets=targets,
            threads=threads,
            batches=batches,
            scenarios=scenarios,
            options=options,
            limits=self._limits,
            sizes=self._sizes,
        )
        if other is None:
            return planned
        package, _ = self._other_package(other)
        problems = dict[tuple[str, str], EdgemlError]()
        with Isolation(self._limits) as isolation:
            for case in {(case.artifact, case.target): case for case in planned.cases}.values():
                artifact, target = case.artifact, case.target
                recipe, place = _other_side(artifact, target, other, package)
                check_same_sizes(self._package, package, case)
                try:
                    try_artifact(package, recipe, place, isolation, case.sizes_for(package))
                except (InputError, TargetError, MissingDependencyError) as error:
                    if artifacts:
                        raise
                    problems[artifact, target] = error
        cases = tuple(case for case in planned.cases if (case.artifact, case.target) not in problems)
        if not cases:
            raise next(iter(problems.values()))
        skipped = (f"{artifact} on {target}: {error.message}" for (artifact, target), error in problems.items())
        return BenchPlan(cases, (*planned.skipped, *skipped))

    def measure(self, case: Case, options: Options) -> Measurement:
        """Measure a case."""
        return measure(self._package, self._file, case, options)

    def compare(self, case: Case, other: str, options: Options) -> Comparison:
        """Measure a case in turn with that of another package, a model file, or another artifact or target."""
        package, file = self._other_package(other)
        artifact, target = _other_side(case.artifact, case.target, other, package)
        other_case = replace(case, artifact=artifact, target=target)
        return replace(compare_cases(self._package, case, package, other_case, options), baseline_file=file)

    def _other_package(self, other: str) -> tuple[Measurable, FileRef | None]:
        """Return the other side: a package, or a file as a package with its reference."""
        if is_bare(other):
            from edgeml.measurement.model_file import open_model_file  # not needed on devices

            file = open_model_file(Path(other), reference=self._package, trust=self._trust, sizes=self._sizes)
            return file, file.ref
        is_package = other.endswith(".edgeml")
        return (open_package(other, trust_source=self._trust) if is_package else self._package), None

    def _open(self, path: Path) -> Measurable:
        if not is_bare(path):
            return open_package(path, trust_source=self._trust)
        from edgeml.measurement.model_file import open_model_file

        return open_model_file(path, trust=self._trust, sizes=self._sizes)


def _other_side(artifact: str, target: str, other: str, package: Measurable) -> tuple[str, str]:
    """Return the artifact and target of the other side."""
    if is_bare(other):
        return package.released[0], target
    if other.endswith(".edgeml"):
        return artifact, target
    recipe, _, place = other.partition("@")
    return recipe or artifact, place or target
