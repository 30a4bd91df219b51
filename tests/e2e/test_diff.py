"""`edgeml diff` on packages of real trainings."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import recall_score

import edgeml
from edgeml.core.system.worker import Worker
from edgeml.demo.digits import Digits, TrainerSettings
from tests.support.forging import forged
from tests.support.processes import repository

pytestmark = pytest.mark.slow  # trains, or converts, what all of them look at

Run = Callable[..., "subprocess.CompletedProcess[str]"]
HOSTILE = ["[red]one[/red]", "\x1b[2Jtwo", "three\nCompatible:", "\u202efour", "5" * 500, "[/]", "", "é", "日本", "9"]


def relabelled(labels: list[Any]) -> Callable[[Any, dict[str, bytes]], None]:
    return lambda manifest, contents: manifest["source"]["decision"].update(labels=labels)


def without_the_first(manifest: Any, contents: dict[str, bytes]) -> None:
    record, golden = manifest["artifacts"].pop(0), manifest["golden"]
    gone = [run for run in golden["runs"] if run["recipe"] == record["recipe"]]
    golden["runs"] = [run for run in golden["runs"] if run not in gone]
    for name in (record["file"], record["evidence"], *(name for run in gone for name in run["outputs"].values())):
        del contents[name]


@pytest.fixture(scope="module")
def nets(net_file: Path, digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with packages of two trainings, of one with other labels, and of fewer recipes."""
    folder = tmp_path_factory.mktemp("nets")
    with Worker("edgeml.demo.digits:DigitsTrainer", TrainerSettings(folder, seed=1), folder) as trainer:
        second = trainer.call("train_net", 6, returns=Path)

    def make(name: str, model: Path, recipes: Sequence[str], **options: Any) -> None:
        edgeml.build(
            model, name="digits-net", calibration=digits.calibration, recipes=recipes,
            evaluation=(digits.evaluation, digits.evaluation_labels), **options,
        ).save(folder / f"{name}.edgeml")  # fmt: skip

    make("old", net_file, ["tflite-int8", "onnx-fp32"], version="1.0.0")
    make("new", second, ["tflite-int8", "onnx-fp32"], version="1.1.0", measure=True)
    (folder / "less.edgeml").write_bytes(forged((folder / "new.edgeml").read_bytes(), without_the_first))
    old = (folder / "old.edgeml").read_bytes()
    for name, labels in (("reordered", [*range(8), 9, 8]), ("hostile", HOSTILE)):
        (folder / f"{name}.edgeml").write_bytes(forged(old, relabelled(labels)))
    np.savez(folder / "x.npz", x=digits.evaluation, y=digits.evaluation_labels)
    np.savez(folder / "narrow.npz", x=digits.evaluation[:, :4])
    return folder


def test_two_trainings(run: Run, nets: Path, digits: Digits) -> None:
    done = run("diff", "old.edgeml", "new.edgeml", "--inputs", "x.npz", "--json", "--fail-if-incompatible", cwd=nets)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["compatible"]
    assert {"version", "source digest"} <= {change["what"] for change in found["identity"]}
    for prediction in found["predictions"]:
        labels = [
            edgeml.open_package(nets / f"{name}.edgeml").session(prediction["recipe"]).classify(digits.evaluation)
            for name in ("old", "new")
        ]
        rows = np.flatnonzero(labels[0] != labels[1])
        assert (prediction["samples"], prediction["flipped"]) == (600, len(rows))
        assert len(rows) > 0
        assert prediction["flips"][0] == {
            "sample": f"row {rows[0]}", "old": int(labels[0][rows[0]]), "new": int(labels[1][rows[0]]),
        }  # fmt: skip


def expected_calibration_error(scores: np.ndarray, truth: np.ndarray) -> float:
    """By scikit-learn's bins."""
    top, right = scores.max(axis=1).astype(float), scores.argmax(axis=1) == truth
    accuracy, confidence = calibration_curve(right, top, n_bins=15)
    counts = np.histogram(top, np.linspace(0, 1, 16))[0]
    return float((counts[counts > 0] * np.abs(accuracy - confidence)).sum() / len(truth))


def test_the_evidence_of_two_trainings(run: Run, nets: Path, digits: Digits) -> None:
    done = run("diff", "old.edgeml", "new.edgeml", "--json", cwd=nets)
    found = {artifact["recipe"]: artifact for artifact in json.loads(done.stdout)["artifacts"]}["tflite-int8"]
    truth, recalls = digits.evaluation_labels, []
    for side in ("old", "new"):
        package = edgeml.open_package(nets / f"{side}.edgeml")
        # Which agrees with the source on every sample.
        source = np.asarray(package.session("onnx-fp32").predict(digits.evaluation)).argmax(axis=1)
        scores = np.asarray(package.session("tflite-int8").predict(digits.evaluation))
        given, told = scores.argmax(axis=1), found[side]
        assert (told["samples"], told["flips"]) == (600, int((source != given).sum()))
        assert told["agreement"] == pytest.approx((source == given).mean())
        lost, gained = ((source == truth) & (given != truth)).sum(), ((source != truth) & (given == truth)).sum()
        chance = binomtest(int(lost), int(lost + gained)).pvalue if lost + gained else 1.0
        assert told["mcnemar_p"] == pytest.approx(chance)
        assert told["ece"] == pytest.approx(expected_calibration_error(scores, truth), abs=1e-6)
        before, after = (recall_score(truth, labels, average=None) for labels in (source, given))
        worst = int(np.argmax(before - after))
        assert told["worst_class"]["label"] == worst
        assert told["worst_class"]["recall"] == pytest.approx(after[worst])
        recalls.append(after)
    moves = {label: (old, new) for label, (old, new) in enumerate(zip(*recalls, strict=True)) if old != new}
    assert found["recalls"]["moved"] == len(moves) > 0
    assert {one["label"]: (one["old"], one["new"]) for one in found["recalls"]["classes"]} == moves
    sizes = [abs(one["new"] - one["old"]) for one in found["recalls"]["classes"]]
    assert sizes == sorted(sizes, reverse=True)
    assert (found["missing_old"], found["missing_new"]) == (["latency"], [])


