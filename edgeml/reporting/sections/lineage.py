"""From data to artifacts: what was made of what, and by what."""

from __future__ import annotations

from edgeml.package.manifest import ArtifactRecord, DataRecord, Manifest
from edgeml.reporting.document import Lineage, Section, Step
from edgeml.reporting.formatting import first, kilobytes, shown
from edgeml.trainers.result import TrainingCurves

__all__ = ["lineage_section"]

_HEX = 12


def lineage_section(manifest: Manifest, training: TrainingCurves | None) -> Section:
    """Data, source, conversions, artifacts."""
    source = manifest.source
    details = [source.task or "no task", _short(source.digest)]
    details += [f"{shown(name)} {shown(version, 24)}" for name, version in sorted(source.versions.items())]
    if training is not None:
        details.insert(1, f"trained in {len(training.history)} epochs, the best is {training.best_epoch}")
    model = Step("source", shown(f"{source.framework} {source.architecture}"), tuple(details))
    artifacts, left_out = first([_artifact(manifest, record) for record in manifest.artifacts], 40)
    package = Step(
        "package", shown(f"{manifest.name} {manifest.version}"),
        (f"format {manifest.format}, edgeml {shown(manifest.edgeml, 24)}", f"{len(manifest.files):,} entries"),
    )  # fmt: skip
    stages = (("Data", _data(manifest.data)), ("Model", (model,)), ("Artifacts", artifacts), ("Package", (package,)))
    picture = Lineage(tuple((name, steps) for name, steps in stages if steps), left_out)
    return Section("lineage", "Lineage", (picture,))


def _data(data: DataRecord) -> tuple[Step, ...]:
    steps = []
    if data.calibration_samples:
        steps.append(
            Step("calibration", f"{data.calibration_samples:,} samples", (_short(data.calibration), "to find ranges"))
        )
    about = ["with true labels or values" if data.labelled else "without labels"]
    if data.overlap:
        about.append(f"{data.overlap:,} are calibration samples too")
    if data.judged_on == "evaluation":
        steps.append(Step("evaluation", f"{data.judged_samples:,} samples", (_short(data.evaluation), *about)))
    else:
        what = f"judged on {data.judged_samples:,} {shown(data.judged_on)} samples"
        steps.append(Step("evaluation", what, ("no evaluation data were given",)))
    if data.reference is not None:
        steps.append(Step("reference", "answers that were given", (_short(data.reference),)))
    return tuple(steps)


def _artifact(manifest: Manifest, record: ArtifactRecord) -> Step:
    file = manifest.files[record.file]
    details = (shown(", ".join(record.lineage), 160), f"{kilobytes(file.size_bytes)} kB, {_short(file.sha256)}")
    return Step("artifact", record.recipe, details, record.verdict.status)


def _short(digest: str | None) -> str:
    return "" if digest is None else f"sha256 {digest.removeprefix('sha256:')[:_HEX]}…"
