"""Compatibility of a new package with an old package, and remarks for an update."""

from __future__ import annotations

from edgeml.package.diff.values import ArtifactDiff, Change, LabelsDiff
from edgeml.package.manifest import Manifest

__all__ = ["reasons_against", "remarks_on"]


def reasons_against(
    old: Manifest,
    new: Manifest,
    labels: LabelsDiff,
    signature: tuple[Change, ...],
    preprocessing: tuple[Change, ...],
    artifacts: tuple[ArtifactDiff, ...],
) -> tuple[str, ...]:
    """Return the reasons why programs that run the old package cannot run the new one unchanged."""
    reasons = []
    if old.source.task != new.source.task:
        reasons.append(f"The task was {old.source.task} and is {new.source.task}.")
    reasons += [_capitalize(_sentence(change)) for change in signature]
    # A first declaration does not affect programs that preprocess inputs themselves.
    reasons += [f"The {change.what} changed." for change in preprocessing if change.old is not None]
    if labels.removed or labels.added:
        reasons.append(f"{len(labels.removed)} labels were removed and {len(labels.added)} added.")
    if labels.moved:
        reasons.append(f"{len(labels.moved)} labels have another position among the scores.")
    if old.source.heads != new.source.heads:
        reasons.append("The tasks or the labels of the outputs differ.")
    decisions = old.source.decision, new.source.decision
    if decisions[0] and decisions[1] and decisions[0].threshold != decisions[1].threshold:
        reasons.append(f"The score's threshold was {decisions[0].threshold} and is {decisions[1].threshold}.")
    return (*reasons, *_by_reason({artifact.recipe: _lost(artifact, signature) for artifact in artifacts}))


def _lost(artifact: ArtifactDiff, signature: tuple[Change, ...]) -> list[str]:
    """Return the losses of users of a released artifact, without changes of the whole package's signature."""
    if artifact.old is None or artifact.old.status != "released":
        return []
    if artifact.new is None:
        return ["was released and is not in the new package."]
    if artifact.new.status != "released":
        return [f"was released and is {artifact.new.status}: {'; '.join(artifact.new.reasons).rstrip('.')}."]
    known = {change.what for change in signature}
    tensors = [_sentence(change) for change in artifact.tensors if change.what not in known]
    return [*tensors, *(f"now requires {need}." for need in artifact.new_needs)]


def remarks_on(old: Manifest, new: Manifest, artifacts: tuple[ArtifactDiff, ...]) -> tuple[str, ...]:
    """Return remarks that do not make the packages incompatible, but may matter."""
    remarks = []
    if old.name != new.name:
        remarks.append("The packages have different names.")
    if old.version == new.version and old != new:
        remarks.append("The packages have the same version, but different contents.")
    elif _precedence(new.version) < _precedence(old.version):
        remarks.append(f"The new version {new.version} comes before the old version {old.version}.")
    if old.source.framework != new.source.framework:
        remarks.append("The sources are of different frameworks.")
    data = old.data, new.data
    if (data[0].judged_on, data[0].evaluation) != (data[1].judged_on, data[1].evaluation):
        remarks.append("The packages were judged on different data: their figures are not comparable.")
    measured = any(a.old and a.new and a.old.median_ms is not None and a.new.median_ms is not None for a in artifacts)
    if measured and old.cpu != new.cpu:
        remarks.append("Latency was measured on different processors: the figures are not comparable.")
    quantized = {
        a.recipe: [f"the quantization of {change.what} changed: update code that encodes or quantizes by itself."]
        for a in artifacts
        for change in a.quantization
    }
    return (*remarks, *_by_reason(quantized))


def _sentence(change: Change) -> str:
    if change.new is None:
        return f"{change.what} was removed."
    if change.old is None:
        return f"{change.what} is new."
    return f"{change.what} was {change.old} and is {change.new}."


def _capitalize(text: str) -> str:
    return text[:1].upper() + text[1:]


def _by_reason(reasons: dict[str, list[str]]) -> list[str]:
    """Return a line for each reason, with the recipes that the reason applies to."""
    recipes: dict[str, list[str]] = {}
    for recipe, texts in reasons.items():
        for text in texts:
            recipes.setdefault(text, []).append(recipe)
    return [f"{', '.join(names)}: {text}" for text, names in recipes.items()]


def _precedence(version: str) -> tuple[object, ...]:
    """Return a sort key of a semantic version (semver.org, 11): a pre-release comes before its release."""
    release, _, before = version.partition("+")[0].partition("-")
    parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in before.split(".") if before]
    return (*(int(number) for number in release.split(".")), not before, parts)
