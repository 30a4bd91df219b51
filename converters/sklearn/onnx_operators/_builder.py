"""Builder for the nodes that edgeml's conversion functions add to skl2onnx's graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from edgeml.core.errors import UnsupportedModelError

__all__ = [
    "BOOL",
    "DOUBLE",
    "FLOAT",
    "INT64",
    "STRING",
    "Container",
    "GraphBuilder",
    "Operator",
    "Scope",
    "model_options",
]

FLOAT, INT64, STRING, BOOL, DOUBLE = 1, 7, 8, 9, 11  # values of onnx.TensorProto.DataType, without importing onnx


class Variable(Protocol):
    """A tensor of the graph, as skl2onnx describes it.

    Attributes:
        full_name: Name of the tensor.
        type: skl2onnx's type of the tensor: dtype and shape.
    """

    full_name: str
    type: Any


class Operator(Protocol):
    """The model that a conversion function converts.

    Attributes:
        raw_operator: The scikit-learn model.
        inputs: Input tensors.
        outputs: Output tensors.
    """

    raw_operator: Any
    inputs: Sequence[Variable]
    outputs: Sequence[Variable]


class Scope(Protocol):
    """Naming and declaration of tensors, as skl2onnx provides them."""

    def get_unique_variable_name(self, seed: str) -> str:
        """Return a new tensor name."""
        ...

    def get_unique_operator_name(self, seed: str) -> str:
        """Return a new node name."""
        ...

    def declare_local_variable(self, raw_name: str, type: Any) -> Variable:  # noqa: A002  # skl2onnx's own name
        """Declare a tensor."""
        ...

    def add_options(self, model_id: int, options: Mapping[str, Any]) -> None:
        """Set the options of a model, by the model's `id`."""
        ...


class Container(Protocol):
    """Storage for nodes and constants, as skl2onnx provides it."""

    def add_node(self, op_type: str, inputs: list[str], outputs: list[str], *, name: str, **attributes: Any) -> None:
        """Add a node."""
        ...

    def add_initializer(self, name: str, onnx_type: int, shape: list[int], content: Any) -> None:
        """Add a constant."""
        ...

    def add_options(self, model_id: int, options: Mapping[str, Any]) -> None:
        """Set the options of a model, by the model's `id`."""
        ...


