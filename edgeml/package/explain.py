"""Explanation of verdicts: all figures of each artifact, and the details behind them."""

from __future__ import annotations

from msgspec import Struct

from edgeml.core.goal import DEFAULT_MAX_DROP, Verdict
from edgeml.core.records.evidence import Evaluation
from edgeml.core.records.evidence_details import Evidence
from edgeml.package.manifest import RefusalRecord
from edgeml.package.package import Package

__all__ = ["Explanation", "PackageExplanation", "explain"]


class Explanation(Struct, frozen=True, omit_defaults=True):
    """The figures that the verdict on an artifact rests on.

    Attributes:
        recipe: The artifact's recipe.
        verdict: The verdict.
        evaluation: Accuracy and parity of the artifact.
        max_drop: Largest allowed drop of the main metric; None if no drop was computed.
        evidence: The details, if the package contains them.
    """

    recipe: str
    verdict: Verdict
    evaluation: Evaluation
    max_drop: float | None = None
    evidence: Evidence | None = None


class PackageExplanation(Struct, frozen=True):
    """Explanations of a package's artifacts, and its refused recipes.

    Attributes:
        artifacts: One explanation per artifact.
        refused: Recipes that were refused, with the reasons.
    """

    artifacts: tuple[Explanation, ...]
    refused: tuple[RefusalRecord, ...]


def explain(package: Package, recipe: str | None = None) -> PackageExplanation:
    """Collect the figures behind a package's verdicts from its manifest and evidence files; nothing is run.

    Args:
        package: The package.
        recipe: Only this artifact or refusal; None for all.

    Raises:
        InputError: The package contains neither an artifact nor a refusal of that recipe.
        PackageError: An evidence file is damaged or invalid.
    """
    manifest = package.manifest
    refused = tuple(item for item in manifest.refused if recipe in {None, item.recipe})
    records = manifest.artifacts if recipe is None else () if refused else (package.artifact(recipe),)
    bound = DEFAULT_MAX_DROP if manifest.goal.max_drop is None else manifest.goal.max_drop
    return PackageExplanation(
        tuple(
            Explanation(
                record.recipe,
                record.verdict,
                record.evaluation,
                bound if manifest.data.labelled else None,
                package.evidence(record.recipe),
            )
            for record in records
        ),
        refused,
    )
