"""Tables of the modules of sources, converters and engines.

The tables hold names, and a module is imported when it is needed: a device without TensorFlow never imports a module
that requires TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

__all__ = [
    "CONVERTERS",
    "ENGINES",
    "SOURCES",
    "Engine",
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
"""Module of each framework, with `open_source(path, trust=)`, `SUFFIX` and, for frameworks with models in memory,
`save(model, path)`."""

CONVERTERS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("keras", "tflite"): "edgeml.converters.keras.to_tflite:convert",
        ("keras", "onnx"): "edgeml.converters.keras.to_onnx:convert",
        ("tf_keras", "tflite"): "edgeml.converters.keras.to_tflite:convert",
        ("tf_keras", "onnx"): "edgeml.converters.keras.to_onnx:convert",
        ("sklearn", "tflite"): "edgeml.converters.sklearn.to_tflite:convert",
        ("sklearn", "onnx"): "edgeml.converters.sklearn.to_onnx:convert",
        ("tflite", "tflite"): "edgeml.converters.tflite.from_file:convert",
        ("onnx", "onnx"): "edgeml.converters.onnx.from_file:convert",
    }
)
"""`core.conversion.Converter` of each pair of framework and format."""


class Engine(Struct, frozen=True):
    """An engine for one format on one target.

    Attributes:
        format: ``tflite`` or ``onnx``.
        target: Name of the target.
        adapter: Class of the protocol `core.engine.EngineAdapter`, as ``module:attribute``.
        module: Third-party module that the adapter uses.
        distribution: Distribution of a plug-in that declares the engine; empty for engines of this table.
    """

    format: str
    target: str
    adapter: str
    module: str
    distribution: str = ""


_LITERT = ("edgeml.runtimes.engines.litert:LiteRTAdapter", "ai_edge_litert")
_LITERT_GPU = ("edgeml.runtimes.engines.litert_gpu:LiteRTGpuAdapter", "ai_edge_litert")
_TFLITE_RUNTIME = ("edgeml.runtimes.engines.tflite_runtime:TfliteRuntimeAdapter", "tflite_runtime")
_TFLITE_MICRO = ("edgeml.runtimes.engines.tflite_micro:TfliteMicroAdapter", "tflite_micro")
_EDGE_TPU = "edgeml.runtimes.engines.edgetpu"
_ONNXRUNTIME = ("edgeml.runtimes.engines.onnxruntime:OnnxRuntimeAdapter", "onnxruntime")

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
    Engine("tflite", "edgetpu", f"{_EDGE_TPU}:LiteRTEdgeTpuAdapter", "ai_edge_litert"),
    Engine("tflite", "edgetpu", f"{_EDGE_TPU}:TfliteRuntimeEdgeTpuAdapter", "tflite_runtime"),
    Engine("tflite", "micro", *_TFLITE_MICRO),
)
"""Engines in order of preference: the first installed engine for a format and target runs it."""
