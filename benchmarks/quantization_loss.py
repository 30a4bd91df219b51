"""What each recipe costs in accuracy, on models with true labels or targets: paired, with what may be chance.

    python benchmarks/quantization_loss.py MLPERF_FOLDER [--model kws]... [--json FILE]

Keyword spotting on 400 recordings; a convolutional net, a pipeline and a forest on 600 held-out digits; gradient
boosting on held-out patients (R²). `drop` is the source's metric less the artifact's, with a 95% interval; `p` that of
McNemar's exact test of the samples `lost` and `gained`; `to settle` the samples from which on the interval would leave
out the goal of 0.01; ECE the error of the top probability, of the source and the artifact. Recipes that are refused
are not listed.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from interleaved import table, write
from mlperf_tiny import MODELS
from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.model_selection import train_test_split

import edgeml
from edgeml.demo.digits import DigitsTrainer, TrainerSettings
from edgeml.package.manifest import ArtifactRecord

EPOCHS = 12


def kws(mlperf: Path, _: Path) -> edgeml.Package:
    """MLPerf Tiny's DS-CNN."""
    file, make = MODELS["kws"]
    data = make(mlperf)
    return edgeml.build(
        mlperf / "models" / file, calibration=data.calibration, evaluation=(data.evaluation, data.truth)
    )


def digits_net(_: Path, folder: Path) -> edgeml.Package:
    """The demo's convolutional net."""
    trainer = DigitsTrainer(TrainerSettings(folder))
    data = trainer.data()
    evaluation = (data.evaluation, data.evaluation_labels)
    return edgeml.build(trainer.train_net(EPOCHS), calibration=data.calibration, evaluation=evaluation)


def digits_pipeline(_: Path, folder: Path) -> edgeml.Package:
    """The demo's scaler, PCA and logistic regression."""
    trainer = DigitsTrainer(TrainerSettings(folder))
    data = trainer.data()
    rows, held_out = (images.reshape(-1, 64) for images in (data.calibration, data.evaluation))
    return edgeml.build(trainer.train_pipeline(), calibration=rows, evaluation=(held_out, data.evaluation_labels))


def digits_forest(_: Path, folder: Path) -> edgeml.Package:
    """A hundred trees on the same digits."""
    data = DigitsTrainer(TrainerSettings(folder)).data()
    rows, held_out = (images.reshape(-1, 64) for images in (data.train, data.evaluation))
    forest = RandomForestClassifier(100, random_state=0).fit(rows, data.train_labels)
    return edgeml.build(forest, calibration=rows[:200], evaluation=(held_out, data.evaluation_labels))


def diabetes(_: Path, __: Path) -> edgeml.Package:
    """A regressor on ten measurements of patients."""
    x, held_out, y, truth = train_test_split(*load_diabetes(return_X_y=True), test_size=0.4, random_state=0)
    model = GradientBoostingRegressor(random_state=0).fit(x, y)
    return edgeml.build(model, calibration=x, evaluation=(held_out, truth))


SOURCES: dict[str, Callable[[Path, Path], edgeml.Package]] = {
    "kws": kws,
    "digits net": digits_net,
    "digits pipeline": digits_pipeline,
    "digits forest": digits_forest,
    "diabetes": diabetes,
}


def row(model: str, record: ArtifactRecord) -> dict:
    """One artifact's loss; what does not apply to it stays empty."""
    found, fidelity = record.evaluation, record.evaluation.fidelity
    drop, mcnemar, worst = found.drop, found.mcnemar, found.worst_class
    assert drop is not None
    if worst is not None and worst.recall >= worst.source_recall:
        worst = None
    return {
        "model": model,
        "artifact": record.recipe,
        "metric": drop.metric,
        "source": getattr(found.source_metrics, drop.metric),
        "drop": drop.value,
        "low": drop.low,
        "high": drop.high,
        "lost": "" if mcnemar is None else mcnemar.lost,
        "gained": "" if mcnemar is None else mcnemar.gained,
        "p": "" if mcnemar is None else mcnemar.p_value,
        "flips": "" if fidelity.flips is None else fidelity.flips,
        "SQNR dB": fidelity.sqnr_db,
        "worst class": "" if worst is None else f"{worst.label}: {worst.source_recall:.1%} -> {worst.recall:.1%}",
        "source ECE": "" if found.source_ece is None else found.source_ece,
        "ECE": "" if found.ece is None else found.ece,
        "to settle": record.verdict.samples_to_settle or "",
        "verdict": record.verdict.status,
    }


def main() -> None:
    """Builds the models and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", choices=SOURCES, action="append", help="repeatable; all by default")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    for name in given.model or SOURCES:
        with tempfile.TemporaryDirectory() as folder:
            package = SOURCES[name](given.folder, Path(folder))
        rows += [row(name, record) for record in package.manifest.artifacts]
    print(table(rows))
    write(given.json, rows)


if __name__ == "__main__":
    main()
