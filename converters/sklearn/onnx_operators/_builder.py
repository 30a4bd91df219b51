"""Adds nodes to the graph that skl2onnx is building, in conversion functions of our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from edgeml.core.errors import UnsupportedModelError

__all__ = ["BOOL", "DOUBLE", "FLOAT", "INT64", "STRING", "Container", "Nodes", "Operator", "Scope", "part_options"]

FLOAT, INT64, STRING, BOOL, DOUBLE = 1, 7, 8, 9, 11  # onnx.TensorProto.DataType; onnx itself is imported in functions


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
        inputs: Tensors that it reads.
        outputs: Tensors that it writes.
    """

    raw_operator: Any
    inputs: Sequence[Variable]
    outputs: Sequence[Variable]


class Scope(Protocol):
    """The names of the graph."""

    def get_unique_variable_name(self, seed: str) -> str:
        """Make a new name of a tensor."""
        ...

    def get_unique_operator_name(self, seed: str) -> str:
        """Make a new name of a node."""
        ...

    def declare_local_variable(self, raw_name: str, type: Any) -> Variable:  # noqa: A002  # skl2onnx's own name
        """Declare a tensor."""
        ...

    def add_options(self, model_id: int, options: Mapping[str, Any]) -> None:
        """Set the options of a model, by the model's `id`."""
        ...


class Container(Protocol):
    """The nodes and constants of the graph."""

    def add_node(self, op_type: str, inputs: list[str], outputs: list[str], *, name: str, **attributes: Any) -> None:
        """Add a node."""
        ...

    def add_initializer(self, name: str, onnx_type: int, shape: list[int], content: Any) -> None:
        """Add a constant."""
        ...

    def add_options(self, model_id: int, options: Mapping[str, Any]) -> None:
        """Set the options of a model, by the model's `id`."""
        ...


