from __future__ import annotations

import numpy as np
import pytest

from edgeml.core.engine import ArrayInstance, EngineInstance


def test_an_instance_copies_in_and_out() -> None:
    place, answers = np.zeros((2, 3), np.float32), np.zeros((2, 1), np.float32)

    def run() -> None:
        answers[:, 0] = place.sum(axis=1)

    instance = EngineInstance([place], [answers], run)
    first = instance([np.array([[1, 2, 3], [4, 5, 6]])])
    second = instance([np.ones((2, 3), np.float32)])
    assert [output.tolist() for output in first] == [[[6], [15]]]  # as it was, after another run
    assert [output.tolist() for output in second] == [[[3], [3]]]
    first[0][:] = 0  # and changing it changes nothing
    assert answers.tolist() == [[3], [3]]


def test_an_instance_refuses_another_number_of_inputs() -> None:
    instance = EngineInstance([np.zeros((1, 1))], [np.zeros((1, 1))], lambda: None)
    with pytest.raises(ValueError, match="zip"):
        instance([np.zeros((1, 1)), np.zeros((1, 1))])


def test_an_array_instance_takes_batches_of_any_length() -> None:
    instance = ArrayInstance(lambda values: [values[0] * 2])
    assert (instance.inputs, instance.outputs, instance.put) == ((), (), None)
    for count in (0, 1, 7):
        (found,) = instance([np.ones((count, 2))])
        np.testing.assert_array_equal(found, np.full((count, 2), 2))
