"""`edgeml diff`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeml.cli.columns import print_columns
from edgeml.cli.options import limits_of, limits_options, trust_option
from edgeml.cli.output import console, json_option, print_json
from edgeml.core.records.evidence import PERCENT_METRICS

if TYPE_CHECKING:
    from rich.console import Console

    from edgeml.package.diff import ArtifactDiff, Change, Figures, LabelsDiff, PackageDiff, PredictionDiff

__all__ = ["command"]

_SHOWN = 10
_SHOWN_FLIPS = 5
_WIDTH = 200
_PATH = click.Path(path_type=Path)


@click.command("diff", short_help="Show what changed from one package to the next.")
@click.argument("old", type=_PATH)
@click.argument("new", type=_PATH)
@click.option("--inputs", type=_PATH, help="Inputs to run both on, .npy or .npz; by default their golden inputs.")
@click.option("--results", type=_PATH, multiple=True, help="Results of edgeml bench on OLD or NEW. Repeatable.")
@click.option("--fail-if-incompatible", is_flag=True, help="Exit with 1 if NEW cannot replace OLD.")
@trust_option
@limits_options
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    old: Path,
    new: Path,
    *,
    inputs: Path | None,
    results: tuple[Path, ...],
    fail_if_incompatible: bool,
    trust_source: bool,
    memory_mb: float | None,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Show what changed from OLD to NEW, and whether NEW can replace OLD.

    \b
    edgeml diff net.edgeml new.edgeml
    edgeml diff net.edgeml new.edgeml --inputs x.npy
    edgeml diff net.edgeml new.edgeml --results net.json --results new.json
    edgeml diff net.edgeml new.edgeml --fail-if-incompatible --json | jq .reasons

    Compares names, labels, inputs and outputs, and each artifact's size, accuracy, parity, latency and needs, and
    the evidence: agreement, flips, McNemar's test, calibration, the recall of classes. Figures that only one
    package has are shown as missing. The same inputs run through each artifact of both, if its engine is
    installed, and labels that changed are counted and named.

    NEW is compatible if it has the same inputs, outputs, labels and preprocessing, each released artifact is still
    released, and nothing more is needed to run it.
    """
    from edgeml.cli.package_files import check_package_file
    from edgeml.cli.predict_worker import running
    from edgeml.package.diff import PackageDiff

    check_package_file(new)
    with running(old, limits_of(memory_mb, timeout_s), trust=trust_source) as child:
        files = [path.absolute() for path in results]
        diff = child.call("diff", new.absolute(), inputs and inputs.absolute(), files, returns=PackageDiff)
    if as_json:
        print_json(diff)
    else:
        _show(diff, console())
    ctx.exit(1 if fail_if_incompatible and not diff.compatible else 0)


def _show(diff: PackageDiff, out: Console) -> None:
    from edgeml.cli.diff_evidence import print_evidence
    from edgeml.cli.diff_measured import measured_lines

    if diff.same:
        out.print(f"The two files are the same: {diff.new_digest}", soft_wrap=True)
        return
    _list(out, "changed", map(_change, diff.identity))
    _list(out, "labels", _labels(diff.labels))
    _list(out, "signature", map(_change, diff.signature))
    _list(out, "preprocessing", map(_change, diff.preprocessing))
    predictions = {prediction.recipe: prediction for prediction in diff.predictions}
    if diff.artifacts:
        _print_artifacts(out, diff.artifacts, predictions)
    print_evidence(out, diff.artifacts)
    notes = [note for artifact in diff.artifacts for note in _notes(artifact, predictions.get(artifact.recipe))]
    _list(out, "artifacts", notes)
    _list(out, "measured", measured_lines(diff.measured))
    _list(out, "look at", diff.remarks)
    if diff.compatible:
        out.print("Compatible: the same inputs, outputs and labels, nothing lost, and no new need.", soft_wrap=True)
        return
    _list(out, "Not compatible:", diff.reasons)


def _list(out: Console, title: str, lines: Iterable[str]) -> None:
    for i, line in enumerate(lines):
        if i == 0:
            out.print(title, style="bold")
        out.print(f"  {line}", soft_wrap=True)


def _change(change: Change) -> str:
    old, new = (_short(value) if value is not None else "none" for value in (change.old, change.new))
    return f"{change.what}: {old} -> {new}"


def _short(text: str) -> str:
    return f"{text[:19]}…" if text.startswith("sha256:") else text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"


