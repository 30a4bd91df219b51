"""Schema of training files: data, model and hyperparameters.

``edgeml train TRAINING.toml`` reads a training file from TOML; each of its tables is a struct here. In Python,
`edgeml.trainers.train` accepts the whole as a `Training`.
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
    """A CSV file in UTF-8, comma-separated, with the columns' names in its first line.

    Attributes:
        path: The file.
        target: The column to predict; empty for models that learn without a target.
        columns: The features, in their order; by default all columns but the target and the dropped ones.
        drop: Columns that are not features, such as identifiers.
        text: Columns that are text whatever their fields look like, such as postcodes. ``None`` and ``NA`` are texts
            in them, and only empty fields are missing values.
        task: Task of the target, where neither the target nor the model determines it. A column of numbers is a
            target of regression by default.
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
        task: Task of ``y``, where it differs from the one that the dtype implies.
    """

    path: Path
    classes: tuple[_Name, ...] = ()
    task: TargetTask | None = None


class Idx(_Data, frozen=True, tag="idx"):
    """Two IDX files as those of MNIST, plain or ``.gz``; pixels are scaled to 0 to 1.

    Attributes:
        images: uint8 ``[samples, height, width]``.
        labels: uint8 ``[samples]``.
        classes: Names of the classes 0, 1, ….
    """

    images: Path
    labels: Path
    classes: tuple[_Name, ...] = ()


class Images(_Data, frozen=True, tag="images"):
    """A folder of images with a folder for each class, named after the class; pixels are scaled to 0 to 1.

    Attributes:
        path: The folder.
        height: Rows to resize to; optional, with `width`, if all images have the same size.
        width: Columns to resize to.
        colour: Order of the channels; ``gray`` has a single one.
        resize: Interpolation, as in `edgeml.preprocessing.Image`.
    """

    path: Path
    height: _Size | None = None
    width: _Size | None = None
    colour: Literal["RGB", "BGR", "gray"] = "RGB"
    resize: Literal["bilinear", "nearest", "area"] = "area"


Data = Digits | Csv | Npz | Idx | Images


class Split(_Table, frozen=True):
    """The split of the samples.

    Attributes:
        evaluation: Share that is held out of the training.
        validation: Share of the rest that chooses a net's best epoch.
        calibration: Number of training samples that are kept to calibrate quantized recipes.
        stratified: Whether the classes have the same shares in all parts.
    """

    evaluation: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.25
    validation: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.2
    calibration: _Count = 200
    stratified: bool = True


class _Model(_Table, frozen=True, tag_field="kind"):
    pass


class Sklearn(_Model, frozen=True, tag="sklearn"):
    """A scikit-learn estimator, or a pipeline of several, by name.

    A parameter that is an estimator itself is a table, ``{estimator = "…", parameters = {…}}``.

    Attributes:
        estimator: Name of the class.
        parameters: Arguments; all others keep scikit-learn's defaults.
        steps: A pipeline, each step a table with ``estimator`` and ``parameters``, in place of `estimator`.
        table: ``prepared`` fills missing values (by the median of a column of numbers, by the most frequent text) and
            one-hot encodes text. ``as is`` passes tables unchanged.
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
        l1: Weight of the sum of the kernels' absolute values in the loss.
        l2: Weight of the sum of the kernels' squares in the loss.
    """

    hidden: tuple[_Count, ...] = (64, 32)
    dropout: _Share = 0.0


class Conv(_Net, frozen=True, tag="conv"):
    """A small convolutional net: blocks of convolution, batch norm, ReLU and pooling, then a dense layer.

    Attributes:
        filters: Filters of each block; blocks end in 2 × 2 pooling, except on a single pixel.
        kernel: Size of the kernels.
        hidden: Units of the dense layer.
        dropout: Share of the dense layers' inputs that training drops.
    """

    filters: Annotated[tuple[_Count, ...], Meta(min_length=1)] = (16, 32)
    kernel: _Size = 3
    hidden: _Count = 32
    dropout: _Share = 0.2


class DsCnn(_Net, frozen=True, tag="ds-cnn"):
    """DS-CNN, MLPerf Tiny's net for keyword spotting: a convolution, then depthwise separable ones.

    Attributes:
        filters: Filters of every convolution.
        blocks: Number of depthwise separable convolutions.
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
        filters: Filters of each block; every block but the first halves rows and columns.
    """

    l2: _NotNegative = 1e-4
    filters: Annotated[tuple[_Count, ...], Meta(min_length=1)] = (16, 32, 64)


class MobileNetV1(_Net, frozen=True, tag="mobilenet-v1"):
    """MobileNetV1, with 0.25 of its filters MLPerf Tiny's net for visual wake words.

    Attributes:
        alpha: Share of the original's filters.
        dropout: Share of the last layer's inputs that training drops.
    """

    l2: _NotNegative = 1e-4
    alpha: Annotated[float, Meta(gt=0.0, le=4.0)] = 0.25
    dropout: _Share = 0.0


class Autoencoder(_Net, frozen=True, tag="autoencoder"):
    """The autoencoder of MLPerf Tiny's anomaly detection, which learns to reconstruct its inputs.

    Attributes:
        hidden: Units of the layers before the code; the layers after the code mirror them.
        code: Units of the code.
    """

    hidden: tuple[_Count, ...] = (128, 128, 128, 128)
    code: _Count = 8


Net = Dense | Conv | DsCnn | ResNet8 | MobileNetV1 | Autoencoder
Model = Sklearn | Net


class Search(_Table, frozen=True):
    """A grid search over parameters with cross-validation on the training part, by `GridSearchCV`.

    Attributes:
        grid: Parameters by name, each with a list of values to try: ``estimator__max_depth``, or for a pipeline
            with the step's name in lower case first, as in ``pca__n_components``.
        folds: Number of folds; stratified for classifiers.
        scoring: Name of a scorer of scikit-learn; by default the estimator's own score.
    """

    grid: dict[str, list[Any]]
    folds: Annotated[int, Meta(ge=2, le=1_000)] = 5
    scoring: str | None = None


class Augmentation(_Table, frozen=True):
    """Random augmentation of the samples in training; the saved net does not include it.

    Attributes:
        flip: Axis along which images are mirrored.
        translation: Largest shift, as a share of the image size.
        rotation: Largest rotation, as a share of a full turn.
        zoom: Largest change of scale, as a share of the image size.
        noise: Standard deviation of added Gaussian noise, in the units of the inputs.
    """

    flip: Literal["horizontal", "vertical", "both"] | None = None
    translation: _Share = 0.0
    rotation: _Share = 0.0
    zoom: _Share = 0.0
    noise: _NotNegative = 0.0


class Fit(_Table, frozen=True):
    """Hyperparameters of fitting a net by Adam.

    The weights of the epoch with the lowest validation loss are kept.

    Attributes:
        epochs: Maximum number of epochs.
        patience: Number of epochs without a lower validation loss after which fitting stops; None for never.
        batch_size: Samples per step.
        learning_rate: Learning rate of the first step.
        schedule: Decay of the learning rate over the epochs: ``cosine`` to 0; ``exponential`` and ``step`` (by ten at
            1/3 and at 2/3 of the epochs) to a hundredth.
        augmentation: Augmentation of the samples.
    """

    epochs: _Count = 20
    patience: _Count | None = None
    batch_size: _Count = 32
    learning_rate: _Positive = 1e-3
    schedule: Literal["constant", "cosine", "exponential", "step"] = "constant"
    augmentation: Augmentation = Augmentation()


class Packaging(_Table, frozen=True):
    """Arguments of `edgeml.build` for the trained model; fields that are not listed have the same names there.

    Attributes:
        goals: Goals that an artifact must meet, the fields of `edgeml.Goal`.
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
        data: The samples.
        model: The model to train.
        seed: Seed of the split, of initial weights, and of all other random numbers.
        split: The split of the samples.
        search: A search over parameters, for scikit-learn.
        fit: Hyperparameters of fitting, for nets.
        build: Settings of the package; None to train without packaging.

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
                raise InputError("fit: only nets support it; scikit-learn's estimators have parameters instead.")
        elif self.search is not None:
            raise InputError('search: only kind = "sklearn" supports a search.')

    @property
    def paths(self) -> list[Path]:
        """Files and folders of the data."""
        return [value for value in msgspec.structs.asdict(self.data).values() if isinstance(value, Path)]
