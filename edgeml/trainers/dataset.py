"""Read the samples of a training from files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Image
from edgeml.preprocessing.array_files import read_array_file
from edgeml.trainers.training_schema import Csv, Data, Digits, Idx, Images, Npz, TargetTask

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Dataset", "read_dataset"]

_DIGITS_LARGEST = np.float32(16.0)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Inputs and targets.

    Attributes:
        inputs: float32 ``[samples, ...]``, or a table: columns of numbers are float64, columns of text are objects,
            missing values are NaN.
        target: Labels ``[samples]``, int64 or text; or float64 values ``[samples]`` or ``[samples, values]``; or None.
        task: The task that the target belongs to; None if the model decides.
        image: Declaration of the inputs, if they are images.
        remarks: Peculiarities of the data.
    """

    inputs: np.ndarray | pd.DataFrame
    target: np.ndarray | None
    task: TargetTask | None = None
    image: Image | None = None
    remarks: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """``sha256:…`` of all values, dtypes and names of columns."""
        sha = hashlib.sha256()
        columns = (
            [self.inputs]
            if isinstance(self.inputs, np.ndarray)
            else [np.array([name, *map(str, column)]) if column.dtype == object else column.to_numpy()
                  for name, column in self.inputs.items()]
        )  # fmt: skip
        for array in (*columns, *([] if self.target is None else [self.target])):
            sha.update(f"{array.dtype.str}{array.shape}".encode())
            sha.update(np.ascontiguousarray(array).tobytes())
        return f"sha256:{sha.hexdigest()}"


def read_dataset(data: Data) -> Dataset:
    """Read the data that a training file names.

    Raises:
        InputError: A file is of another kind, is damaged, or does not contain samples to learn from.
        StorageError: A file cannot be read.
        MissingDependencyError: The extra that reads a file is not installed.
    """
    if isinstance(data, Csv):
        from edgeml.trainers.training_table import read_training_table

        table = read_training_table(data.path, target=data.target, columns=data.columns, drop=data.drop, text=data.text)
        return Dataset(table.inputs, table.target, data.task, remarks=table.remarks)
    if isinstance(data, Digits):
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
        images = (x.astype(np.float32) / _DIGITS_LARGEST).reshape(-1, 8, 8, 1)
        image = Image(height=8, width=8, colour="gray", resize="area", scale=1 / 255)
        return Dataset(images, _name_labels(y.astype(np.int64), data.classes, "the digits"), "classification", image)
    if isinstance(data, Idx):
        from edgeml.trainers.idx_files import read_idx_pair

        images, labels = read_idx_pair(data.images, data.labels)
        _, height, width = images.shape
        image = Image(height=height, width=width, colour="gray", resize="area", scale=1 / 255)
        scaled = images[..., None].astype(np.float32) * np.float32(image.scale)
        return Dataset(scaled, _name_labels(labels, data.classes, data.labels.name), "classification", image)
    if isinstance(data, Images):
        from edgeml.trainers.image_folder import read_image_folder

        pixels, names, image = read_image_folder(data)
        return Dataset(pixels, names, "classification", image)
    return _read_npz(data)


def _read_npz(data: Npz) -> Dataset:
    arrays, name = read_array_file(data.path), data.path.name
    x, y = arrays.get("x"), arrays.get("y")
    if x is None:
        raise InputError(
            f"{name}: expected an array 'x', got {', '.join(arrays) or 'no arrays'}.",
            fix="write it by np.savez(path, x=x, y=y).",
        )
    if x.dtype.kind not in "fiub" or x.ndim < 2:
        raise InputError(f"{name}: x is {x.dtype} {list(x.shape)}, expected numbers [samples, ...].")
    if not x.size:
        raise InputError(f"{name}: x is {list(x.shape)}, expected at least one sample.")
    with np.errstate(over="ignore"):
        inputs = x.astype(np.float32)
    if not np.isfinite(inputs).all():
        sample = int(np.argmin(np.isfinite(inputs.reshape(len(inputs), -1)).all(axis=1)))
        raise InputError(f"{name}: sample {sample} of x has NaN, infinity or a number that float32 cannot hold.")
    if y is None:
        return Dataset(inputs, None, data.task)
    if len(y.shape) not in {1, 2} or len(y) != len(x):
        raise InputError(f"{name}: y is {list(y.shape)}, expected a label or value for each of {len(x)} samples.")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dtype.kind in "iubU" and y.ndim == 1:
        labels = y if y.dtype.kind == "U" else y.astype(np.int64)
        return Dataset(inputs, _name_labels(labels, data.classes, name), data.task or "classification")
    if y.dtype.kind not in "fiub" or not np.isfinite(values := y.astype(np.float64)).all():
        raise InputError(f"{name}: y is {y.dtype} or has NaN or infinity, expected labels or finite numbers.")
    if data.classes:
        raise InputError(f"{name}: y is {y.dtype} {list(y.shape)}; 'classes' only applies to labels of whole numbers.")
    return Dataset(inputs, values, data.task or "regression")


def _name_labels(labels: np.ndarray, classes: tuple[str, ...], where: str) -> np.ndarray:
    """Replace labels of whole numbers by their names, if the training file has names."""
    if not classes:
        return labels
    if labels.dtype.kind != "i":
        raise InputError(f"{where}: the labels are text; 'classes' only applies to labels of whole numbers.")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= len(classes) or len(set(classes)) != len(classes):
        raise InputError(
            f"{where}: the labels go from {low} to {high}, and 'classes' has {len(set(classes))} different names.",
            fix="name the classes 0, 1, … in this order, each a single time.",
        )
    missing = next((name for i, name in enumerate(classes) if i not in labels), None)
    if missing is not None:
        raise InputError(f"{where}: no sample is of class '{missing}'.", fix="name only classes that have samples.")
    return np.array(classes)[labels]
