"""Summary of a bare model file, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgeml.core.recipe import find_recipe

if TYPE_CHECKING:
    from rich.console import Console

    from edgeml.cli.file_inspection import ModelFileReport
    from edgeml.core.formats.contents import TensorContents

__all__ = ["print_file_report"]

_FORMATS = {
    "tflite": "TFLite model",
    "onnx": "ONNX model",
    "keras": "Keras model",
    "tf_keras": "Keras 2 model",
    "sklearn": "scikit-learn model",
}
_LABELS_SHOWN = 12
_OPERATORS_SHOWN = 40
_TENSORS_SHOWN = 40


def print_file_report(output: Console, report: ModelFileReport) -> None:
    """Print a line for each property of a model file, then the recipes that can be made of it.

    Args:
        output: The console to print to.
        report: The file.
    """
    size = f", {_size(report.size_bytes)}, {report.digest[:19]}…" if report.size_bytes else ""
    output.print(f"{report.file}: {_FORMATS[report.format]}{size}", soft_wrap=True)
    for title, text in _lines(report):
        output.print(f"{title:10}{text}", soft_wrap=True)
    output.print()
    for title, text in _recipe_lines(report):
        output.print(f"{title:10}{text}", soft_wrap=True)


def _lines(report: ModelFileReport) -> Iterator[tuple[str, str]]:
    contents = report.contents
    facts = [fact for fact in (report.architecture, report.task) if fact]
    if facts:
        yield "model", ", ".join(facts)
    for title, tensors in (("input", contents.inputs), ("output", contents.outputs)):
        for tensor in tensors[:_TENSORS_SHOWN]:
            yield title, _tensor(tensor)
        if len(tensors) > _TENSORS_SHOWN:
            yield title, f"and {len(tensors) - _TENSORS_SHOWN} more, which --json has"
    if report.labels:
        shown = ", ".join(report.labels[:_LABELS_SHOWN])
        yield "labels", f"{shown}{', …' if len(report.labels) > _LABELS_SHOWN else ''}"
    if contents.operators:
        title = "operators" if report.format in {"tflite", "onnx"} else "layers"
        yield title, _counts(contents.operators)
    if contents.weight_bytes:
        yield "weights", ", ".join(f"{_size(size)} {dtype}" for dtype, size in contents.weight_bytes.items())
    if contents.versions:
        yield "versions", ", ".join(f"{name} {version}" for name, version in contents.versions.items())
    for name, value in contents.metadata.items():
        yield "metadata", f"{name}: {value}"


def _size(size_bytes: int) -> str:
    return f"{size_bytes} bytes" if size_bytes < 1000 else f"{size_bytes / 1000:,.1f} kB"


def _tensor(tensor: TensorContents) -> str:
    shape = ", ".join("?" if size is None else str(size) for size in tensor.shape or ())
    text = f"{tensor.name} [{shape}] {tensor.dtype}"
    if tensor.quantization is not None:
        text += f", {tensor.quantization.scale:.6g} × (q − {tensor.quantization.zero_point})"
    return text


def _counts(operators: dict[str, int]) -> str:
    items = list(operators.items())
    shown = ", ".join(f"{name} {count}" for name, count in items[:_OPERATORS_SHOWN])
    return shown + (f", and {len(items) - _OPERATORS_SHOWN} more kinds" if len(items) > _OPERATORS_SHOWN else "")


def _recipe_lines(report: ModelFileReport) -> Iterator[tuple[str, str]]:
    """Yield the recipes that can be made, those that need samples for it, and a line for each reason of the others."""
    calibrated = [r for r in report.recipes if find_recipe(r).needs_calibration and r != report.architecture]
    plain = [recipe for recipe in report.recipes if recipe not in calibrated]
    if plain:
        yield "recipes", ", ".join(plain)
    if calibrated:
        yield "recipes", f"{', '.join(calibrated)} with calibration samples"
    groups: dict[tuple[str, str], list[str]] = {}
    for item in report.refused:
        groups.setdefault((item.reason, item.fix), []).append(item.recipe)
    for (reason, fix), recipes in groups.items():
        yield "refused", f"{', '.join(recipes)}: {reason}{f' Fix: {fix}' if fix else ''}"
    if report.recipes:
        stem = report.file.rpartition(".")[0] or report.file
        yield "build", f"edgeml build {report.file} -o {stem}.edgeml"