def _labels(labels: LabelsDiff) -> list[str]:
    groups = (("added", labels.added), ("removed", labels.removed), ("moved", labels.moved))
    return [
        f"{name}: {', '.join(_short(str(value)) for value in values[:_SHOWN])}{', …' if len(values) > _SHOWN else ''}"
        for name, values in groups
        if values
    ]


def _print_artifacts(out: Console, artifacts: Iterable[ArtifactDiff], predictions: dict[str, PredictionDiff]) -> None:
    """Print two rows for each artifact, old above new; one for an artifact that is the same."""
    artifacts = tuple(artifacts)
    sides = [side for artifact in artifacts for side in (artifact.old, artifact.new) if side is not None]
    metrics = {side.metric for side in sides if side.metric}
    metric = metrics.pop() if len(metrics) == 1 else "metric"
    figures = ["kB", metric, "drop", "SQNR"]
    if any(side.median_ms is not None for side in sides):
        figures.append("ms")
    rows: list[list[str]] = []
    styles: list[str | None] = []
    for artifact in artifacts:
        prediction = predictions.get(artifact.recipe)
        same = artifact.same_bytes and artifact.old == artifact.new
        if same:
            rows.append([artifact.recipe, "=", *_cells(artifact.new, figures), _flips(prediction)])
        else:
            rows.append([artifact.recipe, "old", *_cells(artifact.old, figures), ""])
            rows.append(["", "new", *_cells(artifact.new, figures), _flips(prediction)])
        styles += ["dim"] if same else [None, None]
    titles = ["artifact", "", "verdict", *figures, "flips"]
    columns = {title: [row[i] for row in rows] for i, title in enumerate(titles)}
    print_columns(out, columns, keys={"artifact", ""}, keep={"verdict"}, left={"verdict"}, styles=styles)


def _cells(side: Figures | None, columns: list[str]) -> list[str]:
    if side is None:
        return ["-"] * (len(columns) + 1)
    percent = side.metric in PERCENT_METRICS
    cells = [
        side.status,
        _cell(side.size_bytes and side.size_bytes / 1000, ".1f"),
        _cell(side.value, ".1%" if percent else ".4f"),
        _cell(side.drop if side.drop is None or not percent else 100 * side.drop, "+.1f" if percent else "+.4f"),
        _cell(side.sqnr_db, ".1f"),
    ]
    return [*cells, _cell(side.median_ms, ".3f")] if "ms" in columns else cells


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _flips(prediction: PredictionDiff | None) -> str:
    if prediction is None or prediction.flipped is None:
        return "same" if prediction is not None and prediction.status == "same" else "-"
    return f"{prediction.flipped}/{prediction.samples}"


def _notes(artifact: ArtifactDiff, prediction: PredictionDiff | None) -> list[str]:
    """Describe the changes of an artifact that do not fit into the tables."""
    from edgeml.cli.diff_evidence import evidence_notes

    notes = [f"{artifact.recipe}: {_needs(change)}" for change in artifact.needs]
    notes += evidence_notes(artifact)
    if prediction is None:
        return notes
    if prediction.status == "not run":
        notes.append(f"{prediction.recipe} was not run: {prediction.detail}")
    elif prediction.flips:
        shown = "; ".join(
            f"{flip.sample}: {_short(str(flip.old))} -> {_short(str(flip.new))}"
            for flip in prediction.flips[:_SHOWN_FLIPS]
        )
        more = "; …" if (prediction.flipped or 0) > _SHOWN_FLIPS else ""
        notes.append(
            f"{prediction.recipe} returns other labels for {prediction.flipped} of {prediction.samples}: {shown}{more}"
        )
    elif prediction.status == "ran" and prediction.flipped is None and prediction.max_difference is not None:
        notes.append(
            f"{prediction.recipe} differs by up to {prediction.max_difference:.3g} over {prediction.samples} samples"
        )
    return notes


def _needs(change: Change) -> str:
    """Describe a change of needs; of lists only the items that were added and removed."""
    if change.what not in {"operators", "CPU features"}:
        return _change(change)
    old, new = (dict.fromkeys((value or "").split(", ")) for value in (change.old, change.new))
    parts = [f"+{name}" for name in new if name and name not in old] + [
        f"-{name}" for name in old if name and name not in new
    ]
    return f"{change.what} {' '.join(parts) or 'in another order'}"
