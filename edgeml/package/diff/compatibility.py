"""Whether the new package can take the old one's place, and what else to look at."""

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
    """Why what runs the old package cannot run the new one unchanged; none where it can."""
    found = []
    if old.source.task != new.source.task:
        found.append(f"The task was {old.source.task} and is {new.source.task}.")
    found += [_upper(_told(change)) for change in signature]
    # What is declared for the first time changes nothing for who prepares inputs himself.
    found += [f"The {change.what} is another one." for change in preprocessing if change.old is not None]
    if labels.removed or labels.added:
        found.append(f"{len(labels.removed)} labels are gone and {len(labels.added)} are new.")
    if labels.moved:
        found.append(f"{len(labels.moved)} labels have another position among the scores.")
    decisions = old.source.decision, new.source.decision
    if decisions[0] and decisions[1] and decisions[0].threshold != decisions[1].threshold:
        found.append(f"The score's threshold was {decisions[0].threshold} and is {decisions[1].threshold}.")
    return (*found, *_by_reason({artifact.recipe: _lost(artifact, signature) for artifact in artifacts}))


def _lost(artifact: ArtifactDiff, signature: tuple[Change, ...]) -> list[str]:
    """What a user of the released old artifact loses, beyond what changed in the whole package's signature."""
    if artifact.old is None or artifact.old.status != "released":
        return []
    if artifact.new is None:
        return ["was released and is not in the new package."]
    if artifact.new.status != "released":
        return [f"was released and is {artifact.new.status}: {'; '.join(artifact.new.reasons).rstrip('.')}."]
    known = {change.what for change in signature}
    tensors = [_told(change) for change in artifact.tensors if change.what not in known]
    return [*tensors, *(f"newly needs {need}." for need in artifact.new_needs)]


def remarks_on(old: Manifest, new: Manifest, artifacts: tuple[ArtifactDiff, ...]) -> tuple[str, ...]:
    """What does not stand in the way, and may matter."""
    found = []
    if old.name != new.name:
        found.append("The packages have different names.")
    if old.version == new.version and old != new:
        found.append("The version is the same, and the content is not.")
    elif _precedence(new.version) < _precedence(old.version):
        found.append(f"The new version {new.version} comes before the old version {old.version}.")
    if old.source.framework != new.source.framework:
        found.append("The sources are of different frameworks.")
    data = old.data, new.data
    if (data[0].judged_on, data[0].evaluation) != (data[1].judged_on, data[1].evaluation):
        found.append("The two were judged on different data: what was found on them is not comparable.")
    measured = any(a.old and a.new and a.old.median_ms is not None and a.new.median_ms is not None for a in artifacts)
    if measured and old.cpu != new.cpu:
        found.append("Latency was measured on different processors, and is not comparable.")
    quantized = {
        a.recipe: [f"the quantization of {change.what} changed: code that encodes or quantizes by itself must follow."]
        for a in artifacts
        for change in a.quantization
    }
    return (*found, *_by_reason(quantized))


def _told(change: Change) -> str:
    if change.new is None:
        return f"{change.what} is gone."
    if change.old is None:
        return f"{change.what} is new."
    return f"{change.what} was {change.old} and is {change.new}."


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _by_reason(reasons: dict[str, list[str]]) -> list[str]:
    """One line for each reason, with the recipes that it holds for."""
    recipes: dict[str, list[str]] = {}
    for recipe, texts in reasons.items():
        for text in texts:
            recipes.setdefault(text, []).append(recipe)
    return [f"{', '.join(names)}: {text}" for text, names in recipes.items()]


def _precedence(version: str) -> tuple[object, ...]:
    """A key that orders semantic versions (semver.org, 11): a pre-release comes before its release."""
    release, _, before = version.partition("+")[0].partition("-")
    parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in before.split(".") if before]
    return (*(int(number) for number in release.split(".")), not before, parts)
