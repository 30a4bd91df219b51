"""Inputs and outputs whose names onnxruntime's quantizer would give to tensors of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from edgeml.core.conversion import ConversionJob
from edgeml.core.formats.onnx_contents import rename_tensors
from edgeml.core.tensors import Signature, TensorSpec

__all__ = ["renamed_job", "renamed_model", "renamed_signature", "reserved_names"]

_RESERVED = re.compile(r"_(?:quantized|scale|zero_point|scale_mul)$|[Qq]uantizeLinear")


def reserved_names(signature: Signature) -> dict[str, str]:
    """Return new names for all inputs and outputs, by name; empty if the quantizer would give none of the old ones."""
    names = dict.fromkeys(spec.name for spec in (*signature.inputs, *signature.outputs))
    if not any(map(_RESERVED.search, names)):
        return {}
    return {name: f"end{number}" for number, name in enumerate(names)}


def renamed_model(model: Any, names: Mapping[str, str]) -> Any:
    """Return a copy of an `onnx.ModelProto` with other names for its inputs and outputs.

    Names are exchanged: an inner tensor with one of the new names gets the old one.
    """
    copy = type(model).FromString(model.SerializeToString())
    rename_tensors(copy.graph, {new: name for name, new in names.items()} | dict(names))
    return copy


def renamed_signature(signature: Signature, names: Mapping[str, str]) -> Signature:
    """Return a signature with other names."""

    def rename(spec: TensorSpec) -> TensorSpec:
        return msgspec.structs.replace(spec, name=names[spec.name], state=names.get(spec.state, spec.state))

    return Signature(tuple(map(rename, signature.inputs)), tuple(map(rename, signature.outputs)))


def renamed_job(job: ConversionJob, names: Mapping[str, str]) -> ConversionJob:
    """Return a job with other names for its calibration samples."""
    if job.calibration is None:
        return job
    return replace(job, calibration={names[name]: array for name, array in job.calibration.items()})
