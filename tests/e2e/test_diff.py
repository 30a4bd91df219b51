"""`edgeml diff` on packages of real trainings."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgeml
from edgeml.core.worker import Worker
from edgeml.trainers.digits import Digits, TrainerSettings
from tests.support.forging import forged

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
    with Worker("edgeml.trainers.digits:DigitsTrainer", TrainerSettings(folder, seed=1), folder) as trainer:
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


def test_the_table_keeps_within_80_columns(run: Run, nets: Path) -> None:
    done = run("diff", "old.edgeml", "new.edgeml", "--inputs", "x.npz", cwd=nets)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    rows = [line for line in lines if " old released " in line or " new released " in line]
    assert len(rows) == 4
    assert max(map(len, rows)) <= 80
    assert "/600" in rows[1]
    assert "  version: 1.0.0 -> 1.1.0" in lines
    assert any(" gives other labels for " in line and "row " in line for line in lines)
    assert lines[-1].startswith("Compatible: ")
    assert "XNNPACK" not in done.stderr


def test_the_same_package(run: Run, nets: Path) -> None:
    done = run("diff", "old.edgeml", "old.edgeml", "--fail-if-incompatible", cwd=nets)
    assert done.returncode == 0
    assert done.stderr.startswith("The two files are the same: sha256:")


def test_a_lost_recipe_and_labels_in_another_order(run: Run, nets: Path) -> None:
    done = run("diff", "new.edgeml", "less.edgeml", cwd=nets)
    assert done.returncode == 0
    assert done.stderr.endswith("Not compatible:\n  tflite-int8: was released and is not in the new package.\n")
    assert "  same\n" in done.stderr  # the other one's file
    assert run("diff", "new.edgeml", "less.edgeml", "--fail-if-incompatible", cwd=nets).returncode == 1
    done = run("diff", "old.edgeml", "reordered.edgeml", cwd=nets)
    assert "  moved: 9, 8\n" in done.stderr
    assert done.stderr.endswith("Not compatible:\n  2 labels have another position among the scores.\n")


def test_hostile_labels_are_text(run: Run, nets: Path) -> None:
    done = run("diff", "old.edgeml", "hostile.edgeml", "--inputs", "x.npz", cwd=nets)
    assert done.returncode == 0, done.stderr
    assert "[red]one[/red], \\x1b[2Jtwo, three\\nCompatible:, \\u202efour, 55" in done.stderr
    assert "\x1b" not in done.stderr
    assert "Not compatible:" in done.stderr.splitlines()
    assert max(map(len, done.stderr.splitlines())) < 600


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["old.edgeml", "absent.edgeml"], 2, ["no such file"]),
        (["old.edgeml", "x.npz"], 3, ["x.npz"]),
        (["old.edgeml", "cut.edgeml"], 3, ["no sound package"]),
        (["damaged.edgeml", "old.edgeml"], 3, ["checksum"]),
        (["old.edgeml", "new.edgeml", "--inputs", "absent.npz"], 2, ["no such file"]),
        (["old.edgeml", "new.edgeml", "--inputs", "narrow.npz"], 2, ["[600, 4, 8, 1]", "[samples, 8, 8, 1]"]),
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
