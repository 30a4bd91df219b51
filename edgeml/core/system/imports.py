"""Import by dotted name, and the extra that installs a third-party module."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["EXTRA_OF_MODULE", "resolve"]


EXTRA_OF_MODULE: Mapping[str, str] = MappingProxyType(
    {
        "ai_edge_litert": "litert",
        "onnxruntime": "onnx",
        "tflite_micro": "micro",
        "tflite_runtime": "tflite-runtime",
        "tensorflow": "keras",
        "keras": "keras",
        "tf_keras": "keras",
        "h5py": "keras",
        "tf2onnx": "keras",
        "onnx": "keras",
        "joblib": "sklearn",
        "pandas": "sklearn",
        "sklearn": "sklearn",
        "skl2onnx": "sklearn",
        "skops": "sklearn",
        "PIL": "images",
        "pycocotools": "detection",
        "litert_quantizer": "quantizer",
        "matplotlib": "train",
        "vl_convert": "report",
        "jinja2": "report",
    }
)
"""Extra that installs each third-party module."""


def resolve(name: str) -> Any:
    """Import a module, or with ``module:attribute`` an attribute of one, and return it.

    Raises:
        ModuleNotFoundError: The module is not installed.
        AttributeError: The module does not have the attribute.
    """
    module, _, attribute = name.partition(":")
    loaded = importlib.import_module(module)
    return getattr(loaded, attribute) if attribute else loaded
