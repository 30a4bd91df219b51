"""diff_packages(): the changes from an old package to a new package."""

from __future__ import annotations

from collections.abc import Sequence

from edgeml.core.records.benchmark_results import Results
from edgeml.core.system.limits import Limits
from edgeml.package.diff.compatibility import reasons_against, remarks_on
from edgeml.package.diff.evidence import add_evidence
from edgeml.package.diff.manifests import (
    artifact_diffs,
    identity_changes,
    labels_diff,
    preprocessing_changes,
    tensor_changes,
)
from edgeml.package.diff.measurements import measured_diffs
from edgeml.package.diff.predictions import caller_samples, golden_samples, prediction_diffs
from edgeml.package.diff.values import PackageDiff
from edgeml.package.package import Package

__all__ = ["diff_packages"]

_LIMITS = Limits()


def diff_packages(
    old: Package,
    new: Package,
    *,
    inputs: object = None,
    results: Sequence[Results] = (),
    limits: Limits = _LIMITS,
) -> PackageDiff:
    """Compare two packages, and their outputs on the same inputs where the engines are installed.

    All entries of both packages are checked against their digests first. The engines run in a child process.

    Args:
        old: The package in use.
        new: The package that may replace it.
        inputs: Inputs for both packages: one array ``[samples, ...]``, or one array per input name. By default the
            golden inputs of both.
        results: Results of `edgeml bench` for either package, from any machines.
        limits: Limits of the child process.

    Raises:
        InputError: The inputs do not fit the old package, or results belong to neither package.
        PackageError: A file is not a valid package, or an artifact ends its engine or exceeds a limit.

    Example:
        >>> changes = diff_packages(open_package("digits-1.edgeml"), open_package("digits-2.edgeml"))
        >>> changes.compatible, changes.reasons
        (False, ('2 labels have another position among the scores.',))
    """
    digests = [package.digest() for package in (old, new)]
    measured = measured_diffs(results, digests)
    samples = golden_samples(old, new) if inputs is None else caller_samples(inputs, old)
    before, after = old.manifest, new.manifest
    labels = labels_diff(before.source.decision, after.source.decision)
    signature = tensor_changes(before.source.signature, after.source.signature)
    preprocessing = preprocessing_changes(before, after)
    both = {record.recipe for record in before.artifacts} & {record.recipe for record in after.artifacts}
    artifacts = tuple(
        add_evidence(artifact, *(package.evidence(artifact.recipe) for package in (old, new)))
        if artifact.recipe in both
        else artifact
        for artifact in artifact_diffs(before, after)
    )
    reasons = reasons_against(before, after, labels, signature, preprocessing, artifacts)
    return PackageDiff(
        same=digests[0] == digests[1],
        old_digest=digests[0],
        new_digest=digests[1],
        identity=identity_changes(before, after),
        labels=labels,
        signature=signature,
        preprocessing=preprocessing,
        artifacts=artifacts,
        predictions=prediction_diffs(old, new, samples, limits),
        compatible=not reasons,
        reasons=reasons,
        remarks=remarks_on(before, after, artifacts),
        measured=measured,
    )
