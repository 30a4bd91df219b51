"""What this machine can run artifacts on, and what would make it able to do more."""

from __future__ import annotations

from msgspec import Struct

from edgeml.core.errors import EdgemlError
from edgeml.core.recipe import RECIPES
from edgeml.core.registry.availability import unavailable
from edgeml.core.registry.engines import adapter_of, engines
from edgeml.core.system.machine import installed_version

__all__ = ["AskSettings", "Asked", "Target", "targets"]


class Target(Struct, frozen=True):
    """One format on one target by one engine.

    Attributes:
        name: The target, as sessions take it.
        format: ``tflite`` or ``onnx``.
        engine: The engine's name on PyPI, or of the distribution that brings it.
        version: The engine's version; None where it is not installed.
        recipes: What it is known to take. Whether it takes all operators of a model only opening a session tells.
        available: Whether it can be used on this machine, now.
        reason: Why it is not available.
        fix: The command, or what else would make it available.
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
    """All targets that edgeml and the installed plug-ins know, those of this machine and the others.

    Loads the engines that are installed, to ask them, and tries accelerators by a tiny model in a child process, once.

    Example:
        >>> [(target.name, target.format) for target in edgeml.targets() if target.available]
        [('cpu', 'tflite'), ('cpu', 'onnx')]
    """
    return tuple(_targets())


def _targets() -> list[Target]:
    found = []
    for engine in engines():
        problem = unavailable(engine)
        name, precisions = engine.distribution or engine.module, None
        try:
            adapter = adapter_of(engine)
            name, precisions = adapter.name, adapter.precisions
        except EdgemlError as error:  # told by `obstacle` too
            problem = error
        found.append(
            Target(
                engine.target,
                engine.format,
                name,
                installed_version(name) or (installed_version(engine.module)),
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
    return found


class AskSettings(Struct, frozen=True):
    """Nothing is to be set."""


class Asked:
    """Lives in a `Worker`."""

    def __init__(self, settings: AskSettings) -> None:
        pass

    def targets(self) -> tuple[Target, ...]:
        """As `targets`."""
        return targets()
