"""Properties of this machine that can change a measured figure or a model's output."""

import os
import platform

from msgspec import Struct

__all__ = ["Cpu", "cores", "cpu", "drivers", "installed_version", "missing_features"]

# Instruction sets by which XNNPACK, MLAS or Eigen choose their kernels.
_FEATURES = frozenset(
    {
        "sse4_1",
        "avx",
        "f16c",
        "fma",
        "avx2",
        "avx_vnni",
        "avx512f",
        "avx512bw",
        "avx512_vnni",
        "avx512_bf16",
        "avx512_fp16",
        "amx_int8",
        "neon",
        "asimd",
        "asimddp",
        "asimdhp",
        "fphp",
        "i8mm",
        "bf16",
        "sve",
        "sve2",
    }
)

_DRIVER_VARIABLES = ("VK_", "CUDA_", "NVIDIA_", "LD_LIBRARY_PATH", "MESA_", "HIP_")
_DRIVER_FILES = (
    "/usr/share/vulkan/icd.d/*",
    "/usr/local/share/vulkan/icd.d/*",
    "/etc/vulkan/icd.d/*",
    "/usr/lib/*/libcuda.so*",
    "/usr/lib/*/libvulkan*.so*",
    "/sys/module/nvidia/version",
    "/dev/dri/*",
    "/dev/nvidia*",
    "/dev/dxg",
)


class Cpu(Struct, frozen=True, forbid_unknown_fields=True):
    """The processor.

    Attributes:
        architecture: As `platform.machine` names it.
        features: Instruction sets by which engines choose kernels, sorted; empty where the system does not list them.
    """

    architecture: str
    features: tuple[str, ...]


def cpu() -> Cpu:
    """Return this machine's processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        text = ""
    words: set[str] = set()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip().lower() in {"flags", "features"}:
            words.update(value.split())
            break
    features = words & _FEATURES
    if features & {"avx_vnni", "avx512_vnni"}:
        features.add("vnni")  # VNNI in either encoding
    return Cpu(platform.machine(), tuple(sorted(features)))


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def drivers() -> tuple[str, ...]:
    """Describe the accelerators and their drivers: the same entries as long as neither changes."""
    import glob  # seldom needed: only for accelerators

    entries = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith(_DRIVER_VARIABLES)]
    for pattern in _DRIVER_FILES:
        for path in sorted(glob.glob(pattern)):
            try:
                state = os.stat(path)
                readable = os.access(path, os.R_OK | os.W_OK)
            except OSError:
                continue
            size = 0 if path.startswith("/dev") else state.st_size
            entries.append(f"{path} {size} {0 if path.startswith('/dev') else state.st_mtime_ns} {readable}")
    return tuple(entries)


def missing_features(needed: tuple[str, ...]) -> tuple[str, ...]:
    """Return the features that this machine lacks.

    Args:
        needed: Features as ``architecture:feature``. A feature of another architecture does not count as missing.
    """
    if not needed:
        return ()
    processor = cpu()
    pairs = [name.partition(":") for name in needed]
    return tuple(
        feature
        for architecture, _, feature in pairs
        if architecture == processor.architecture and feature not in processor.features
    )


def installed_version(distribution: str) -> str | None:
    """Return the version of an installed distribution, or None."""
    from importlib import metadata  # slow to import, and seldom needed

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
