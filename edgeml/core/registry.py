"""Where sources, converters and engines are found: names of modules, imported when they are needed.

A device without TensorFlow never touches what would import it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

__all__ = [
    "CONVERTERS",
    "DURABLE_WRITER",
    "ENGINES",
    "EXTRA_OF_MODULE",
    "IMAGE_READER",
    "PACKAGE_OPENER",
    "PREPROCESSORS",
    "READERS",
    "SOURCES",
    "Engine",
    "resolve",
]

SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "keras": "edgeml.sources.keras",
        "tf_keras": "edgeml.sources.tf_keras",
        "sklearn": "edgeml.sources.sklearn",
        "tflite": "edgeml.sources.tflite_file",
        "onnx": "edgeml.sources.onnx_file",
    }
)
"""Framework to module; each has `open_source(path, trust=)` and `SUFFIX`, and where it has models in memory
`save(model, path)`."""

CONVERTERS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("keras", "tflite"): "edgeml.converters.keras_to_tflite:convert",
        ("keras", "onnx"): "edgeml.converters.keras_to_onnx:convert",
        ("tf_keras", "tflite"): "edgeml.converters.keras_to_tflite:convert",
        ("tf_keras", "onnx"): "edgeml.converters.keras_to_onnx:convert",
        ("sklearn", "tflite"): "edgeml.converters.sklearn_to_tflite:convert",
        ("sklearn", "onnx"): "edgeml.converters.sklearn_to_onnx:convert",
        ("tflite", "tflite"): "edgeml.converters.tflite_to_tflite:convert",
        ("onnx", "onnx"): "edgeml.converters.onnx_to_onnx:convert",
    }
)
"""Framework and format to a `core.conversion.Converter`."""


class Engine(Struct, frozen=True):
    """One way to run a format on a target.

    Attributes:
        opener: A `core.session.SessionOpener`, as ``module:attribute``.
        module: The third-party module that it runs on.
        distribution: What a third party's engine comes with; empty for our own.
    """

    format: str
    target: str
    opener: str
    module: str
    distribution: str = ""


_LITERT = ("edgeml.runtimes.litert:LiteRTSession", "ai_edge_litert")
_LITERT_GPU = ("edgeml.runtimes.litert_gpu:LiteRTGpuSession", "ai_edge_litert")
_TFLITE_RUNTIME = ("edgeml.runtimes.tflite_runtime:TfliteRuntimeSession", "tflite_runtime")
_TFLITE_MICRO = ("edgeml.runtimes.tflite_micro:TfliteMicroSession", "tflite_micro")
_EDGE_TPU = "edgeml.runtimes.edgetpu"
_ONNXRUNTIME = ("edgeml.runtimes.onnxruntime:OnnxRuntimeSession", "onnxruntime")

ENGINES: tuple[Engine, ...] = (
    Engine("tflite", "cpu", *_LITERT),
    Engine("tflite", "cpu", *_TFLITE_RUNTIME),
    Engine("onnx", "cpu", *_ONNXRUNTIME),
    Engine("tflite", "gpu", *_LITERT_GPU),
    Engine("onnx", "cuda", *_ONNXRUNTIME),
    Engine("onnx", "tensorrt", *_ONNXRUNTIME),
    Engine("onnx", "webgpu", *_ONNXRUNTIME),
    Engine("onnx", "coreml", *_ONNXRUNTIME),
    Engine("onnx", "xnnpack", *_ONNXRUNTIME),
    Engine("onnx", "qnn", *_ONNXRUNTIME),
    Engine("tflite", "edgetpu", f"{_EDGE_TPU}:LiteRTEdgeTpuSession", "ai_edge_litert"),
    Engine("tflite", "edgetpu", f"{_EDGE_TPU}:TfliteRuntimeEdgeTpuSession", "tflite_runtime"),
    Engine("tflite", "micro", *_TFLITE_MICRO),
)
"""Of several for a format and target, the first that is installed is taken."""

PREPROCESSORS: Mapping[str, str] = MappingProxyType(
    {
        "image": "edgeml.preprocessing.image:prepare",
        "audio": "edgeml.preprocessing.audio:prepare",
        "table": "edgeml.preprocessing.table:prepare",
    }
)
"""Kind of a declaration to what makes an input's values of raw input."""

READERS: Mapping[str, str] = MappingProxyType({"tflite": "edgeml.converters.tflite_inspect:read_tflite"})
"""Format to what reads a file of it: from bytes to a `core.tflite_file.TfliteFile`."""

IMAGE_READER = "edgeml.preprocessing.image_files:read_image"
"""What reads an image file, from a path to uint8 pixels."""

DURABLE_WRITER = "edgeml.package.storage:write_durably"
"""What replaces a file, from a path and bytes, so that a crash leaves the old one or the new one."""

PACKAGE_OPENER = "edgeml.package:open_package"
"""What opens a package, from a path to a `core.packaged.Packaged`."""

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
        "matplotlib": "train",
        "vl_convert": "report",
        "jinja2": "report",
    }
)
"""Third-party module to the extra that installs it."""


def resolve(name: str) -> Any:
    """The module, or with ``module:attribute`` the attribute, of that name."""
    module, _, attribute = name.partition(":")
    loaded = importlib.import_module(module)
    return getattr(loaded, attribute) if attribute else loaded
