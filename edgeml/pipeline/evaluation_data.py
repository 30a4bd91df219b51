"""The caller's data, checked against the source and brought into one form."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgeml.core.caller_inputs import arrays_by_input
from edgeml.core.decisions import Decision
from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Table
from edgeml.core.source import FILES, Reference, SourceInfo
from edgeml.core.tensors import Label, Signature
from edgeml.preprocessing import table

__all__ = [
    "Judged",
    "calibration_arrays",
    "digest_of_arrays",
    "judged_data",
    "overlap",
    "reference_arrays",
    "split_evaluation",
    "truth_of",
]

_DRAWN = 256
_DRAWN_SEED = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """The data that artifacts are judged on.

    Attributes:
        origin: ``evaluation``, ``calibration`` or ``drawn``.
        inputs: Arrays ``[samples, ...]`` by input name, of the source's dtypes.
        truth: Positions of true labels ``[samples]``, or true values; None without.
        wide: The inputs as float64, where the source takes float32, could take them so, and float32 does not hold
            them; else None.
    """

    origin: str
    inputs: dict[str, np.ndarray]
    truth: np.ndarray | None
    wide: dict[str, np.ndarray] | None = None

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(next(iter(self.inputs.values())))


def _inputs(given: object, info: SourceInfo) -> object:
    """What was given as inputs; of a table the columns that each input is made of."""
    specs = info.signature.inputs
    if hasattr(given, "columns") and hasattr(given, "to_numpy"):
        if info.columns:
            return {spec.name: table.prepare(Table(columns=info.columns[spec.name]), given, spec) for spec in specs}
        given = given.to_numpy()
    columns = len(specs) > 1 and all(spec.shape == (None, 1) for spec in specs)
    if columns and isinstance(given, np.ndarray) and given.shape[1:] == (len(specs),):
        return {spec.name: given[:, place] for place, spec in enumerate(specs)}
    return given


def calibration_arrays(data: object, info: SourceInfo) -> dict[str, np.ndarray] | None:
    """Calibration samples by input name, or None where none were given.

    Raises:
        InputError: They are empty, all the same, or do not fit the model.
    """
    if data is None:
        return None
    if isinstance(data, tuple) and len(data) == 2:
        data = data[0]  # as evaluation is given; labels do not matter here
    arrays = arrays_by_input(_inputs(data, info), info.signature, "calibration")
    if not all(len(array) for array in arrays.values()):
        raise InputError("calibration: there are no samples.", fix="give some 100 that are typical of the use.")
    if all(_equal(array, np.broadcast_to(array[:1], array.shape)) for array in arrays.values()):
        count = len(next(iter(arrays.values())))
        raise InputError(
            f"calibration: {'the one sample shows' if count == 1 else f'all {count} samples are the same and show'}"
            " no range of values.",
            fix="give some 100 different samples that are typical of the use.",
        )
    return arrays


def split_evaluation(evaluation: object) -> tuple[object, object]:
    """Inputs and truth of what was given as evaluation."""
    if isinstance(evaluation, tuple):
        if len(evaluation) != 2:
            raise InputError(f"evaluation: got a tuple of {len(evaluation)}, expected (x, y).")
        return evaluation
    return evaluation, None


def truth_of(evaluation: object) -> np.ndarray | None:
    """The truth of what was given as evaluation; None without."""
    truth = split_evaluation(evaluation)[1]
    if truth is None:
        return None
    try:
        return np.asarray(truth)
    except ValueError as error:
        raise InputError(f"evaluation: y is no regular array ({error}).") from error


def judged_data(evaluation: object, calibration: dict[str, np.ndarray] | None, info: SourceInfo) -> Judged:
    """What to judge on: evaluation data, else calibration data, else 256 seeded inputs drawn from the signature.

    Raises:
        InputError: The evaluation data are empty or do not fit the model.
    """
    _check_whole(calibration or {}, info, "calibration")
    if evaluation is None and calibration is not None:
        return Judged("calibration", calibration, None)
    text = [spec.name for spec in info.signature.inputs if spec.dtype == "string"]
    if evaluation is None and (info.whole_inputs or text):
        raise InputError(
            f"The inputs {', '.join(text or info.whole_inputs)} take {'text' if text else 'whole numbers'}, and "
            "nothing tells which.",
            fix="give evaluation or calibration data.",
        )
    if evaluation is None:
        rng = np.random.default_rng(_DRAWN_SEED)
        drawn = {
            spec.name: rng.standard_normal((_DRAWN, *(size or 1 for size in spec.shape[1:])), dtype=np.float32).astype(
                spec.dtype
            )
            for spec in info.signature.inputs
        }
        return Judged("drawn", drawn, None)
    x = _inputs(split_evaluation(evaluation)[0], info)
    inputs = arrays_by_input(x, info.signature, "evaluation")
    count = len(next(iter(inputs.values())))
    if count == 0:
        raise InputError("evaluation: there are no samples.")
    _check_whole(inputs, info, "evaluation")
    truth = truth_of(evaluation)
    if truth is None and info.task == "reconstruction":
        truth = next(iter(inputs.values()))
    if truth is not None:
        truth = _checked_truth(truth, count, info)
    return Judged("evaluation", inputs, truth, _wide(x, inputs) if info.framework == "sklearn" else None)


def _check_whole(inputs: Mapping[str, np.ndarray], info: SourceInfo, what: str) -> None:
    """Holds what stands for whole numbers to be such: the model would cut the rest off without a word."""
    for name in info.whole_inputs:
        if name in inputs and (inputs[name] != np.trunc(inputs[name])).any():
            raise InputError(
                f"{what}, input '{name}': the model takes whole numbers there, and there are others.",
                fix="give what the model was trained with, as token numbers or bytes, not scaled.",
            )


def _wide(given: object, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """What was given, in float64, where it is not what float32 makes of it. Keras models are float32 themselves."""
    arrays = given if isinstance(given, Mapping) else dict.fromkeys(inputs, given)
    wide = {
        name: array if array.dtype.kind == "U" else np.asarray(arrays[name], dtype=np.float64).reshape(array.shape)
        for name, array in inputs.items()
    }
    narrowed = any(not _equal(wide[name], array) for name, array in inputs.items())
    return wide if narrowed else None


def _equal(first: np.ndarray, second: np.ndarray) -> bool:
    return np.array_equal(first, second, equal_nan=first.dtype.kind == "f")


def _checked_truth(truth: np.ndarray, count: int, info: SourceInfo) -> np.ndarray | None:
    if len(truth.shape) == 0 or len(truth) != count:
        raise InputError(f"evaluation: y has the shape {list(truth.shape)}, x has {count} samples.")
    if info.decision is not None:
        return _positions(truth, info.decision)
    if info.task not in {"regression", "reconstruction"}:
        return None  # transformers and clusterers have no main metric
    (output, *more) = info.signature.outputs
    if more:
        raise InputError("evaluation: y for several outputs is not supported.", fix="leave y out.")
    if truth.dtype.kind not in "fiub" or truth.size != count * math.prod(size or 1 for size in output.shape[1:]):
        raise InputError(
            f"evaluation: y is {truth.dtype} of shape {list(truth.shape)}, the model gives numbers "
            f"of shape {[count, *output.shape[1:]]}.",
            fix="for a classifier say task='classification'.",
        )
    values = truth.astype(np.float64).reshape(count, *output.shape[1:])
    if not np.isfinite(values).all():
        raise InputError("evaluation: y holds NaN or infinity.")
    return values


def _positions(truth: np.ndarray, decision: Decision) -> np.ndarray:
    """Positions in the decision's labels. Whole numbers that are no labels themselves count as positions."""
    labels = np.array(decision.labels)
    if truth.ndim == 2 and truth.shape[1] == len(labels) > 1 and truth.dtype.kind in "fiub":
        if not (np.isin(truth, (0, 1)).all() and (truth.sum(axis=1) == 1).all()):
            raise InputError("evaluation: y has a column for each class, and is not one-hot.")
        return truth.argmax(axis=1)
    if truth.ndim == 2 and truth.shape[1] == 1:
        truth = truth[:, 0]
    if truth.ndim != 1:
        raise InputError(f"evaluation: y has the shape {list(truth.shape)}, expected one label for each sample.")
    if labels.dtype.kind == "U" and (truth.dtype.kind in "OS" or _any_number(decision.labels)):
        truth = truth.astype(str)  # a 3 stands for the label '3', never for the fourth one, if labels are numbers
    by_position = labels.dtype.kind == "U" and truth.dtype.kind in "iub"
    known: Mapping[object, int] = {
        label: i for i, label in enumerate(range(len(labels)) if by_position else labels.tolist())
    }
    found = [known.get(value, -1) for value in truth.tolist()]
    unseen = sorted({str(value) for value, position in zip(truth.tolist(), found, strict=True) if position < 0})
    if unseen:
        shown = ", ".join(map(str, list(known)[:10])) + (", …" if len(known) > 10 else "")
        raise InputError(
            f"evaluation: y holds classes that the model has never seen: {', '.join(unseen[:5])}; it knows {shown}.",
            fix="leave these samples out, or mend `labels`; where y are values, say task='regression'.",
        )
    return np.array(found, dtype=np.int64)


def _any_number(labels: Sequence[Label]) -> bool:
    return any(str(label).lstrip("-").isdigit() for label in labels)


def reference_arrays(data: object, info: SourceInfo, judged: Judged) -> Reference | None:
    """The answers of the model that an existing file was made from, as the caller gave them; None where not.

    Raises:
        InputError: The source answers for itself, there are no inputs that they belong to, or they do not fit.
    """
    if data is None:
        return None
    if info.framework not in FILES:
        raise InputError(f"reference: a {info.framework} model answers for itself.", fix="leave reference out.")
    if judged.origin == "drawn":
        raise InputError("reference: there are no inputs that it belongs to.", fix="give evaluation=x too.")
    outputs = Signature(info.signature.outputs, ())  # checked as inputs are
    arrays = arrays_by_input(data, outputs, "reference")
    for name, values in arrays.items():
        if len(values) != judged.samples:
            raise InputError(
                f"reference: '{name}' has {len(values)} samples, the {judged.origin} data {judged.samples}."
            )
    return Reference(arrays)


def overlap(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> int:
    """How many samples of the second set are among the first, bit for bit."""

    def rows(arrays: dict[str, np.ndarray]) -> list[bytes]:
        columns = [array.reshape(len(array), -1) for array in arrays.values()]
        # An array of text is as wide as its longest: the same text has other bytes in another array.
        columns = [column.astype(object) if column.dtype.kind == "U" else column for column in columns]
        return [
            hashlib.blake2b(b"".join(_bytes(column[i]) for column in columns), digest_size=16).digest()
            for i in range(len(columns[0]))
        ]

    seen = set(rows(first))
    return sum(row in seen for row in rows(second))


def _bytes(row: np.ndarray) -> bytes:
    return repr(row.tolist()).encode() if row.dtype.hasobject else row.tobytes()


def digest_of_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """``sha256:…`` of names, shapes and values."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return f"sha256:{digest.hexdigest()}"
