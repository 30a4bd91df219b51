"""Machines that measured and built the package, with the software they used."""

from __future__ import annotations

from collections.abc import Sequence

from edgeml.core.system.machine import Cpu
from edgeml.package.manifest import Manifest
from edgeml.reporting.document import Fact, Section
from edgeml.reporting.formatting import display_text, truncate
from edgeml.reporting.inputs import Device

__all__ = ["machine_section"]

_MAX_DEVICES = 20


def machine_section(manifest: Manifest, devices: Sequence[Device]) -> Section:
    """Return descriptions of the machines that measured and of the machine that built the package."""
    parts: list[tuple[Fact, ...] | str] = []
    kept, omitted = truncate(devices, _MAX_DEVICES)
    for device in kept:
        machine = device.machine
        engines = sorted({display_text(f"{item.engine} on {item.target}") for item in device.results.measurements})
        engine_facts = (Fact("engines", ", ".join(engines[:12])),) if engines else ()
        parts.append(
            (
                Fact("measured on", display_text(device.name), device.date.replace("T", " ").replace("Z", " UTC")),
                Fact("processor", display_text(machine.model or "unknown"), _cpu(machine.cpu)),
                Fact("cores, memory", f"{machine.cores}, {machine.memory_mb:,.0f} MB"),
                Fact("system", display_text(machine.system, 120)),
                Fact("frequency governor", display_text(machine.governor or "unknown")),
                *engine_facts,
                Fact(
                    "versions",
                    _versions(
                        {"edgeml": device.edgeml, "python": machine.python, **dict(sorted(machine.versions.items()))}
                    ),
                ),
            )
        )
    if omitted:
        parts.append(f"{omitted} more devices are left out.")
    parts.append(
        (
            Fact("built and judged on", _cpu(manifest.cpu)),
            Fact("made with", _versions({"edgeml": manifest.edgeml, **manifest.tools})),
        )
    )
    return Section("machine", "Machine", tuple(parts))


def _cpu(cpu: Cpu) -> str:
    return display_text(f"{cpu.architecture}: {', '.join(cpu.features)}" if cpu.features else cpu.architecture, 300)


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(
        f"{display_text(name, 32)} {display_text(version, 32)}" for name, version in list(versions.items())[:40]
    )
