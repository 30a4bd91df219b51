"""The environments in which real targets are tried: one folder each in ``.targets``, made once.

Usage: python tests/support/target_environments.py NAME...

`micro`, `tflite-runtime`, `litert-gpu` and `webgpu` are virtual environments with one engine's extra; `cuda` has the
engine without CUDA's libraries, as of a machine whose driver is missing. `aarch64` and
`armv7` are Debian's Python of that architecture, unpacked beside the wheels it needs, for user-mode emulation: no
chroot, no container, and apt's own state is left alone. As root missing Debian packages are installed; else the
command is told. Needs nothing but the standard library.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from ctypes.util import find_library
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["FOLDER", "SWIFTSHADER", "Environment", "environment"]

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / ".targets"
SWIFTSHADER = Path("/usr/lib/chromium/vk_swiftshader_icd.json")
"""A Vulkan device in software, which Debian's chromium brings."""

_EXTRAS = {
    "micro": "micro",
    "tflite-runtime": "tflite-runtime",
    "litert-gpu": "litert",
    "webgpu": "onnx-webgpu",
    "cuda": "",
}
_DEBIAN = {"aarch64": "arm64", "armv7": "armhf"}
_EMULATORS = {
    # The default CPU of QEMU has features with which XNNPACK's int8 answers are wrong in emulation.
    "aarch64": ["qemu-aarch64-static", "-cpu", "cortex-a72"],
    "armv7": ["qemu-arm-static", "-cpu", "cortex-a15"],
}
_PURE = ["click", "rich", "markdown-it-py", "mdurl", "pygments", "typing_extensions", "flatbuffers", "packaging"]
_AARCH64 = ["ai-edge-litert", "onnxruntime", "numpy", "msgspec", "protobuf", "ml_dtypes"]
_LITERT_PURE = ["tqdm", "backports.strenum"]
# What the engines read to choose kernels; without it they crash. A Cortex-A72, and a Cortex-A15.
_CPUINFO = {
    "aarch64": ("fp asimd evtstrm crc32 cpuid", "8", "0xd08"),
    "armv7": ("half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32", "7", "0xc0f"),
}


