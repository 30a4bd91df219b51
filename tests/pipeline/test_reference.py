"""The source's answers, with its labels and ties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeml.core.errors import UnsupportedModelError
from edgeml.core.source import Reference
from edgeml.pipeline.evaluation_data import EvaluationData
from edgeml.pipeline.reference import ReferenceOutputs, compute_references
from edgeml.pipeline.saved_inputs import save_inputs
from tests.support.source_infos import PLAIN, SOFTMAX, X

SCORES = np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2], [0.1, 0.1, 0.8]], np.float32)


def test_labels_and_ties_are_those_of_the_scores() -> None:
    info = SOFTMAX
    (output,) = info.signature.outputs
    reference = ReferenceOutputs(Reference({output.name: SCORES}), info)
    assert reference.label_positions[output.name].tolist() == [1, 0, 2]
    assert reference.tied[output.name].tolist() == [False, True, False]
    labels = reference.compare_labels({output.name: SCORES[::-1]}, info.signature.outputs)[output.name]
    assert labels.artifact.tolist() == [2, 0, 1]
    fidelity = reference.fidelity_to(ReferenceOutputs(Reference({output.name: SCORES[::-1]}), info))
    assert fidelity.flips == 2


def test_labels_that_the_source_gave_win_over_its_scores() -> None:
    info = SOFTMAX
    (output,) = info.signature.outputs
    reference = ReferenceOutputs(Reference({output.name: SCORES}, np.array([2, 2, 2])), info)
    assert reference.label_positions[output.name].tolist() == [2, 2, 2]


def test_a_source_without_labels() -> None:
    info = PLAIN
    (output,) = info.signature.outputs
    reference = ReferenceOutputs(Reference({output.name: SCORES}), info)
    assert reference.compare_labels({output.name: SCORES}, info.signature.outputs) == {}
    assert reference.fidelity_to(reference).max_error == 0


def test_a_source_that_gives_nan(tmp_path: Path) -> None:
    info = PLAIN
    (output,) = info.signature.outputs
    data = EvaluationData("evaluation", {"x": X})
    inputs = save_inputs(data, None, info, tmp_path)
    spoilt = Reference({output.name: np.full((12, 2), np.nan, np.float32)})
    with pytest.raises(UnsupportedModelError, match=r"returns NaN or infinity in .* on the evaluation data"):
        compute_references(lambda _: spoilt, inputs, info, reference=None, origin=data.origin)
