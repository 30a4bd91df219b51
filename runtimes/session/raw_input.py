"""Conversion of raw inputs to a model's numbers, as the package declares it."""

from __future__ import annotations

from collections.abc import Mapping

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Declaration, Table
from edgeml.core.tensors import Signature
from edgeml.preprocessing.apply import apply

__all__ = ["prepare_raw"]


def prepare_raw(data: object, signature: Signature, declarations: Mapping[str, Declaration]) -> dict[str, object]:
    """Convert raw inputs to values by input name.

    Args:
        data: Images, sound, rows or a table, as documented by `core.session.Session.predict`.
        signature: Signature of the artifact.
        declarations: Declarations of raw inputs by input name. Inputs without one are passed unchanged.

    Raises:
        InputError: The package does not declare raw inputs, or the data do not match the declaration.
    """
    if not declarations:
        raise InputError(
            "The package does not declare preprocessing, so raw input is not supported.",
            fix="pass arrays as the model expects them, or build the package with preprocessing.",
        )
    names = [spec.name for spec in signature.inputs]
    named = isinstance(data, Mapping) and set(data) == set(names)
    one_table = len(names) > 1 and all(isinstance(declarations.get(name), Table) for name in names)
    several = not one_table and (len(names) > 1 or named)
    if several and not isinstance(data, Mapping):
        raise InputError(
            f"raw input: expected a mapping from {len(names)} input names, got {type(data).__name__}.",
            fix=f"pass {{name: values}} for {', '.join(names)}.",
        )
    values = dict(data) if several and isinstance(data, Mapping) else dict.fromkeys(names, data)
    for spec in signature.inputs:
        if spec.name in declarations and spec.name in values:
            values[spec.name] = apply(declarations[spec.name], values[spec.name], spec)
    return values
