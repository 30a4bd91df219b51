"""Raw input, as a package declares it, to a model's numbers."""

from __future__ import annotations

from collections.abc import Mapping

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Declaration, Table
from edgeml.core.tensors import Signature
from edgeml.preprocessing.apply import apply

__all__ = ["of_raw"]


def of_raw(data: object, signature: Signature, declarations: Mapping[str, Declaration]) -> dict[str, object]:
    """Values by input name.

    Args:
        data: Images, sound, rows or a table, as `core.session.Session.predict` tells.
        signature: The artifact's.
        declarations: What raw input is, by input name; inputs without one are taken as they are.

    Raises:
        InputError: There is no declaration, or the data are not what is declared.
    """
    if not declarations:
        raise InputError(
            "The package does not declare what its inputs' numbers mean, so raw input cannot be taken.",
            fix="give arrays as the model takes them, or build the package with preprocessing.",
        )
    names = [spec.name for spec in signature.inputs]
    named = isinstance(data, Mapping) and set(data) == set(names)
    one_table = len(names) > 1 and all(isinstance(declarations.get(name), Table) for name in names)
    several = not one_table and (len(names) > 1 or named)
    if several and not isinstance(data, Mapping):
        raise InputError(
            f"raw input: the model has {len(names)} inputs.", fix=f"give a mapping from {', '.join(names)}."
        )
    given = dict(data) if several and isinstance(data, Mapping) else dict.fromkeys(names, data)
    for spec in signature.inputs:
        if spec.name in declarations and spec.name in given:
            given[spec.name] = apply(declarations[spec.name], given[spec.name], spec)
    return given
