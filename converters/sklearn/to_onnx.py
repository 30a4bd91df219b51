"""scikit-learn to ONNX."""

from __future__ import annotations

import contextlib
import copy
import warnings
from typing import Any

import msgspec

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob, Source, TableSource
from edgeml.core.errors import EdgemlError, UnsupportedModelError
from edgeml.core.recipe import Recipe
from edgeml.core.system.machine import installed_version
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.quantization.onnx_precision import onnx_artifact

from ..tensorflow.to_onnx import graph_to_onnx, with_batch
from .onnx_operators._builder import part_options
from .onnx_operators._outputs import with_outputs
from .onnx_operators._registry import known_to_skl2onnx, own_routes
from .prepare.float32_thresholds import with_float32_thresholds
from .prepare.input_adapter import in_float32, reading_inputs, wide_models
from .prepare.rewrites import simplified
from .to_function import sklearn_to_graph

__all__ = ["convert"]

# ai.onnx.ml 3 is the newest that skl2onnx's tree converters need; together they serve every converter it has.
_OPSETS = {"": 17, "ai.onnx.ml": 3}

_REASON_LENGTH = 300  # skl2onnx may put whole trees into its messages


def convert(source: TableSource, recipe: Recipe, job: ConversionJob) -> Artifact:
    """Converts by skl2onnx in float32; in other precisions only what is rebuilt of stages.

    The float32 artifact of a classifier has a second output, ``label``, with the source's own labels: int64
    for numbers and booleans, else strings. Of a table it takes the columns in float64, and in float32 where it
    cannot compute in more.

    Raises:
        UnsupportedModelError: skl2onnx has no converter for a part of the model, or the precision would not
            be honest for it.
    """
    scikit = f"scikit-learn {source.info.versions['scikit-learn']}"
    if recipe.precision != "fp32":
        graph, job = sklearn_to_graph(source, recipe, job)
        key = "onnx graph, encoded" if recipe.needs_calibration else "onnx graph"
        return onnx_artifact(
            job.models.once(key, lambda: graph_to_onnx(graph, job.batch)),
            recipe,
            job,
            with_batch(graph.signature, job.batch),
            (scikit, f"tf2onnx {installed_version('tf2onnx')}"),
        )
    model, signature = _in_float32_or_more(source, with_batch(_with_label(source), job.batch))
    return onnx_artifact(model, recipe, job, signature, (scikit, f"skl2onnx {installed_version('skl2onnx')}"))


def _with_label(source: Source) -> Signature:
    signature, decision = source.info.signature, source.info.decision
    if decision is None:
        return signature
    if not all(isinstance(label, str) or label == int(label) for label in decision.labels):
        raise UnsupportedModelError(
            "Its labels are fractions, and ONNX has only integers and text for labels.",
            fix="train it with integers or text as labels.",
        )
    kind = "string" if isinstance(decision.labels[0], str) else "int64"
    label = TensorSpec("label", (None,), kind, meaning="label")  # type: ignore[arg-type]  # one of the two
    return msgspec.structs.replace(signature, outputs=(*signature.outputs, label))


def _in_float32_or_more(source: TableSource, signature: Signature) -> tuple[Any, Signature]:
    """The model with the signature's outputs, and with its inputs: columns of tables in float64 where that can be."""
    model = simplified(reading_inputs(copy.deepcopy(source.model), source))
    if any(spec.dtype == "float64" for spec in signature.inputs):
        for candidate in wide_models(model):
            with contextlib.suppress(UnsupportedModelError):
                made = with_outputs(_by_skl2onnx(candidate, source, signature), source, signature)
                if _loads(made):
                    return made, signature
    signature = in_float32(signature)
    made = _by_skl2onnx(with_float32_thresholds(model), source, signature)
    return with_outputs(made, source, signature), signature


def _loads(model: Any) -> bool:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:  # noqa: BLE001  # onnxruntime's exceptions have no base of their own; each means that it does not load
        return False
    return True


def _by_skl2onnx(model: Any, source: Source, signature: Signature) -> Any:
    """skl2onnx's own model: the signature's inputs, and its own names, order and shapes of outputs."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
    from sklearn.preprocessing import MaxAbsScaler, RobustScaler, StandardScaler

    # Scalers divide as scikit-learn does: with a product by the reciprocal, rows that come to lie on a threshold
    # of a tree behind them fall to the other side.
    options: dict[Any, dict[str, Any]] = {
        StandardScaler: {"div": "div"},
        RobustScaler: {"div": "div_cast"},
        MaxAbsScaler: {"div": "div_cast"},
    }
    kinds = {"float32": FloatTensorType, "float64": DoubleTensorType, "string": StringTensorType}
    routes = own_routes()
    try:
        with warnings.catch_warnings(), known_to_skl2onnx(routes):
            options.update(part_options(model))
            warnings.simplefilter("ignore")  # skl2onnx reads what scikit-learn will drop, and takes bools for ints
            return convert_sklearn(
                model,
                "model",
                [(spec.name, kinds[spec.dtype](list(spec.shape))) for spec in signature.inputs],
                target_opset=_OPSETS,
                options=options,
                custom_conversion_functions=routes,
            )
    except EdgemlError:
        raise
    except Exception as error:  # skl2onnx raises many kinds
        reason = (str(error).strip().splitlines() or [repr(error)])[0][:_REASON_LENGTH]
        raise UnsupportedModelError(
            f"skl2onnx {installed_version('skl2onnx')} cannot convert the {source.info.architecture}: {reason}",
            fix="replace the step that it names, or train a model of another kind.",
        ) from error
