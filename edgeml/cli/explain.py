"""`edgeml explain`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeml.cli.output import console, json_option, print_json

if TYPE_CHECKING:
    from edgeml.core.records.evidence import Drop, McNemar, Metrics
    from edgeml.core.records.evidence_details import Evidence, Flip
    from edgeml.core.tensors import Label
    from edgeml.package.explain import Explanation

__all__ = ["command"]

_SHOWN = 5
_WIDTH = 40
_METRICS = {"accuracy": "accuracy", "r2": "R²", "relative_mse": "relative MSE"}


@click.command("explain", short_help="Tell why artifacts were released, rejected or refused.")
@click.argument("package", type=click.Path(path_type=Path))
@click.option("--artifact", metavar="ID", help="Only this one, for instance tflite-int8.")
@json_option
def command(package: Path, *, artifact: str | None, as_json: bool) -> None:
    """Tell for each artifact of PACKAGE why its verdict is what it is, in words and figures.

    \b
    edgeml explain net.edgeml
    edgeml explain net.edgeml --artifact tflite-int8
    edgeml explain net.edgeml --json | jq '.artifacts[].evaluation.mcnemar'

    Tells the drop with its 95% interval, whether it may be chance (McNemar's exact test), which samples changed
    their label, the worst classes, how well probabilities are calibrated, the SQNR of each output, and of an
    open verdict how many samples would settle it.
    """
    from edgeml.package import open_package
    from edgeml.package.explain import explain

    opened = open_package(package)
    found = explain(opened, artifact)
    if as_json:
        print_json(found)
        return
    out, data = console(), opened.manifest.data
    out.print(
        f"{opened.manifest.name} {opened.manifest.version}, judged on {data.judged_samples} {data.judged_on} samples"
    )
    blocks = [(f"{item.recipe} is {item.verdict.status}.", list(_lines(item))) for item in found.artifacts]
    for refused in found.refused:
        lines = [("because", refused.reason), *([("fix", refused.fix)] if refused.fix else [])]
        blocks.append((f"{refused.recipe} is refused.", lines))
    for heading, lines in blocks:
        out.print()
        out.print(heading, style="bold")
        for title, text in lines:
            out.print(f"  {title:12}{text}", soft_wrap=True)


def _lines(found: Explanation) -> Iterator[tuple[str, str]]:
    """A title and a sentence for each thing that is known."""
    from edgeml.core.records.evidence_details import Evidence

    evaluation, evidence = found.evaluation, found.evidence or Evidence()
    for reason in found.verdict.reasons:
        yield "because", f"{reason}."
    for remark in found.verdict.remarks:
        yield "but", f"{remark}."
    if evaluation.drop is not None and found.max_drop is not None:
        yield "drop", _drop(evaluation.drop, found.max_drop, (evaluation.source_metrics, evaluation.metrics))
    if evaluation.mcnemar is not None:
        yield "McNemar", _mcnemar(evaluation.mcnemar, evaluation.fidelity.samples)
    yield from _labels(found, evidence)
    yield from _values(found, evidence)
    for name, parity in evidence.parity.items() or {"outputs": evaluation.fidelity}.items():
        yield "SQNR", f"{name}: {parity.sqnr_db:.1f} dB, the largest difference {parity.max_error:.2g}."


def _drop(drop: Drop, bound: float, metrics: Iterable[Metrics | None]) -> str:
    values = [getattr(one, drop.metric, None) for one in metrics]
    form = ".2%" if drop.metric == "accuracy" else ".4f"
    went = "" if None in values else f" {' -> '.join(f'{value:{form}}' for value in values)},"
    points = drop.metric == "accuracy"
    value, low, high = (f"{100 * one:+.2f}" if points else f"{one:+.4f}" for one in (drop.value, drop.low, drop.high))
    unit, most = (" points", 100 * bound) if points else ("", bound)
    return (
        f"{_METRICS[drop.metric]}{went} a drop of {value}{unit}, 95% interval {low} to {high} ({drop.method}); "
        f"the goal is at most {most:g}."
    )


def _mcnemar(test: McNemar, samples: int) -> str:
    return (
        f"of {samples} samples the source alone is right on {test.lost}, the artifact alone on {test.gained}: "
        f"{test.significance}, p = {test.p_value:.2g}."
    )


def _labels(found: Explanation, evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Of a classifier: flips, worst classes, calibration."""
    fidelity, evaluation = found.evaluation.fidelity, found.evaluation
    if fidelity.flips is not None:
        agree = "" if fidelity.agreement is None else f", {fidelity.agreement:.2%} agree"
        listed = _listed(map(_flip, evidence.flips), fidelity.flips)
        yield "flips", f"{fidelity.flips} of {fidelity.samples}{agree}{listed}."
    if evidence.recalls:
        worst = (
            f"{_name(one.label)} {one.source_recall:.1%} -> {one.recall:.1%} of {one.samples}"
            for one in evidence.worst_classes
        )
        yield "classes", f"{len(evidence.worst_classes)} lost recall{_listed(worst, len(evidence.worst_classes))}."
    if evaluation.source_ece is not None and evaluation.ece is not None:
        before, after = evaluation.source_ece, evaluation.ece
        yield "calibration", f"the expected error of the top probability (ECE): {before:.2%} -> {after:.2%}."


def _values(found: Explanation, evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Of a regressor or an autoencoder: errors, worst samples, worst outputs."""
    metrics, rise = found.evaluation.metrics, found.evaluation.error_rise
    if metrics is None or metrics.mae is None:
        return
    yield "errors", f"{_errors(found.evaluation.source_metrics)} -> {_errors(metrics)}."
    if rise is not None:
        yield "MAE", f"a rise of {rise.value:+.3g}, 95% interval {rise.low:+.3g} to {rise.high:+.3g} ({rise.method})."
    samples = (
        f"{one.sample} by {one.artifact - one.source:.2g} to {one.artifact:.3g}" for one in evidence.worst_samples
    )
    yield "samples", f"the largest rises of the absolute error{_listed(samples, len(evidence.worst_samples))}."
    for one in evidence.outputs[:_SHOWN]:
        yield f"output {one.output}", f"{_errors(one.source)} -> {_errors(one.artifact)}."


def _listed(items: Iterable[str], count: int) -> str:
    """The first of them behind a colon; nothing of none."""
    shown = [item for item, _ in zip(items, range(_SHOWN), strict=False)]
    return f": {'; '.join(shown)}{'; …' if count > len(shown) else ''}" if shown else ""


def _flip(flip: Flip) -> str:
    given = "none of the labels" if flip.artifact is None else _name(flip.artifact)
    truth = "" if flip.truth is None else f" (truly {_name(flip.truth)})"
    return f"{flip.sample} {_name(flip.source)} -> {given}{truth}"


def _name(label: Label) -> str:
    return str(label) if len(str(label)) <= _WIDTH else f"{str(label)[:_WIDTH]}…"


def _errors(metrics: Metrics | None) -> str:
    named = {"mse": "MSE", "mae": "MAE", "r2": "R²", "relative_mse": "relative MSE"}
    found = {title: getattr(metrics, name, None) for name, title in named.items()}
    return ", ".join(f"{title} {value:.4g}" for title, value in found.items() if value is not None)
