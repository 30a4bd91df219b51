"""Existing ONNX files as sources: their own outputs are the reference."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.caller_inputs import arrays_by_input
from edgeml.core.decisions import Decision
from edgeml.core.engine import is_out_of_memory
from edgeml.core.errors import InputError, TargetError, UnsupportedModelError
from edgeml.core.formats.contents import MalformedFileError
from edgeml.core.formats.onnx_contents import onnx_contents
from edgeml.core.formats.onnx_integers import integer_inputs
from edgeml.core.formats.onnx_scan import scan_onnx
from edgeml.core.formats.stored_precision import has_sparse_weights, onnx_precision, unsupported_precision
from edgeml.core.free_sizes import SizeOption
from edgeml.core.recipe import Precision
from edgeml.core.registry.engines import find_engine
from edgeml.core.session import Session
from edgeml.core.source import Head, Probes, Reference, SourceInfo
from edgeml.core.system.files import read_bytes
from edgeml.core.system.machine import installed_version
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.quantization.onnx_steps import run_samples, run_steps
from edgeml.sources.audit_findings import refuse_untrusted
from edgeml.sources.class_names import class_names
from edgeml.sources.file_description import batch_of, source_signature, whole_inputs
from edgeml.sources.heads import describe_outputs, head_of
from edgeml.sources.onnx_classifier import Classifier, find_classifier
from edgeml.sources.onnx_form import normalize
from edgeml.sources.onnx_signature import read_signature
from edgeml.sources.onnx_weights import load_weights
from edgeml.sources.states import StateOption, refuse_free_steps, with_states

__all__ = ["SUFFIX", "OnnxFileSource", "open_source"]

SUFFIX = ".onnx"
_DECISIONS = {"Softmax": "softmax", "Sigmoid": "sigmoid"}
_OPSET_OF_SOFTMAX = 13  # from which its axis is the last by default, and one axis alone
_MOVING = {"Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
_PASSING = {"Cast", "DequantizeLinear", "Identity", "QuantizeLinear"}
_MIN_IR_VERSION = 8
_MOST_SAMPLES, _CALL_BYTES = 64, 2**20  # of inputs in a call; activations take a hundred times as much
_PROBABLE = {b"LOGISTIC", b"SOFTMAX"}
_NO_SIZES: SizeOption = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class OnnxFileSource:
    """An ONNX file and its description.

    Attributes:
        info: Description of the model.
        model: The `onnx.ModelProto`, with plain names for its inputs and outputs, and functions inlined.
        signature: Tensors of the file, with their own dtypes and batch.
        precision: Precision that the file computes in.
        sizes: Sizes that were free in the file and are fixed, or stay free, by name.
    """

    info: SourceInfo
    model: Any
    signature: Signature
    precision: Precision
    sizes: SizeOption = field(default_factory=dict)

    def reference(self, inputs: dict[str, np.ndarray]) -> Reference:
        """Return the outputs of the file in onnxruntime.

        Args:
            inputs: Arrays ``[samples, ...]`` by input name, in the dtypes of the signature.
        """
        # By the engine alone: a reference through a session would share the session's faults.
        arrays = arrays_by_input(inputs, self.signature.visible, "data")
        if self.info.stateful:
            outputs, _ = run_steps(self.model, self.signature, arrays)
        else:
            outputs = run_samples(self.model, self.signature, arrays, self._batch_for(arrays))
        labels = next((outputs.pop(spec.name) for spec in self.signature.outputs if spec.meaning == "label"), None)
        return Reference(outputs, None if labels is None else self._positions(labels))

    def _batch_for(self, arrays: Mapping[str, np.ndarray]) -> int:
        """Return the number of samples in a call of the engine."""
        batch = self.signature.inputs[0].shape[0]
        if batch is not None or any(node.op_type.startswith("DynamicQuantize") for node in self.model.graph.node):
            return batch or 1  # ranges are those of a batch
        sample_bytes = max(1, sum(array[:1].nbytes for array in arrays.values()))
        return max(1, min(_MOST_SAMPLES, _CALL_BYTES // sample_bytes))

    def _positions(self, labels: np.ndarray) -> np.ndarray:
        """Return the positions of labels in the decision's labels."""
        assert self.info.decision is not None
        places = {label: place for place, label in enumerate(self.info.decision.labels)}
        values = labels.reshape(-1).tolist()
        unknown = next((label for label in values if label not in places), None)
        if unknown is not None:
            raise UnsupportedModelError(f"The file returned the label {unknown!r:.80}, which it does not list.")
        return np.array([places[label] for label in values], np.int64)

    def run_batches(self, batches: Sequence[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
        """Return the outputs of the file for batches, each computed in one call; of a fixed batch, in several."""
        is_free = self.signature.inputs[0].shape[0] is None
        numbers = {spec.name for spec in self.signature.outputs if spec.meaning != "label"}
        with self._session() as session:
            try:
                runs = [session.run_together(batch) if is_free else session.run(batch) for batch in batches]
            except TargetError as error:
                if not is_out_of_memory(error.__cause__ or error):
                    raise
                runs = [session.run(batch) for batch in batches]  # in smaller calls, which fit into memory
        return [{name: values for name, values in run.items() if name in numbers} for run in runs]

    def _session(self) -> Session:
        # The session chooses its batches by the operators: some outputs depend on them.
        needs = Needs("onnxruntime", "unknown", tuple(sorted(onnx_contents(self.model).operators)))
        return find_engine("onnx")(self.model.SerializeToString(), self.signature, needs=needs)

    def compared_columns(self) -> dict[str, tuple[int, ...]]:
        """Return no columns: the file does not show them."""
        return {}

    def probes(self, inputs: dict[str, np.ndarray]) -> Probes:  # noqa: ARG002  # a file says nothing about its inputs
        """Return no rows: the file itself is packaged."""
        return Probes({}, Reference({}))


def open_source(
    path: Path, *, trust: bool = False, sizes: SizeOption = _NO_SIZES, stateful: StateOption = None
) -> OnnxFileSource:
    """Audit and read an ``.onnx`` file, with weights in plain files of its own folder.

    Args:
        path: The file.
        trust: Whether operators of other domains are accepted.
        sizes: A number for each free size, or those that it stays free for, by the name of the size; of one without a
            name by ``INPUT.AXIS``.
        stateful: Whether inputs and outputs of the model hold a state, or which.

    Raises:
        InputError: The file does not exist or is not a valid ONNX file, or a size is not free.
        UnsupportedModelError: The audit found something, or the model is not supported.
    """
    import onnx
    from google.protobuf.message import DecodeError

    data = read_bytes(path)
    try:
        refuse_untrusted(path.name, scan_onnx(data).foreign, trust=trust)
        model = onnx.ModelProto.FromString(data)
        if not model.graph.node:
            raise InputError(f"{path.name} is not an ONNX file, or is corrupt: operators were not found in it.")
        load_weights(model, path)
        return _describe(_checked(model, path.name), path.name, sizes, stateful)
    except (MalformedFileError, DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} is not an ONNX file, or is corrupt: {error}.") from error


def _checked(model: Any, name: str) -> Any:
    """Return the checked model with functions inlined."""
    import onnx
    import onnx.inliner

    model.ir_version = max(model.ir_version, _MIN_IR_VERSION)  # an older one wants weights among the inputs
    tensors = [value for value in model.graph.output if value.type.HasField("tensor_type")]
    unshaped = [value for value in tensors if not value.type.tensor_type.HasField("shape")]
    try:
        for value in unshaped:  # which a trial run settles; the checker wants a shape
            value.type.tensor_type.shape.SetInParent()
        onnx.checker.check_model(model)
        for value in unshaped:
            value.type.tensor_type.ClearField("shape")
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:  # the checker and the inliner raise several types
        raise InputError(f"{name} is corrupt: {(str(error).strip() or repr(error)).splitlines()[0][:300]}.") from error


def _describe(model: Any, name: str, sizes: SizeOption, stateful: StateOption) -> OnnxFileSource:
    digest = hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()
    if has_sparse_weights(model):
        raise UnsupportedModelError(
            f"{name} has sparse weights, which are not supported.", fix="store them as dense tensors."
        )
    classifier = find_classifier(model.graph)
    normalize(model)
    signature = read_signature(model, name, sizes)
    if classifier is not None and not _is_scored(signature.outputs[classifier.scores], classifier):
        classifier = None
    signature = _with_meanings(signature, classifier, name)
    batch_of(signature, name)
    signature = with_states(signature, stateful, name)
    visible = signature.visible
    refuse_free_steps(signature, name, stateful=visible is not signature)
    precision = onnx_precision(model)
    if precision is None:
        raise UnsupportedModelError(
            f"{name} stores weights as {unsupported_precision(model)}; supported are float64, float32, float16, int8 "
            "and uint8.",
            fix="build from the original model.",
        )
    heads = list(_heads(model, visible))
    outputs = visible.outputs
    if classifier is not None:
        outputs = (signature.outputs[classifier.scores],)
        heads = [_classifier_head(model, outputs[0], classifier)]
    task, decision, by_output = describe_outputs(outputs, heads)
    info = SourceInfo(
        "onnx",
        f"onnx-{precision}",
        source_signature(Signature(visible.inputs, outputs)),
        task,
        decision,
        f"sha256:{digest}",
        {package: installed_version(package) or "unknown" for package in ("onnx", "onnxruntime")},
        whole_inputs=whole_inputs(visible, integer_inputs(model.graph)),
        heads=by_output,
        class_names=class_names({entry.key: entry.value for entry in model.metadata_props}),
        stateful=visible is not signature,
    )
    return OnnxFileSource(info, model, signature, precision, dict(sizes))


def _with_meanings(signature: Signature, classifier: Classifier | None, name: str) -> Signature:
    """Mark the outputs of a classifier; refuse other outputs of text."""
    outputs = list(signature.outputs)
    if classifier is not None:
        outputs[classifier.label] = msgspec.structs.replace(outputs[classifier.label], meaning="label")
        outputs[classifier.scores] = msgspec.structs.replace(outputs[classifier.scores], meaning="scores")
    texts = [spec.name for spec in outputs if spec.dtype == "string" and spec.meaning != "label"]
    if texts:
        raise UnsupportedModelError(
            f"{name} returns text in {', '.join(texts)}, and does not list the labels that it selects from.",
            fix="keep only the outputs that are numbers.",
        )
    return Signature(signature.inputs, tuple(outputs))


def _is_scored(scores: TensorSpec, classifier: Classifier) -> bool:
    """Return whether an output has a score for each label, or one for two labels."""
    count = len(classifier.labels)
    return scores.shape[1:] == (count,) or (count == 2 and scores.shape[1:] in {(), (1,)})


def _classifier_head(model: Any, scores: TensorSpec, classifier: Classifier) -> Head:
    """Return the head of a classifier, whose label output decides."""
    producers = {name: node for node in model.graph.node for name in node.output}
    node = producers.get(scores.name)
    while node is not None and node.op_type in _PASSING:
        node = producers.get(node.input[0])
    if scores.shape[1:] in {(), (1,)}:
        return Head("classification", Decision(classifier.labels, threshold=0.0))
    is_probable = node is not None and (
        node.op_type in {"Normalizer", "Softmax"} or any(each.s in _PROBABLE for each in node.attribute)
    )
    return Head("classification", Decision(classifier.labels, probabilities=is_probable))


def _heads(model: Any, signature: Signature) -> Iterator[Head]:
    """Yield task and decision of each output, as the operator that computes it shows."""
    producers = {name: node for node in model.graph.node for name in node.output}
    opset = next((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), 0)
    for spec in signature.outputs:
        node, is_moved = producers.get(spec.name), False
        for _ in model.graph.node:
            if node is None or node.op_type not in _PASSING | _MOVING:
                break
            is_moved |= node.op_type in _MOVING
            node = producers.get(node.input[0])
        if is_moved and (node is None or node.op_type != "Sigmoid"):  # which has no axis
            yield Head()
            continue
        default = -1 if opset >= _OPSET_OF_SOFTMAX else 1
        axis = next((each.i for each in node.attribute if each.name == "axis"), default) if node is not None else -1
        axis += 1 if spec.unbatched and axis >= 0 else 0
        yield head_of(_DECISIONS.get(node.op_type, "") if node is not None else "", spec.shape, axis)
