"""Existing TFLite files: their reference is what they give themselves."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeml.core.errors import InputError, UnsupportedModelError
from edgeml.core.formats.tflite import TfliteFile, read_tflite
from edgeml.core.registry.engines import find_engine
from edgeml.core.source import Reference, SourceInfo
from edgeml.core.system.files import read_bytes
from edgeml.core.system.machine import installed_version
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.sources.file_description import batch_of, decision_of_file, float_signature, whole_inputs
from edgeml.sources.findings import refuse_untrusted

__all__ = ["SUFFIX", "TfliteFileSource", "open_source"]

SUFFIX = ".tflite"
_IDENTIFIER = b"TFL3"


@dataclass(frozen=True, slots=True)
class TfliteFileSource:
    """A TFLite file and its description.

    Attributes:
        model: What the file says of itself.
        data: Its bytes.
        batch: Its fixed batch.
    """

    info: SourceInfo
    model: TfliteFile
    data: bytes
    batch: int

    def reference(self, inputs: dict[str, np.ndarray]) -> Reference:
        """What LiteRT gives for the file, in float units.

        Args:
            inputs: float32 arrays ``[samples, ...]`` by input name.
        """
        opener = find_engine("tflite")
        session = opener(self.data, self.model.signature, needs=self.model.needs)
        return Reference(session.run(inputs))


def open_source(path: Path, *, trust: bool = False) -> TfliteFileSource:
    """Reads a ``.tflite`` file.

    Args:
        path: The file.
        trust: Whether operators that are not TFLite's own are let through.

    Raises:
        InputError: It is no sound TFLite file.
        UnsupportedModelError: It is one that edgeml does not carry.
    """
    data = read_bytes(path)
    if data[4:8] != _IDENTIFIER:
        raise InputError(f"{path.name} is no TFLite file: it does not say {_IDENTIFIER.decode()} in its head.")
    try:
        file = read_tflite(data)
    except Exception as error:  # the parser takes every offset in the file at its word
        raise InputError(f"{path.name} is damaged: it cannot be parsed ({type(error).__name__}: {error}).") from error
    _check(file, path.name, trust=trust)
    signature = Signature(
        tuple(_checked(spec, path.name) for spec in file.signature.inputs),
        tuple(_checked(spec, path.name) for spec in file.signature.outputs),
    )
    batch = batch_of(signature, path.name)
    if batch is None:
        raise UnsupportedModelError(f"{path.name} has tensors without a size.")
    decision = decision_of_file(file.decides, signature)
    return TfliteFileSource(
        SourceInfo(
            "tflite",
            f"tflite-{file.precision}",
            float_signature(signature, scores=decision is not None),
            "classification" if decision else None,
            decision,
            f"sha256:{hashlib.sha256(data).hexdigest()}",
            {"ai-edge-litert": installed_version("ai-edge-litert") or "unknown"},
            whole_inputs=whole_inputs(signature),
        ),
        file,
        data,
        batch,
    )


def _check(file: TfliteFile, name: str, *, trust: bool) -> None:
    refuse_untrusted(name, [f"the operator {kind:.80} is not TFLite's own" for kind in file.custom], trust=trust)
    if file.signatures > 1:
        raise UnsupportedModelError(
            f"{name} has {file.signatures} signatures, and a package's artifact has one.",
            fix="convert the model again with one signature.",
        )
    if file.free:
        raise UnsupportedModelError(
            f"{name}: the sizes of {', '.join(file.free)} are not fixed: only the batch may be free.",
            fix="convert the model again with fixed sizes.",
        )
    if file.precision is None:
        raise UnsupportedModelError(
            f"{name} computes partly in floats and partly in integers, or in a dtype of its own, which is no recipe's.",
            fix="build from the model that it was made from.",
        )


def _checked(spec: TensorSpec, name: str) -> TensorSpec:
    if spec.dtype not in {"float32", "float16", "int8", "uint8", "int16", "int32", "int64", "bool"}:
        raise UnsupportedModelError(f"{name}: the tensor '{spec.name}' is of {spec.dtype}, expected numbers.")
    if spec.quantization is not None and not (0 < spec.quantization.scale < np.inf):
        raise InputError(f"{name} is damaged: the scale of '{spec.name}' is {spec.quantization.scale}.")
    return spec
