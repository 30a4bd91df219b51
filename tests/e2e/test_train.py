"""`edgeml train`: from a file to a model, its pictures, and a package."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, confusion_matrix, r2_score

import edgeml
from edgeml.trainers import read_training, train
from tests.support.processes import MARKER, eventually, marked, repository

pytestmark = pytest.mark.slow  # trains, or converts, what all of them look at

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Trained = tuple[Path, "subprocess.CompletedProcess[str]"]

DIGITS = """
seed = 1
[data]
kind = "images"
path = "images"
colour = "gray"
[model]
kind = "conv"
[fit]
epochs = 12
patience = 3
learning_rate = 0.004
schedule = "cosine"
augmentation = { translation = 0.05, noise = 0.05 }
[build]
name = "digits"
version = "1.0.0"
recipes = ["tflite-int8", "onnx-fp32"]
goals = { max_drop = 0.02 }
"""
TABLE = '[data]\nkind = "csv"\npath = "a.csv"\ntarget = "y"\n[model]\nkind = "sklearn"\nestimator = "Ridge"\n'


def written(folder: Path, text: str) -> Path:
    (folder / "training.toml").write_text(text, encoding="utf-8")
    return folder / "training.toml"


def pixels(image: np.ndarray) -> np.ndarray:
    return (image.reshape(8, 8) * 255 / 16).round().astype(np.uint8)


@pytest.fixture(scope="module")
def digits_run(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """scikit-learn's digits as PNG files, a folder for each class, learnt and packaged."""
    folder = tmp_path_factory.mktemp("digits")
    for digit in range(10):
        (folder / "images" / str(digit)).mkdir(parents=True)
    images, labels = load_digits(return_X_y=True)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(pixels(image)).save(folder / "images" / str(label) / f"{i}.png")
    return folder / "out", run("train", written(folder, DIGITS), "-o", folder / "out", "--json")


def test_digits_are_learnt_and_packaged(digits_run: Trained) -> None:
    import keras

    folder, done = digits_run
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {path.name for path in folder.iterdir()} == {*told["trained"]["files"], "digits.edgeml"}
    assert json.loads((folder / "training.json").read_text()) == told["trained"]
    with np.load(folder / "evaluation.npz") as file:
        x, y = file["x"], file["y"]
    model = keras.saving.load_model(folder / "model.keras", compile=False)
    labels = np.asarray(model(x)).argmax(axis=1).astype(str)
    assert told["trained"]["metrics"]["accuracy"] == accuracy_score(y, labels) > 0.93
    assert told["trained"]["metrics"]["confusion"] == confusion_matrix(y, labels).tolist()
    assert not [layer.name for layer in model.layers if "random" in layer.name or "noise" in layer.name]
    images, _ = load_digits(return_X_y=True)
    known = {pixels(image).tobytes() for image in images}
    assert {(row * 255).round().astype(np.uint8).tobytes() for row in x} <= known
    package = edgeml.open_package(folder / "digits.edgeml")
    assert set(package.released) == {"tflite-int8", "onnx-fp32"}
    assert package.manifest.goal.max_drop == 0.02
    assert package.manifest.data.overlap == 0
    assert package.manifest.preprocessing.keys() == {"image"}
    assert package.manifest.training is not None
    curves = json.loads(package.read(package.manifest.training))
    assert curves == {key: told["trained"][key] for key in ("history", "best_epoch")}
    assert "XNNPACK" not in done.stderr
    assert "held out: accuracy" in done.stderr
    assert "2 of 2 recipes released" in done.stderr


def test_the_package_takes_an_image_file(digits_run: Trained, run: Run, tmp_path: Path) -> None:
    import keras

    folder, _ = digits_run
    file = next((folder.parent / "images" / "7").iterdir())
    done = run("predict", folder / "digits.edgeml", file, "-o", tmp_path / "out.npz", "--artifact", "onnx-fp32")
    assert done.returncode == 0, done.stderr
    model = keras.saving.load_model(folder / "model.keras", compile=False)
    scores = np.asarray(model(np.asarray(Image.open(file), np.float32)[None, ..., None] / 255))
    with np.load(tmp_path / "out.npz") as found:
        np.testing.assert_allclose(found["scores"], scores, atol=1e-5)
        assert found["labels"].tolist() == [str(scores.argmax())]


def test_the_best_epoch_is_told(digits_run: Trained) -> None:
    told = json.loads(digits_run[1].stdout)["trained"]
    losses = [epoch["validation_loss"] for epoch in told["history"]]
    assert told["best_epoch"] == int(np.argmin(losses)) + 1
    for name in ("curves.png", "confusion.png"):
        assert (digits_run[0] / name).read_bytes().startswith(b"\x89PNG\r\n")


