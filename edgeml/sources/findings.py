"""What becomes of what an audit finds."""

from __future__ import annotations

from edgeml.core.errors import UnsupportedModelError

__all__ = ["refuse_untrusted"]

_SHOWN = 5


def refuse_untrusted(name: str, findings: list[str], *, trust: bool) -> None:
    """Refuses a model with findings, unless the caller trusts whoever made it.

    Args:
        name: What to call it in messages.
        findings: What it would do, or reach for, when it is loaded; each a clause.
        trust: Whether to let it through all the same.

    Raises:
        UnsupportedModelError: There are findings, and no trust.
    """
    findings = list(dict.fromkeys(findings))
    if not findings or trust:
        return
    more = f"; and {len(findings) - _SHOWN} more" if len(findings) > _SHOWN else ""
    raise UnsupportedModelError(
        f"{name} is not loaded: {'; '.join(findings[:_SHOWN])}{more}.",
        fix="nothing of it was run. Take it out of the model; or, if you trust whoever made it with your files and "
        "your machine, say --trust-source (trust_source=True).",
    )
