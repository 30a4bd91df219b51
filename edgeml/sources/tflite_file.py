"""Existing TFLite files as sources: their own outputs are the reference."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import msgspec
import numpy as np

from edgeml.core.caller_inputs import arrays_by_input
from edgeml.core.errors import InputError, TargetError, UnsupportedModelError
from edgeml.core.formats.contents import MalformedFileError
from edgeml.core.formats.tflite import TfliteFile, read_tflite
from edgeml.core.formats.tflite_scan import scan_tflite
from edgeml.core.free_sizes import SizeOption
from edgeml.core.registry.engines import find_engine
from edgeml.core.session import Session
from edgeml.core.source import Probes, Reference, SourceInfo
from edgeml.core.system.files import read_bytes
from edgeml.core.system.machine import installed_version
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.sources.audit_findings import refuse_untrusted
from edgeml.sources.file_description import (
    batch_of,
    check_sizes,
    free_sizes_error,
    mark_unbatched,
    source_signature,
    whole_inputs,
)
from edgeml.sources.heads import describe_outputs, head_of
from edgeml.sources.states import StateOption, refuse_free_steps, refuse_undeclared, with_states
from edgeml.sources.tflite_sizes import settle_sizes
from edgeml.sources.tflite_steps import run_samples, run_steps
from edgeml.sources.tflite_trial import TfliteTrials

__all__ = ["SUFFIX", "TfliteFileSource", "open_source"]

SUFFIX = ".tflite"
_NO_SIZES: SizeOption = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class TfliteFileSource:
    """A TFLite file and its description.

    Attributes:
        info: Description of the model.
        model: Parsed contents of the file.
        data: Bytes of the file.
        batch: Fixed batch of the file.
        sizes: Sizes that were free in the file and are fixed, or stay free, by name.
    """

    info: SourceInfo
    model: TfliteFile
    data: bytes
    batch: int
    sizes: SizeOption = field(default_factory=dict)

    def reference(self, inputs: dict[str, np.ndarray]) -> Reference:
        """Return the outputs of the file in LiteRT, in float units.

        Args:
            inputs: Arrays ``[samples, ...]`` by input name, in the dtypes of the signature.
        """
        # By the engine alone: a reference through a session would share the session's faults.
        run = run_steps if self.info.stateful else run_samples
        return Reference(run(self.data, self.model, arrays_by_input(inputs, self.model.signature.visible, "data")))

    def run_batches(self, batches: Sequence[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
        """Return the outputs of the file for batches, each computed in one call; of a fixed batch, in several."""
        with self._session() as session:
            if self.model.free_batch:
                with contextlib.suppress(TargetError):  # a size within the file is fixed: all batches are
                    return [session.run_together(batch) for batch in batches]
            return [session.run(batch) for batch in batches]

    def _session(self) -> Session:
        return find_engine("tflite")(self.data, self.model.signature, needs=self.model.needs)

    def compared_columns(self) -> dict[str, tuple[int, ...]]:
        """Return no columns: the file does not show them."""
        return {}

    def probes(self, inputs: dict[str, np.ndarray]) -> Probes:  # noqa: ARG002  # a file says nothing about its inputs
        """Return no rows: the file itself is packaged."""
        return Probes({}, Reference({}))


def open_source(
    path: Path, *, trust: bool = False, sizes: SizeOption = _NO_SIZES, stateful: StateOption = None
) -> TfliteFileSource:
    """Read a ``.tflite`` file.

    Args:
        path: The file.
        trust: Whether custom operators are accepted.
        sizes: A number for each free size other than the batch, or those that it stays free for, by ``INPUT.AXIS``.
        stateful: Whether the model keeps a state, in variables or as inputs and outputs, or which of these.

    Raises:
        InputError: The file does not exist or is not a valid TFLite file, or a size is not free.
        UnsupportedModelError: The model is not supported.
    """
    data = read_bytes(path)
    try:
        scan = scan_tflite(data)
    except MalformedFileError as error:
        raise InputError(f"{path.name} is not a TFLite file, or is corrupt: {error}.") from error
    refuse_untrusted(path.name, scan.foreign, trust=trust)
    digest = hashlib.sha256(data).hexdigest()
    file = _read(data, path.name)
    _check(file, path.name)
    if file.states and not stateful:
        refuse_undeclared(path.name, [f"the variable '{state}'" for state in file.states])
    lengths = _lengths(data, file)
    free = [*lengths, *file.free_sizes]
    check_sizes(sizes, free, path.name)
    missing = [size for size in free if size not in sizes]
    if missing:
        details = f"The answer for a row depends on the others of its batch: {', '.join(lengths)} acts as a length."
        raise free_sizes_error(path.name, missing, details if lengths else "")
    if sizes or file.free_outputs:
        data = settle_sizes(data, file, sizes, path.name)
        file = _read(data, path.name)
    signature = _with_free_sizes(file, lengths) if sizes else file.signature
    signature = _checked_signature(signature, path.name)
    batch = batch_of(signature, path.name)
    if not file.states or isinstance(stateful, Mapping):
        signature = with_states(signature, stateful, path.name)
    file = msgspec.structs.replace(file, signature=signature)
    visible = signature.visible
    if batch is None:
        raise UnsupportedModelError(f"{path.name} has tensors without a shape.")
    refuse_free_steps(signature, path.name, stateful=bool(file.states) or visible is not signature)
    kinds = dict(zip((spec.name for spec in signature.outputs), file.final_operators, strict=True))
    heads = [head_of(kinds[spec.name] or "", spec.shape) for spec in visible.outputs]
    task, decision, by_output = describe_outputs(visible.outputs, heads)
    return TfliteFileSource(
        SourceInfo(
            "tflite",
            f"tflite-{file.precision}",
            source_signature(visible),
            task,
            decision,
            f"sha256:{digest}",
            {"ai-edge-litert": installed_version("ai-edge-litert") or "unknown"},
            whole_inputs=whole_inputs(visible),
            heads=by_output,
            stateful=bool(file.states) or visible is not signature,
        ),
        file,
        data,
        batch,
        dict(sizes),
    )


def _read(data: bytes, name: str) -> TfliteFile:
    try:
        return read_tflite(data)
    except Exception as error:  # the parser raises many types
        raise InputError(f"{name} is corrupt: it cannot be parsed ({type(error).__name__}: {error}).") from error


def _check(file: TfliteFile, name: str) -> None:
    if file.signatures > 1:
        raise UnsupportedModelError(
            f"{name} has {file.signatures} signatures, expected one.",
            fix="convert the model again with one signature.",
        )
    if file.precision is None:
        raise UnsupportedModelError(
            f"{name} mixes floats and integers, or computes in a dtype that is not supported; supported are float32, "
            "float16 or 8-bit weights, and activations of 8 or 16 bits.",
            fix="build from the original model.",
        )


def _lengths(data: bytes, file: TfliteFile) -> list[str]:
    """Return the dynamic first sizes of inputs that do not act as a batch, by ``INPUT.0``."""
    if not file.free_batch or file.states or TfliteTrials(data, file).has_batch():
        return []
    pairs = zip(file.signature.inputs, file.dynamic, strict=False)
    return [f"{spec.name}.0" for spec, axes in pairs if 0 in axes]


def _with_free_sizes(file: TfliteFile, lengths: Collection[str]) -> Signature:
    """Return the signature with the dynamic sizes of a file whose sizes are settled, those of inputs by ``INPUT.AXIS``.

    Args:
        file: The file.
        lengths: First sizes of inputs that are no batch.
    """
    count = len(file.signature.inputs)
    specs = []
    for place, tensor in enumerate((*file.signature.inputs, *file.signature.outputs)):
        axes = file.dynamic[place]
        names = tuple(f"{tensor.name}.{axis}" for axis in axes) if place < count else ()
        shape = tuple(None if axis in axes else size for axis, size in enumerate(tensor.shape))
        spec = msgspec.structs.replace(tensor, shape=shape, sizes=names)
        specs.append(mark_unbatched(spec, always=True) if f"{spec.name}.0" in lengths and place < count else spec)
    return Signature(tuple(specs[:count]), tuple(specs[count:]))


def _checked_signature(signature: Signature, name: str) -> Signature:
    """Return a signature whose tensors all have a batch; in the file some may not have it."""
    inputs, outputs = (tuple(_checked(spec, name) for spec in specs) for specs in (signature.inputs, signature.outputs))
    firsts = {spec.shape[0] if spec.shape else 0 for spec in (*inputs, *outputs)}
    if len(firsts) > 1 or 0 in firsts:
        return Signature(tuple(map(mark_unbatched, inputs)), tuple(map(mark_unbatched, outputs)))
    return Signature(inputs, outputs)


def _checked(spec: TensorSpec, name: str) -> TensorSpec:
    if spec.dtype not in {"float32", "float16", "int8", "uint8", "int16", "int32", "int64", "bool"}:
        raise UnsupportedModelError(f"{name}: the tensor '{spec.name}' is of {spec.dtype}, expected numbers or bools.")
    if spec.quantization is not None and not (0 < spec.quantization.scale < np.inf):
        raise InputError(f"{name} is corrupt: the scale of '{spec.name}' is {spec.quantization.scale}.")
    return spec
