"""Packages with one random change, in order but for it: every digest holds, and the manifest is canonical.

    python -m tests.support.mutated_packages PACKAGE... --count 20000

runs each through all that reads a package, and its engine in a child process, and prints what raised something else
than an EdgemlError, took more than 30 s, or made this process grow by more than 200 MB.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import numpy as np

import edgeml
from edgeml.core.errors import EdgemlError
from edgeml.core.isolation import Isolation
from edgeml.core.system.limits import Limits
from edgeml.package.explain import explain
from edgeml.package.manifest import Manifest, encode_manifest
from edgeml.reporting import make_report
from tests.support.forging import contents_of, forged, with_manifest
from tests.support.mutants import mutants

__all__ = ["mutated_manifest", "mutated_model", "use"]

NUMBERS = (
    0,
    -1,
    1,
    2,
    3,
    15,
    127,
    255,
    2**31 - 1,
    2**31,
    2**53,
    2**63 - 1,
    -(2**63),
    0.0,
    -0.5,
    0.5,
    1e-45,
    1e38,
    1e308,
)
TEXTS = (
    "",
    "x",
    "scores",
    "label",
    "position",
    "values",
    "float32",
    "int8",
    "string",
    "../x",
    "\x1b[2J",
    "\u202e",
    "a" * 11_000,
)
_MEMORY_MB = 300
_TIMEOUT_S = 20


def mutated_manifest(data: bytes, seed: int) -> bytes:
    """A package with one to three changes of its manifest, or of a golden array or evidence."""
    rng = np.random.default_rng(seed)

    def change(manifest: Any, contents: dict[str, bytes]) -> None:
        if rng.random() < 0.2:
            name = rng.choice([name for name in sorted(contents) if not name.startswith("artifacts/")])
            contents[name] = next(mutants(contents[name], 1, seed + 1))
            return
        for _ in range(int(rng.integers(1, 4))):
            _mutate(manifest, rng)

    mutated = forged(data, change)
    with contextlib.suppress(msgspec.MsgspecError, EdgemlError, TypeError, UnicodeError):
        text = contents_of(mutated)["manifest.json"]
        return with_manifest(mutated, lambda _: encode_manifest(msgspec.json.decode(text, type=Manifest)))
    return mutated


def mutated_model(data: bytes, seed: int) -> bytes:
    """A package with one artifact of changed bytes."""

    def change(manifest: Any, contents: dict[str, bytes]) -> None:
        files = sorted(name for name in contents if name.startswith("artifacts/"))
        file = files[seed % len(files)]
        contents[file] = next(mutants(contents[file], seed % 5 + 1, seed))

    return forged(data, change)


def _mutate(manifest: Any, rng: np.random.Generator) -> None:
    places = [place for place in _places(manifest) if place[0] is not manifest or place[1] != "files"]
    parent, key = places[int(rng.integers(len(places)))]
    value, kind = parent[key], rng.random()
    if kind < 0.1:
        del parent[key]
    elif isinstance(value, bool | int | float):
        parent[key] = NUMBERS[int(rng.integers(len(NUMBERS)))] if kind < 0.9 else None
    elif isinstance(value, str):
        parent[key] = TEXTS[int(rng.integers(len(TEXTS)))]
    elif isinstance(value, list) and value:
        parent[key] = [[], value[:-1], value[::-1], [*value, value[0]], value * 300][int(rng.integers(5))]
    elif isinstance(value, dict) and value:
        first = min(value)
        parent[key] = [{}, {**value, "x": 1}, {"x": value[first]}][int(rng.integers(3))]
    else:
        parent[key] = [0, "x", [], [1], {}][int(rng.integers(5))]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield value, key
        yield from _places(item)


def use(path: Path, isolation: Isolation) -> list[str]:
    """Use a package in all ways, its engine in a child; return what succeeded.

    Raises:
        EdgemlError: It does not open.
        Exception: A step raised something else than an EdgemlError.
    """
    package, done = edgeml.open_package(path), ["open"]
    inputs: Any = None
    steps: dict[str, Callable[[], object]] = {
        "show": lambda: (repr(package), package._repr_html_(), package.released, package.digest()),
        "explain": lambda: explain(package),
        "choose": package.choose,
        "evidence": lambda: [package.evidence(record.recipe) for record in package.manifest.artifacts],
        "report": lambda: make_report(package, [], "markdown"),
        "golden": package.golden_inputs,
    }
    for name, step in steps.items():
        with contextlib.suppress(EdgemlError):
            found = step()
            inputs = found if name == "golden" else inputs
            done.append(name)
    for record in package.manifest.artifacts[:2]:
        with (
            contextlib.suppress(EdgemlError),
            package.session(record.recipe, isolated=isolation, threads=1) as session,
        ):
            done.append("session")
            data = inputs or {
                spec.name: np.zeros((1, *(size or 1 for size in spec.shape[1:])), np.float32)
                for spec in session.signature.inputs
            }
            session.run(data)
            done.append("run")
            session.classify(data)
    return done


def main() -> None:
    """Print the seeds of mutants that did something else than succeed or raise an EdgemlError."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path, nargs="+")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--models", action="store_true", help="Change model files in place of manifests.")
    given = parser.parse_args()
    packages = [path.read_bytes() for path in given.packages]
    mutate = mutated_model if given.models else mutated_manifest
    counts: Counter[str] = Counter()
    begin_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    with tempfile.TemporaryDirectory() as folder, Isolation(Limits(_MEMORY_MB, _TIMEOUT_S)) as isolation:
        path = Path(folder) / "mutant.edgeml"
        for seed in range(given.first, given.first + given.count):
            path.write_bytes(mutate(packages[seed % len(packages)], seed))
            begin = perf_counter()
            try:
                counts.update(use(path, isolation))
            except EdgemlError as error:
                counts[type(error).__name__] += 1
            except Exception:  # noqa: BLE001  # which is what this looks for
                counts["BAD"] += 1
                print(seed, traceback.format_exc())  # noqa: T201  # a script
            if perf_counter() - begin > 30:
                print(seed, f"took {perf_counter() - begin:.1f} s")  # noqa: T201  # a script
    grown_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000 - begin_mb
    print(json.dumps(counts), f"{grown_mb:.0f} MB more")  # noqa: T201  # a script


if __name__ == "__main__":
    main()