class GraphBuilder:
    """A builder whose call adds a node and returns the name of its output.

    Args:
        scope: Source of unique names.
        container: Destination of the nodes.
    """

    def __init__(self, scope: Scope, container: Container) -> None:
        self._scope = scope
        self._container = container

    def __call__(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node with one output; without `output`, its name is generated."""
        output = output or self._scope.get_unique_variable_name(kind)
        self._add(kind, inputs, [output], attributes)
        return output

    def multi_output(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Add a node with several outputs."""
        names = [self._scope.get_unique_variable_name(kind) for _ in range(outputs)]
        self._add(kind, inputs, names, attributes)
        return names

    def constant(self, values: np.ndarray) -> str:
        """Add a constant of numbers or strings."""
        from onnx import helper

        name = self._scope.get_unique_variable_name("constant")
        content: Any
        if values.dtype.kind == "U":
            kind, content = STRING, [text.encode() for text in values.ravel().tolist()]
        else:
            kind, content = helper.np_dtype_to_tensor_dtype(values.dtype), values.ravel()
        self._container.add_initializer(name, kind, list(values.shape), content)
        return name

    def double(self, tensor: str) -> str:
        """Cast to float64."""
        return self("Cast", tensor, to=DOUBLE)

    def single(self, tensor: str, *, output: str = "") -> str:
        """Cast to float32."""
        return self("Cast", tensor, to=FLOAT, output=output)

    def write_output(self, tensor: str, variable: Variable) -> None:
        """Cast to the declared type of an output variable, and write it."""
        from skl2onnx.common.data_types import DoubleTensorType

        kind = DOUBLE if isinstance(variable.type, DoubleTensorType) else FLOAT
        self("Cast", tensor, to=kind, output=variable.full_name)

    def number(self, values: Any) -> str:
        """Add a float64 constant."""
        return self.constant(np.asarray(values, dtype=np.float64))

    def reduce_sum(self, tensor: str, axis: int, *, keepdims: int = 1) -> str:
        """Sum along an axis."""
        return self("ReduceSum", tensor, self.constant(np.array([axis])), keepdims=keepdims)

    def gather_columns(self, tensor: str, indices: Any) -> str:
        """Select columns of a table, in the order of `indices`."""
        return self("Gather", tensor, self.constant(np.asarray(indices, dtype=np.int64)), axis=1)

    def repeat_row(self, rows: str, row: Any) -> str:
        """Repeat a row of float64 numbers for each row of a table."""
        values = np.asarray(row, dtype=np.float64).reshape(1, -1)
        batch = self("Shape", rows, start=0, end=1)
        return self(
            "Expand", self.number(values), self("Concat", batch, self.constant(np.array([values.size])), axis=0)
        )

    def square_distances(self, rows: str, points: np.ndarray) -> str:
        """Compute squared Euclidean distances ``[batch, points]`` of float64 rows ``[batch, features]`` as a product.

        Rows and points are centered on the points' mean first, which limits cancellation.
        """
        mean = np.asarray(points, dtype=np.float64).mean(axis=0)
        centered = np.asarray(points, dtype=np.float64) - mean
        offsets = self("Sub", rows, self.number(mean))
        products = self("MatMul", offsets, self.number(-2.0 * centered.T))
        row_squares = self.reduce_sum(self("Mul", offsets, offsets), 1)
        squares = self("Add", self("Add", products, row_squares), self.number(np.square(centered).sum(axis=1)))
        return self("Max", squares, self.number(0.0))

    def exact_square_distances(self, rows: str, points: np.ndarray) -> str:
        """Compute squared distances ``[batch, points]`` by differences, exact for rows equal to a point.

        The differences take memory for ``[batch, points, features]``.
        """
        each = self("Unsqueeze", rows, self.constant(np.array([1])))
        offsets = self("Sub", each, self.number(np.asarray(points)[None]))
        return self.reduce_sum(self("Mul", offsets, offsets), 2, keepdims=0)

    def add_model(self, model: Any, rows: Any, width: int | None = None, *, raw: bool = False) -> list[str]:
        """Add a model with skl2onnx's converters, and return the names of its outputs.

        Args:
            model: A classifier, with the outputs label and scores, or another model, with one table as output.
            rows: A variable of skl2onnx, a list of them, or the name of a tensor, which is cast to float32.
            width: Number of columns of a tensor.
            raw: Return a classifier's decision function, even if it has probabilities.

        Raises:
            UnsupportedModelError: skl2onnx does not support the classifier's decision function.
        """
        from skl2onnx._parse import _parse_sklearn
        from skl2onnx.common.data_types import FloatTensorType

        variable = rows
        if isinstance(rows, str):
            variable = self._scope.declare_local_variable("rows", FloatTensorType([None, width]))
            self.single(rows, output=variable.full_name)
        for identity, options in model_options(model, raw=raw).items():
            self._scope.add_options(identity, options)
            self._container.add_options(identity, options)
        variables = variable if isinstance(variable, list) else [variable]
        return [output.full_name for output in _parse_sklearn(self._scope, model, variables)]

    def encode_labels(self, text: str, keys: Sequence[str]) -> str:
        """Return the int64 index of each string among the keys, -1 for unknown ones."""
        return self(
            "LabelEncoder",
            text,
            op_domain="ai.onnx.ml",
            op_version=2,
            keys_strings=list(keys),
            values_int64s=list(range(len(keys))),
            default_int64=-1,
        )

    def label(self, scores: str, classes: np.ndarray, *, output: str, last: bool = False) -> str:
        """Add the label of the largest score, ties going to the first or last: int64 for numbers, else strings."""
        names = self.constant(classes.astype(np.int64 if classes.dtype.kind in "biuf" else str))
        return self(
            "Gather", names, self("ArgMax", scores, axis=1, keepdims=0, select_last_index=int(last)), output=output
        )

    def _add(self, kind: str, inputs: Sequence[str], outputs: list[str], attributes: dict[str, Any]) -> None:
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(kind, list(inputs), outputs, name=name, **attributes)


def _classifier_options(model: Any, raw: bool) -> dict[str, Any]:
    """Return options for a table of scores instead of dictionaries, holding the classifier's own scores."""
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import get_converter

    options = {"zipmap": False, "raw_scores": raw or not hasattr(model, "predict_proba")}
    allowed = set(options)
    inner = model
    while inner is not None:  # a pipeline passes its options to its last step
        alias = sklearn_operator_name_map.get(type(inner))
        allowed &= set(() if alias is None else get_converter(alias).get_allowed_options() or ())
        inner = inner.steps[-1][1] if hasattr(inner, "steps") else None
    if raw and hasattr(model, "predict_proba") and "raw_scores" not in allowed:
        raise UnsupportedModelError(
            f"{type(model).__name__}: its decision function, which the surrounding model needs, is not supported by "
            "skl2onnx.",
            fix="use another classifier inside the model.",
        )
    return {name: value for name, value in options.items() if name in allowed}


def model_options(model: Any, *, raw: bool = False) -> dict[int, dict[str, Any]]:
    """Return skl2onnx's options for a model and the steps that it ends in, by their `id`."""
    from sklearn.base import is_classifier

    options_by_id = {}
    while is_classifier(model):
        inner = hasattr(model, "steps")
        # Set even if empty: a pipeline passes default options, which its classifier may reject.
        options_by_id[id(model)] = _classifier_options(model, raw and not inner)
        if not inner:
            break
        model = model.steps[-1][1]
    return options_by_id
