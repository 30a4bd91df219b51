"""Static check of an ONNX file's bytes, before any parser or engine sees them.

It needs neither protobuf nor onnx, which devices do not have, and skips weights in place. Numbers of fields are those
of ``onnx.proto``: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

import math
from typing import NamedTuple

from edgeml.core.formats.contents import FileScan, MalformedFileError, TensorContents
from edgeml.core.formats.protobuf import BYTES, FIXED32, FIXED64, VARINT, Field, Message, ProtobufReader

__all__ = ["scan_onnx"]

# The operators of ONNX and onnxruntime are safe, but for those of onnxruntime that load other files.
_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
_LOADERS = {"ATen", "EPContext", "PythonOp", "PythonOpGrad"}
_SHAPED = {"ConstantOfShape", "Expand", "Tile", "RandomNormal", "RandomUniform"}
_MAX_ELEMENTS = 2**28  # of a tensor that a constant shape asks for
_MAX_AXES = 64
_MAX_DEPTH = 32  # graphs in operators of graphs; protobuf itself stops at a depth of 100 messages
_MAX_FIELDS = 1_000_000  # a network of 25,000 operators
_ORT_IDENTIFIER = b"ORTM"
_INT64 = 7
_DTYPES = {1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool"}
_DTYPES |= {10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16"}

_NUMBER, _TEXT = (VARINT,), (BYTES,)
_NUMBERS, _FLOATS, _DOUBLES = (VARINT, BYTES), (FIXED32, BYTES), (FIXED64, BYTES)


def _texts(*numbers: int) -> dict[int, tuple[int, ...]]:
    return dict.fromkeys(numbers, _TEXT)


_MODEL = Message(_texts(7, 20, 25), _texts(2, 3, 4, 6, 8, 14, 26) | {1: _NUMBER, 5: _NUMBER})
_TRAINING = Message(_texts(1, 2), _texts(3, 4))
_FUNCTION = Message(_texts(1, 7, 10, 11, 13), _texts(4, 5, 6, 8, 9, 12, 14))
_GRAPH = Message(_texts(1, 2, 5, 11, 12, 13, 15), _texts(10, 14, 16))
_NODE = Message(_texts(1, 2, 3, 4, 5, 7, 8), _texts(6, 9, 10))
_ATTRIBUTE = Message(
    _texts(1, 5, 6, 10, 11, 22, 23),
    _texts(4, 9, 13, 14, 15, 21) | {2: (FIXED32,), 3: _NUMBER, 7: _FLOATS, 8: _NUMBERS, 20: _NUMBER},
)
_ATTRIBUTE_INTS = Message({8: _NUMBERS}, {**_ATTRIBUTE.read, **_ATTRIBUTE.skipped, 8: ()})
_TENSOR = Message(
    _texts(8, 9, 13) | {1: _NUMBERS, 2: _NUMBER, 14: _NUMBER},
    _texts(3, 6, 12, 16) | {4: _FLOATS, 5: _NUMBERS, 7: _NUMBERS, 10: _DOUBLES, 11: _NUMBERS},
)
_TENSOR_INT64 = Message({7: _NUMBERS}, {**_TENSOR.read, **_TENSOR.skipped, 7: ()})
_SPARSE = Message(_texts(1, 2), {3: _NUMBERS})
_ENTRY = Message(_texts(1, 2), {})
_VALUE = Message(_texts(1, 2), _texts(3, 4))
_TYPE = Message(_texts(1, 4, 5, 7, 8, 9), _texts(6))
_TENSOR_TYPE = Message(_texts(2) | {1: _NUMBER}, {})
_SHAPE = Message(_texts(1), {})
_SIZE = Message(_texts(2) | {1: _NUMBER}, _texts(3))
_KINDS = {4: "sequence", 5: "map", 7: "opaque", 8: "sparse_tensor", 9: "optional"}


class _Operator(NamedTuple):
    """Identity of an operator, or of a function of the model."""

    domain: str
    kind: str
    overload: str


def scan_onnx(data: bytes) -> FileScan:
    """Scan an ONNX file.

    Args:
        data: The file.

    Returns:
        The inputs and outputs, data in other files, and operators of other domains than those of ONNX and onnxruntime.

    Raises:
        MalformedFileError: The bytes are not a model as ONNX defines it, a tensor declares more data than the file
            holds, or an operator asks for a tensor of more than 2**28 elements.
    """
    if data[4:8] == _ORT_IDENTIFIER:
        raise MalformedFileError("it is a model in onnxruntime's own ORT format, expected ONNX")
    return _OnnxScan(data).run()


class _OnnxScan:
    """A walk over the messages of one file, depth first."""

    def __init__(self, data: bytes) -> None:
        self._reader = ProtobufReader(data, _MAX_FIELDS)
        self._external: list[str] = []
        self._function: _Operator | None = None  # that the walk is in; None in the model's graph
        self._operators: dict[_Operator | None, set[_Operator]] = {None: set()}  # by the function that has them

    def run(self) -> FileScan:
        graphs = []
        for field in self._reader.fields(0, len(self._reader.data), _MODEL):
            if field[0] == 7:
                graphs.append(self._scan_graph(field))
            elif field[0] == 20:
                for graph in self._reader.fields(*field[2:], _TRAINING):
                    self._scan_graph(graph)
            else:
                self._scan_function(field)
        if len(graphs) != 1:
            raise MalformedFileError(f"it has {len(graphs)} graphs, expected one")
        self._refuse_recursion()
        return FileScan(*graphs[0], tuple(dict.fromkeys(self._external)), self._foreign())

    def _foreign(self) -> tuple[str, ...]:
        """Return the operators that neither ONNX nor onnxruntime nor the model defines, or that load other files."""
        functions = self._operators.keys()
        clauses = {
            f"the operator {operator.kind:.80} is of the domain {operator.domain!r:.80}"
            for operator in set().union(*self._operators.values())
            if (operator.domain == "com.microsoft" and operator.kind in _LOADERS)
            or (operator.domain not in _DOMAINS and operator not in functions)
        }
        return tuple(sorted(clauses))

    def _refuse_recursion(self) -> None:
        functions = self._operators.keys()
        calls = {function: operators & functions for function, operators in self._operators.items()}
        while leaves := [function for function, called in calls.items() if not called]:
            for function in leaves:
                del calls[function]
            calls = {function: called - set(leaves) for function, called in calls.items()}
        if calls:
            raise MalformedFileError("one of its functions calls itself")

    def _scan_function(self, function: Field) -> None:
        names = dict.fromkeys((1, 10, 13), "")
        nodes: list[Field] = []
        attributes: list[Field] = []
        for field in self._reader.fields(*function[2:], _FUNCTION):
            if field[0] in names:
                names[field[0]] = self._text(field)
            else:
                (nodes if field[0] == 7 else attributes).append(field)
        self._function = _Operator(names[10], names[1], names[13])
        self._operators[self._function] = set()
        for node in nodes:
            self._scan_node(node, {}, 0)
        for attribute in attributes:
            self._scan_attribute(attribute, 0)
        self._function = None

    def _scan_graph(
        self, graph: Field, depth: int = 0
    ) -> tuple[tuple[TensorContents, ...], tuple[TensorContents, ...]]:
        """Scan a graph, and return its inputs and outputs."""
        if depth > _MAX_DEPTH:
            raise MalformedFileError(f"its graphs are nested more than {_MAX_DEPTH} deep")
        weights: dict[str, list[int]] = {}
        nodes: list[Field] = []
        inputs: list[TensorContents] = []
        outputs: list[TensorContents] = []
        for field in self._reader.fields(*graph[2:], _GRAPH):
            number = field[0]
            if number == 1:
                nodes.append(field)
            elif number == 5:
                weights.update([self._scan_tensor(field)])
            elif number == 15:
                self._scan_sparse_tensor(field)
            elif number == 2:
                self._text(field)
            else:
                value = self._value(field)
                if number != 13:
                    (inputs if number == 11 else outputs).append(value)
        for node in nodes:  # weights may follow the nodes that read them
            self._scan_node(node, weights, depth)
        return tuple(value for value in inputs if value.name not in weights), tuple(outputs)

    def _scan_node(self, node: Field, weights: dict[str, list[int]], depth: int) -> None:
        texts = dict.fromkeys((4, 7, 8), "")
        inputs: list[str] = []
        attributes: list[Field] = []
        for field in self._reader.fields(*node[2:], _NODE):
            if field[0] == 5:
                attributes.append(field)
                continue
            text = self._text(field)
            if field[0] == 1:
                inputs.append(text)
            elif field[0] in texts:
                texts[field[0]] = text
        operator = _Operator(texts[7], texts[4], texts[8])
        self._operators[self._function].add(operator)
        names = [(self._scan_attribute(attribute, depth), attribute) for attribute in attributes]
        if operator.kind not in _SHAPED:
            return
        shapes = [weights.get(name, []) for name in inputs]
        shapes += [self._integers(attribute, _ATTRIBUTE_INTS) for name, attribute in names if name == "shape"]
        for shape in shapes:
            if shape and math.prod(shape) > _MAX_ELEMENTS:
                raise MalformedFileError(
                    f"{operator.kind} asks for a tensor of the shape {shape[:8]}, more than {_MAX_ELEMENTS} elements"
                )

    def _scan_attribute(self, attribute: Field, depth: int) -> str:
        """Scan an attribute, and return its name."""
        name = ""
        for field in self._reader.fields(*attribute[2:], _ATTRIBUTE):
            number = field[0]
            if number == 1:
                name = self._text(field)
            elif number in {5, 10}:
                self._scan_tensor(field)
            elif number in {6, 11}:
                self._scan_graph(field, depth + 1)
            else:
                self._scan_sparse_tensor(field)
        return name

    def _scan_sparse_tensor(self, tensor: Field) -> None:
        for part in self._reader.fields(*tensor[2:], _SPARSE):
            self._scan_tensor(part)

    def _scan_tensor(self, tensor: Field) -> tuple[str, list[int]]:
        """Scan a stored tensor, and return its name, and its values if it may be a shape."""
        name, location, dtype = "", "", 0
        is_external = False
        sizes: list[int] = []
        raw = b""
        size_bytes = tensor[3] - tensor[2]
        for field in self._reader.fields(*tensor[2:], _TENSOR):
            number = field[0]
            if len(sizes) > _MAX_AXES:
                raise MalformedFileError(f"a tensor of it has more than {_MAX_AXES} axes")
            if number == 1:
                sizes += self._reader.integers(field, _MAX_AXES)
            elif number == 2:
                dtype = field[2]
            elif number == 8:
                name = self._text(field)
            elif number == 9:
                raw = self._reader.data[field[2] : min(field[3], field[2] + 8 * _MAX_AXES)]
            elif number == 13:
                is_external = True
                key, value = self._entry(field)
                location = value if key == "location" else location
            else:
                is_external |= field[2] != 0
        if is_external:
            self._external.append(f"the tensor '{name}' is stored in another file, {location!r:.80}")
            return name, []
        # Packed dtypes have at most four elements in a byte; others take at least one byte each.
        if any(size < 0 for size in sizes) or math.prod(sizes) > 4 * size_bytes:
            raise MalformedFileError(
                f"the tensor '{name}' declares the shape {sizes}, but the file holds {size_bytes} bytes of it"
            )
        if dtype != _INT64 or len(sizes) > 1 or sizes > [_MAX_AXES]:
            return name, []
        values = [int.from_bytes(raw[i : i + 8], "little", signed=True) for i in range(0, len(raw) // 8 * 8, 8)]
        return name, values or self._integers(tensor, _TENSOR_INT64)

    def _integers(self, message: Field, kind: Message) -> list[int]:
        """Return the integers of a message of which only one field is read."""
        values: list[int] = []
        for field in self._reader.fields(*message[2:], kind):
            values += self._reader.integers(field, _MAX_AXES)
        return values

    def _entry(self, entry: Field) -> tuple[str, str]:
        texts = {1: "", 2: ""}
        for field in self._reader.fields(*entry[2:], _ENTRY):
            texts[field[0]] = self._text(field)
        return texts[1], texts[2]

    def _value(self, value: Field) -> TensorContents:
        """Return the name, shape and dtype of an input, output or intermediate value."""
        name, dtype = "", ""
        shape: tuple[int | str | None, ...] | None = None
        for field in self._reader.fields(*value[2:], _VALUE):
            if field[0] == 1:
                name = self._text(field)
                continue
            for kind in self._reader.fields(*field[2:], _TYPE):
                dtype = _KINDS.get(kind[0], dtype)
                for part in self._reader.fields(*kind[2:], _TENSOR_TYPE) if kind[0] == 1 else ():
                    if part[0] == 1:
                        dtype = _DTYPES.get(part[2], f"type {part[2]}")
                    else:
                        shape = (shape or ()) + tuple(map(self._size, self._reader.fields(*part[2:], _SHAPE)))
        return TensorContents(name, shape, dtype)

    def _size(self, size: Field) -> int | str | None:
        """Return the size of an axis: a number, the name of a free size, or None."""
        result: int | str | None = None
        for field in self._reader.fields(*size[2:], _SIZE):
            result = self._text(field) or None if field[0] == 2 else self._reader.integers(field, 1)[0]
        return result

    def _text(self, field: Field) -> str:
        return self._reader.text(field[2], field[3])
