"""Static check of a TFLite file's bytes, before any engine sees them.

Interpreters trust a file's numbers: one that is out of range reads or writes foreign memory.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from edgeml.core.formats.contents import FileScan, MalformedFileError, TensorContents
from edgeml.core.formats.flatbuffer import Table, VerifiedBuffer
from edgeml.core.formats.flexbuffer import is_flat_map
from edgeml.core.formats.tflite_schema import TABLES, UNIONS
from edgeml.core.tensors import plain_names

__all__ = ["scan_tflite"]

_IDENTIFIER = b"TFL3"
_CUSTOM, _DELEGATE, _PLACEHOLDER, _LAST_OPERATOR = 32, 51, 127, 209
_CUSTOM_OPERATORS = {
    "AudioSpectrogram", "Convolution2DTransposeBias", "MaxPoolingWithArgmax2D", "MaxUnpooling2D", "Mfcc",
    "TFLite_Detection_PostProcess",
}  # fmt: skip
"""Custom operators of LiteRT's interpreter itself and of XNNPACK."""
_OPTIONS_IN_FLEXBUFFERS = {"AudioSpectrogram", "Mfcc", "TFLite_Detection_PostProcess"}  # read without a check
_SECOND_INPUT_OPTIONAL = {16, 44, 52}  # LSTM and its sequences: without an input gate
_DTYPES = (
    "float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8", "float64",
    "complex128", "uint64", "resource", "variant", "uint32", "uint16", "int4", "bfloat16", "int2", "uint4",
    "float8_e4m3fn", "float8_e5m2",
)  # fmt: skip
_SUBGRAPH_FIELDS = {
    "CallOptions": (0,), "CallOnceOptions": (0,), "IfOptions": (0, 1), "WhileOptions": (0, 1),
    "StablehloWhileOptions": (0, 1), "StablehloReduceOptions": (1,), "StablehloReduceWindowOptions": (5,),
    "StablehloSortOptions": (2,), "StablehloScatterOptions": (6,), "StableHLOCompositeOptions": (1,),
}  # fmt: skip
_SUBGRAPH_VECTORS = {"StablehloCustomCallOptions": 4, "StablehloCaseOptions": 0}
_OUTPUT_COUNTS = {"SplitOptions": 0, "SplitVOptions": 0, "UnpackOptions": 0}
"""Field with the number of an operator's outputs, by its options."""
_CONVOLUTIONS = {3, 4}  # of integers they need a bias
_LEAST_INPUTS = {126: 2}  # of a product of matrices; other kernels check the number
_COPYING = {22, 43, 70}  # reshaping, without a check of the dtypes
_RANGES = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}
"""Lowest and highest zero point of quantized tensors."""
_FIRST_WITH_TENSORS = 2  # kinds of quantization whose scales are tensors
_INDICES = ((1, 4, True), (2, 2, False), (3, 1, False))
"""Width and sign of sparse indices, by the number of their kind."""
_MAX_ELEMENTS = 2**31
_MAX_METADATA_BYTES = 2**24
_MAX_PADDING = 64


class _Tensor(NamedTuple):
    """A tensor of a subgraph.

    Attributes:
        contents: Its name, shape and dtype.
        is_constant: Whether the file holds its data.
        is_variable: Whether it keeps its data from run to run.
    """

    contents: TensorContents
    is_constant: bool
    is_variable: bool

    @property
    def is_empty(self) -> bool:
        """True of a tensor without elements, which has no data."""
        return 0 in (self.contents.shape or ())


def scan_tflite(data: bytes) -> FileScan:
    """Scan a TFLite file.

    Args:
        data: The file.

    Returns:
        The inputs and outputs of the first subgraph, by plain names from the file's first signature or else from the
        tensors, and custom operators that no engine brings.

    Raises:
        MalformedFileError: The bytes are not a model as TFLite defines it, or a number leads out of its list. The text
            is a clause about the file.
    """
    return _TfliteScan(data).run()


