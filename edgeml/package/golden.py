"""Golden vectors: inputs and outputs that prove an artifact on any device with numpy and an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
import numpy as np
from msgspec import Struct

from edgeml.core.decisions import DECIDED
from edgeml.core.errors import InputError, IsolationError, MissingDependencyError, PackageError, TargetError
from edgeml.core.free_sizes import size_text
from edgeml.core.session import Session
from edgeml.core.tensors import Signature, holds_integers
from edgeml.package.manifest import Golden, GoldenRun
from edgeml.package.npy import decode_array

__all__ = ["GoldenCheck", "bounds", "check_run", "check_runs", "golden_inputs"]

# Float kernels of one family differ between CPUs in the order of their sums and in fused multiply-adds,
# some 1e-6 of the largest output; quantization inside a graph turns that into a whole step now and then.
_FLOAT_SHARE = 1e-4
_INTEGER_STEPS = 1.0


class GoldenCheck(Struct, frozen=True):
    """Result of a golden run.

    Attributes:
        recipe: The artifact's recipe.
        family: The engine family, for instance ``xnnpack``.
        status: ``holds``, ``fails``, or ``not run``.
        detail: Distance from the bound, or the reason why the run was skipped.
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
    """Return the allowed difference to another run of the same family, by output name.

    The bound is one step for quantized outputs. For floats the bound is a ten-thousandth of the largest output, or the
    artifact's own largest error against the source if that is larger: another CPU must not move the outputs by more
    than the conversion did. Outputs of labels, integers and bools must be equal, and do not have a bound.

    Args:
        raw: Outputs ``[samples, ...]`` in the artifact's dtypes.
        reference: The source's outputs.
        signature: The artifact's signature.
    """
    limits = {}
    for spec in signature.visible.outputs:
        if spec.meaning in DECIDED or holds_integers(spec):
            continue
        if np.issubdtype(raw[spec.name].dtype, np.integer):
            limits[spec.name] = _INTEGER_STEPS
        else:
            real = raw[spec.name].astype(np.float32)
            peak = float(np.abs(real).max(initial=0.0))
            error = float(np.abs(real - reference[spec.name]).max(initial=0.0))
            limits[spec.name] = max(_FLOAT_SHARE * peak, error)
    return limits


def golden_inputs(golden: Golden, read: Callable[[str], bytes]) -> dict[str, np.ndarray]:
    """Return the golden inputs ``[samples, ...]`` by tensor name.

    Args:
        golden: The manifest's record of the golden vectors.
        read: Function that returns the bytes of an entry.

    Raises:
        PackageError: An entry is damaged, or its number of samples differs from the manifest.
    """
    inputs = {name: decode_array(read(file), file) for name, file in golden.inputs.items()}
    for name, array in inputs.items():
        if array.ndim == 0 or len(array) != golden.samples:
            raise PackageError(
                f"{golden.inputs[name]}: got shape {list(array.shape)}, expected {golden.samples} samples."
            )
    return inputs


def check_runs(
    golden: Golden, read: Callable[[str], bytes], open_session: Callable[..., Session]
) -> tuple[GoldenCheck, ...]:
    """Run the golden inputs by each artifact; see `check_run`.

    Args:
        golden: The manifest's record of the golden vectors.
        read: Function that returns the bytes of an entry.
        open_session: `Package.session`, or a function like it.

    Raises:
        PackageError: An entry is damaged.
        IsolationError: An artifact ends the engine, or exceeds a limit.
    """
    inputs = golden_inputs(golden, read)
    at = f"at {size_text(golden.sizes)}: " if golden.sizes else ""
    checks = [check_run(run, inputs, read, open_session) for run in golden.runs]
    return tuple(msgspec.structs.replace(check, detail=f"{at}{check.detail}") for check in checks)


def check_run(
    run: GoldenRun,
    inputs: Mapping[str, np.ndarray],
    read: Callable[[str], bytes],
    open_session: Callable[..., Session],
) -> GoldenCheck:
    """Run the golden inputs by one artifact, and compare the raw outputs with the stored outputs.

    Args:
        run: The stored run, which is to be reproduced.
        inputs: The golden inputs.
        read: Function that returns the bytes of an entry.
        open_session: `Package.session`, or a function like it.

    Raises:
        IsolationError: The artifact ends the engine, or exceeds a limit.
    """
    expected = {name: decode_array(read(file), file) for name, file in run.outputs.items()}
    try:
        session = open_session(run.recipe, target="micro" if run.family == "tflm" else "cpu")
    except IsolationError:
        raise
    except (MissingDependencyError, TargetError) as error:
        return GoldenCheck(run.recipe, run.family, "not run", str(error))
    with session:
        if session.family != run.family:
            detail = f"the engine of this machine belongs to the family {session.family}"
            return GoldenCheck(run.recipe, run.family, "not run", detail)
        try:
            check = _compare_all(run, session.run_raw(inputs), expected)
            if check.status == "fails" and run.recipe == "onnx-dynamic":
                # Earlier versions ran all golden inputs in one call, on which its outputs depend.
                together = _compare_all(run, session.run_together(inputs), expected)
                check = together if together.status == "holds" else check
        except IsolationError:
            raise
        except (InputError, TargetError) as error:
            return GoldenCheck(run.recipe, run.family, "fails", str(error))
    return check


def _compare_all(run: GoldenRun, outputs: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> GoldenCheck:
    problems, nearest = [], []
    for name, values in expected.items():
        problem, note = _compare(name, outputs.get(name), values, run.bounds.get(name))
        problems += [problem] if problem else []
        nearest += [note] if note else []
    if problems:
        return GoldenCheck(run.recipe, run.family, "fails", "; ".join(problems))
    return GoldenCheck(run.recipe, run.family, "holds", "; ".join(nearest))


def _compare(name: str, output: np.ndarray | None, expected: np.ndarray, bound: float | None) -> tuple[str, str]:
    if output is None or output.shape != expected.shape or output.dtype.kind != expected.dtype.kind:
        got = "nothing" if output is None else f"{output.dtype} {list(output.shape)}"
        return f"'{name}': got {got}, expected {expected.dtype} {list(expected.shape)}", ""
    if bound is None:
        wrong = int((output != expected).sum())
        return (f"'{name}': {wrong} of {expected.size} values differ", "") if wrong else ("", f"'{name}' equal")
    difference = np.abs(output.astype(np.float64) - expected.astype(np.float64))
    largest = float(difference.max(initial=0.0))
    if not largest <= bound:  # NaN fails too
        return f"'{name}' differs by {largest:.3g}, at most {bound:.3g} is allowed", ""
    return "", f"'{name}' differs by {largest:.3g} of {bound:.3g}"
