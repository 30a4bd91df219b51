"""Training of models: neural networks by Keras, estimators and pipelines by scikit-learn.

Importing this package does not load a framework.

Example:
    >>> from pathlib import Path
    >>> trained = train(Training(data=Digits(), model=Conv()), Path("digits"))
    >>> trained.metrics.accuracy
"""

from __future__ import annotations

from edgeml.trainers.result import Epoch, Trained
from edgeml.trainers.train import train
from edgeml.trainers.training_file import read_training
from edgeml.trainers.training_schema import (
    Augmentation,
    Autoencoder,
    Conv,
    Csv,
    Data,
    Dense,
    Digits,
    DsCnn,
    Fit,
    Idx,
    Images,
    MobileNetV1,
    Model,
    Npz,
    Packaging,
    ResNet8,
    Search,
    Sklearn,
    Split,
    Training,
)

__all__ = [
    "Augmentation",
    "Autoencoder",
    "Conv",
    "Csv",
    "Data",
    "Dense",
    "Digits",
    "DsCnn",
    "Epoch",
    "Fit",
    "Idx",
    "Images",
    "MobileNetV1",
    "Model",
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
