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


@click.command("explain", short_help="Explain why artifacts were released, rejected or refused.")
@click.argument("package", type=click.Path(path_type=Path))
@click.option("--artifact", metavar="ID", help="Only this artifact, for instance tflite-int8.")
@json_option
def command(package: Path, *, artifact: str | None, as_json: bool) -> None:
    """Explain the verdict on each artifact of PACKAGE, in words and figures.

    \b
    edgeml explain net.edgeml
    edgeml explain net.edgeml --artifact tflite-int8
    edgeml explain net.edgeml --json | jq '.artifacts[].evaluation.mcnemar'

    Shows the drop with its 95% interval, whether it is significant (McNemar's exact test), the samples that changed
    their label, the worst classes, how well probabilities are calibrated, the SQNR of each output, and for an open
    verdict how many samples would settle it.
    """
    from edgeml.cli.package_files import open_package_file
    from edgeml.package.explain import explain

    opened = open_package_file(package)
    explanation = explain(opened, artifact)
    if as_json:
        print_json(explanation)
        return
    out, data = console(), opened.manifest.data
    out.print(
        f"{opened.manifest.name} {opened.manifest.version}, judged on {data.judged_samples} {data.judged_on} samples"
    )
    blocks = [(f"{item.recipe} is {item.verdict.status}.", list(_lines(item))) for item in explanation.artifacts]
    for refused in explanation.refused:
        lines = [("because", refused.reason), *([("fix", refused.fix)] if refused.fix else [])]
        blocks.append((f"{refused.recipe} is refused.", lines))
    for heading, lines in blocks:
        out.print()
        out.print(heading, style="bold")
        for title, text in lines:
            out.print(f"  {title:12}{text}", soft_wrap=True)


def _lines(explanation: Explanation) -> Iterator[tuple[str, str]]:
    """Yield a title and a sentence for each known figure of an artifact."""
    from edgeml.core.records.evidence_details import Evidence

    evaluation, evidence = explanation.evaluation, explanation.evidence or Evidence()
    for reason in explanation.verdict.reasons:
        yield "because", f"{reason}."
    for remark in explanation.verdict.remarks:
        yield "but", f"{remark}."
    if evaluation.drop is not None and explanation.max_drop is not None:
        yield "drop", _drop(evaluation.drop, explanation.max_drop, (evaluation.source_metrics, evaluation.metrics))
    if evaluation.mcnemar is not None:
        yield "McNemar", _mcnemar(evaluation.mcnemar, evaluation.fidelity.samples)
    yield from _label_lines(explanation, evidence)
    yield from _value_lines(explanation, evidence)
    for name, parity in evidence.parity.items() or {"outputs": evaluation.fidelity}.items():
        if parity.equal is not None:
            yield "equality", f"{name}: {parity.equal:.2%} of the integers equal the source's."
        if parity.float_sqnr_db is not None:
            yield "SQNR", f"{name}: {parity.sqnr_db:.1f} dB, the largest difference {parity.max_error:.2g}."


def _drop(drop: Drop, bound: float, metrics: Iterable[Metrics | None]) -> str:
    from edgeml.core.records.evidence import METRIC_NAMES, PERCENT_METRICS, format_drop

    values = [getattr(item, drop.metric, None) for item in metrics]
    form = ".2%" if drop.metric in PERCENT_METRICS else ".4f"
    change = "" if None in values else f" {' -> '.join(f'{value:{form}}' for value in values)},"
    value, low, high = (format_drop(end, drop.metric, sign="+") for end in (drop.value, drop.low, drop.high))
    place = f" of '{drop.output}'" if drop.output is not None else ""
    goal = f"{100 * bound:g}%" if drop.metric in PERCENT_METRICS else f"{bound:g}"
    return (
        f"{METRIC_NAMES[drop.metric]}{place}{change} a drop of {value}, 95% interval {low} to {high} ({drop.method}); "
        f"the goal is at most {goal}."
    )


def _mcnemar(test: McNemar, samples: int) -> str:
    from edgeml.core.records.evidence import SIGNIFICANCE_LEVEL

    significance = "significant" if test.p_value < SIGNIFICANCE_LEVEL else "not significant"
    return (
        f"of {samples} samples the source alone is right on {test.lost}, the artifact alone on {test.gained}: "
        f"{significance} (p = {test.p_value:.2g})."
    )


def _label_lines(explanation: Explanation, evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Yield the flips, the worst classes and the calibration of a classifier."""
    fidelity, evaluation = explanation.evaluation.fidelity, explanation.evaluation
    if fidelity.flips is not None:
        agree = "" if fidelity.agreement is None else f", {fidelity.agreement:.2%} agree"
        listed = _list_first(map(_flip, evidence.flips), fidelity.flips)
        yield "flips", f"{fidelity.flips} of {fidelity.labels or fidelity.samples}{agree}{listed}."
    if evidence.recalls:
        worst = (
            f"{_name(item.label)} {item.source_recall:.1%} -> {item.recall:.1%} of {item.samples}"
            for item in evidence.worst_classes
        )
        yield "classes", f"{len(evidence.worst_classes)} lost recall{_list_first(worst, len(evidence.worst_classes))}."
    if evaluation.source_ece is not None and evaluation.ece is not None:
        before, after = evaluation.source_ece, evaluation.ece
        yield "calibration", f"the expected error of the top probability (ECE): {before:.2%} -> {after:.2%}."


def _value_lines(explanation: Explanation, evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Yield the errors, the worst samples and the worst outputs of a regressor or an autoencoder."""
    metrics, rise = explanation.evaluation.metrics, explanation.evaluation.error_rise
    if metrics is None or metrics.mae is None:
        return
    yield "errors", f"{_errors(explanation.evaluation.source_metrics)} -> {_errors(metrics)}."
    if rise is not None:
        yield "MAE", f"a rise of {rise.value:+.3g}, 95% interval {rise.low:+.3g} to {rise.high:+.3g} ({rise.method})."
    samples = (
        f"{item.sample} by {item.artifact - item.source:.2g} to {item.artifact:.3g}" for item in evidence.worst_samples
    )
    if evidence.worst_samples:
        yield "samples", f"the largest rises of the absolute error{_list_first(samples, len(evidence.worst_samples))}."
    for item in evidence.outputs[:_SHOWN]:
        yield f"output {item.output}", f"{_errors(item.source)} -> {_errors(item.artifact)}."


def _list_first(items: Iterable[str], count: int) -> str:
    """Join the first items behind a colon; return nothing if there are none."""
    shown = [item for item, _ in zip(items, range(_SHOWN), strict=False)]
    return f": {'; '.join(shown)}{'; …' if count > len(shown) else ''}" if shown else ""


def _flip(flip: Flip) -> str:
    label = "none of the labels" if flip.artifact is None else _name(flip.artifact)
    truth = "" if flip.truth is None else f" (truly {_name(flip.truth)})"
    return f"{flip.sample} {_name(flip.source)} -> {label}{truth}"


def _name(label: Label) -> str:
    return str(label) if len(str(label)) <= _WIDTH else f"{str(label)[:_WIDTH]}…"


def _errors(metrics: Metrics | None) -> str:
    titles = {"mse": "MSE", "mae": "MAE", "r2": "R²", "relative_mse": "relative MSE"}
    values = {title: getattr(metrics, name, None) for name, title in titles.items()}
    return ", ".join(f"{title} {value:.4g}" for title, value in values.items() if value is not None)
