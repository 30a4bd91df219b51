"""Which artifact and target suit this machine, by what the package proves and measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache

from msgspec import Struct

from edgeml.core.errors import EdgemlError, TargetError
from edgeml.core.recipe import find_recipe
from edgeml.core.registry.availability import unavailable
from edgeml.core.registry.engines import adapter_of, engines, find_engine
from edgeml.core.registry.tables import Engine
from edgeml.core.system.machine import cpu, missing_features
from edgeml.package.manifest import ArtifactRecord, Manifest

__all__ = ["AUTO", "Choice", "choices"]

AUTO = "auto"
"""For the target that suits this machine best."""


class Choice(Struct, frozen=True):
    """An artifact and a target.

    Attributes:
        recipe: The artifact's recipe.
        target: Where to run it.
        reason: Why these: what was chosen among, by which figure, and what stood against others.
    """

    recipe: str
    target: str
    reason: str


def choices(manifest: Manifest, records: Sequence[ArtifactRecord], *, target: str = AUTO) -> Iterator[Choice]:
    """The best of some artifacts for this machine, and the next best where that does not open.

    The CPU goes first: it is the only target that a package has evidence for. Another is taken where no artifact can
    run on the CPU here. Among artifacts the fastest where latency was measured, else the smallest.

    Args:
        manifest: The package's.
        records: The artifacts to choose among.
        target: Where it is to run; ``auto`` for wherever it can.

    Yields:
        Choices, the best first.

    Raises:
        TargetError: There is no such target, or none of them can run here.
        MissingDependencyError: None of them can, for want of an engine.
    """
    problems: list[EdgemlError] = []
    misfits: list[EdgemlError] = []  # of formats that do not run there: the last to be told
    against: list[str] = []
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
                (problems if find_recipe(record.recipe).format in formats else misfits).append(problem)
                against.append(f"{record.recipe} cannot: {problem.message}")
        while usable:
            best, why = _best(manifest, usable, place)
            told = f"{best.recipe} on {place}: {why}"
            if place == "cpu":
                told += "".join(f"; {item.rstrip('.')}" for item in dict.fromkeys(against))
                told += "; the package has no figures of another target" if target == AUTO else ""
            elif target == AUTO and problems:
                told += f"; not on cpu: {problems[0].message.rstrip('.')}"
            yield Choice(best.recipe, place, f"{told}.")
            usable.remove(best)
            chosen = True
    for problem in () if chosen else (*problems, *misfits):
        raise problem
    if not chosen:
        raise TargetError(f"There is no artifact to run on '{target}'.")


def _places() -> Iterator[str]:
    """Targets, one by one, but for those that only simulate: third parties' are looked for where it comes to them."""
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
    lacking = missing_features(record.needs.cpu_features)
    if lacking and target == "cpu":
        return TargetError(f"{record.recipe} needs {', '.join(lacking)}, which this CPU lacks.")
    first: EdgemlError | None = None
    for engine in engines():
        if (engine.format, engine.target) != (recipe.format, target):
            continue
        problem = find_problem(engine)
        if problem is None:
            if recipe.precision in adapter_of(engine).precisions:
                return None
            problem = TargetError(f"Target '{target}' takes no {recipe.precision} artifacts, such as {record.recipe}.")
        first = first or problem
    if first is None:
        try:
            find_engine(recipe.format, target)
        except TargetError as error:
            return error
    return first


def _best(manifest: Manifest, usable: Sequence[ArtifactRecord], target: str) -> tuple[ArtifactRecord, str]:
    """The best of artifacts that can all run there, and by what. Latency was measured on the CPU alone."""
    if len(usable) == 1:
        return usable[0], "no other artifact that may be chosen runs there"
    measured = [(record.measurement.median_ms, record) for record in usable if record.measurement is not None]
    if measured and target == "cpu":
        latency_ms, best = min(measured, key=lambda pair: pair[0])
        here, there = cpu(), manifest.cpu
        where = "on a CPU of these features" if here == there else f"on another CPU ({there.architecture})"
        return best, f"the fastest of {len(usable)} that run here, {latency_ms:.3f} ms as measured {where}"
    best = min(usable, key=lambda record: manifest.files[record.file].size_bytes)
    size_bytes = manifest.files[best.file].size_bytes
    unknown = "" if measured else "; latency was not measured"
    return best, f"the smallest of {len(usable)} that run there, {size_bytes} bytes{unknown}"
