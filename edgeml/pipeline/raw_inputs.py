"""Validation of the caller's preprocessing declarations against the model's inputs."""

from __future__ import annotations

from collections.abc import Mapping

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Declaration, Table, check_declaration, parse_declaration
from edgeml.core.source import SourceInfo

__all__ = ["resolve_declarations"]


def resolve_declarations(
    declarations: Declaration | Mapping[str, Declaration] | None, info: SourceInfo
) -> dict[str, Declaration]:
    """Validate declarations and return them by input name, in the signature's order.

    Args:
        declarations: The caller's declarations; None for the tables that the source was trained on, if it knows them.
        info: Description of the source.

    Raises:
        InputError: An input is unknown, or a declaration does not fit its input.
    """
    signature = info.signature
    if declarations is None:
        declarations = {name: Table(columns=columns) for name, columns in info.columns.items()}
    names = [spec.name for spec in signature.inputs]
    if not isinstance(declarations, Mapping):
        if len(names) > 1:
            raise InputError(
                f"preprocessing: got a single declaration for a model with {len(names)} inputs.",
                fix=f"pass a mapping with the keys {', '.join(names)}.",
            )
        declarations = {names[0]: declarations}
    unknown = [str(name) for name in declarations if name not in names]
    if unknown:
        raise InputError(f"preprocessing: unknown input '{unknown[0]}'; the model's inputs are {', '.join(names)}.")
    resolved = {}
    for spec in signature.inputs:
        if spec.name in declarations:
            resolved[spec.name] = parse_declaration(declarations[spec.name], spec.name)
            reason = check_declaration(resolved[spec.name], spec)
            if reason:
                raise InputError(f"preprocessing of input '{spec.name}': {reason}.")
    return resolved
