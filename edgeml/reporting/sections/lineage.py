"""Lineage of a package: data, source model, conversions, artifacts."""

from __future__ import annotations

from edgeml.package.manifest import ArtifactRecord, DataRecord, Manifest
from edgeml.reporting.document import Lineage, LineageNode, Section
from edgeml.reporting.formatting import display_text, format_kb, format_samples, truncate
from edgeml.trainers.result import TrainingCurves

__all__ = ["lineage_section"]

_HEX = 12


def lineage_section(manifest: Manifest, training: TrainingCurves | None) -> Section:
    """Return the lineage diagram of a package."""
    source = manifest.source
    details = [source.task or "no task", _short_digest(source.digest)]
    details += [
        f"{display_text(name)} {display_text(version, 24)}" for name, version in sorted(source.versions.items())
    ]
    if training is not None:
        details.insert(1, f"trained in {len(training.history)} epochs, the best is {training.best_epoch}")
    model = LineageNode("source", display_text(f"{source.framework} {source.architecture}"), tuple(details))
    artifacts, omitted = truncate([_artifact(manifest, record) for record in manifest.artifacts], 40)
    package = LineageNode(
        "package", display_text(f"{manifest.name} {manifest.version}"),
        (f"format {manifest.format}, edgeml {display_text(manifest.edgeml, 24)}", f"{len(manifest.files):,} entries"),
    )  # fmt: skip
    stages = (("Data", _data(manifest.data)), ("Model", (model,)), ("Artifacts", artifacts), ("Package", (package,)))
    diagram = Lineage(tuple((name, steps) for name, steps in stages if steps), omitted)
    return Section("lineage", "Lineage", (diagram,))


def _data(data: DataRecord) -> tuple[LineageNode, ...]:
    nodes = []
    if data.calibration_samples:
        nodes.append(
            LineageNode(
                "calibration",
                f"{data.calibration_samples:,} samples",
                (_short_digest(data.calibration), "to find ranges"),
            )
        )
    details = ["with true labels or values" if data.labelled else "without labels"]
    if data.overlap:
        details.append(f"{data.overlap:,} are calibration samples too")
    if data.judged_on == "evaluation":
        nodes.append(
            LineageNode("evaluation", f"{data.judged_samples:,} samples", (_short_digest(data.evaluation), *details))
        )
    else:
        title = f"judged on {format_samples(data)}"
        nodes.append(LineageNode("evaluation", title, ("no evaluation data were given",)))
    if data.reference is not None:
        nodes.append(LineageNode("reference", "outputs given by the user", (_short_digest(data.reference),)))
    return tuple(nodes)


def _artifact(manifest: Manifest, record: ArtifactRecord) -> LineageNode:
    file = manifest.files[record.file]
    details = (
        display_text(", ".join(record.lineage), 160),
        f"{format_kb(file.size_bytes)} kB, {_short_digest(file.sha256)}",
    )
    return LineageNode("artifact", record.recipe, details, record.verdict.status)


def _short_digest(digest: str | None) -> str:
    return "" if digest is None else f"sha256 {digest.removeprefix('sha256:')[:_HEX]}…"