class _TfliteScan:
    """A walk over one file."""

    def __init__(self, data: bytes) -> None:
        if data[4:8] != _IDENTIFIER:
            raise MalformedFileError(f"the identifier {_IDENTIFIER.decode()} was not found")
        self._data = data
        self._file = VerifiedBuffer(data, TABLES, UNIONS, "Model")
        model = self._file.root
        self._codes = [self._code(code) for code in self._file.elements(model, 1, "OperatorCode")]
        self._buffers = [self._has_data(buffer) for buffer in self._file.elements(model, 4, "Buffer")]
        self._graphs = self._file.elements(model, 2, "SubGraph")
        self._elements = 0  # of all tensors
        self._calls: dict[int, set[int]] = {}  # subgraphs by the subgraph that runs them

    def run(self) -> FileScan:
        model = self._file.root
        if not self._graphs:
            raise MalformedFileError("it does not have a subgraph")
        if model.length(8) or model.length(9):
            raise MalformedFileError("it keeps data in other files")
        tensors = [self._scan_graph(number, graph) for number, graph in enumerate(self._graphs)]
        self._refuse_recursion()
        for entry in self._file.elements(model, 6, "Metadata"):
            _check_indices("buffer", [entry.number(1, 4, signed=False)], len(self._buffers))
        _check_indices("buffer", model.integers(5), len(self._buffers))
        ends = [list(self._graphs[0].integers(slot)) for slot in (1, 2)]
        names = [[tensors[0][i].contents.name for i in indices] for indices in ends]
        for order, definition in enumerate(self._file.elements(model, 7, "SignatureDef")):
            graph = definition.number(4, 4, signed=False)
            _check_indices("subgraph", [graph], len(self._graphs))
            maps = [self._file.elements(definition, slot, "TensorMap") for slot in (0, 1)]
            indices = [[entry.number(1, 4, signed=False) for entry in entries] for entries in maps]
            _check_indices("tensor", [*indices[0], *indices[1]], len(tensors[graph]))
            if order == 0:
                texts = [[entry.text(0) or "" for entry in entries] for entries in maps]
                if graph == 0 and plain_names([*texts[0], *texts[1]]) == [*texts[0], *texts[1]]:
                    ends, names = indices, texts
        self._check_rest()
        plain, count = plain_names([*names[0], *names[1]]), len(ends[0])
        values = [tensors[0][i].contents for i in (*ends[0], *ends[1])]
        named = [
            TensorContents(name, value.shape, value.dtype, value.quantization, value.dynamic)
            for name, value in zip(plain, values, strict=True)
        ]
        return FileScan(tuple(named[:count]), tuple(named[count:]), foreign=self._foreign())

    def _foreign(self) -> tuple[str, ...]:
        custom = [name for number, name in self._codes if number == _CUSTOM and name not in _CUSTOM_OPERATORS]
        return tuple(
            f"the operator {name:.80} is a custom operator, not one of TFLite" for name in dict.fromkeys(custom)
        )

    def _code(self, code: Table) -> tuple[int, str]:
        """Return the number of a kind of operator, and the name of a custom one."""
        number = max(code.number(0, 1), code.number(3, 4))  # numbers above 127 are in the newer field only
        if not 0 <= number <= _LAST_OPERATOR or number in {_DELEGATE, _PLACEHOLDER}:
            raise MalformedFileError(f"it has the operator {number}, which is not known")
        return number, code.text(1) or ""

    def _has_data(self, buffer: Table) -> bool:
        if buffer.number(1, 8, signed=False) > 1 or buffer.number(2, 8, signed=False) > 1:
            raise MalformedFileError("it keeps data outside of its FlatBuffer")
        return buffer.length(0) > 0

    def _scan_graph(self, number: int, graph: Table) -> list[_Tensor]:
        tensors = [self._tensor(tensor, graph.length(0)) for tensor in self._file.elements(graph, 0, "Tensor")]
        inputs, outputs = graph.integers(1), graph.integers(2)
        _check_indices("tensor", (*inputs, *outputs), len(tensors))
        written = set(inputs)
        written |= {i for i, item in enumerate(tensors) if item.is_constant or item.is_variable or item.is_empty}
        self._calls[number] = set()
        for operator in self._file.elements(graph, 3, "Operator"):
            kind = operator.number(0, 4, signed=False)
            _check_indices("operator code", [kind], len(self._codes))
            code, name = self._codes[kind]
            self._check_options(operator, code, name, self._calls[number])
            reads, writes = operator.integers(1), operator.integers(2)
            needed = 1 if code in _SECOND_INPUT_OPTIONAL else 2
            present = [i for place, i in enumerate(reads) if i != -1 or place < needed]
            _check_indices("tensor", (*present, *writes), len(tensors))
            _check_indices("tensor", [i for i in operator.integers(8) if i != -1], len(tensors))
            for i in present:
                if i not in written:
                    raise MalformedFileError(f"an operator reads the tensor {i} before it is written")
            dtypes = [tensors[i].contents.dtype for i in (*present[:1], *writes[:1])]
            least = 3 if code in _CONVOLUTIONS and dtypes[0] in _RANGES else _LEAST_INPUTS.get(code, 0)
            if len(present) < least:
                raise MalformedFileError(f"an operator has {len(present)} inputs, expected at least {least}")
            if code in _COPYING and len(set(dtypes)) > 1:
                raise MalformedFileError(f"an operator copies {dtypes[0]} to {dtypes[1]}")
            for i in writes:
                if tensors[i].is_constant:
                    raise MalformedFileError(f"an operator writes to the constant {i}")
            written.update(writes)
        for i in outputs:
            if i not in written:
                raise MalformedFileError(f"its output, tensor {i}, is never written")
        return tensors

    def _tensor(self, tensor: Table, count: int) -> _Tensor:
        code, buffer = tensor.number(1, 1), tensor.number(2, 4, signed=False)
        if not 0 <= code < len(_DTYPES):
            raise MalformedFileError(f"it has a tensor of type {code}, which is not known")
        _check_indices("buffer", [buffer], len(self._buffers))
        if tensor.number(10, 4, signed=False):
            raise MalformedFileError("it keeps data in other files")
        shape, declared = tensor.integers(0), tensor.integers(7)
        if any(size < 0 for size in shape) or any(size < -1 for size in declared):
            raise MalformedFileError(f"it has a tensor of the shape {list(shape)[:8]}")
        if declared and len(declared) != len(shape):
            raise MalformedFileError(f"it has a tensor of {len(shape)} and of {len(declared)} axes")
        self._elements += math.prod(shape)
        if self._elements > _MAX_ELEMENTS:
            raise MalformedFileError(
                f"with a tensor of the shape {list(shape)[:8]} it has more than {_MAX_ELEMENTS} elements"
            )
        if tensor.position(4):
            quantization = self._file.table(tensor.target(4), "QuantizationParameters")
            self._check_quantization(quantization, shape, _DTYPES[code], count)
        if tensor.position(6):
            self._check_sparsity(self._file.table(tensor.target(6), "SparsityParameters"), shape)
        dynamic = tuple(axis for axis, size in enumerate(declared) if size == -1)
        contents = TensorContents(tensor.text(3) or "", shape, _DTYPES[code], dynamic=dynamic)
        return _Tensor(contents, self._buffers[buffer], bool(tensor.number(5, 1)))

    def _check_quantization(self, quantization: Table, shape: Sequence[int], dtype: str, count: int) -> None:
        scales, zero_points, axis = quantization.floats(2), quantization.integers(3, 8), quantization.number(6, 4)
        if len(scales) > 1 and not (0 <= axis < len(shape) and shape[axis] == len(scales)):
            raise MalformedFileError(f"it has {len(scales)} scales for axis {axis} of the shape {list(shape)[:8]}")
        if len(zero_points) not in {0, 1, len(scales)}:
            raise MalformedFileError(f"it has {len(scales)} scales, but {len(zero_points)} zero points")
        least = 0.0 if len(scales) > 1 else math.ulp(0.0)  # a channel of zeros may have the scale 0
        for scale in scales if dtype in _RANGES else ():
            if not least <= scale < math.inf:
                raise MalformedFileError(f"it has a scale of {scale:g}")
        lowest, highest = _RANGES.get(dtype, (-math.inf, math.inf))
        for zero_point in zero_points:
            if not lowest <= zero_point <= highest:
                raise MalformedFileError(f"it has a zero point of {zero_point} for {dtype}")
        kind = quantization.number(4, 1, signed=False)
        if kind >= _FIRST_WITH_TENSORS and quantization.position(5):
            details = self._file.table(quantization.target(5), UNIONS["QuantizationDetails"][kind])
            used = [details.number(slot, 4) for slot in (0, 1)]
            _check_indices("tensor", [i for i in used if i != -1], count)

    def _check_sparsity(self, sparsity: Table, shape: Sequence[int]) -> None:
        order, blocks = sparsity.integers(0), sparsity.integers(1)
        levels = self._file.elements(sparsity, 2, "DimensionMetadata")
        _check_indices("axis", blocks, len(shape))
        if sorted(order) != list(range(len(shape) + len(blocks))) or len(levels) != len(order):
            raise MalformedFileError("a sparse tensor does not traverse each of its axes once")
        for level in levels:
            if level.number(0, 1) == 0:
                _check_indices("size", [level.number(1, 4)], max(shape, default=0) + 1)
                continue
            segments, indices = (self._sparse_vector(level, slot) for slot in (3, 5))
            if not segments or any(a > b for a, b in pairwise(segments)):
                raise MalformedFileError("a sparse tensor has segments that are not in order")
            _check_indices("segment", segments, len(indices) + 1)
            _check_indices("sparse index", indices, max(shape, default=0))

    def _sparse_vector(self, level: Table, slot: int) -> tuple[int, ...]:
        kind = level.number(slot - 1, 1)
        if not 1 <= kind <= len(_INDICES):
            raise MalformedFileError("a sparse tensor does not have indices")
        _, size, signed = _INDICES[kind - 1]
        vector = self._file.table(level.target(slot), UNIONS["SparseIndexVector"][kind])
        return vector.integers(0, size, signed=signed)

    def _check_options(self, operator: Table, kind: int, name: str, calls: set[int]) -> None:
        if operator.number(9, 8, signed=False) > 1 or operator.number(10, 8, signed=False) > 1:
            raise MalformedFileError("it keeps options outside of its FlatBuffer")
        if kind == _CUSTOM and name in _OPTIONS_IN_FLEXBUFFERS:
            begin = operator.target(5) + 4
            if not is_flat_map(self._data[begin : begin + operator.length(5)]):
                raise MalformedFileError(f"the options of {name} are not valid")
        for slot, union in ((4, "BuiltinOptions"), (12, "BuiltinOptions2")):
            option_kind = operator.number(slot - 1, 1, signed=False)
            if not option_kind or not operator.position(slot):
                continue
            table_name = UNIONS[union][option_kind]
            options = self._file.table(operator.target(slot), table_name)
            if table_name == "StridedSliceOptions" and options.number(5, 1):
                raise MalformedFileError("it slices from an offset, which LiteRT does not check")
            if table_name in _OUTPUT_COUNTS and options.number(_OUTPUT_COUNTS[table_name], 4) != operator.length(2):
                raise MalformedFileError("an operator has another number of outputs than it says")
            called = [options.number(place, 4) for place in _SUBGRAPH_FIELDS.get(table_name, ())]
            if table_name in _SUBGRAPH_VECTORS:
                called += options.integers(_SUBGRAPH_VECTORS[table_name])
            _check_indices("subgraph", called, len(self._graphs))
            calls.update(called)

    def _refuse_recursion(self) -> None:
        calls = self._calls
        while leaves := {graph for graph, called in calls.items() if not called}:
            calls = {graph: called - leaves for graph, called in calls.items() if graph not in leaves}
        if calls:
            raise MalformedFileError("one of its subgraphs runs itself")

    def _check_rest(self) -> None:
        """Check that only a ZIP archive of stored files follows the FlatBuffer, as TFLite's metadata writer adds it."""
        rest = self._data[self._file.end :]
        if not rest.strip(b"\0"):
            if len(rest) > _MAX_PADDING:
                raise MalformedFileError(f"{len(rest)} zeros follow its FlatBuffer")
            return
        import zipfile  # slow to import, and seldom needed

        try:
            with zipfile.ZipFile(io.BytesIO(rest)) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
            raise MalformedFileError(f"{len(rest)} bytes follow its FlatBuffer") from error
        is_stored = all(entry.compress_type == zipfile.ZIP_STORED and not entry.flag_bits & 1 for entry in entries)
        if not is_stored or len(rest) > _MAX_METADATA_BYTES:
            raise MalformedFileError(
                f"an archive of {len(rest)} bytes follows its FlatBuffer, expected stored files of at most "
                f"{_MAX_METADATA_BYTES} bytes"
            )


def _check_indices(what: str, indices: Iterable[int], count: int) -> None:
    for index in indices:
        if not 0 <= index < count:
            raise MalformedFileError(f"{what} {index} does not exist: the file has {count}")
