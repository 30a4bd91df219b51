"""Try the wheel and the sdist as a device would: in an empty environment, with one engine and nothing else.

Usage: python tests/support/try_dist.py DIST

Each of the two files in DIST is installed into a new environment with `[litert]` and with `[onnx]`. There
`import edgeml` must work, and `edgeml` must print its help, verify the committed package and predict with it,
while no training framework can be imported. The wheel's environments are also measured: what edgeml adds on
disk to the bare engine, and what its import costs above numpy's. Needs nothing but the standard library.
"""

from __future__ import annotations

import argparse
import email
import json
import os
import statistics
import subprocess
import tempfile
import venv
import zipfile
from pathlib import Path

MAX_ADDED_BYTES = 20_100_000
"""What edgeml and its own dependencies may add to the bare engine and numpy.

The goal is 20,000,000 bytes, which edgeml exceeds since it runs models at other sizes: 20,059,684, of which
Pygments, that rich brings, takes 8.6 million. This limit only stops further growth, and goes back to the goal once
a device no longer installs what only a build machine runs.
"""

MAX_IMPORT_S = 0.1
"""What `import edgeml` may cost above `import numpy`."""

IMPORT_RUNS = 5
STEP_TIMEOUT_S = 600
EXTRAS = ("litert", "onnx")
PACKAGE = Path(__file__).resolve().parents[1] / "data" / "format1.edgeml"

NO_FRAMEWORK = """
import importlib.util
found = [m for m in ("tensorflow", "keras", "tf_keras", "sklearn", "scipy", "onnx", "torch")
         if importlib.util.find_spec(m)]
assert not found, f"a device's environment must not hold {found}"
"""

GOLDEN_INPUTS = """
import io, json, sys, zipfile, numpy
with zipfile.ZipFile(sys.argv[1]) as archive:
    files = json.loads(archive.read("manifest.json"))["golden"]["inputs"]
    arrays = {name: numpy.load(io.BytesIO(archive.read(file))) for name, file in files.items()}
numpy.savez("input.npz", **(arrays if len(arrays) > 1 else {"x": next(iter(arrays.values()))}))
"""

SCORES_ARE_SOUND = """
import numpy
given, made = next(iter(numpy.load("input.npz").values())), numpy.load("output.npz")["scores"]
assert len(made) == len(given), f"{len(given)} inputs, {len(made)} rows of scores"
assert numpy.isfinite(made).all(), "scores hold NaN or infinity"
"""

DISTRIBUTIONS = """
import json, importlib.metadata as metadata
sizes = {}
for dist in metadata.distributions():
    files = [dist.locate_file(f) for f in dist.files or ()]
    sizes[dist.name.lower().replace("-", "_")] = sum(f.stat().st_size for f in files if f.is_file())
print(json.dumps(sizes))
"""

IMPORT_TIME = """
import sys, time
start = time.perf_counter_ns()
__import__(sys.argv[1])
print((time.perf_counter_ns() - start) / 1e9)
"""


class Environment:
    """A new virtual environment and an empty folder to work in."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder / "venv", with_pip=True)
        self.bin = folder / "venv" / "bin"
        self.cwd = folder / "cwd"
        self.cwd.mkdir()

    def run(self, *command: str | Path) -> str:
        """Run a program of the environment, and return what it wrote to stdout."""
        # The caller's own Python settings must not reach in. UTF-8 is what help texts are written in.
        variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON") and k != "VIRTUAL_ENV"}
        variables |= {"PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1"}
        done = subprocess.run(
            [self.bin / command[0], *command[1:]],
            cwd=self.cwd,
            env=variables,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=STEP_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            shown = " ".join(str(part).strip().replace("\n", "; ") for part in command)
            raise SystemExit(f"try_dist: exit {done.returncode} from: {shown}\n{done.stdout}{done.stderr}")
        return done.stdout

    def python(self, code: str, *arguments: str | Path) -> str:
        """Run Python code in the environment, and return what it wrote to stdout."""
        return self.run("python", "-c", code, *arguments)

    def install(self, *requirements: str) -> None:
        """Install requirements with pip."""
        self.run("python", "-m", "pip", "--disable-pip-version-check", "--quiet", "install", *requirements)


def only(folder: Path, pattern: str) -> Path:
    """Return the one file of that form."""
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise SystemExit(f"try_dist: expected one {pattern} in {folder}, got {[f.name for f in found]}")
    return found[0].resolve()


def engine_requirements(wheel: Path, extra: str) -> list[str]:
    """Return what the bare engine needs: numpy and the requirements that belong to the extra."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    found: list[str] = []
    for line in metadata.get_all("Requires-Dist", []):
        requirement, _, marker = line.partition(";")
        if marker.replace('"', "'").strip() == f"extra == '{extra}'" or requirement.startswith("numpy"):
            found.append(requirement.strip())
    return found


