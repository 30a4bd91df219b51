"""Accuracy beside speed: the five MLPerf Tiny models by all recipes, and MLPerf's own files in the same run.

    python benchmarks/mlperf_tiny_speed.py MLPERF_FOLDER [--model kws]... [--seconds 1] [--json FILE]

One sample at a time through the session (median and 90th percentile), samples a second of many on all cores, size, and
the arena that TFLite Micro needs on this host. Accuracy where there is truth: kws on 400 recordings, sww on 15. The
drop, of MLPerf's files too, is that from the source's metric: of accuracy, and of ad of its relative squared error. The
models and the data are those of benchmarks/mlperf_tiny.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from interleaved import table, write
from mlperf_tiny import MODELS, Data

import edgeml
from edgeml.core.errors import EdgemlError
from edgeml.core.records.benchmark_results import Measurement
from edgeml.core.records.evidence import Metrics
from edgeml.measurement import Options, bench

REFERENCES = {
    "kws": ("kws_ref_model_float32.tflite", "kws_ref_model.tflite"),
    "vww": ("vww_96_float.tflite", "vww_96_int8.tflite"),
    "ic": ("pretrainedResnet.tflite", "pretrainedResnet_quant.tflite"),
    "ad": ("ad01_fp32.tflite", "ad01_int8.tflite"),
    "sww": ("str_ww_ref_model.tflite",),
}


def rows_of(model: str, told: str, package: edgeml.Package, source: Metrics | None, seconds: float) -> list[dict]:
    """A row for each artifact, beside the source's metrics."""
    recipes = [record.recipe for record in package.manifest.artifacts]
    results = bench(package, artifacts=recipes, options=Options(seconds=seconds, cold_starts=0))
    found = {(item.artifact, item.scenario): item for item in results.measurements}
    return [row(model, told, package, recipe, source, found) for recipe in recipes]


def row(
    model: str,
    told: str,
    package: edgeml.Package,
    recipe: str,
    source: Metrics | None,
    found: dict[tuple[str, str], Measurement],
) -> dict:
    """One artifact; what is not known stays empty."""
    single, offline = found[recipe, "single-stream"], found[recipe, "offline"]
    at = {quantile.at: quantile.ms for quantile in single.latency}
    record = package.artifact(recipe)
    metrics = record.evaluation.metrics
    return {
        "model": model,
        "artifact": told.format(recipe),
        "kB": single.size_bytes / 1000,
        "accuracy": metrics.accuracy if metrics is not None and metrics.accuracy is not None else "",
        "drop": drop_of(source, metrics),
        "median us": 1000 * at[0.5].value,
        "low": 1000 * (at[0.5].low or 0.0),
        "high": 1000 * (at[0.5].high or 0.0),
        "p90 us": 1000 * at[0.9].value,
        "samples/s": offline.throughput.value if offline.throughput is not None else "",
        "arena bytes": arena_bytes(package, recipe),
        "verdict": record.verdict.status,
        "doubts": " ".join(single.conditions.flags),
    }


def drop_of(source: Metrics | None, metrics: Metrics | None) -> float | str:
    """How far the metric fell below the source's; empty where it has none."""
    if source is None or metrics is None:
        return ""
    if source.accuracy is not None and metrics.accuracy is not None:
        return source.accuracy - metrics.accuracy
    if source.relative_mse is not None and metrics.relative_mse is not None:
        return metrics.relative_mse - source.relative_mse
    return ""


def arena_bytes(package: edgeml.Package, recipe: str) -> int | str:
    """What TFLite Micro needs; empty where it is not installed, or does not take the artifact."""
    if not recipe.startswith("tflite"):
        return ""
    try:
        with package.session(recipe, target="micro") as session:
            return int(getattr(session, "arena_bytes"))  # noqa: B009 - of this target's sessions alone
    except EdgemlError:
        return ""


def built(source: Path, name: str, data: Data) -> edgeml.Package:
    """A model as a package, judged on the data; files in int8 are taken as they are."""
    evaluation = data.evaluation if data.truth is None else (data.evaluation, data.truth)
    calibration = None if source.suffix == ".tflite" else data.calibration
    return edgeml.build(
        source,
        name=name,
        calibration=calibration,
        evaluation=evaluation,
        task="reconstruction" if name == "ad" else None,
    )


def main() -> None:
    """Builds, measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", choices=MODELS, action="append", help="repeatable; all by default")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    for name in given.model or MODELS:
        file, make = MODELS[name]
        data = make(given.folder)
        models = given.folder / "models"
        package = built(models / file, name, data)
        source = package.manifest.artifacts[0].evaluation.source_metrics
        rows += rows_of(name, "{}", package, source, given.seconds)
        for reference in REFERENCES[name]:
            rows += rows_of(name, f"MLPerf's {reference}", built(models / reference, name, data), source, given.seconds)
    print(table(rows))
    write(given.json, rows)


if __name__ == "__main__":
    main()
