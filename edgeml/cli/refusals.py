"""Refused recipes in sentences: one for each reason, with the layer that the converter stopped at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgeml.core.recipe import RECIPES

if TYPE_CHECKING:
    from edgeml.package.failures import Failure
    from edgeml.package.manifest import RefusalRecord

__all__ = ["logs_of_failures", "refusal_lines", "saved_logs"]

_LOG = "log.txt"
_MOST_LOG_BYTES = 2**22
_SHOWN = 3
# The converters' own lines about an operator: TensorFlow's (MLIR) and tf2onnx's.
_OPERATORS = (
    re.compile(r'^loc\(.*?fused\["\w+:", "([^"@]+)@[^\n]*error: ', re.MULTILINE),
    re.compile(r"Tensorflow op \[([^:\]\n]+): \w+\] is not supported"),
)
_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
_RANKS = {recipe.id: rank for format_ in ("tflite", "onnx") for rank, recipe in enumerate(
    recipe for recipe in RECIPES if recipe.format == format_
)}  # fmt: skip


def refusal_lines(refused: Iterable[RefusalRecord], logs: Mapping[str, str]) -> list[str]:
    """Compose a line for each reason, with all recipes that were refused for it.

    The deepest reason comes first: what stops a format's plainest recipe stops the others too, whatever theirs say.

    Args:
        refused: The refusals of a package.
        logs: What the converters printed, by recipe, as far as it is kept.
    """
    groups: dict[tuple[str, str, str], list[str]] = {}
    for item in refused:
        layers = ", ".join(_layers(logs.get(item.recipe, ""))[:_SHOWN])
        groups.setdefault((item.reason, layers, item.fix), []).append(item.recipe)
    last = len(RECIPES)
    lines = []
    for (reason, layers, fix), recipes in sorted(groups.items(), key=lambda g: min(_RANKS.get(r, last) for r in g[1])):
        verb = "is" if len(recipes) == 1 else "are"
        where = f" Layer: {layers}." if layers else ""
        lines.append(f"{', '.join(recipes)} {verb} refused: {reason}{where}{f' Fix: {fix}' if fix else ''}")
    return lines


def logs_of_failures(failures: Iterable[Failure]) -> dict[str, str]:
    """Return the captured logs of a build's failures by recipe."""
    return {item.recipe: item.files.get(_LOG, b"").decode(errors="replace") for item in failures}


def saved_logs(package: Path) -> dict[str, str]:
    """Read the logs that a build left beside a package, in ``PACKAGE.failed``; by recipe."""
    logs = {}
    for recipe in RECIPES:
        path = package.with_name(f"{package.name}.failed") / recipe.id / _LOG
        try:
            with path.open("rb") as file:
                logs[recipe.id] = file.read(_MOST_LOG_BYTES).decode(errors="replace")
        except OSError:  # none is kept, or none can be read
            continue
    return logs


def _layers(log: str) -> list[str]:
    """Return the paths of layers, within the model, whose operators a converter names in its log."""
    paths = [path for pattern in _OPERATORS for path in pattern.findall(log)]
    layers = []
    for path in paths:
        parts = [part for part in path.split("/") if part not in _CALLS]
        layers.append("/".join(parts[1:-1]))  # without the model's name and the operator's
    return list(dict.fromkeys(layer for layer in layers if layer))