class Nodes:
    """A call adds a node and gives the name of its output.

    Args:
        scope: Gives out names.
        container: Takes the nodes.
    """

    def __init__(self, scope: Scope, container: Container) -> None:
        self._scope = scope
        self._container = container

    def __call__(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Adds a node with one output, of the given name or a new one."""
        output = output or self._scope.get_unique_variable_name(kind)
        self._add(kind, inputs, [output], attributes)
        return output

    def several(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Adds a node with several outputs."""
        names = [self._scope.get_unique_variable_name(kind) for _ in range(outputs)]
        self._add(kind, inputs, names, attributes)
        return names

    def constant(self, values: np.ndarray) -> str:
        """Adds numbers or text."""
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
        """Casts to float64."""
        return self("Cast", tensor, to=DOUBLE)

    def single(self, tensor: str, *, output: str = "") -> str:
        """Casts to float32."""
        return self("Cast", tensor, to=FLOAT, output=output)

    def give(self, tensor: str, variable: Variable) -> None:
        """Casts to a variable of skl2onnx's, of the type that it declares."""
        from skl2onnx.common.data_types import DoubleTensorType

        kind = DOUBLE if isinstance(variable.type, DoubleTensorType) else FLOAT
        self("Cast", tensor, to=kind, output=variable.full_name)

    def number(self, values: Any) -> str:
        """Adds float64 numbers."""
        return self.constant(np.asarray(values, dtype=np.float64))

    def total(self, tensor: str, axis: int, *, keepdims: int = 1) -> str:
        """The sum along an axis."""
        return self("ReduceSum", tensor, self.constant(np.array([axis])), keepdims=keepdims)

    def columns(self, tensor: str, places: Any) -> str:
        """Some columns of a table, in the order given."""
        return self("Gather", tensor, self.constant(np.asarray(places, dtype=np.int64)), axis=1)

    def repeated(self, rows: str, row: Any) -> str:
        """One row of float64 numbers for each row of a table."""
        values = np.asarray(row, dtype=np.float64).reshape(1, -1)
        batch = self("Shape", rows, start=0, end=1)
        return self(
            "Expand", self.number(values), self("Concat", batch, self.constant(np.array([values.size])), axis=0)
        )

    def square_distances(self, rows: str, points: np.ndarray) -> str:
        """Squared Euclidean distances ``[batch, points]`` of float64 rows ``[batch, features]``, by one product.

        Rows and points are moved to the points' mean first, so that little is lost where they nearly cancel.
        """
        mean = np.asarray(points, dtype=np.float64).mean(axis=0)
        moved = np.asarray(points, dtype=np.float64) - mean
        offsets = self("Sub", rows, self.number(mean))
        products = self("MatMul", offsets, self.number(-2.0 * moved.T))
        own = self.total(self("Mul", offsets, offsets), 1)
        squares = self("Add", self("Add", products, own), self.number(np.square(moved).sum(axis=1)))
        return self("Max", squares, self.number(0.0))

    def exact_square_distances(self, rows: str, points: np.ndarray) -> str:
        """The same by differences: exact where rows lie on points; takes memory for each row, point and feature."""
        each = self("Unsqueeze", rows, self.constant(np.array([1])))
        offsets = self("Sub", each, self.number(np.asarray(points)[None]))
        return self.total(self("Mul", offsets, offsets), 2, keepdims=0)

    def part(self, model: Any, rows: Any, width: int | None = None, *, raw: bool = False) -> list[str]:
        """Adds what skl2onnx makes of another model, and gives the names of its outputs.

        Args:
            model: A classifier, of which come a label and scores, or another model, of which comes one table.
            rows: skl2onnx's variable, or a list of them, or the name of a tensor of `width` columns, which is cast
                to float32.
            width: Of a tensor.
            raw: Whether a classifier is to give its decision function although it has probabilities.

        Raises:
            UnsupportedModelError: skl2onnx cannot give its decision function.
        """
        from skl2onnx._parse import _parse_sklearn
        from skl2onnx.common.data_types import FloatTensorType

        variable = rows
        if isinstance(rows, str):
            variable = self._scope.declare_local_variable("rows", FloatTensorType([None, width]))
            self.single(rows, output=variable.full_name)
        for identity, options in part_options(model, raw=raw).items():
            self._scope.add_options(identity, options)
            self._container.add_options(identity, options)
        variables = variable if isinstance(variable, list) else [variable]
        return [made.full_name for made in _parse_sklearn(self._scope, model, variables)]

    def label_codes(self, text: str, keys: Sequence[str]) -> str:
        """The position of each text among the keys, int64; -1 of others."""
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
        """Adds the class of the largest score, of equal ones the first or last: int64 for numbers, else strings."""
        names = self.constant(classes.astype(np.int64 if classes.dtype.kind in "biuf" else str))
        return self(
            "Gather", names, self("ArgMax", scores, axis=1, keepdims=0, select_last_index=int(last)), output=output
        )

    def _add(self, kind: str, inputs: Sequence[str], outputs: list[str], attributes: dict[str, Any]) -> None:
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(kind, list(inputs), outputs, name=name, **attributes)


def _classifier_options(model: Any, raw: bool) -> dict[str, Any]:
    """A plain table of scores instead of a dictionary a row, and the scores that the classifier itself gives."""
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import get_converter

    wanted = {"zipmap": False, "raw_scores": raw or not hasattr(model, "predict_proba")}
    allowed = set(wanted)
    inner = model
    while inner is not None:  # a pipeline hands its options on to its last step
        alias = sklearn_operator_name_map.get(type(inner))
        allowed &= set(() if alias is None else get_converter(alias).get_allowed_options() or ())
        inner = inner.steps[-1][1] if hasattr(inner, "steps") else None
    if raw and hasattr(model, "predict_proba") and "raw_scores" not in allowed:
        raise UnsupportedModelError(
            f"skl2onnx does not give the decision function of a {type(model).__name__}, by which the model that holds "
            "it decides.",
            fix="put another classifier into it.",
        )
    return {name: value for name, value in wanted.items() if name in allowed}


def part_options(model: Any, *, raw: bool = False) -> dict[int, dict[str, Any]]:
    """The options of a model that may end in a classifier, by identity."""
    from sklearn.base import is_classifier

    found = {}
    while is_classifier(model):
        inner = hasattr(model, "steps")
        # Of none too: a pipeline gives classifiers that it finds none for some that they may not know.
        found[id(model)] = _classifier_options(model, raw and not inner)
        if not inner:
            break
        model = model.steps[-1][1]
    return found
