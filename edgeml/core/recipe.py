"""The nine recipes, each a format and a precision, and the parity that each requires."""

from typing import Literal

from msgspec import Struct

from edgeml.core.errors import InputError

__all__ = ["FLOATS", "RECIPES", "Floor", "Precision", "Recipe", "find_recipe"]

Format = Literal["tflite", "onnx"]
Precision = Literal["fp32", "fp16", "dynamic", "int8", "int16x8"]

FLOATS: frozenset[Precision] = frozenset({"fp32", "fp16"})
"""Precisions that compute with floats: their artifacts are right beyond the data that they were judged on too."""


class Floor(Struct, frozen=True, forbid_unknown_fields=True):
    """The minimum parity with the source.

    Attributes:
        sqnr_db: Signal-to-quantization-noise ratio of the outputs, in decibels.
        agreement: Fraction of samples with the source's label, for classifiers.
    """

    sqnr_db: float
    agreement: float


class Recipe(Struct, frozen=True):
    """A format and a precision.

    Attributes:
        id: The name, for instance ``tflite-int8``.
        format: File format.
        precision: Precision of weights and activations.
        needs_calibration: Conversion needs calibration samples for the ranges of activations.
        floor: Minimum parity with the source.
    """

    id: str
    format: Format
    precision: Precision
    needs_calibration: bool
    floor: Floor


# Rounding leaves about 130 dB in float32 arithmetic, 70 dB with float16 weights, and 25 to 50 dB with 8-bit tensors.
# The floors lie below the values of correct conversions and above those of broken ones.
_FLOORS: dict[Precision, Floor] = {
    "fp32": Floor(90.0, 1.00),
    "fp16": Floor(40.0, 0.99),
    "int16x8": Floor(25.0, 0.98),
    "dynamic": Floor(15.0, 0.95),
    "int8": Floor(15.0, 0.95),
}


def _recipe(format_: Format, precision: Precision) -> Recipe:
    return Recipe(f"{format_}-{precision}", format_, precision, precision in {"int8", "int16x8"}, _FLOORS[precision])


RECIPES: tuple[Recipe, ...] = (
    _recipe("tflite", "fp32"),
    _recipe("tflite", "fp16"),
    _recipe("tflite", "dynamic"),
    _recipe("tflite", "int8"),
    _recipe("tflite", "int16x8"),
    _recipe("onnx", "fp32"),
    _recipe("onnx", "fp16"),
    _recipe("onnx", "dynamic"),
    _recipe("onnx", "int8"),
)


def find_recipe(recipe_id: str) -> Recipe:
    """Return the recipe with a name.

    Raises:
        InputError: The name is unknown.
    """
    for recipe in RECIPES:
        if recipe.id == recipe_id:
            return recipe
    raise InputError(f"Unknown recipe '{recipe_id}'.", fix=f"use one of {', '.join(r.id for r in RECIPES)}.")
