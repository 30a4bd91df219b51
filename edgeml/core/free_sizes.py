"""Free sizes: those of inputs that the caller's data decide, such as the length of a recording; the batch is apart."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral

import msgspec
import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.tensors import Signature, TensorSpec

__all__ = [
    "MAX_SIZE",
    "SizeOption",
    "beyond",
    "check_size",
    "checked_option",
    "checked_sizes",
    "combinations",
    "fixed",
    "resized",
    "size_text",
    "sizes_of",
    "with_sizes",
]

MAX_SIZE = 2**24
"""Largest number of a size."""

SizeOption = Mapping[str, int | tuple[int, ...]]
"""A number for each size that a build fixes, or the numbers that it proves a free size at, by the name of the size."""


def fixed(sizes: SizeOption) -> dict[str, int]:
    """Return the sizes that a build fixes, by name."""
    return {name: size for name, size in sizes.items() if isinstance(size, int)}


def combinations(sizes: SizeOption) -> list[dict[str, int]]:
    """Return the free sizes that a build proves its artifacts at: the first numbers, then the second ones, and so on.

    Args:
        sizes: Sizes by name; those that stay free have the same count of numbers.

    Returns:
        A dict by name for each proof; a single empty one where no size stays free.
    """
    free = {name: size for name, size in sizes.items() if not isinstance(size, int)}
    return [dict(zip(free, numbers, strict=True)) for numbers in zip(*free.values(), strict=True)] or [{}]


def beyond(sizes: SizeOption) -> list[dict[str, int]]:
    """Return further numbers for the sizes that stay free, by name: up to twice the largest, and half the smallest.

    They show sizes of outputs that happen to be the same for all numbers of the caller. Models need not run at them.
    """
    free = {name: size for name, size in sizes.items() if not isinstance(size, int)}
    larger = [{name: int(factor * max(size)) for name, size in free.items()} for factor in (2, 1.5, 1.25)]
    return [*larger, {name: max(1, min(size) // 2) for name, size in free.items()}] if free else []


def size_text(sizes: Mapping[str, int]) -> str:
    """Return sizes as text, such as ``height=224, width=320``."""
    return ", ".join(f"{name}={size}" for name, size in sizes.items())


def with_sizes(signature: Signature, sizes: Mapping[str, int]) -> Signature:
    """Return a signature whose inputs have numbers for some of its free sizes."""

    def fix(spec: TensorSpec) -> TensorSpec:
        numbers = tuple(sizes.get(size) if isinstance(size, str) else size for size in spec.named_shape)
        return msgspec.structs.replace(spec, shape=numbers, sizes=tuple(n for n in spec.sizes if n not in sizes))

    return Signature(tuple(fix(spec) if spec.sizes else spec for spec in signature.inputs), signature.outputs)


def sizes_of(arrays: Mapping[str, np.ndarray], signature: Signature, what: str) -> dict[str, int]:
    """Return the numbers that samples have for the free sizes of a signature, by name.

    Args:
        arrays: Samples ``[samples, ...]`` by input name, of the signature's shapes.
        signature: The signature.
        what: Name of the samples in messages.

    Raises:
        InputError: The inputs have different numbers for a size that they share, or a size is 0.
    """
    sizes: dict[str, int] = {}
    for spec in signature.inputs:
        for name, size in zip(spec.named_shape, arrays[spec.name].shape, strict=True):
            if not isinstance(name, str):
                continue
            if sizes.setdefault(name, size) != size:
                raise InputError(
                    f"{what}, input '{spec.name}': '{name}' is {size}, and {sizes[name]} in another input or axis."
                )
            if not size:
                raise InputError(f"{what}, input '{spec.name}': '{name}' is 0, expected at least 1.")
    return sizes


def resized(arrays: Mapping[str, np.ndarray], signature: Signature, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Return samples cut, or continued by their beginning, to other free sizes.

    Args:
        arrays: Samples ``[samples, ...]`` by input name.
        signature: The signature.
        sizes: A number for each free size, by name.
    """
    results = {}
    for spec in signature.inputs:
        array = arrays[spec.name]
        shape = [sizes[size] if isinstance(size, str) else size for size in spec.named_shape]
        try:
            for axis, (size, own) in enumerate(zip(shape, array.shape, strict=True)):
                if axis and size not in {None, own}:
                    array = np.take(array, np.arange(size) % own, axis=axis)
        except MemoryError as error:
            raise InputError(f"sizes: {size_text(sizes)} need more memory than there is.") from error
        results[spec.name] = array
    return results


def check_size(name: object, size: object) -> int:
    """Return a number that a caller gives for a size.

    Raises:
        InputError: It is not a whole number of at least 1, or too large.
    """
    if isinstance(size, bool) or not isinstance(size, Integral) or not 1 <= int(size) <= MAX_SIZE:
        raise InputError(f"sizes: {name!r:.80} is {size!r:.80}, expected a whole number from 1 to {MAX_SIZE}.")
    return int(size)


def checked_option(sizes: object) -> SizeOption:
    """Return a caller's option: a number for each size, or several for those that stay free.

    Raises:
        InputError: It is not of that form; or sizes that stay free have different counts of numbers, or a single one.
    """
    if not isinstance(sizes, Mapping) or not all(isinstance(name, str) for name in sizes):
        raise InputError(f"sizes: expected a dict from names to numbers, got {sizes!r:.80}.")
    option: dict[str, int | tuple[int, ...]] = {}
    for name, size in sizes.items():
        if isinstance(size, list | tuple):
            numbers = option[name] = tuple(check_size(name, number) for number in size)
            if len(set(numbers)) < 2:
                raise InputError(
                    f"sizes: {name!r:.80} is {size!r:.80}; a size that stays free is proven at two numbers at least.",
                    fix="give a second one, or a single number to fix it.",
                )
        else:
            option[name] = check_size(name, size)
    counts = {name: len(size) for name, size in option.items() if isinstance(size, tuple)}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{count} for {name}" for name, count in counts.items())
        raise InputError(
            f"sizes: got {listed}, expected as many numbers for each: the first of all are proven together, then the "
            "second.",
        )
    return option


def checked_sizes(sizes: object, signature: Signature) -> dict[str, int]:
    """Return the numbers that a caller gives for the free sizes of an artifact, all of them.

    Raises:
        InputError: A size is missing, is not free, or is not a whole number of at least 1.
    """
    names = signature.free_sizes
    if not isinstance(sizes, Mapping) or sorted(map(str, sizes)) != sorted(names):
        expected = f"a number for each of {', '.join(names)}" if names else "none: all sizes of the artifact are fixed"
        raise InputError(
            f"sizes: got {sizes!r:.80}, expected {expected}.",
            fix=f"for instance sizes={{'{names[0]}': N}} (--size {names[0]}=N)." if names else "leave sizes out.",
        )
    return {name: check_size(name, sizes[name]) for name in names}
