"""Targets of this machine, and how to make the missing ones available."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct

from edgeml.core.errors import EdgemlError
from edgeml.core.recipe import RECIPES
from edgeml.core.registry.availability import unavailable
from edgeml.core.registry.engines import adapter_of, engines
from edgeml.core.registry.tables import Engine
from edgeml.core.system.machine import installed_version

__all__ = ["Host", "NoSettings", "Target", "TargetProbe", "exclusion", "targets", "this_host"]

_ARCHITECTURES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "ai_edge_litert": ("x86_64", "aarch64"),
        "onnxruntime": ("x86_64", "aarch64"),
        "tflite_runtime": ("x86_64", "aarch64", "armv7l"),
        "tflite_micro": ("x86_64",),
    }
)
"""Architectures for which an engine's module has wheels for Linux on PyPI."""

_LAST_PYTHON: Mapping[str, tuple[int, int]] = MappingProxyType({"tflite_runtime": (3, 11)})
"""The newest Python for which an engine's module has wheels, if there will be none for newer ones."""

_VENDORS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"cuda": ("nvidia", "an NVIDIA GPU"), "tensorrt": ("nvidia", "an NVIDIA GPU"), "qnn": ("qcom", "a Qualcomm NPU")}
)
"""Targets that need hardware of one vendor: the vendor in a device tree, and the hardware in words."""

_RASPBERRY_PI = ("raspberrypi", "brcm")
_VIRTUAL = {"linux", "qemu"}  # vendors of virtual machines, which may have any hardware


class Target(Struct, frozen=True):
    """A format on a target by an engine.

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


class Host(Struct, frozen=True):
    """The kind of a machine, as far as it decides which targets can exist on it.

    Attributes:
        system: As `platform.system` names it.
        architecture: As `platform.machine` names it.
        python: Version of Python, major and minor.
        vendors: Vendors of a board that a device tree describes, for instance ``raspberrypi``; empty for PCs and
            servers, whose hardware can be extended.
    """

    system: str
    architecture: str
    python: tuple[int, int]
    vendors: tuple[str, ...] = ()


def this_host() -> Host:
    """Describe this machine.

    A board's vendors are in its device tree (Devicetree Specification, section 2.3.1, ``compatible``); a Raspberry Pi
    in a container without that is known by ``/proc/cpuinfo``.
    """
    vendors: tuple[str, ...] = ()
    try:
        names = Path("/proc/device-tree/compatible").read_text("ascii", "replace").split("\0")
        vendors = tuple(dict.fromkeys(name.partition(",")[0] for name in names if name))
    except OSError:
        if "Raspberry Pi" in _board_model():
            vendors = _RASPBERRY_PI
    if set(vendors) & _VIRTUAL:
        vendors = ()
    return Host(platform.system(), platform.machine(), sys.version_info[:2], vendors)


def _board_model() -> str:
    """Return the line of the board's model in ``/proc/cpuinfo``; empty without one."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith("Model")), "")


def exclusion(engine: Engine, host: Host) -> str:
    """Return why an engine cannot be added to a machine, whatever is installed; empty if it can.

    Args:
        engine: The engine. Those of third parties are never excluded.
        host: The machine.
    """
    if engine.distribution:
        return ""
    target, module, linux = engine.target, engine.module, host.system == "Linux"
    vendor, hardware = _VENDORS.get(target, ("", ""))
    foreign = bool(vendor) and (host.system == "Darwin" or (bool(host.vendors) and vendor not in host.vendors))
    last = _LAST_PYTHON.get(module, host.python)
    no_wheel = f"does not have a wheel for {host.system} on {host.architecture}."
    reasons = (
        (target == "coreml" and host.system != "Darwin", "Core ML exists on macOS only."),
        (foreign, f"Target '{target}' needs {hardware}, which this machine cannot have."),
        (target == "qnn" and linux and host.architecture != "aarch64", f"onnxruntime-qnn {no_wheel}"),
        (linux and host.architecture not in _ARCHITECTURES.get(module, (host.architecture,)), f"{module} {no_wheel}"),
        (host.python > last, f"{module} does not have a wheel for Python newer than {last[0]}.{last[1]}."),
    )
    return next((reason for holds, reason in reasons if holds), "")


def targets() -> tuple[Target, ...]:
    """List all targets that edgeml and the installed plug-ins know, whether this machine has them or not.

    Loads the installed engines to ask them, and tries accelerators once with a tiny model in a child process.

    Example:
        >>> [(target.name, target.format) for target in edgeml.targets() if target.available]
        [('cpu', 'tflite'), ('cpu', 'onnx')]
    """
    host, listed = this_host(), []
    served: dict[tuple[str, str], str] = {}
    for engine in engines():
        target = _target(engine, host)
        listed.append(_superfluous(target, served.get((target.name, target.format))))
        if target.available:
            served.setdefault((target.name, target.format), target.engine)
    return tuple(listed)


def _target(engine: Engine, host: Host) -> Target:
    problem = unavailable(engine)
    name, precisions = engine.distribution or engine.module, None
    try:
        adapter = adapter_of(engine)
        name, precisions = adapter.name, adapter.precisions
    except EdgemlError as error:  # `unavailable` reports it too
        problem = error
    reason, fix = ("", "") if problem is None else (problem.message, problem.fix)
    if problem is not None and (excluded := exclusion(engine, host)):
        reason, fix = excluded, ""
    return Target(
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
        reason,
        fix,
    )


def _superfluous(target: Target, other: str | None) -> Target:
    """Return the target without advice to install an engine for what another one already serves."""
    if target.available or other is None:
        return target
    reason = f"{other} serves target '{target.name}' already."
    return Target(target.name, target.format, target.engine, target.version, target.recipes, False, reason)


class NoSettings(Struct, frozen=True):
    """Empty settings."""


class TargetProbe:
    """The list of targets. Runs in a child process."""

    def __init__(self, settings: NoSettings) -> None:
        pass

    def targets(self) -> tuple[Target, ...]:
        """Return the result of `targets`."""
        return targets()
