"""Evaluation, calibration and reference data, checked against the source and brought into one form."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from edgeml.core.caller_inputs import arrays_by_input, shaped_by_input, values_of
from edgeml.core.errors import InputError
from edgeml.core.free_sizes import with_sizes
from edgeml.core.preprocessing import Declaration, Table
from edgeml.core.source import FILES, Reference, SourceInfo
from edgeml.core.tensors import Signature
from edgeml.pipeline.box_places import true_boxes
from edgeml.pipeline.truth import check_truth, split_evaluation, truth_by_output
from edgeml.preprocessing import table
from edgeml.preprocessing.csv_table import CsvTable
from edgeml.preprocessing.table_files import declare_columns, inputs_of_table

__all__ = [
    "EvaluationData",
    "calibration_arrays",
    "csv_declarations",
    "digest_of_arrays",
    "evaluation_arrays",
    "overlap",
    "reference_arrays",
]

_RANDOM_SAMPLES = 256
_RANDOM_SEED = 0
_MAX_SAMPLES = 2**20  # their outputs, of the source and of each artifact, are in memory at the same time
_NO_DECLARATIONS: Mapping[str, Declaration] = MappingProxyType({})
_NO_SIZES: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class EvaluationData:
    """The data that artifacts are judged on.

    Attributes:
        origin: ``evaluation``, ``calibration``, or ``drawn`` for random inputs.
        inputs: Arrays ``[samples, ...]`` by input name, of the source's dtypes.
        truth: Truth ``[samples, ...]`` by output name, as `score_output` takes it; empty without.
        wide: The inputs as float64, for a source that accepts float64 where its signature says float32 and where
            float32 cannot represent them; else None.
    """

    origin: str
    inputs: dict[str, np.ndarray]
    truth: dict[str, np.ndarray] = field(default_factory=dict)
    wide: dict[str, np.ndarray] | None = None

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(next(iter(self.inputs.values())))


def csv_declarations(info: SourceInfo, *samples: object) -> dict[str, Declaration]:
    """Declare the columns of the first CSV file among samples; empty without one.

    For models that do not name their columns: the package then finds them by the names in that file.

    Raises:
        InputError: The file does not have as many columns as the model.
    """
    for data in samples:
        table = split_evaluation(data)[0] if isinstance(data, tuple) else data
        if isinstance(table, CsvTable):
            return declare_columns(table, info.signature)
    return {}


def _select_inputs(data: object, info: SourceInfo, declarations: Mapping[str, Declaration]) -> object:
    """Select the columns of each input from a table; return other data unchanged."""
    specs = info.signature.inputs
    if isinstance(data, CsvTable):
        _check_count(len(data), data.file)
        return inputs_of_table(data, info.signature, declarations or csv_declarations(info, data))
    if hasattr(data, "columns") and hasattr(data, "to_numpy"):
        if info.columns:
            return {spec.name: table.prepare(Table(columns=info.columns[spec.name]), data, spec) for spec in specs}
        data = data.to_numpy()
    columns = len(specs) > 1 and all(spec.shape == (None, 1) for spec in specs)
    if columns and isinstance(data, np.ndarray) and data.shape[1:] == (len(specs),):
        return {spec.name: data[:, place] for place, spec in enumerate(specs)}
    return data


def _arrays(data: object, info: SourceInfo, what: str) -> dict[str, np.ndarray]:
    """Return the caller's samples by input name, as `arrays_by_input` does, and not too many."""
    shaped = shaped_by_input(data, info.signature, what)
    _check_count(len(next(iter(shaped.values()))), what)
    return {spec.name: values_of(shaped[spec.name], spec, what) for spec in info.signature.inputs}


def _check_count(count: int, what: str) -> None:
    if count > _MAX_SAMPLES:
        raise InputError(
            f"{what}: got {count} samples, expected at most {_MAX_SAMPLES}.",
            fix="give a random part of them; a million samples settle each figure.",
        )


def calibration_arrays(
    data: object, info: SourceInfo, declarations: Mapping[str, Declaration] = _NO_DECLARATIONS
) -> dict[str, np.ndarray] | None:
    """Return calibration samples by input name, or None without calibration data.

    Args:
        data: The caller's data.
        info: The source.
        declarations: The caller's declarations of preprocessing by input name.

    Raises:
        InputError: The data are empty, all samples are equal, or the data do not fit the model.
    """
    if data is None:
        return None
    if isinstance(data, tuple) and len(data) == 2:
        data = data[0]  # the form of evaluation data; calibration needs no labels
    arrays = _arrays(_select_inputs(data, info, declarations), info, "calibration")
    if not all(len(array) for array in arrays.values()):
        raise InputError("calibration: got 0 samples.", fix="give about 100 that are typical of the use.")
    if all(_equal(array, np.broadcast_to(array[:1], array.shape)) for array in arrays.values()):
        count = len(next(iter(arrays.values())))
        raise InputError(
            f"calibration: {'a single sample shows' if count == 1 else f'all {count} samples are the same and show'}"
            " no range of values.",
            fix="give about 100 different samples that are typical of the use.",
        )
    return arrays


