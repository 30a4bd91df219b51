"""What the caller declares of raw input, held to the model's inputs."""

from __future__ import annotations

from collections.abc import Mapping

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Declaration, Table, checked_declaration, misfit
from edgeml.core.source import SourceInfo

__all__ = ["declarations"]


def declarations(given: Declaration | Mapping[str, Declaration] | None, info: SourceInfo) -> dict[str, Declaration]:
    """Declarations by input name, in the signature's order; where none were given, what the source itself tells.

    Raises:
        InputError: There is no such input, or a declaration cannot give its values.
    """
    signature = info.signature
    if given is None:
        given = {name: Table(columns=columns) for name, columns in info.columns.items()}
    names = [spec.name for spec in signature.inputs]
    if not isinstance(given, Mapping):
        if len(names) > 1:
            raise InputError(
                f"preprocessing: the model has {len(names)} inputs.", fix=f"give a mapping from {', '.join(names)}."
            )
        given = {names[0]: given}
    unknown = [str(name) for name in given if name not in names]
    if unknown:
        raise InputError(f"preprocessing: there is no input '{unknown[0]}'; the model has {', '.join(names)}.")
    found = {}
    for spec in signature.inputs:
        if spec.name in given:
            found[spec.name] = checked_declaration(given[spec.name], spec.name)
            problem = misfit(found[spec.name], spec)
            if problem:
                raise InputError(f"preprocessing of input '{spec.name}': {problem}.")
    return found
