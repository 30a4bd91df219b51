from __future__ import annotations

from pathlib import Path

import pytest

from edgeml.core.errors import InputError
from edgeml.trainers import Conv, Csv, Fit, Search, Sklearn, Split, Training, read_training

DATA = '[data]\nkind = "csv"\npath = "houses.csv"\ntarget = "price"\n'
MODEL = '[model]\nkind = "sklearn"\nestimator = "Ridge"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "training.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_with_paths_from_its_folder(tmp_path: Path) -> None:
    text = (
        "seed = 7\n" + DATA + 'text = ["code"]\n[split]\nevaluation = 0.5\n' + MODEL + "parameters = { alpha = 2.0 }\n"
        "[search]\ngrid = { estimator__alpha = [1.0, 2.0] }\nfolds = 3\n"
    )
    assert read_training(written(tmp_path, text)) == Training(
        data=Csv(path=tmp_path / "houses.csv", target="price", text=("code",)),
        model=Sklearn(estimator="Ridge", parameters={"alpha": 2.0}),
        seed=7,
        split=Split(evaluation=0.5),
        search=Search(grid={"estimator__alpha": [1.0, 2.0]}, folds=3),
    )


def test_a_net_with_its_fit(tmp_path: Path) -> None:
    text = '\ufeff[data]\nkind = "digits"\n[model]\nkind = "conv"\nfilters = [8]\n[fit]\nschedule = "cosine"\n'
    found = read_training(written(tmp_path, text))
    assert (found.model, found.fit) == (Conv(filters=(8,)), Fit(schedule="cosine"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sed = 1\n" + DATA + MODEL, ["the file: unknown key 'sed'", "data, model, seed, split"]),
        (DATA + 'taget = "x"\n' + MODEL, ["data: unknown key 'taget'", "kind, path, target"]),
        (DATA + MODEL + "[split]\neval = 0.1\n", ["split: unknown key 'eval'", "evaluation, validation"]),
        (DATA + MODEL + "[build]\ngoals = { max_dorp = 1 }\n", ["build.goals", "'max_dorp'", "max_drop"]),
        (
            DATA.replace("csv", "xlsx", 1) + MODEL,
            ["data: got kind = 'xlsx'", "'csv', 'digits', 'idx', 'images', 'npz'"],
        ),
        (DATA.replace('kind = "csv"\n', "") + MODEL, ["data: got kind = None"]),
        (DATA + '[model]\nkind = "resnet"\n', ["model: got kind = 'resnet'", "'resnet-8'"]),
        (DATA + '[model]\nkind = "dense"\ndropout = 1.5\n', ["model.dropout", "< 1.0"]),
        (DATA + '[model]\nkind = "dense"\nhidden = [0]\n', ["model.hidden[0]", ">= 1"]),
        (DATA + MODEL + "[split]\nevaluation = 1.0\n", ["split.evaluation"]),
        (DATA + MODEL + "[build]\ngoals = { max_drop = -1 }\n", ["max_drop is -1", "at least 0"]),
        (DATA + MODEL + "[fit]\nepochs = 3\n", ["fit: only nets support it"]),
        (DATA + '[model]\nkind = "dense"\n[search]\ngrid = {}\n', ["search: only kind"]),
        (DATA + '[model]\nkind = "sklearn"\n', ["either 'estimator' or 'steps'"]),
        (DATA.replace('"houses.csv"', "3") + MODEL, ["data.path", "got `int`"]),
        (MODEL, ["missing required field `data`"]),
        ("data = 3\n" + MODEL, ["data: Expected `object`, got `int`"]),
        ("[data]\nkind = csv\n", ["cannot be read", "line 2"]),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_training(written(tmp_path, text))
    for word in ["training.toml", *words]:
        assert word in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_training(tmp_path / "absent.toml")
