"""What a benchmark measures: which artifact, where, how, and in which scenario."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from msgspec import Struct

from edgeml.core.errors import EdgemlError, InputError, MissingDependencyError, TargetError
from edgeml.core.records.benchmark_results import Scenario
from edgeml.measurement.subject import Packaged

__all__ = ["DEFAULT_SCENARIOS", "Case", "Options", "Plan", "plan"]

DEFAULT_SCENARIOS: tuple[Scenario, ...] = ("single-stream", "offline")
_STREAMS = 8  # of MLPerf's multi-stream scenario


class Options(Struct, frozen=True):
    """How to measure.

    Attributes:
        seconds: The least duration of a measurement.
        latency_bound_ms: Of the server scenario, for the 99th percentile.
        cold_starts: Fresh processes to start for each artifact on each target; 0 for none.
        seed: Of the arrivals at a server, and of the orders of a comparison.
    """

    seconds: float = 3.0
    latency_bound_ms: float | None = None
    cold_starts: int = 6
    seed: int = 0


class Case(Struct, frozen=True):
    """One measurement to take.

    Attributes:
        artifact: Its recipe.
        target: Where to run.
        scenario: How queries come.
        threads: Cores that a call may use; None for the session's own choice.
        batch: Samples a query; None in the offline scenario for as many as fill a twentieth of a second. Of a server
            the most queries, of a sample each, in one call.
    """

    artifact: str
    target: str
    scenario: Scenario
    threads: int | None
    batch: int | None

    @property
    def setting(self) -> str:
        """What it is called beside others of its scenario."""
        return f"{self.artifact} on {self.target}{self._details}"

    def __str__(self) -> str:
        return f"{self.artifact} on {self.target}, {self.scenario}{self._details}"

    @property
    def _details(self) -> str:
        threads = "" if self.threads is None else f", {self.threads} thread{'s' if self.threads > 1 else ''}"
        batch = "" if self.batch in {None, 1} else f", batch {self.batch}"
        return threads + batch


class Plan(Struct, frozen=True):
    """What will be measured, and what cannot be.

    Attributes:
        cases: In the order of measuring.
        skipped: Why an artifact cannot run on a target here, in a sentence each.
    """

    cases: tuple[Case, ...]
    skipped: tuple[str, ...]


def plan(
    package: Packaged,
    *,
    artifacts: Sequence[str] = (),
    targets: Sequence[str] = (),
    threads: Sequence[int | None] = (),
    batches: Sequence[int] = (),
    scenarios: Sequence[Scenario] = (),
    options: Options | None = None,
) -> Plan:
    """All combinations that can run here; each artifact is opened once on each target to see that.

    Args:
        package: The package.
        artifacts: Recipes; by default the released artifacts.
        targets: By default the CPU.
        threads: By default the session's own choice.
        batches: Samples a query, for the scenarios offline and multi-stream, by default 8 in the latter; of a server
            the most queries that it gathers into one call, by default 1.
        scenarios: By default single-stream and offline.
        options: How to measure.

    Raises:
        InputError: No such artifact, or the server scenario lacks its bound.
        TargetError: No such target; or an artifact or target that was named cannot run here at all.
        MissingDependencyError: The same, for want of an engine.
    """
    chosen = tuple(dict.fromkeys(artifacts or package.released))
    if not chosen:
        raise TargetError(f"{package.label} has no released artifact.", fix="name a rejected one: --artifact.")
    wanted = tuple(dict.fromkeys(scenarios or DEFAULT_SCENARIOS))
    if "server" in wanted and (options is None or options.latency_bound_ms is None):
        raise InputError("The server scenario needs a latency bound.", fix="give --latency-bound MS.")
    places = tuple(dict.fromkeys(targets or ("cpu",)))
    runs, problems = list[tuple[str, str]](), dict[tuple[str, str], EdgemlError]()
    for pair in itertools.product(chosen, places):
        package.size_bytes(pair[0])
        try:
            package.session(pair[0], target=pair[1]).close()
            runs.append(pair)
        except (TargetError, MissingDependencyError) as error:
            problems[pair] = error
    if not runs:
        raise next(iter(problems.values()))
    for side, named in enumerate((artifacts, targets)):
        for lost in set(named) - {pair[side] for pair in runs}:
            raise next(error for pair, error in problems.items() if pair[side] == lost)
    cases = [
        Case(artifact, target, scenario, count, batch)
        for artifact, target in runs
        for scenario in wanted
        for count in dict.fromkeys(threads or (None,))
        for batch in _batches(scenario, batches)
    ]
    skipped = tuple(f"{artifact} on {target}: {error.message}" for (artifact, target), error in problems.items())
    return Plan(tuple(cases), skipped)


def _batches(scenario: Scenario, given: Sequence[int]) -> Iterator[int | None]:
    if scenario == "single-stream":
        yield 1
    elif given:
        yield from dict.fromkeys(given)
    else:
        yield {"multi-stream": _STREAMS, "server": 1}.get(scenario)