def evaluation_arrays(
    evaluation: object,
    calibration: dict[str, np.ndarray] | None,
    info: SourceInfo,
    declarations: Mapping[str, Declaration] = _NO_DECLARATIONS,
    sizes: Mapping[str, int] = _NO_SIZES,
) -> EvaluationData:
    """Return the data to judge on: evaluation data, else calibration data, else 256 seeded random inputs.

    Args:
        evaluation: The caller's data, ``(x, y)`` or ``x``.
        calibration: Calibration samples by input name, or None.
        info: The source, with its task.
        declarations: The caller's declarations of preprocessing by input name.
        sizes: A number for each free size, by name, for random inputs.

    Raises:
        InputError: The evaluation data are empty or do not fit the model.
    """
    _check_whole_numbers(calibration or {}, info, "calibration")
    if evaluation is None and calibration is not None:
        return EvaluationData("calibration", calibration)
    text = [spec.name for spec in info.signature.inputs if spec.dtype == "string"]
    if evaluation is None and (info.whole_inputs or text):
        raise InputError(
            f"The inputs {', '.join(text or info.whole_inputs)} accept {'text' if text else 'whole numbers'}, and "
            "random inputs cannot replace them.",
            fix="give evaluation or calibration data.",
        )
    if evaluation is None:
        return EvaluationData("drawn", _random_inputs(with_sizes(info.signature, sizes)))
    x = _select_inputs(split_evaluation(evaluation)[0], info, declarations)
    inputs = _arrays(x, info, "evaluation")
    count = len(next(iter(inputs.values())))
    if count == 0:
        raise InputError("evaluation: got 0 samples.")
    _check_whole_numbers(inputs, info, "evaluation")
    names = [spec.name for spec in info.signature.outputs]
    labels = info.decision.labels if info.decision is not None else ()
    if info.boxes is not None:
        boxes = split_evaluation(evaluation)[1]
        truth = {} if boxes is None else {info.boxes.output: true_boxes(boxes, count, info.boxes)}
    else:
        truth = truth_by_output(evaluation, names, labels, task=info.task)
        if not truth and info.task == "reconstruction":
            truth = {names[0]: next(iter(inputs.values()))}
        truth = check_truth(truth, count, info)
    wide = _float64_inputs(x, inputs) if info.framework == "sklearn" else None
    return EvaluationData("evaluation", inputs, truth, wide)


def _random_inputs(signature: Signature) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(_RANDOM_SEED)
    inputs = {}
    for spec in signature.inputs:
        shape = (_RANDOM_SAMPLES, *(size or 1 for size in spec.shape[1:]))
        inputs[spec.name] = rng.standard_normal(shape, dtype=np.float32).astype(spec.dtype)
    return inputs


def _check_whole_numbers(inputs: Mapping[str, np.ndarray], info: SourceInfo, what: str) -> None:
    """Refuse fractions in inputs of whole numbers: the model would truncate them silently."""
    for name in info.whole_inputs:
        if name in inputs and (inputs[name] != np.trunc(inputs[name])).any():
            raise InputError(
                f"{what}, input '{name}': got fractions, expected whole numbers.",
                fix="give what the model was trained with, as token numbers or bytes, not scaled.",
            )


def _float64_inputs(data: object, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """Return the caller's data in float64 where float32 changes them, else None.

    Only for scikit-learn: Keras models compute in float32 themselves.
    """
    arrays = data if isinstance(data, Mapping) else dict.fromkeys(inputs, data)
    wide = {
        name: array if array.dtype.kind == "U" else np.asarray(arrays[name], dtype=np.float64).reshape(array.shape)
        for name, array in inputs.items()
    }
    narrowed = any(not _equal(wide[name], array) for name, array in inputs.items())
    return wide if narrowed else None


def _equal(first: np.ndarray, second: np.ndarray) -> bool:
    return np.array_equal(first, second, equal_nan=first.dtype.kind == "f")


def reference_arrays(data: object, info: SourceInfo, evaluation: EvaluationData) -> Reference | None:
    """Return the outputs of the model that an existing file was made from; None where the caller has none.

    Args:
        data: The caller's outputs, one array ``[samples, ...]`` or one by output name.
        info: The source.
        evaluation: The inputs that the outputs belong to.

    Raises:
        InputError: The source computes its own reference, the inputs are random, or the outputs do not fit.
    """
    if data is None:
        return None
    if info.framework not in FILES:
        raise InputError(f"reference: a {info.framework} model computes its own reference.", fix="leave reference out.")
    if info.signature.free_sizes:
        raise InputError(
            f"reference: the sizes {', '.join(info.signature.free_sizes)} stay free, and outputs of one size prove "
            "nothing at others.",
            fix="fix the sizes: --size NAME=N (sizes= in Python); or leave reference out.",
        )
    if evaluation.origin == "drawn":
        raise InputError("reference: got outputs without the inputs that they belong to.", fix="give evaluation=x too.")
    outputs = Signature(info.signature.outputs, ())  # arrays_by_input checks inputs
    arrays = arrays_by_input(data, outputs, "reference")
    for name, values in arrays.items():
        if len(values) != evaluation.samples:
            raise InputError(
                f"reference: '{name}' has {len(values)} samples, the {evaluation.origin} data {evaluation.samples}."
            )
    return Reference(arrays)


def overlap(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> int:
    """Count the samples of the second set that are among the first, bit for bit."""

    def rows(arrays: dict[str, np.ndarray]) -> list[bytes]:
        columns = [array.reshape(len(array), -1) for array in arrays.values()]
        # NumPy pads text to the longest of its array: equal texts differ in bytes between arrays.
        columns = [column.astype(object) if column.dtype.kind == "U" else column for column in columns]
        return [
            hashlib.blake2b(b"".join(_row_bytes(column[i]) for column in columns), digest_size=16).digest()
            for i in range(len(columns[0]))
        ]

    seen = set(rows(first))
    return sum(row in seen for row in rows(second))


def _row_bytes(row: np.ndarray) -> bytes:
    return repr(row.tolist()).encode() if row.dtype.hasobject else row.tobytes()


def digest_of_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Return ``sha256:…`` of names, shapes and values."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return f"sha256:{digest.hexdigest()}"
