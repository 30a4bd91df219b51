"""Runs a package's golden inputs as a device would, and writes down what came of it.

Usage: python on_target.py PACKAGE TARGET FOLDER [--allow-fallback]

Needs the base package and one engine. FOLDER gets `found.json`, with the golden checks and for each artifact its
engine, placement or refusal; and `RECIPE.npz` with its raw outputs and its labels.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import edgeml
from edgeml.core.errors import EdgemlError
from edgeml.core.session import Session
from edgeml.package.golden import golden_inputs


def on_target(package: edgeml.Package, target: str, folder: Path, *, allow_fallback: bool) -> dict[str, Any]:
    """What each artifact is and did."""
    inputs = golden_inputs(package.manifest.golden, package.read)
    found: dict[str, Any] = {}
    for record in package.manifest.artifacts:
        try:
            with package.session(record.recipe, target=target, allow_fallback=allow_fallback) as session:
                found[record.recipe] = told(session)
                raw = session.run_raw(inputs)
                arrays: dict[str, Any] = dict(raw)
                if package.manifest.source.decision is not None:
                    arrays["labels"] = session.classify(inputs)
            np.savez(folder / f"{record.recipe}.npz", **arrays)
        except EdgemlError as error:
            found[record.recipe] = {"refused": str(error)}
    return found


def told(session: Session) -> dict[str, Any]:
    """What a session says of itself."""
    return {
        "engine": f"{session.engine} {session.engine_version}",
        "family": session.family,
        "placement": str(session.placement),
        "elsewhere": [item.operator for item in session.placement.elsewhere],
        "arena_bytes": session.arena_bytes,
    }


def main() -> None:
    """See the module's docstring."""
    path, target, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    package = edgeml.open_package(path)
    found = on_target(package, target, folder, allow_fallback="--allow-fallback" in sys.argv)
    try:
        checks = [[check.recipe, check.status, check.detail] for check in package.verify().golden]
    except EdgemlError as error:
        checks = [["", "fails", str(error)]]
    (folder / "found.json").write_text(json.dumps({"artifacts": found, "golden": checks}), encoding="utf-8")


if __name__ == "__main__":
    main()
