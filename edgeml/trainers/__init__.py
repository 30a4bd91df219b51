"""Models trained here: nets by Keras, estimators and pipelines by scikit-learn.

Importing it loads no framework.

Example:
    >>> from pathlib import Path
    >>> trained = train(Training(data=Digits(), model=Conv()), Path("digits"))
    >>> trained.metrics.accuracy
"""

from __future__ import annotations

from edgeml.trainers.train import train
from edgeml.trainers.trained import Epoch, Trained
from edgeml.trainers.training import (
    Augmentation,
    Autoencoder,
    Conv,
    Csv,
    Dense,
    Digits,
    DsCnn,
    Fit,
    Idx,
    Images,
    MobileNetV1,
    Npz,
    Packaging,
    ResNet8,
    Search,
    Sklearn,
    Split,
    Training,
    read_training,
)

__all__ = [
    "Augmentation",
    "Autoencoder",
    "Conv",
    "Csv",
    "Dense",
    "Digits",
    "DsCnn",
    "Epoch",
    "Fit",
    "Idx",
    "Images",
    "MobileNetV1",
    "Npz",
    "Packaging",
    "ResNet8",
    "Search",
    "Sklearn",
    "Split",
    "Trained",
    "Training",
    "read_training",
    "train",
]
