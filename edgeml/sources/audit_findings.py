"""The refusal of models in which an audit found something."""

from __future__ import annotations

from edgeml.core.errors import UnsupportedModelError

__all__ = ["refuse_untrusted"]

_MAX_SHOWN = 5


def refuse_untrusted(name: str, findings: list[str], *, trust: bool) -> None:
    """Refuse a model with findings, unless the caller trusts its author.

    Args:
        name: Name of the model in messages.
        findings: What loading the model would run or reach for, each a clause.
        trust: Whether to accept the model all the same.

    Raises:
        UnsupportedModelError: There are findings, and `trust` is false.
    """
    findings = list(dict.fromkeys(findings))
    if not findings or trust:
        return
    more = f"; and {len(findings) - _MAX_SHOWN} more" if len(findings) > _MAX_SHOWN else ""
    raise UnsupportedModelError(
        f"{name} is not loaded: {'; '.join(findings[:_MAX_SHOWN])}{more}.",
        fix="nothing of it was run. Remove this from the model; or, if you trust the author of the file with your "
        "files and your machine, use --trust-source (trust_source=True).",
    )
