"""Commands with good and bad input: messages, exit codes, nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgeml
from edgeml.demo.digits import Digits
from tests.support.hints import UPGRADE_HINT

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Demo = tuple[Path, "subprocess.CompletedProcess[str]"]


def failed(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Asserts a clear failure: the exit code, an error line with these words, no traceback, nothing on stdout."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    message = " ".join(done.stderr.split())
    for word in words:
        assert word in message, done.stderr


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, digits: object) -> Path:
    """A folder with calibration.npz, evaluation.npz, x.npy and what is wrong with each."""
    folder = tmp_path_factory.mktemp("data")
    x, y, cal = (getattr(digits, name) for name in ("evaluation", "evaluation_labels", "calibration"))
    np.savez(folder / "calibration.npz", x=cal)
    np.savez(folder / "evaluation.npz", x=x, y=y)
    np.save(folder / "x.npy", x)
    np.savez(folder / "empty.npz", x=cal[:0])
    np.savez(folder / "nan.npz", x=np.where(np.arange(len(cal)).reshape(-1, 1, 1, 1) == 7, np.nan, cal))
    np.savez(folder / "shape.npz", x=cal[..., 0])
    np.savez(folder / "text.npz", x=cal.astype(str))
    np.savez(folder / "constant.npz", x=np.ones_like(cal))
    np.savez(folder / "unlabelled.npz", x=x)
    np.savez(folder / "unseen.npz", x=x, y=y + 5)
    np.savez(folder / "objects.npz", x=np.array([{}, []], dtype=object))
    np.savez(folder / "nothing.npz")
    with zipfile.ZipFile(folder / "other.zip", "w") as archive:
        archive.writestr("manifest.json", "{}")
    return folder


@pytest.mark.slow
def test_build_writes_a_package_that_inspect_verify_and_predict_take(
    run: Run, net_file: Path, data: Path, tmp_path: Path
) -> None:
    package = tmp_path / "net.edgeml"
    done = run(
        "build", net_file, "-o", package, "--calibration", data / "calibration.npz", "--evaluation",
        data / "evaluation.npz", "--recipe", "tflite-int8", "--recipe", "onnx-fp32", "--name", "digits",
        "--package-version", "2.1.0", "--goal", "max_drop=2%", "--goal", "max_size_bytes=100000", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    manifest = json.loads(done.stdout)
    assert (manifest["name"], manifest["version"]) == ("digits", "2.1.0")
    assert manifest["goal"] == {"max_drop": 0.02, "max_size_bytes": 100000}
    assert json.loads(run("inspect", package, "--json").stdout) == manifest
    shown = run("inspect", package)
    assert shown.returncode == 0
    assert "digits 2.1.0" in shown.stdout
    assert shown.stderr == ""
    checked = json.loads(run("verify", package, "--json").stdout)
    assert {check["status"] for check in checked["golden"]} == {"holds"}
    assert run("verify", package, "--digest", checked["digest"]).returncode == 0
    failed(run("verify", package, "--digest", "sha256:" + "0" * 64), 3, "digest", checked["digest"])
    done = run("predict", package, data / "x.npy", "-o", tmp_path / "out.npz", "--json")
    assert json.loads(done.stdout)["samples"] == 600


@pytest.mark.slow
def test_a_goal_that_is_missed_is_exit_1_and_the_package_is_there(run: Run, net_file: Path, tmp_path: Path) -> None:
    package = tmp_path / "net.edgeml"
    done = run("build", net_file, "-o", package, "--recipe", "onnx-fp32", "--goal", "max_size_bytes=1000")
    assert done.returncode == 1
    assert "more than 1000" in done.stdout
    assert edgeml.open_package(package).released == ()


@pytest.mark.slow
def test_a_rejected_artifact_runs_only_when_it_is_named(run: Run, net_file: Path, data: Path, tmp_path: Path) -> None:
    package = tmp_path / "net.edgeml"
    run("build", net_file, "-o", package, "--recipe", "onnx-fp32", "--goal", "max_size_bytes=1000")
    failed(
        run("predict", package, data / "x.npy", "-o", tmp_path / "o.npz"),
        2,
        "does not contain a released artifact",
        "--artifact",
    )
    assert not (tmp_path / "o.npz").exists()
    done = run("predict", package, data / "x.npy", "-o", tmp_path / "o.npz", "--artifact", "onnx-fp32")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("calibration", "words"),
    [
        ("empty.npz", ["calibration", "got 0 samples"]),
        ("nan.npz", ["calibration", "sample 7", "NaN"]),
        ("shape.npz", ["calibration", "[200, 8, 8]", "[samples, 8, 8, 1]"]),
        ("text.npz", ["calibration", "dtype", "expected numbers"]),
        ("constant.npz", ["calibration", "all 200 samples are the same"]),
        ("objects.npz", ["objects.npz", "does not contain arrays of numbers"]),
        ("nothing.npz", ["nothing.npz", "does not contain arrays"]),
        ("other.zip", ["other.zip", "expected .npy, .npz or .csv"]),
        ("absent.npz", ["absent.npz", "file not found"]),
    ],
)
def test_bad_calibration(
    calibration: str, words: list[str], run: Run, net_file: Path, data: Path, tmp_path: Path
) -> None:
    package = tmp_path / "net.edgeml"
    package.write_bytes(b"the old file")
    done = run(
        "build", net_file, "-o", package, "--force", "--calibration", data / calibration, "--recipe", "tflite-int8"
    )
    failed(done, 2, *words)
    assert package.read_bytes() == b"the old file"


@pytest.mark.slow
def test_evaluation_without_labels_says_that_accuracy_was_not_measured(
    run: Run, net_file: Path, data: Path, tmp_path: Path
) -> None:
    common = ["build", net_file, "-o", tmp_path / "p.edgeml", "--evaluation", data / "unlabelled.npz"]
    done = run(*common, "--recipe", "onnx-fp32")
    assert done.returncode == 0, done.stderr
    assert "accuracy was not measured" in done.stdout
    failed(run(*common, "--recipe", "onnx-fp32", "--goal", "max_drop=0.1"), 2, "max_drop requires true labels")


@pytest.mark.slow
def test_evaluation_with_classes_never_seen(run: Run, net_file: Path, data: Path, tmp_path: Path) -> None:
    done = run("build", net_file, "-o", tmp_path / "p.edgeml", "--evaluation", data / "unseen.npz")
    failed(done, 2, "never seen: 10, 11, 12, 13, 14", "it knows 0, 1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("model.keras", b"no zip", 2, ["model.keras is not a Keras model"]),
        ("model.keras", b"", 2, ["model.keras is not a Keras model"]),
        ("model.skops", b"no zip", 2, ["model.skops"]),
        ("model.pkl", b"cos\nsystem\n(S'touch pwned'\ntR.", 1, ["pickle", "skops.io.dump"]),
        ("model.joblib", b"x", 1, ["pickle", "skops.io.dump"]),
        ("model.bin", b"x", 2, ["the file type '.bin' is not supported", "a file that ends in .keras"]),
    ],
)
def test_a_file_that_is_no_model(
    name: str, content: bytes, code: int, words: list[str], run: Run, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    failed(run("build", tmp_path / name, "-o", tmp_path / "p.edgeml", cwd=tmp_path), code, *words)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_truncated_model_file(run: Run, net_file: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.keras").write_bytes(net_file.read_bytes()[:-500])
    failed(run("build", tmp_path / "cut.keras", "-o", tmp_path / "p.edgeml"), 2, "cut.keras is not a Keras model")


def test_a_missing_model_file(run: Run, tmp_path: Path) -> None:
    failed(run("build", tmp_path / "x.keras", "-o", tmp_path / "p.edgeml"), 2, "file not found")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--goal", "max_drop"], ["KEY=VALUE"]),
        (["--goal", "max_dorp=1"], ["max_dorp", "the keys are max_drop"]),
        (["--goal", "max_drop=much"], ["max_drop"]),
        (["--goal", "max_drop=-1"], ["max_drop is -1", "at least 0"]),
        (["--goal", "max_drop=nan"], ["max_drop is nan"]),
        (["--name", "Two Words"], ["name", "'Two Words'"]),
        (["--package-version", "1"], ["version", "semantic"]),
        (["--recipe", "tflite-int4"], ["tflite-int4", "tflite-int8"]),
        (["--batch", "0"], ["--batch"]),
        (["--labels", "absent.txt"], ["absent.txt"]),
        (["--task", "regression", "--evaluation", "{data}/unseen.npz"], ["y is", "as the model returns them"]),
        (["--task", "regression", "--task", "scores=regression"], ["--task", "OUTPUT=TASK"]),
        (["--boxes", "diagonal"], ["'diagonal'", "cxcywh"]),
        (["--boxes", "format=xyxy,output=a,scores=a,objectness=yes"], ["boxes", "bool", "objectness"]),
    ],
)
def test_bad_options(
    options: list[str], words: list[str], run: Run, net_file: Path, data: Path, tmp_path: Path
) -> None:
    done = run("build", net_file, "-o", tmp_path / "p.edgeml", *(option.format(data=data) for option in options))
    failed(done, 2, *words)


def test_labels_that_are_no_text(run: Run, net_file: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes("grün\nrot\n".encode("latin-1"))
    done = run("build", net_file, "-o", tmp_path / "p.edgeml", "--labels", tmp_path / "labels.txt")
    failed(done, 2, "labels.txt is not a text in UTF-8", "utf-8")


def test_an_unwritable_folder(run: Run, net_file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    done = run("build", net_file, "-o", tmp_path / "file" / "p.edgeml", "--recipe", "onnx-fp32")
    failed(done, 2, "p.edgeml cannot be written")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["inspect", "verify", "predict"])
@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (None, 2, ["file not found"]),
        (b"", 3, ["it is empty"]),
        (b"PK", 3, ["too short"]),
        (b"x" * 100, 3, ["p.edgeml is a text file, not an edgeml package", "edgeml build wrote"]),
        (b"\0" * 100, 3, ["truncated, or not a package"]),
    ],
)
def test_a_file_that_is_no_package(
    command: str, content: bytes | None, code: int, words: list[str], run: Run, data: Path, tmp_path: Path
) -> None:
    package = tmp_path / "p.edgeml"
    if content is not None:
        package.write_bytes(content)
    more = [data / "x.npy", "-o", tmp_path / "out.npz"] if command == "predict" else []
    failed(run(command, package, *more), code, *words)
    assert not (tmp_path / "out.npz").exists()


def test_a_truncated_package(run: Run, net_package_file: Path, tmp_path: Path) -> None:
    package = tmp_path / "p.edgeml"
    package.write_bytes(net_package_file.read_bytes()[:-100])
    failed(run("verify", package), 3, "not a valid package")


def test_a_package_of_a_newer_format(run: Run, net_package_file: Path, tmp_path: Path) -> None:
    from edgeml.package.archive import pack

    with zipfile.ZipFile(net_package_file) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents["manifest.json"] = contents["manifest.json"].replace(b'"format": 1', b'"format": 2', 1)
    (tmp_path / "p.edgeml").write_bytes(pack(contents))
    failed(run("verify", tmp_path / "p.edgeml"), 3, "newer format 2", UPGRADE_HINT)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda x: x[:, :4], ["[600, 4, 8, 1]", "[samples, 8, 8, 1]"]),
        (lambda x: x[0], ["[8, 8, 1]", "x[None]"]),
        (lambda x: x * np.nan, ["sample 0", "NaN"]),
        (lambda x: x.astype(str), ["expected numbers"]),
    ],
)
def test_predict_with_bad_input(
    make: Callable[[np.ndarray], np.ndarray], words: list[str], run: Run, net_package_file: Path, data: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    np.save(tmp_path / "x.npy", make(np.load(data / "x.npy")))
    failed(run("predict", net_package_file, tmp_path / "x.npy", "-o", tmp_path / "out.npz"), 2, *words)
    failed(
        run("predict", net_package_file, data / "x.npy", "-o", tmp_path / "out.npz", "--target", "npu"),
        2, "Unknown target 'npu'", "use one of cpu",
    )  # fmt: skip
    assert not (tmp_path / "out.npz").exists()


def test_predict_names_the_artifacts_that_are_there(
    run: Run, net_package_file: Path, data: Path, tmp_path: Path
) -> None:
    done = run("predict", net_package_file, data / "x.npy", "-o", tmp_path / "o.npz", "--artifact", "tflite-int4")
    failed(done, 2, "does not contain an artifact 'tflite-int4'", "tflite-int8")


@pytest.mark.slow
def test_predict_an_empty_batch(run: Run, net_package_file: Path, data: Path, tmp_path: Path) -> None:
    done = run("predict", net_package_file, data / "empty.npz", "-o", tmp_path / "out.npz")
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "out.npz")["scores"].shape == (0, 10)


@pytest.mark.slow
def test_no_command_overwrites_what_it_reads(
    run: Run, net_file: Path, net_package_file: Path, data: Path, tmp_path: Path
) -> None:
    for path in (net_file, net_package_file, data / "evaluation.npz"):
        shutil.copy(path, tmp_path)
    model, package, arrays = (tmp_path / path.name for path in (net_file, net_package_file, data / "evaluation.npz"))
    before = {path: path.read_bytes() for path in (model, package, arrays)}
    failed(run("build", model, "-o", model), 2, "is also an input")
    failed(run("build", model, "-o", arrays, "--evaluation", arrays), 2, "is also an input")
    for option in ("--calibration", "--labels", "--preprocessing", "--reference"):
        failed(run("build", model, "-o", arrays, option, arrays), 2, "is also an input")
    failed(run("predict", package, arrays, "-o", arrays), 2, "is also an input")
    failed(run("predict", package, arrays, "-o", package), 2, "is also an input")
    (tmp_path / "link.npz").symlink_to(arrays)
    failed(run("predict", package, arrays, "-o", tmp_path / "link.npz"), 2, "is also an input")
    assert {path: path.read_bytes() for path in before} == before


def test_where_the_output_goes_is_checked_before_the_work(run: Run, net_file: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    failed(run("build", net_file, "-o", tmp_path / "no" / "p.edgeml"), 2, "its folder is missing")
    failed(run("build", net_file, "-o", tmp_path), 2, "it is a folder")
    assert time.monotonic() - began < 3  # two builds would take 8


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["flipped", "encrypted", "method", "header"])
def test_damaged_arrays(damage: str, run: Run, net_package_file: Path, digits: Digits, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=digits.evaluation)
    content = bytearray(path.read_bytes())
    directory = content.rindex(b"PK\x01\x02")
    if damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    elif damage == "encrypted":
        content[6] |= 1
        content[directory + 8] |= 1
    elif damage == "method":
        content[8] = content[directory + 10] = 99
    else:
        path = tmp_path / "x.npy"
        np.save(path, digits.evaluation)
        content = bytearray(path.read_bytes().replace(b"'shape': (", b"'shape': (((", 1))
    path.write_bytes(content)
    failed(run("predict", net_package_file, path, "-o", tmp_path / "o.npz"), 2, "does not contain arrays of numbers")


@pytest.mark.slow
def test_names_cannot_steer_the_terminal(run: Run, net_file: Path, tmp_path: Path) -> None:
    package = tmp_path / "p.edgeml"
    done = run("build", net_file, "-o", package, "--recipe", "onnx-fp32", "--author", "\x1b]0;owned\x07\x1b[2J")
    assert done.returncode == 0, done.stderr
    shown = run("inspect", package).stdout
    assert "owned" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


@pytest.mark.parametrize("columns", [30, 80, 200])
def test_a_table_in_a_pipe_has_all_columns_however_narrow_the_terminal(columns: int, run: Run, demo_run: Demo) -> None:
    done = run("inspect", demo_run[0] / "digits-net.edgeml", env=os.environ | {"COLUMNS": str(columns)})
    lines = (done.stdout + done.stderr).splitlines()
    (head,) = [line.split() for line in lines if line.startswith("artifact ")]
    assert head == ["artifact", "kB", "accuracy", "drop", "[95%]", "agree", "SQNR", "ms", "verdict"]
    rows = [line for line in lines if line.startswith(("tflite-", "onnx-")) and ":" not in line]  # without remarks
    assert len(rows) == 9
    assert all(row.split()[-1] == "released" for row in rows)


def test_a_digest_that_is_none(run: Run, net_package_file: Path) -> None:
    failed(run("verify", net_package_file, "--digest", "abc"), 2, "expected sha256:")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's, on numpy 2
def test_a_model_with_inputs_named_as_the_arrays_of_an_evaluation(run: Run, tmp_path: Path) -> None:
    import keras

    x, y = keras.Input((3,), name="x"), keras.Input((2,), name="y")
    model = keras.Model([x, y], keras.layers.Dense(2)(keras.layers.Concatenate()([x, y])))
    edgeml.build(model, recipes=["onnx-fp32"]).save(tmp_path / "p.edgeml")
    inputs = {"x": np.ones((4, 3), np.float32), "y": np.ones((4, 2), np.float32)}
    np.savez(tmp_path / "in.npz", x=inputs["x"], y=inputs["y"])
    done = run("predict", tmp_path / "p.edgeml", tmp_path / "in.npz", "-o", tmp_path / "out.npz")
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "out.npz")["scores"], model(inputs).numpy(), atol=1e-5)


@pytest.mark.slow
def test_ctrl_c_is_exit_130_without_traceback(edgeml_command: Path, net_file: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [edgeml_command, "build", net_file, "-o", tmp_path / "p.edgeml"], stderr=subprocess.PIPE, text=True
    )
    time.sleep(2.0)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr.strip() == "Interrupted."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", ["", "demo", "build", "inspect", "verify", "predict", "diff", "explain", "bench", "report"]
)
def test_help_teaches_by_examples(command: str, run: Run) -> None:
    done = run(*command.split(), "--help")
    assert done.returncode == 0
    assert "Usage: edgeml" in done.stdout
    assert command == "demo" or "edgeml verify net.edgeml" in done.stdout or f"edgeml {command} net" in done.stdout