def use(environment: Environment) -> None:
    """Do in the environment what a device does."""
    environment.python(NO_FRAMEWORK)
    environment.python("import edgeml")
    environment.run("edgeml", "--help")
    environment.run("edgeml", "verify", PACKAGE)
    environment.python(GOLDEN_INPUTS, PACKAGE)
    environment.run("edgeml", "predict", PACKAGE, "input.npz", "-o", "output.npz")
    environment.python(SCORES_ARE_SOUND)


def added_sizes(environment: Environment, bare: Environment) -> dict[str, int]:
    """Return the bytes of each distribution that the bare engine does not bring."""
    sizes: dict[str, int] = json.loads(environment.python(DISTRIBUTIONS))
    known = json.loads(bare.python(DISTRIBUTIONS))
    return {name: size for name, size in sizes.items() if name not in known}


def import_s(environment: Environment, module: str) -> float:
    """Return the median time of an import, each in a fresh process."""
    return statistics.median(float(environment.python(IMPORT_TIME, module)) for _ in range(IMPORT_RUNS))


def measure(environment: Environment, bare: Environment, extra: str) -> list[str]:
    """Print size and import time, and return what is above its limit."""
    failures = []
    sizes = added_sizes(environment, bare)
    total = sum(sizes.values())
    parts = ", ".join(f"{n} {s / 1e6:.2f}" for n, s in sorted(sizes.items(), key=lambda item: -item[1]))
    print(f"dist: [{extra}] adds {total / 1e6:.1f} MB to the bare engine ({parts})")
    if total > MAX_ADDED_BYTES:
        failures.append(f"[{extra}] adds {total} bytes, at most {MAX_ADDED_BYTES} are allowed")

    numpy_s, edgeml_s = import_s(environment, "numpy"), import_s(environment, "edgeml")
    above_s = edgeml_s - numpy_s
    print(f"dist: [{extra}] import takes {edgeml_s:.3f} s, numpy's {numpy_s:.3f} s: {above_s:.3f} s above")
    if above_s > MAX_IMPORT_S:
        failures.append(f"[{extra}] import edgeml costs {above_s:.3f} s above numpy, at most {MAX_IMPORT_S}")
    return failures


def main() -> None:
    """Try every file with every engine."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dist", type=Path, help="the folder with one wheel and one sdist")
    folder: Path = parser.parse_args().dist
    wheel, sdist = only(folder, "edgeml_toolkit-*.whl"), only(folder, "edgeml_toolkit-*.tar.gz")
    if not PACKAGE.is_file():
        raise SystemExit(f"try_dist: {PACKAGE} is missing; it is committed and must be there")

    failures: list[str] = []
    for file in (wheel, sdist):
        for extra in EXTRAS:
            with tempfile.TemporaryDirectory(prefix="edgeml-dist-") as scratch:
                environment = Environment(Path(scratch) / "edgeml")
                environment.install(f"edgeml-toolkit[{extra}] @ {file.as_uri()}")
                use(environment)
                print(f"dist: {file.name}[{extra}] imports, verifies and predicts", flush=True)
                if file == wheel:
                    bare = Environment(Path(scratch) / "bare")
                    bare.install(*engine_requirements(wheel, extra))
                    failures += measure(environment, bare, extra)
    if failures:
        raise SystemExit("\n".join(f"try_dist: {failure}" for failure in failures))


if __name__ == "__main__":
    main()
