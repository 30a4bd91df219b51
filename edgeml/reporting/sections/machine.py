"""The machines, and what their figures depend on."""

from __future__ import annotations

from collections.abc import Sequence

from edgeml.core.system.machine import Cpu
from edgeml.package.manifest import Manifest
from edgeml.reporting.document import Fact, Section
from edgeml.reporting.formatting import first, shown
from edgeml.reporting.inputs import Device

__all__ = ["machine_section"]

_MOST = 20


def machine_section(manifest: Manifest, devices: Sequence[Device]) -> Section:
    """What measured, and what built the package."""
    parts: list[tuple[Fact, ...] | str] = []
    taken, left_out = first(devices, _MOST)
    for device in taken:
        machine = device.machine
        engines = sorted({shown(f"{one.engine} on {one.target}") for one in device.results.measurements})
        ran = (Fact("engines", ", ".join(engines[:12])),) if engines else ()
        parts.append(
            (
                Fact("measured on", shown(device.name), device.date.replace("T", " ").replace("Z", " UTC")),
                Fact("processor", shown(machine.model or "not told"), _cpu(machine.cpu)),
                Fact("cores, memory", f"{machine.cores}, {machine.memory_mb:,.0f} MB"),
                Fact("system", shown(machine.system, 120)),
                Fact("frequency governor", shown(machine.governor or "not told")),
                *ran,
                Fact("versions", _versions({"edgeml": device.edgeml, "python": machine.python, **machine.versions})),
            )
        )
    if left_out:
        parts.append(f"{left_out} more devices are left out.")
    parts.append(
        (
            Fact("built and judged on", _cpu(manifest.cpu)),
            Fact("made with", _versions({"edgeml": manifest.edgeml, **manifest.tools})),
        )
    )
    return Section("machine", "Machine", tuple(parts))


def _cpu(cpu: Cpu) -> str:
    return shown(f"{cpu.architecture}: {', '.join(cpu.features)}" if cpu.features else cpu.architecture, 300)


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{shown(name, 32)} {shown(version, 32)}" for name, version in list(versions.items())[:40])
