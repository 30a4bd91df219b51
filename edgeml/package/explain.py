"""Why each artifact's verdict is what it is: all figures, and the details behind them."""

from __future__ import annotations

from msgspec import Struct

from edgeml.core.goal import DEFAULT_MAX_DROP, Verdict
from edgeml.core.records.evidence import Evaluation
from edgeml.core.records.evidence_details import Evidence
from edgeml.package.manifest import RefusalRecord
from edgeml.package.package import Package

__all__ = ["Explanation", "PackageExplanation", "explain"]


class Explanation(Struct, frozen=True, omit_defaults=True):
    """What the verdict on an artifact rests on.

    Attributes:
        max_drop: The most that the main metric may drop; None where no drop was due.
        evidence: The details, where the package has them.
    """

    recipe: str
    verdict: Verdict
    evaluation: Evaluation
    max_drop: float | None = None
    evidence: Evidence | None = None


class PackageExplanation(Struct, frozen=True):
    """Of a package's artifacts, and of what was refused."""

    artifacts: tuple[Explanation, ...]
    refused: tuple[RefusalRecord, ...]


def explain(package: Package, recipe: str | None = None) -> PackageExplanation:
    """What the verdicts of a package rest on, by its manifest and its evidence files; nothing is run.

    Args:
        package: Which.
        recipe: Only this artifact or refusal; None for all.

    Raises:
        InputError: There is neither of that recipe.
        PackageError: An evidence file is damaged, or not sound.
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
