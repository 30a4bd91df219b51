"""The training file: what is trained, on which data, and how.

``edgeml train TRAINING.toml`` reads it from TOML; each table is a struct here, and `edgeml.trainers.train` takes the
whole as a `Training`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from edgeml.core.errors import InputError
from edgeml.core.goal import Goal

__all__ = [
    "Augmentation",
    "Autoencoder",
    "Conv",
    "Csv",
    "Data",
    "Dense",
    "Digits",
    "DsCnn",
    "Fit",
    "Idx",
    "Images",
    "MobileNetV1",
    "Model",
    "Net",
    "Npz",
    "Packaging",
    "ResNet8",
    "Search",
    "Sklearn",
    "Split",
    "TargetTask",
    "Training",
    "TrainingTask",
]

TargetTask = Literal["classification", "regression"]
TrainingTask = Literal["classification", "regression", "reconstruction", "transformation", "clustering"]

_Count = Annotated[int, Meta(ge=1, le=1_000_000)]
_Size = Annotated[int, Meta(ge=1, le=10_000)]
_Share = Annotated[float, Meta(ge=0.0, lt=1.0)]
_Positive = Annotated[float, Meta(gt=0.0)]
_NotNegative = Annotated[float, Meta(ge=0.0)]
_Name = Annotated[str, Meta(min_length=1, max_length=1_000)]


class _Table(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class _Data(_Table, frozen=True, tag_field="kind"):
    pass


class Digits(_Data, frozen=True, tag="digits"):
    """scikit-learn's 1,797 handwritten digits: 8 × 8 pixels from 0 to 1, classes 0 to 9.

    Attributes:
        classes: Names of the ten classes, in the digits' order.
    """

    classes: tuple[_Name, ...] = ()


class Csv(_Data, frozen=True, tag="csv"):
    """A CSV file in UTF-8, fields parted by commas, the columns' names in its first line.

    Attributes:
        path: The file.
        target: The column that is to be predicted; empty for what learns without one.
        columns: The columns to learn from, in their order; by default all others.
        drop: Columns that are not learned from, as identifiers; an alternative to `columns`.
        text: Columns that are text whatever their fields look like: postcodes, numbers of types.
        task: What the target is, where neither it nor the model tells: a column of numbers is a regression's.
    """

    path: Path
    target: str = ""
    columns: tuple[_Name, ...] = ()
    drop: tuple[_Name, ...] = ()
    text: tuple[_Name, ...] = ()
    task: TargetTask | None = None


class Npz(_Data, frozen=True, tag="npz"):
    """An ``.npz`` file with inputs ``x`` ``[samples, ...]`` and targets ``y``.

    Whole numbers and text ``[samples]`` are labels, floats ``[samples]`` or ``[samples, values]`` are values.

    Attributes:
        path: The file.
        classes: Names of the classes 0, 1, … of a ``y`` of whole numbers.
        task: What ``y`` is, where its dtype does not tell it rightly.
    """

    path: Path
    classes: tuple[_Name, ...] = ()
    task: TargetTask | None = None


class Idx(_Data, frozen=True, tag="idx"):
    """Two IDX files as MNIST has them, plain or ``.gz``; pixels become 0 to 1.

    Attributes:
        images: uint8 ``[samples, height, width]``.
        labels: uint8 ``[samples]``.
        classes: Names of the classes 0, 1, ….
    """

    images: Path
    labels: Path
    classes: tuple[_Name, ...] = ()


class Images(_Data, frozen=True, tag="images"):
    """A folder of images with a folder for each class, named as the class; pixels become 0 to 1.

    Attributes:
        path: The folder.
        height: Rows to resize to. `width`: columns. Both may be left out where all images have one size.
        colour: Order of the channels; ``gray`` has one.
        resize: How, as in `edgeml.preprocessing.Image`.
    """

    path: Path
    height: _Size | None = None
    width: _Size | None = None
    colour: Literal["RGB", "BGR", "gray"] = "RGB"
    resize: Literal["bilinear", "nearest", "area"] = "area"


Data = Digits | Csv | Npz | Idx | Images


class Split(_Table, frozen=True):
    """How the samples are parted.

    Attributes:
        evaluation: Share that is held out, and never seen in training.
        validation: Share of the rest by which a net's best epoch is chosen.
        calibration: How many of the samples that are trained on are kept for the ranges of quantized recipes.
        stratified: Whether all parts have the classes in the same shares.
    """

    evaluation: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.25
    validation: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.2
    calibration: _Count = 200
    stratified: bool = True


class _Model(_Table, frozen=True, tag_field="kind"):
    pass


class Sklearn(_Model, frozen=True, tag="sklearn"):
    """An estimator of scikit-learn, or a pipeline of several, by name.

    A parameter that is an estimator itself is a table of its own, ``{estimator = "…", parameters = {…}}``.

    Attributes:
        estimator: Name of its class.
        parameters: What it is made with; all others keep scikit-learn's defaults.
        steps: A pipeline, each step a table with ``estimator`` and ``parameters``, in place of `estimator`.
        table: ``prepared`` puts in front of it what a table needs: gaps are filled (the median of a column of
            numbers, the commonest text), text becomes a column of 0 and 1 for each value seen. ``as is`` does not.
        scale: Whether columns of numbers are standardized too; by default for all but trees and ensembles, which
            do not need it.
    """

    estimator: str = ""
    parameters: dict[str, Any] = {}
    steps: tuple[dict[str, Any], ...] = ()
    table: Literal["prepared", "as is"] = "prepared"
    scale: bool | None = None


class _Net(_Model, frozen=True):
    l1: _NotNegative = 0.0
    l2: _NotNegative = 0.0


class Dense(_Net, frozen=True, tag="dense"):
    """A net of dense layers on the standardized values of a sample.

    Attributes:
        hidden: Units of each hidden layer.
        dropout: Share of a hidden layer's outputs that training drops.
        l1: Weight of the sum of the kernels' absolute values in the loss. `l2`: of their squares.
    """

    hidden: tuple[_Count, ...] = (64, 32)
    dropout: _Share = 0.0


class Conv(_Net, frozen=True, tag="conv"):
    """A small convolutional net: blocks of convolution, batch norm, ReLU and pooling, then a dense layer.

    Attributes:
        filters: Filters of each block; each but those on a single pixel ends in 2 × 2 pooling.
        kernel: Size of the kernels.
        hidden: Units of the dense layer.
        dropout: Share of what goes into the dense layers that training drops.
    """

    filters: Annotated[tuple[_Count, ...], Meta(min_length=1)] = (16, 32)
    kernel: _Size = 3
    hidden: _Count = 32
    dropout: _Share = 0.2


class DsCnn(_Net, frozen=True, tag="ds-cnn"):
    """DS-CNN, MLPerf Tiny's net for keyword spotting: a convolution, then depthwise separable ones.

    Attributes:
        filters: Of every convolution.
        blocks: How many depthwise separable convolutions.
        kernel: Rows and columns of the first convolution, which has stride 2.
        dropout: Share dropped after the first convolution; twice as much before the last layer.
    """

    l2: _NotNegative = 1e-4
    filters: _Count = 64
    blocks: _Size = 4
    kernel: tuple[_Size, _Size] = (10, 4)
    dropout: Annotated[float, Meta(ge=0.0, lt=0.5)] = 0.2


class ResNet8(_Net, frozen=True, tag="resnet-8"):
    """ResNet-8, MLPerf Tiny's net for image classification: three residual blocks.

    Attributes:
        filters: Of each block; every block but the first halves rows and columns.
    """

    l2: _NotNegative = 1e-4
    filters: Annotated[tuple[_Count, ...], Meta(min_length=1)] = (16, 32, 64)


class MobileNetV1(_Net, frozen=True, tag="mobilenet-v1"):
    """MobileNetV1, with 0.25 of its filters MLPerf Tiny's net for visual wake words.

    Attributes:
        alpha: Share of the original's filters.
        dropout: Share of what goes into the last layer that training drops.
    """

    l2: _NotNegative = 1e-4
    alpha: Annotated[float, Meta(gt=0.0, le=4.0)] = 0.25
    dropout: _Share = 0.0


class Autoencoder(_Net, frozen=True, tag="autoencoder"):
    """The autoencoder of MLPerf Tiny's anomaly detection; it learns to give its inputs back.

    Attributes:
        hidden: Units of the layers before the code, and mirrored of those after it.
        code: Units of the code.
    """

    hidden: tuple[_Count, ...] = (128, 128, 128, 128)
    code: _Count = 8


Net = Dense | Conv | DsCnn | ResNet8 | MobileNetV1 | Autoencoder
Model = Sklearn | Net


class Search(_Table, frozen=True):
    """A search over a grid of parameters with cross-validation on the training part, as `GridSearchCV` does it.

    Attributes:
        grid: Parameters by name, each with a list of values to try: ``estimator__max_depth``, or for a pipeline
            the step's name in small letters first, as in ``pca__n_components``.
        folds: How many; stratified for classifiers.
        scoring: Name of a scorer of scikit-learn; by default the estimator's own score.
    """

    grid: dict[str, list[Any]]
    folds: Annotated[int, Meta(ge=2, le=1_000)] = 5
    scoring: str | None = None


class Augmentation(_Table, frozen=True):
    """How training varies the samples; the saved net does none of it.

    Attributes:
        flip: Mirrors images along an axis, at random.
        translation: Moves images by up to so much of their size.
        rotation: Turns them by up to so much of a full turn.
        zoom: Enlarges or shrinks them by up to so much of their size.
        noise: Standard deviation of Gaussian noise that is added, in the inputs' own units.
    """

    flip: Literal["horizontal", "vertical", "both"] | None = None
    translation: _Share = 0.0
    rotation: _Share = 0.0
    zoom: _Share = 0.0
    noise: _NotNegative = 0.0


class Fit(_Table, frozen=True):
    """How a net is fitted, by Adam.

    The weights that are kept are those of the epoch with the best validation loss.

    Attributes:
        epochs: The most that are made.
        patience: Stop after so many epochs without a better validation loss; None makes all.
        batch_size: Samples of a step.
        learning_rate: Of the first step.
        schedule: How it falls over the epochs: ``cosine`` to 0; ``exponential`` and ``step`` (a tenth at 1/3 and at
            2/3 of the epochs) to a hundredth.
        augmentation: How samples are varied.
    """

    epochs: _Count = 20
    patience: _Count | None = None
    batch_size: _Count = 32
    learning_rate: _Positive = 1e-3
    schedule: Literal["constant", "cosine", "exponential", "step"] = "constant"
    augmentation: Augmentation = Augmentation()


class Packaging(_Table, frozen=True):
    """How the trained model becomes a package; the fields are `edgeml.build`'s.

    Attributes:
        goals: What an artifact must meet, as `edgeml.Goal` has it.
    """

    name: str = "model"
    version: str = "0.1.0"
    recipes: tuple[str, ...] | None = None
    goals: Goal | None = None
    batch: int | None = None
    measure: bool = False
    licence: str = ""
    author: str = ""


class Training(_Table, frozen=True):
    """A whole training file.

    Attributes:
        data: The samples. `split`: how they are parted.
        model: What is trained.
        seed: Of the split, of initial weights, and of everything else that is drawn.
        search: Over parameters, for scikit-learn.
        fit: How a net is fitted.
        build: How a package is made of it; None makes none.

    Example:
        >>> Training(data=Digits(), model=Conv(filters=(8, 16)), fit=Fit(epochs=5))
    """

    data: Data
    model: Model
    seed: Annotated[int, Meta(ge=0, lt=2**32)] = 0
    split: Split = Split()
    search: Search | None = None
    fit: Fit | None = None
    build: Packaging | None = None

    def __post_init__(self) -> None:
        if isinstance(self.model, Sklearn):
            if bool(self.model.estimator) == bool(self.model.steps):
                raise InputError("model: give either 'estimator' or 'steps'.")
            if self.fit is not None:
                raise InputError("fit: it is for nets; scikit-learn's estimators have parameters instead.")
        elif self.search is not None:
            raise InputError('search: it is for kind = "sklearn"; nets are not searched.')

    @property
    def paths(self) -> list[Path]:
        """The files and folders that the data come from."""
        return [value for value in msgspec.structs.asdict(self.data).values() if isinstance(value, Path)]
