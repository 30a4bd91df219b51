"""Conversion of scikit-learn models to ONNX."""

from __future__ import annotations

import contextlib
import copy
import re
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
from .onnx_operators._builder import model_options
from .onnx_operators._outputs import set_outputs
from .onnx_operators._registry import conversion_functions, register_with_skl2onnx
from .onnx_operators.text_vectorizers import token_options
from .prepare.float32_thresholds import round_thresholds
from .prepare.input_adapter import float64_variants, select_input_columns, with_float32_inputs
from .prepare.rewrites import simplify
from .to_function import sklearn_to_graph

__all__ = ["convert"]

# skl2onnx's tree converters need ai.onnx.ml 3; all of its converters support this pair of opsets.
_OPSETS = {"": 17, "ai.onnx.ml": 3}

_CLASS = re.compile(r"<class '(?:\w+\.)*(\w+)'>")
_MAX_REASON_LENGTH = 300  # skl2onnx's messages can contain whole trees


def convert(source: TableSource, recipe: Recipe, job: ConversionJob) -> Artifact:
    """Convert with skl2onnx for float32, and through TensorFlow for other precisions.

    The float32 artifact of a classifier has a second output, ``label``, with the source's own labels: int64 for numbers
    and booleans, else strings. Inputs of tables are float64 where the graph can compute in float64, else float32.

    Raises:
        UnsupportedModelError: A part of the model is not supported, or the precision would change its predictions too
            much.
    """
    scikit_version = f"scikit-learn {source.info.versions['scikit-learn']}"
    if recipe.precision != "fp32":
        graph, job = sklearn_to_graph(source, recipe, job)
        key = "onnx graph, encoded" if recipe.needs_calibration else "onnx graph"
        return onnx_artifact(
            job.models.once(key, lambda: graph_to_onnx(graph, job.batch)),
            recipe,
            job,
            with_batch(graph.signature, job.batch),
            (scikit_version, f"tf2onnx {installed_version('tf2onnx')}"),
        )
    model, signature = _convert_exactly(source, with_batch(_add_label(source), job.batch))
    return onnx_artifact(model, recipe, job, signature, (scikit_version, f"skl2onnx {installed_version('skl2onnx')}"))


def _add_label(source: Source) -> Signature:
    signature, decision = source.info.signature, source.info.decision
    if decision is None:
        return signature
    if not all(isinstance(label, str) or label == int(label) for label in decision.labels):
        raise UnsupportedModelError(
            "Fractional labels are not supported in ONNX; expected integers or strings.",
            fix="train the model with integers or strings as labels.",
        )
    dtype = "string" if isinstance(decision.labels[0], str) else "int64"
    label = TensorSpec("label", (None,), dtype, meaning="label")  # type: ignore[arg-type]  # one of the two
    return msgspec.structs.replace(signature, outputs=(*signature.outputs, label))


def _convert_exactly(source: TableSource, signature: Signature) -> tuple[Any, Signature]:
    """Convert with skl2onnx, with float64 inputs if possible; return the model and its signature."""
    model = simplify(select_input_columns(copy.deepcopy(source.model), source))
    if any(spec.dtype == "float64" for spec in signature.inputs):
        for candidate in float64_variants(model):
            with contextlib.suppress(UnsupportedModelError):
                converted = set_outputs(_run_skl2onnx(candidate, source, signature), source, signature)
                if _is_loadable(converted):
                    return converted, signature
    signature = with_float32_inputs(signature)
    converted = _run_skl2onnx(round_thresholds(model), source, signature)
    return set_outputs(converted, source, signature), signature


def _is_loadable(model: Any) -> bool:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:  # noqa: BLE001  # onnxruntime's exceptions have no common base class
        return False
    return True


def _run_skl2onnx(model: Any, source: Source, signature: Signature) -> Any:
    """Convert with skl2onnx; names, order and shapes of the outputs are its own."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
    from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator
    from sklearn.preprocessing import RobustScaler, StandardScaler

    # Scalers divide, like scikit-learn. A product by the reciprocal would move rows across thresholds of trees that
    # follow.
    options: dict[Any, dict[str, Any]] = {
        StandardScaler: {"div": "div"},
        RobustScaler: {"div": "div_cast"},
    }
    tensor_types = {"float32": FloatTensorType, "float64": DoubleTensorType, "string": StringTensorType}
    functions = conversion_functions()
    try:
        with warnings.catch_warnings(), register_with_skl2onnx(functions):
            options.update(model_options(model))
            options.update(token_options(model))
            warnings.simplefilter("ignore")  # skl2onnx uses deprecated attributes, and bools as ints
            return convert_sklearn(
                model,
                "model",
                [(spec.name, tensor_types[spec.dtype](list(spec.shape))) for spec in signature.inputs],
                target_opset=_OPSETS,
                options=options,
                custom_conversion_functions=functions,
            )
    except EdgemlError:
        raise
    except (MissingConverter, MissingShapeCalculator) as error:
        name, kind = source.info.architecture, _CLASS.search(str(error))
        what = f"the {name}" if kind and kind[1] == name else f"{kind[1] if kind else 'a part'} of the {name}"
        raise UnsupportedModelError(
            f"skl2onnx {installed_version('skl2onnx')} does not convert {what}.",
            fix="replace it by another estimator; or apply it before the model, and package the rest.",
            log=str(error),
        ) from error
    except Exception as error:  # skl2onnx raises many exception types
        reason = (str(error).strip().splitlines() or [repr(error)])[0][:_MAX_REASON_LENGTH]
        raise UnsupportedModelError(
            f"skl2onnx {installed_version('skl2onnx')} cannot convert the {source.info.architecture}: {reason}",
            fix="replace the step that the message names, or train another kind of model.",
        ) from error
