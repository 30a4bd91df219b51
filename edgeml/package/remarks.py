"""Sentences about a package's manifest: rejections, refusals and the limits of the proof."""

from __future__ import annotations

from collections.abc import Callable

from edgeml.package.manifest import Manifest

__all__ = ["manifest_remarks"]

_MOST_REASON, _MOST_FIX = 300, 200


def manifest_remarks(manifest: Manifest, shown: Callable[[str, int], str] = lambda text, _: text) -> list[str]:
    """List why artifacts were rejected and recipes refused, and what limits the proof of the rest.

    Args:
        manifest: The manifest of a package.
        shown: Function that escapes a text from the package and cuts it to a number of characters.
    """
    records, data = manifest.artifacts, manifest.data
    lines = [
        f"{record.recipe} is rejected: {shown('; '.join(record.verdict.reasons), _MOST_REASON)}."
        for record in records
        if not record.verdict.released
    ]
    for refused in manifest.refused:
        fix = f" Fix: {shown(refused.fix, _MOST_FIX)}" if refused.fix else ""
        lines.append(f"{shown(refused.recipe, _MOST_FIX)} is refused: {shown(refused.reason, _MOST_REASON)}{fix}")
    remarks: dict[str, list[str]] = {}
    for record in records:
        for remark in record.verdict.remarks:
            remarks.setdefault(remark, []).append(record.recipe)
    for remark, recipes in remarks.items():
        who = "All artifacts" if len(recipes) == len(records) else ", ".join(recipes)
        lines.append(f"{who}: {shown(remark, _MOST_REASON)}.")
    if data.overlap:
        lines.append(
            f"{data.overlap:,} of the {data.judged_samples:,} evaluation samples are calibration samples too: the "
            "figures of the quantized artifacts are too good."
        )
    return lines