def test_figures_of_one_package_alone_are_missing(run: Run, nets: Path) -> None:
    """A package of before McNemar's test and the calibration were kept."""
    before = repository() / "tests" / "data" / "format1.edgeml"
    done = run("diff", before, "old.edgeml", "--json", cwd=nets)
    assert done.returncode == 0, done.stderr
    for artifact in json.loads(done.stdout)["artifacts"]:
        assert artifact["missing_old"] == ["McNemar's p", "ECE"]
        assert artifact["missing_new"] == ["latency"]
        assert (artifact["old"]["mcnemar_p"], artifact["old"]["ece"]) == (None, None)
        assert artifact["recalls"]["moved"] == 20  # other labels: of each one package knows nothing
        assert all(None in {one["old"], one["new"]} for one in artifact["recalls"]["classes"])
    done = run("diff", before, "old.edgeml", cwd=nets)
    assert "  tflite-int8: missing in the old package: McNemar's p, ECE\n" in done.stdout
    assert "zero 96.7% -> missing" in done.stdout


def test_the_table_keeps_within_80_columns(run: Run, nets: Path) -> None:
    done = run("diff", "old.edgeml", "new.edgeml", "--inputs", "x.npz", cwd=nets)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    rows = [line for line in lines if " old released " in line or " new released " in line]
    assert len(rows) == 4
    head = next(i for i, line in enumerate(lines) if line.startswith("by its source"))
    assert lines[head].split()[3:] == ["agree", "flips", "McNemar", "p", "ECE", "worst", "class"]
    assert all(re.search(r" (old|new) +\d+\.\d\d% +\d+/600 ", line) for line in lines[head + 1 : head + 5])
    assert max(map(len, lines[head : head + 5])) <= 80
    assert max(map(len, rows)) <= 80
    assert "/600" in rows[1]
    assert "  version: 1.0.0 -> 1.1.0" in lines
    assert any(" returns other labels for " in line and "row " in line for line in lines)
    assert lines[-1].startswith("Compatible: ")
    assert "XNNPACK" not in done.stdout


def test_the_same_package(run: Run, nets: Path) -> None:
    done = run("diff", "old.edgeml", "old.edgeml", "--fail-if-incompatible", cwd=nets)
    assert done.returncode == 0
    assert done.stdout.startswith("The two files are the same: sha256:")


def test_a_lost_recipe_and_labels_in_another_order(run: Run, nets: Path) -> None:
    done = run("diff", "new.edgeml", "less.edgeml", cwd=nets)
    assert done.returncode == 0
    assert done.stdout.endswith("Not compatible:\n  tflite-int8: was released and is not in the new package.\n")
    assert "  same\n" in done.stdout  # the other one's file
    assert run("diff", "new.edgeml", "less.edgeml", "--fail-if-incompatible", cwd=nets).returncode == 1
    done = run("diff", "old.edgeml", "reordered.edgeml", cwd=nets)
    assert "  moved: 9, 8\n" in done.stdout
    assert done.stdout.endswith("Not compatible:\n  2 labels have another position among the scores.\n")


def test_hostile_labels_are_text(run: Run, nets: Path) -> None:
    done = run("diff", "old.edgeml", "hostile.edgeml", "--inputs", "x.npz", cwd=nets)
    assert done.returncode == 0, done.stderr
    assert "[red]one[/red], \\x1b[2Jtwo, three\\nCompatible:, \\u202efour, 55" in done.stdout
    assert "\x1b" not in done.stdout
    assert "Not compatible:" in done.stdout.splitlines()
    assert max(map(len, done.stdout.splitlines())) < 600


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["old.edgeml", "absent.edgeml"], 2, ["file not found"]),
        (["old.edgeml", "x.npz"], 3, ["x.npz"]),
        (["old.edgeml", "cut.edgeml"], 3, ["not a valid package"]),
        (["damaged.edgeml", "old.edgeml"], 3, ["checksum"]),
        (["old.edgeml", "new.edgeml", "--inputs", "absent.npz"], 2, ["file not found"]),
        (["old.edgeml", "new.edgeml", "--inputs", "narrow.npz"], 2, ["[600, 4, 8, 1]", "[samples, 8, 8, 1]"]),
        (["old.edgeml", "new.edgeml", "--results", "absent.json"], 2, ["absent.json: file not found"]),
        (["old.edgeml", "new.edgeml", "--results", "x.npz"], 2, ["not a valid results file"]),
        (["old.edgeml"], 2, ["NEW"]),
    ],
)
def test_bad_input(arguments: list[str], code: int, words: list[str], run: Run, nets: Path) -> None:
    data = (nets / "old.edgeml").read_bytes()
    (nets / "cut.edgeml").write_bytes(data[:-100])
    where = data.index(b"TFL3")
    (nets / "damaged.edgeml").write_bytes(data[:where] + b"TFL4" + data[where + 4 :])
    done = run("diff", *arguments, cwd=nets)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr
