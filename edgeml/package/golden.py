"""Golden vectors: inputs and answers by which any device proves itself with numpy and one engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from msgspec import Struct

from edgeml.core.decisions import DECIDED
from edgeml.core.errors import InputError, MissingDependencyError, PackageError, TargetError
from edgeml.core.session import Session
from edgeml.core.tensors import Signature
from edgeml.package.manifest import Golden, GoldenRun
from edgeml.package.npy import decode_array

__all__ = ["GoldenCheck", "bounds", "check_run", "golden_inputs"]

# Float kernels of one family differ between CPUs in the order of their sums and in fused multiply-adds,
# some 1e-6 of the largest output; quantization inside a graph turns that into a whole step now and then.
_FLOAT_SHARE = 1e-4
_INTEGER_STEPS = 1.0


class GoldenCheck(Struct, frozen=True):
    """The result of one golden run.

    Attributes:
        status: ``holds``, ``fails``, or ``not run``.
        detail: How far from the bound, or why it was not run.
    """

    recipe: str
    family: str
    status: Literal["holds", "fails", "not run"]
    detail: str


def bounds(
    raw: Mapping[str, np.ndarray],
    reference: Mapping[str, np.ndarray],
    signature: Signature,
) -> dict[str, float]:
    """How far another run of the same family may be off, by output name.

    One step for integers. For floats a ten-thousandth of the largest output, or where that is more, the
    artifact's own largest error against the source: another CPU must not move the outputs by more than the
    conversion did.

    Args:
        raw: Outputs ``[samples, ...]`` in the artifact's dtypes.
        reference: The source's outputs.
        signature: The artifact's signature.
    """
    found = {}
    for spec in signature.outputs:
        if spec.meaning in DECIDED:
            continue
        if np.issubdtype(raw[spec.name].dtype, np.integer):
            found[spec.name] = _INTEGER_STEPS
        else:
            real = raw[spec.name].astype(np.float32)
            peak = float(np.abs(real).max(initial=0.0))
            error = float(np.abs(real - reference[spec.name]).max(initial=0.0))
            found[spec.name] = max(_FLOAT_SHARE * peak, error)
    return found


def golden_inputs(golden: Golden, read: Callable[[str], bytes]) -> dict[str, np.ndarray]:
    """The inputs, by tensor name.

    Raises:
        PackageError: An entry is damaged, or holds another number of samples than the manifest says.
    """
    inputs = {name: decode_array(read(file), file) for name, file in golden.inputs.items()}
    for name, array in inputs.items():
        if array.ndim == 0 or len(array) != golden.samples:
            raise PackageError(
                f"{golden.inputs[name]}: got shape {list(array.shape)}, expected {golden.samples} samples."
            )
    return inputs


def check_run(
    run: GoldenRun,
    inputs: Mapping[str, np.ndarray],
    read: Callable[[str], bytes],
    open_session: Callable[..., Session],
) -> GoldenCheck:
    """Runs the golden inputs and compares the raw outputs with the stored ones.

    Args:
        run: What was given, and is to be given again.
        inputs: The golden inputs.
        read: Gives an entry's bytes.
        open_session: As `Package.session`.
    """
    expected = {name: decode_array(read(file), file) for name, file in run.outputs.items()}
    try:
        session = open_session(run.recipe, target="micro" if run.family == "tflm" else "cpu")
    except (MissingDependencyError, TargetError) as error:
        return GoldenCheck(run.recipe, run.family, "not run", str(error))
    with session:
        if session.family != run.family:
            detail = f"the engine here is of the family {session.family}"
            return GoldenCheck(run.recipe, run.family, "not run", detail)
        try:
            found = session.run_raw(inputs)
        except (InputError, TargetError) as error:
            return GoldenCheck(run.recipe, run.family, "fails", str(error))
    problems, nearest = [], []
    for name, values in expected.items():
        problem, note = _compare(name, found.get(name), values, run.bounds.get(name))
        problems += [problem] if problem else []
        nearest += [note] if note else []
    if problems:
        return GoldenCheck(run.recipe, run.family, "fails", "; ".join(problems))
    return GoldenCheck(run.recipe, run.family, "holds", "; ".join(nearest))


def _compare(name: str, found: np.ndarray | None, expected: np.ndarray, bound: float | None) -> tuple[str, str]:
    if found is None or found.shape != expected.shape or found.dtype.kind != expected.dtype.kind:
        return f"'{name}' has another shape or dtype", ""
    if bound is None:
        wrong = int((found != expected).sum())
        return (f"'{name}' has {wrong} other labels", "") if wrong else ("", f"'{name}' equal")
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    largest = float(difference.max(initial=0.0))
    if not largest <= bound:  # NaN fails too
        return f"'{name}' is off by {largest:.3g}, at most {bound:.3g} is allowed", ""
    return "", f"'{name}' off by {largest:.3g} of {bound:.3g}"
