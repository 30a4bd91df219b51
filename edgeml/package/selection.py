"""Choice of the artifact and target for a machine, by the figures of the package."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache

from msgspec import Struct

from edgeml.core.errors import EdgemlError, TargetError
from edgeml.core.recipe import find_recipe
from edgeml.core.registry.availability import unavailable
from edgeml.core.registry.engines import adapter_of, engines, find_engine
from edgeml.core.registry.tables import Engine
from edgeml.core.system.log import log_info
from edgeml.core.system.machine import cpu, missing_features
from edgeml.package.manifest import ArtifactRecord, Manifest

__all__ = ["AUTO", "Choice", "choices"]

AUTO = "auto"
"""Name that stands for the target that suits this machine best."""


class Choice(Struct, frozen=True):
    """An artifact and a target, with the reason.

    Attributes:
        recipe: The artifact's recipe.
        target: The target.
        reason: Reason of the choice: the candidates, the figure that decided, and the obstacles of the others.
    """

    recipe: str
    target: str
    reason: str


def choices(manifest: Manifest, records: Sequence[ArtifactRecord], *, target: str = AUTO) -> Iterator[Choice]:
    """Rank artifacts and targets for this machine.

    The CPU comes first, as the only target that a package has evidence for; other targets follow for artifacts that
    cannot run on the CPU. Among artifacts the fastest comes first if latency was measured, else the smallest.

    Args:
        manifest: Manifest of the package.
        records: The artifacts to choose among.
        target: The target; ``auto`` for all targets.

    Yields:
        Choices, the best first.

    Raises:
        TargetError: The target does not exist, or none of the artifacts can run here.
        MissingDependencyError: None of the artifacts can run here because an engine is not installed.
    """
    problems: list[EdgemlError] = []
    wrong_formats: list[EdgemlError] = []  # of formats that do not run on the target: raised only without others
    obstacles: list[str] = []
    chosen = False
    find_problem = cache(
        unavailable
    )  # a trial that is not kept, for instance a timeout, is not repeated for each artifact
    for place in [target] if target != AUTO else _places():
        usable = []
        formats = {engine.format for engine in engines() if engine.target == place}
        for record in records:
            problem = _obstacle(record, place, find_problem)
            if problem is None:
                usable.append(record)
            else:
                (problems if find_recipe(record.recipe).format in formats else wrong_formats).append(problem)
                obstacles.append(f"{record.recipe} cannot: {problem.message}")
        while usable:
            best, why = _best(manifest, usable, place)
            reason = f"{best.recipe} on {place}: {why}"
            if place == "cpu":
                reason += "".join(f"; {item.rstrip('.')}" for item in dict.fromkeys(obstacles))
                reason += "; the package does not have figures of other targets" if target == AUTO else ""
            elif target == AUTO and problems:
                reason += f"; not on cpu: {problems[0].message.rstrip('.')}"
            log_info("chose %s", reason)
            yield Choice(best.recipe, place, f"{reason}.")
            usable.remove(best)
            chosen = True
    for problem in () if chosen else (*problems, *wrong_formats):
        raise problem
    if not chosen:
        raise TargetError(f"The package does not contain an artifact for target '{target}'.")


def _places() -> Iterator[str]:
    """Yield targets that are not simulators; plug-ins are searched only when the caller gets to them."""
    seen = {"micro"}
    for engine in engines():
        if engine.target not in seen:
            seen.add(engine.target)
            yield engine.target


def _obstacle(
    record: ArtifactRecord, target: str, find_problem: Callable[[Engine], EdgemlError | None]
) -> EdgemlError | None:
    """Return the reason why an artifact cannot run on a target, as far as is known before it is opened.

    One engine that can run it suffices: `find_engine` opens sessions by that one.

    Args:
        record: The artifact.
        target: The target.
        find_problem: Returns the reason why an engine does not run on this machine, or None.
    """
    recipe = find_recipe(record.recipe)
    missing = missing_features(record.needs.cpu_features)
    if missing and target == "cpu":
        return TargetError(f"{record.recipe} requires {', '.join(missing)}, which this CPU does not support.")
    first: EdgemlError | None = None
    for engine in engines():
        if (engine.format, engine.target) != (recipe.format, target):
            continue
        problem = find_problem(engine)
        if problem is None:
            if recipe.precision in adapter_of(engine).precisions:
                return None
            problem = TargetError(
                f"{record.recipe}: {recipe.precision} artifacts are not supported on target '{target}'."
            )
        first = first or problem
    if first is None:
        try:
            find_engine(recipe.format, target)
        except TargetError as error:
            return error
    return first


def _best(manifest: Manifest, usable: Sequence[ArtifactRecord], target: str) -> tuple[ArtifactRecord, str]:
    """Return the best of artifacts that can run on the target, and the reason; latency is known of the CPU only."""
    if len(usable) == 1:
        return usable[0], "the only candidate that runs there"
    measured = [(record.measurement.median_ms, record) for record in usable if record.measurement is not None]
    if measured and target == "cpu":
        latency_ms, best = min(measured, key=lambda pair: pair[0])
        same = cpu() == manifest.cpu
        where = "on a CPU with these features" if same else f"on another CPU ({manifest.cpu.architecture})"
        return best, f"the fastest of {len(usable)} that run here, {latency_ms:.3f} ms as measured {where}"
    best = min(usable, key=lambda record: manifest.files[record.file].size_bytes)
    size_bytes = manifest.files[best.file].size_bytes
    unknown = "" if measured else "; latency was not measured"
    return best, f"the smallest of {len(usable)} that run there, {size_bytes} bytes{unknown}"
