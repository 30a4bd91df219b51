"""Description of the machine that measures, for results files."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from edgeml.core.records.benchmark_results import Machine
from edgeml.core.system.machine import cores, cpu, installed_version

__all__ = ["this_machine"]

_ENGINES = ("ai-edge-litert", "tflite-runtime", "tflite-micro", "onnxruntime", "onnxruntime-gpu", "onnxruntime-webgpu")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_CPU_NAMES = ("model name", "model", "hardware")  # on x86-64; on a Raspberry Pi; on older 32-bit Arm


def this_machine(device: str = "") -> Machine:
    """Describe this machine.

    Args:
        device: Name of the machine as a device.
    """
    versions = {name: installed_version(name) for name in ("numpy", *_ENGINES)}
    return Machine(
        model=_model(),
        cpu=cpu(),
        cores=cores(),
        memory_mb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6),
        system=f"{platform.system()} {platform.release()}",
        governor=_text(_GOVERNOR).strip(),
        python=platform.python_version(),
        versions={name: version for name, version in versions.items() if version is not None},
        device=device,
    )


def _model() -> str:
    pairs = [line.partition(":")[::2] for line in _text(Path("/proc/cpuinfo")).splitlines()]
    for name in _CPU_NAMES:
        for key, value in pairs:
            # "model" is a bare number on x86-64, where "model name" comes first
            if key.strip().lower() == name and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
