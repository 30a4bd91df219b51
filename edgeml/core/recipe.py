"""The nine recipes: a format and a precision, by name, with the parity that each must keep."""

from typing import Literal

from msgspec import Struct

from edgeml.core.errors import InputError

__all__ = ["RECIPES", "Floor", "Precision", "Recipe", "find_recipe"]

Format = Literal["tflite", "onnx"]
Precision = Literal["fp32", "fp16", "dynamic", "int8", "int16x8"]


class Floor(Struct, frozen=True, forbid_unknown_fields=True):
    """The least parity with the source.

    Attributes:
        sqnr_db: Signal to quantization-noise ratio of the outputs, in decibels.
        agreement: Share of the samples that get the source's label, for classifiers.
    """

    sqnr_db: float
    agreement: float


class Recipe(Struct, frozen=True):
    """A format and a precision.

    Attributes:
        id: The name, for instance ``tflite-int8``.
        needs_calibration: Whether ranges of activations must be seen to make it.
    """

    id: str
    format: Format
    precision: Precision
    needs_calibration: bool
    floor: Floor


# Rounding of float32 arithmetic leaves some 130 dB, of float16 weights 70, of 8-bit tensors 25 to 50;
# the floors lie below what sound conversions reach and above what broken ones do.
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
    """The recipe of that name.

    Raises:
        InputError: There is none.
    """
    for recipe in RECIPES:
        if recipe.id == recipe_id:
            return recipe
    raise InputError(f"There is no recipe '{recipe_id}'.", fix=f"take one of {', '.join(r.id for r in RECIPES)}.")