@dataclass(frozen=True, slots=True)
class Environment:
    """How to run Python in an environment.

    Attributes:
        python: The command.
        variables: What it needs beside the variables of this process.
    """

    python: list[str]
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str | Path, timeout_s: float = 500) -> str:
        """What a script prints on stdout.

        Raises:
            RuntimeError: It fails.
        """
        done = subprocess.run(
            [*self.python, *map(str, arguments)],
            env=os.environ | self.variables,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(self.python)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
        return done.stdout


def environment(name: str) -> Environment | None:
    """The environment, or None where it was not made."""
    folder = FOLDER / name
    if not (folder / "ready").exists():
        return None
    if name in _EXTRAS:
        gpu = {"VK_ICD_FILENAMES": str(SWIFTSHADER), "XDG_RUNTIME_DIR": "/tmp"}  # any folder serves
        return Environment([str(folder / "bin/python")], gpu if name in {"litert-gpu", "webgpu"} else {})
    root = folder / "root"
    path = os.pathsep.join(map(str, (REPOSITORY, folder / "site")))
    python = [*_EMULATORS[name], "-L", str(root), str(root / "usr/bin/python3.11"), "-W", "error"]
    return Environment(python, {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"})


def main() -> None:
    """Makes the environments that are named."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:  # apt's state and the checkout's metadata bear one set-up at a time
        fcntl.flock(lock, fcntl.LOCK_EX)
        _make(sys.argv[1:])


def _make(names: list[str]) -> None:
    for name in names:
        folder = FOLDER / name
        if (folder / "ready").exists():
            continue
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        print(f"set-up: {name} in {folder.relative_to(REPOSITORY)}", flush=True)
        if name in _EXTRAS:
            _virtual(name, folder)
        else:
            _emulated(name, folder)
        (folder / "ready").touch()


def _virtual(name: str, folder: Path) -> None:
    if name in {"litert-gpu", "webgpu"}:
        _debian(lambda: SWIFTSHADER.exists() and find_library("vulkan") is not None, "libvulkan1", "chromium")
    python = "python3.11" if name == "tflite-runtime" else sys.executable  # the last that it has a wheel for
    _run(python, "-m", "venv", folder)
    extra = f"[{_EXTRAS[name]}]" if _EXTRAS[name] else ""
    bare = ["onnxruntime-gpu"] if name == "cuda" else []
    _run(folder / "bin/python", "-m", "pip", "install", "-qq", "-e", f"{REPOSITORY}{extra}", *bare)


def _emulated(name: str, folder: Path) -> None:
    _debian(lambda: shutil.which(_EMULATORS[name][0]) is not None, "qemu-user-static")
    root, site, wheels = folder / "root", folder / "site", folder / "wheels"
    extra = [] if name == "aarch64" else ["python3-numpy", "libpython3.11-dev", "libc6-dev"]
    _unpack(root, _DEBIAN[name], "python3.11", "libstdc++6", "libgomp1", "libatomic1", *extra)
    (root / "proc").mkdir(exist_ok=True)
    features, architecture, part = _CPUINFO[name]
    lines = {"Features": features, "CPU implementer": "0x41", "CPU architecture": architecture, "CPU part": part}
    one = "".join(f"{key}\t: {value}\n" for key, value in lines.items())
    (root / "proc/cpuinfo").write_text("".join(f"processor\t: {i}\n{one}\n" for i in range(4)), encoding="utf-8")
    download: list[str | Path] = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "-d", wheels]
    wheel: list[str | Path] = ["--only-binary=:all:", "--python-version", "311"]
    if name == "aarch64":
        platforms = [f"--platform=manylinux_2_{glibc}_aarch64" for glibc in (28, 27, 17)]
        _run(*download, *wheel, *platforms, "--platform=manylinux2014_aarch64", *_AARCH64)
        _run(*download, *_PURE, *_LITERT_PURE)
    else:
        _run(*download, *wheel, "--platform=manylinux_2_34_armv7l", "tflite-runtime")
        _run(*download, *_PURE)
        _run(*download, "--no-binary=msgspec", "msgspec")
    for file in wheels.glob("*.whl"):
        shutil.unpack_archive(file, site, "zip")
    for file in wheels.glob("msgspec-*.tar.gz"):
        _compile_msgspec(file, root, site)
    numpy = root / "usr/lib/python3/dist-packages/numpy"
    if name == "armv7":  # Debian's own, as a device has it
        shutil.copytree(numpy, site / "numpy", symlinks=True)
        for library in ("blas", "lapack"):  # as Debian's alternatives would
            there = root / "usr/lib/arm-linux-gnueabihf"
            (there / f"lib{library}.so.3").symlink_to(f"{library}/lib{library}.so.3")


def _compile_msgspec(sdist: Path, root: Path, site: Path) -> None:
    """Compiles msgspec, of which there is no wheel for 32-bit Arm."""
    compiler = "arm-linux-gnueabihf-gcc"
    _debian(lambda: shutil.which(compiler) is not None, "gcc-arm-linux-gnueabihf", "libc6-dev-armhf-cross")
    with tarfile.open(sdist) as archive:
        archive.extractall(sdist.parent, filter="data")
    source = sdist.parent / sdist.name.removesuffix(".tar.gz")
    package = next(path.parent for path in source.rglob("_core.c"))
    shutil.copytree(package, site / "msgspec")
    version = source.name.partition("-")[2]
    info = site / f"msgspec-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: msgspec\nVersion: {version}\n", encoding="utf-8")
    includes = [f"-I{root}/usr/include/python3.11", f"-I{root}/usr/include"]
    target = site / "msgspec/_core.cpython-311-arm-linux-gnueabihf.so"
    _run(compiler, "-O2", "-shared", "-fPIC", *includes, package / "_core.c", "-o", target)


def _unpack(root: Path, architecture: str, *packages: str) -> None:
    """Debian packages of another architecture, with what they depend on, from the machine's own sources."""
    state = root.parent / "apt"
    for name in ("lists/partial", "cache", "archives/partial"):
        (state / name).mkdir(parents=True)
    (state / "status").touch()
    options = [f"APT::Architecture={architecture}", f"APT::Architectures={architecture}", f"Dir::State={state}"]
    options += [f"Dir::State::lists={state}/lists", f"Dir::State::status={state}/status", f"Dir::Cache={state}/cache"]
    options += [f"Dir::Cache::archives={state}/archives", "APT::Install-Recommends=false", "Debug::NoLocking=1"]
    options += ["APT::Sandbox::User=root"]
    apt = ["apt-get", "-qq", *(word for option in options for word in ("-o", option))]
    subprocess.run([*apt, "update"], check=False, capture_output=True)  # one source that fails need not matter
    _run(*apt, "--yes", "--download-only", "install", *packages)
    for part in ("bin", "lib", "sbin"):
        (root / "usr" / part).mkdir(parents=True)
        (root / part).symlink_to(f"usr/{part}")
    for file in sorted((state / "archives").glob("*.deb")):
        unpacked = subprocess.run(["dpkg-deb", "--fsys-tarfile", file], check=True, capture_output=True).stdout
        keep: list[str | Path] = ["tar", "--extract", "--keep-directory-symlink", "--directory", root]
        subprocess.run(keep, input=unpacked, check=False, capture_output=True)  # device nodes cannot be made


def _debian(there: Callable[[], bool], *packages: str) -> None:
    """Installs Debian packages where something is missing."""
    if there():
        return
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    if os.geteuid() != 0:
        raise SystemExit(f"set-up: {' '.join(packages)} is missing: sudo {' '.join(command)}")
    subprocess.run(["apt-get", "update", "-qq"], check=False, capture_output=True)
    _run(*command)


def _run(*command: str | Path) -> None:
    done = subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"set-up: {' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