def test_the_same_file_gives_the_same_model_from_python(digits_run: Trained, tmp_path: Path) -> None:
    import keras

    folder, _ = digits_run
    trained = train(read_training(folder.parent / "training.toml"), tmp_path / "again")
    for name in trained.files:
        if name != "model.keras":
            assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes(), name
    one, other = (keras.saving.load_model(path / "model.keras", compile=False) for path in (folder, tmp_path / "again"))
    assert all((a == b).all() for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_house_prices_go_from_a_table_to_a_package(run: Run, tmp_path: Path) -> None:
    done = run("train", repository() / "examples" / "houses.toml", "-o", tmp_path / "houses", "--json")
    assert done.returncode == 0, done.stderr
    told, folder = json.loads(done.stdout), tmp_path / "houses"
    assert told["trained"]["metrics"]["r2"] > 0.9
    assert "best of 2: estimator__max_depth" in done.stderr
    assert set(told["trained"]["files"]) == {"model.skops", "training.json", "calibration.csv", "evaluation.csv"}
    (artifact,) = told["package"]["artifacts"]
    assert artifact["verdict"]["status"] == "released"
    done = run("predict", folder / "houses.edgeml", folder / "evaluation.csv", "-o", tmp_path / "prices.csv")
    assert done.returncode == 0, done.stderr
    rows = pd.read_csv(folder / "evaluation.csv", dtype={"district": object})
    untrusted = skops.io.get_untrusted_types(file=folder / "model.skops")
    model = skops.io.load(folder / "model.skops", trusted=untrusted)
    prices = pd.read_csv(tmp_path / "prices.csv")["scores"].to_numpy()
    assert rows.isna().to_numpy().any()
    np.testing.assert_allclose(prices, model.predict(rows.drop(columns="price")), rtol=1e-6)
    assert artifact["evaluation"]["metrics"]["r2"] == pytest.approx(r2_score(rows["price"], prices), abs=1e-6)


@pytest.mark.slow
def test_dropped_columns_are_not_learned_from(run: Run, tmp_path: Path) -> None:
    rows = [f"{i},{i % 9},{3 * (i % 9)}" for i in range(60)]
    (tmp_path / "a.csv").write_text("\n".join(["customer id,a,y", *rows]))
    (tmp_path / "b.csv").write_text("\n".join(["a,y", *(row.partition(",")[2] for row in rows)]))
    build = '[build]\nname = "tree"\nrecipes = ["onnx-fp32"]\n'
    dropped = TABLE.replace("[model]", 'drop = ["customer id"]\n[model]')
    trainings = {}
    for name, text in {"first": dropped, "again": dropped, "without": TABLE.replace("a.csv", "b.csv")}.items():
        done = run("train", written(tmp_path, text + build), "-o", tmp_path / name)
        assert done.returncode == 0, done.stderr
        trainings[name] = json.loads((tmp_path / name / "training.json").read_bytes())
        assert (tmp_path / name / "evaluation.csv").read_text().startswith("a,y\n")
    assert trainings["first"] == trainings["again"]
    assert trainings["first"]["training"]["data"]["drop"] == ["customer id"]
    for key in ("data_digest", "metrics", "columns"):
        assert trainings["first"][key] == trainings["without"][key]
    done = run("predict", tmp_path / "first" / "tree.edgeml", tmp_path / "a.csv", "-o", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr


def test_a_recipe_that_is_refused_is_exit_1_and_the_model_is_there(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,y\n" + "".join(f"{i},{i % 7}\n" for i in range(60)))
    text = TABLE.replace("Ridge", "DecisionTreeRegressor") + '[build]\nname = "tree"\nrecipes = ["tflite-fp16"]\n'
    done = run("train", written(tmp_path, text), "-o", tmp_path / "out")
    assert done.returncode == 1
    assert "0 of 1 recipes released" in done.stderr
    assert (tmp_path / "out" / "model.skops").is_file()
    assert edgeml.open_package(tmp_path / "out" / "tree.edgeml").released == ()


@pytest.mark.parametrize(
    ("text", "table", "words"),
    [
        (TABLE, "a;y\n1;2\n", ["a.csv", "semicolons", "fix: save it"]),
        (TABLE, "a,b\n1,2\n", ["a.csv", "columns are missing: y", "it has a, b"]),
        (TABLE.replace("Ridge", "Rigde"), "a,y\n1,2\n3,4\n", ["'Rigde'", "fix: did you mean", "Ridge"]),
        (TABLE + '[build]\nname = "A B"\n', "a,y\n1,2\n", ["name: got 'A B'"]),
        (
            TABLE.replace("[model]", 'drop = ["customer_ids"]\n[model]'),
            "a,customer_id,y\n1,1,2\n",
            ["a.csv: data.drop: columns are missing: customer_ids", "fix: did you mean 'customer_id'"],
        ),
        (TABLE + "[fit]\n", "a,y\n1,2\n", ["training.toml: fit: only nets support it"]),
    ],
)
def test_bad_files_are_exit_2_and_nothing_is_written(
    text: str, table: str, words: list[str], run: Run, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(table)
    done = run("train", written(tmp_path, text), "-o", tmp_path / "out")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    message = " ".join(done.stderr.split())
    for word in words:
        assert word in message
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "training.toml"}


@pytest.mark.parametrize(("missing", "extra"), [("matplotlib", "train"), ("pandas", "sklearn")])
def test_a_missing_extra_is_named_before_anything_is_learnt(
    missing: str, extra: str, edgeml_command: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("a,y\n" + "1,2\n3,4\n" * 20)
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{missing!r}] = None\n")
    path = os.pathsep.join([str(tmp_path), str(repository())])
    words: list[str] = [str(edgeml_command), "train", str(written(tmp_path, TABLE)), "-o", str(tmp_path / "out")]
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"fix: pip install 'edgeml[{extra}]'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_interrupted_training_leaves_nothing(edgeml_command: Path, tmp_path: Path) -> None:
    text = '[data]\nkind = "digits"\n[model]\nkind = "conv"\n[fit]\nepochs = 100000\n'
    marker = str(uuid.uuid4())
    process = subprocess.Popen(
        [str(edgeml_command), "train", str(written(tmp_path, text)), "-o", str(tmp_path / "out")],
        env=os.environ | {MARKER: marker, "TMPDIR": str(tmp_path)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert eventually(lambda: len(marked(marker)) > 1, within_s=30)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Interrupted" in told
    assert eventually(lambda: not marked(marker))
    assert {path.name for path in tmp_path.rglob("*")} == {"training.toml"}
