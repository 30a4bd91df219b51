"""Cases of a benchmark: artifact, target, scenario and settings."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from edgeml.core.errors import EdgemlError, InputError, MissingDependencyError, TargetError
from edgeml.core.free_sizes import size_text
from edgeml.core.isolation import Isolation
from edgeml.core.records.benchmark_results import Scenario
from edgeml.core.session import ISOLATED_TARGETS
from edgeml.core.system.limits import Limits
from edgeml.measurement.subject import Measurable

__all__ = ["DEFAULT_SCENARIOS", "BenchPlan", "Case", "Options", "check_same_sizes", "plan_cases", "try_artifact"]

DEFAULT_SCENARIOS: tuple[Scenario, ...] = ("single-stream", "offline")
_LIMITS = Limits()
_STREAMS = 8  # number of streams in MLPerf's multi-stream scenario


class Options(Struct, frozen=True):
    """Options of a benchmark.

    Attributes:
        seconds: Minimum duration of a measurement.
        latency_bound_ms: Bound on the 99th percentile of latency in the server scenario.
        cold_starts: Fresh processes to start for each artifact on each target; 0 for none.
        seed: Seed of the arrivals at a server, and of the orders of a comparison.
    """

    seconds: float = 3.0
    latency_bound_ms: float | None = None
    cold_starts: int = 6
    seed: int = 0


class Case(Struct, frozen=True):
    """One measurement to take.

    Attributes:
        artifact: Recipe of the artifact.
        target: Target to run on.
        scenario: MLPerf's scenario, which decides how queries arrive.
        threads: Cores that a call may use; None for the session's choice.
        batch: Samples per query; in the server scenario the maximum number of queries, of one sample each, in one
            call. None in the offline scenario for as many samples as fill a twentieth of a second.
        sizes: Names and numbers of free sizes.
    """

    artifact: str
    target: str
    scenario: Scenario
    threads: int | None
    batch: int | None
    sizes: tuple[tuple[str, int], ...] = ()

    def sizes_for(self, package: Measurable) -> dict[str, int] | None:
        """Return the sizes to open an artifact with; None for one without free sizes."""
        return dict(self.sizes or package.sizes) if package.sizes else None

    @property
    def setting(self) -> str:
        """Name of the case among cases of its scenario."""
        return f"{self.artifact} on {self.target}{self._details}"

    def __str__(self) -> str:
        return f"{self.artifact} on {self.target}, {self.scenario}{self._details}"

    @property
    def _details(self) -> str:
        threads = "" if self.threads is None else f", {self.threads} thread{'s' if self.threads > 1 else ''}"
        batch = "" if self.batch in {None, 1} else f", batch {self.batch}"
        sizes = f", {size_text(dict(self.sizes))}" if self.sizes else ""
        return threads + batch + sizes


class BenchPlan(Struct, frozen=True):
    """Cases that will be measured, and the reasons for those that cannot be.

    Attributes:
        cases: Cases, in order.
        skipped: Reason for each artifact that cannot run on a target here, in a sentence.
    """

    cases: tuple[Case, ...]
    skipped: tuple[str, ...]


def plan_cases(
    package: Measurable,
    *,
    artifacts: Sequence[str] = (),
    targets: Sequence[str] = (),
    threads: Sequence[int | None] = (),
    batches: Sequence[int] = (),
    scenarios: Sequence[Scenario] = (),
    options: Options | None = None,
    limits: Limits = _LIMITS,
    sizes: Mapping[str, int] | None = None,
) -> BenchPlan:
    """List all combinations that can run here; each artifact runs once on each target to check that.

    Args:
        package: The package.
        artifacts: Recipes; by default the released artifacts.
        targets: Targets; by default the CPU.
        threads: Cores that a call may use; by default the session's choice.
        batches: Samples per query in the scenarios offline and multi-stream, by default 8 in the latter; in the server
            scenario the maximum number of queries in one call, by default 1.
        scenarios: Scenarios; by default single-stream and offline.
        options: Options of the benchmark.
        limits: Limits of the child process that checks the artifacts.
        sizes: A number for each free size, by name; by default those of the golden inputs.

    Raises:
        InputError: An artifact does not exist, `sizes` are not the free sizes of the package, or the server scenario
            lacks its latency bound.
        TargetError: A target does not exist, or a named artifact or target cannot run here at all.
        MissingDependencyError: The engine of a named artifact or target is not installed.
    """
    recipes = tuple(dict.fromkeys(artifacts or package.released))
    if not recipes:
        raise TargetError(f"{package.label} does not have a released artifact.", fix="name a rejected one: --artifact.")
    chosen_scenarios = tuple(dict.fromkeys(scenarios or DEFAULT_SCENARIOS))
    if "server" in chosen_scenarios and (options is None or options.latency_bound_ms is None):
        raise InputError("The server scenario needs a latency bound.", fix="give --latency-bound MS.")
    chosen_targets = tuple(dict.fromkeys(targets or ("cpu",)))
    runnable, problems = list[tuple[str, str]](), dict[tuple[str, str], EdgemlError]()
    if sizes and not package.sizes:
        raise InputError(f"sizes: got {size_text(sizes)}, but all sizes of {package.label} are fixed.")
    numbers = sizes or package.sizes
    with Isolation(limits) as isolation:
        for pair in itertools.product(recipes, chosen_targets):
            package.size_bytes(pair[0])
            try:
                try_artifact(package, *pair, isolation, numbers or None)
                runnable.append(pair)
            except (TargetError, MissingDependencyError) as error:
                problems[pair] = error
    if not runnable:
        raise next(iter(problems.values()))
    for position, names in enumerate((artifacts, targets)):
        for name in set(names) - {pair[position] for pair in runnable}:
            raise next(error for pair, error in problems.items() if pair[position] == name)
    cases = [
        Case(artifact, target, scenario, count, batch, tuple(numbers.items()))
        for artifact, target in runnable
        for scenario in chosen_scenarios
        for count in dict.fromkeys(threads or (None,))
        for batch in _batches(scenario, batches)
    ]
    skipped = tuple(f"{artifact} on {target}: {error.message}" for (artifact, target), error in problems.items())
    return BenchPlan(tuple(cases), skipped)


def try_artifact(
    package: Measurable, recipe: str, target: str, isolation: Isolation, sizes: Mapping[str, int] | None = None
) -> None:
    """Run an artifact on the golden inputs, before it is measured in this process.

    Artifacts on accelerators, which are not isolated, are opened only.

    Args:
        package: The package.
        recipe: Recipe of the artifact.
        target: Target to run on.
        isolation: Child process that runs the artifact.
        sizes: A number for each free size, by name.

    Raises:
        InputError: The package does not contain the artifact, or its golden inputs do not fit.
        IsolationError: The artifact ends its engine, or exceeds a limit.
        TargetError: The artifact cannot run on the target.
        MissingDependencyError: The engine is not installed.
    """
    is_isolated = target in ISOLATED_TARGETS
    with package.session(recipe, target=target, isolated=is_isolated and isolation, sizes=sizes) as session:
        if is_isolated:
            session.run(package.golden_inputs(sizes))


def check_same_sizes(package: Measurable, other: Measurable, case: Case) -> None:
    """Check that both sides of a comparison take inputs of one size, where one of them has free sizes.

    Raises:
        InputError: They do not.
    """
    if other is package or not (package.sizes or other.sizes):
        return
    sides = [
        {name: array.shape[1:] for name, array in each.golden_inputs(case.sizes_for(each)).items()}
        for each in (package, other)
    ]
    if list(sides[0].values()) != list(sides[1].values()):
        shapes = [", ".join(f"{name} {list(shape)}" for name, shape in side.items()) for side in sides]
        raise InputError(
            f"{package.label} is measured with {shapes[0]}, and {other.label} with {shapes[1]}: other sizes are other "
            "work.",
            fix="give a size that both take: --size NAME=N.",
        )


def _batches(scenario: Scenario, batches: Sequence[int]) -> Iterator[int | None]:
    if scenario == "single-stream":
        yield 1
    elif batches:
        yield from dict.fromkeys(batches)
    else:
        yield {"multi-stream": _STREAMS, "server": 1}.get(scenario)
