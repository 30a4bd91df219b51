"""The refusal of models in which an audit found something."""

from __future__ import annotations

from collections.abc import Iterable

from edgeml.core.errors import UnsupportedModelError
from edgeml.core.system.text import join_clauses

__all__ = ["refuse_untrusted"]


def refuse_untrusted(name: str, findings: Iterable[str], *, trust: bool) -> None:
    """Refuse a model with findings, unless the caller trusts its author.

    Args:
        name: Name of the model in messages.
        findings: What loading the model would run or reach for, each a clause.
        trust: Whether to accept the model all the same.

    Raises:
        UnsupportedModelError: There are findings, and `trust` is false.
    """
    clauses = join_clauses(findings)
    if not clauses or trust:
        return
    raise UnsupportedModelError(
        f"{name} is not loaded: {clauses}.",
        fix="nothing of it was run. Remove this from the model; or, if you trust the author of the file with your "
        "files and your machine, use --trust-source (trust_source=True).",
    )
