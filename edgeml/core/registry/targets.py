"""Targets of this machine, and how to make the missing ones available."""

from __future__ import annotations

from msgspec import Struct

from edgeml.core.errors import EdgemlError
from edgeml.core.recipe import RECIPES
from edgeml.core.registry.availability import unavailable
from edgeml.core.registry.engines import adapter_of, engines
from edgeml.core.system.machine import installed_version

__all__ = ["NoSettings", "Target", "TargetProbe", "targets"]


class Target(Struct, frozen=True):
    """One format on one target by one engine.

    Attributes:
        name: Name of the target, as the argument `target` of sessions.
        format: ``tflite`` or ``onnx``.
        engine: Name of the engine on PyPI, or of the plug-in's distribution.
        version: Version of the engine; None if not installed.
        recipes: Recipes that the engine supports. Unsupported operators of a model show when a session is opened.
        available: True if the target can be used on this machine now.
        reason: Reason why the target is not available.
        fix: Command, or other advice, that makes the target available.
    """

    name: str
    format: str
    engine: str
    version: str | None
    recipes: tuple[str, ...]
    available: bool
    reason: str = ""
    fix: str = ""


def targets() -> tuple[Target, ...]:
    """List the targets that edgeml and the installed plug-ins support, available on this machine or not.

    Loads the installed engines, and tries each accelerator once with a tiny model in a child process.

    Example:
        >>> [(target.name, target.format) for target in edgeml.targets() if target.available]
        [('cpu', 'tflite'), ('cpu', 'onnx')]
    """
    return tuple(_targets())


def _targets() -> list[Target]:
    rows = []
    for engine in engines():
        problem = unavailable(engine)
        name, precisions = engine.distribution or engine.module, None
        try:
            adapter = adapter_of(engine)
            name, precisions = adapter.name, adapter.precisions
        except EdgemlError as error:  # the problem that `unavailable` returned
            problem = error
        rows.append(
            Target(
                engine.target,
                engine.format,
                name,
                installed_version(name) or installed_version(engine.module),
                tuple(
                    recipe.id
                    for recipe in RECIPES
                    if recipe.format == engine.format and (precisions is None or recipe.precision in precisions)
                ),
                problem is None,
                problem.message if problem is not None else "",
                problem.fix if problem is not None else "",
            )
        )
    return rows


class NoSettings(Struct, frozen=True):
    """Empty settings."""


class TargetProbe:
    """A listing of targets in a child process, run by a `Worker`."""

    def __init__(self, settings: NoSettings) -> None:
        pass

    def targets(self) -> tuple[Target, ...]:
        """Return the result of `targets`."""
        return targets()
