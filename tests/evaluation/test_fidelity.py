"""SQNR, agreement and ties, on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgeml.core.decisions import Decision
from edgeml.core.records.evidence import Fidelity, IntegerFidelity
from edgeml.core.source import Reference
from edgeml.evaluation import fidelity_of, ties


def of(reference: list[list[float]], output: list[list[float]]) -> Fidelity:
    return fidelity_of({"y": np.array(reference, np.float32)}, {"y": np.array(output, np.float32)})


def test_sqnr_of_a_hand_computed_case() -> None:
    # Σ ref² = 1 + 9 + 4 + 16 = 30; noise = 0.01 + 0 + 0 + 0.04 = 0.05; means 1.5 and 3.5: Σ (ref − mean)² = 1
    found = of([[1, 3], [2, 4]], [[1.1, 3], [2, 3.8]])
    assert found.samples == 2
    assert found.sqnr_db == pytest.approx(10 * np.log10(30 / 0.05), abs=1e-4)
    assert found.centred_sqnr_db == pytest.approx(10 * np.log10(1 / 0.05), abs=1e-4)
    assert found.max_error == pytest.approx(0.2, abs=1e-6)
    assert found.agreement is None
    assert found.flips is None


@pytest.mark.parametrize("shape", [(40, 7), (40, 3, 5, 2), (40,)])
def test_sqnr_equals_the_formula_on_any_shape(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    reference = rng.normal(2, 1, shape).astype(np.float32)
    output = reference + rng.normal(0, 0.01, shape).astype(np.float32)
    noise = ((output.astype(np.float64) - reference) ** 2).sum()
    found = fidelity_of({"y": reference}, {"y": output})
    assert found.sqnr_db == pytest.approx(10 * np.log10((reference.astype(np.float64) ** 2).sum() / noise))
    centred = ((reference.astype(np.float64) - reference.astype(np.float64).mean(axis=0)) ** 2).sum()
    assert found.centred_sqnr_db == pytest.approx(10 * np.log10(centred / noise))


def test_an_exact_copy_has_the_ceiling() -> None:
    found = of([[1, 2], [3, 4]], [[1, 2], [3, 4]])
    assert found.sqnr_db == found.centred_sqnr_db == 200.0
    assert found.max_error == 0.0


def test_a_mean_alone_does_not_pass_as_signal() -> None:
    found = of([[100, 1], [100, 2], [100, 3]], [[100, 2], [100, 2], [100, 2]])
    assert found.sqnr_db > 40
    assert found.centred_sqnr_db == pytest.approx(0.0)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1234.5])
def test_a_constant_reference_has_no_centred_figure(constant: float) -> None:
    reference = np.full((9, 3), constant, np.float32)
    assert fidelity_of({"y": reference}, {"y": reference + np.float32(1e-3)}).centred_sqnr_db is None


def test_one_sample_is_a_constant() -> None:
    assert of([[1, 2, 3]], [[1, 2, 3]]).centred_sqnr_db is None


def test_noise_on_a_zero_reference_is_as_bad_as_can_be() -> None:
    found = of([[0, 0], [0, 0]], [[0, 1], [0, 0]])
    assert found.sqnr_db == -200.0
    assert found.max_error == 1.0


def test_of_several_outputs_the_worst_counts() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(30, 2)), rng.normal(size=(30, 4))
    near, far = a + 1e-4, b + 1e-1
    both = fidelity_of({"a": a, "b": b}, {"a": near, "b": far})
    alone = fidelity_of({"b": b}, {"b": far})
    assert both == alone


def test_a_constant_output_that_is_kept_does_not_count_beside_one_that_varies() -> None:
    rng = np.random.default_rng(0)
    varying = rng.normal(size=(30, 2))
    reference = {"live": varying, "dead": np.zeros((30, 2))}
    kept = fidelity_of(reference, {"live": varying + 1e-3, "dead": np.full((30, 2), 5e-7)})
    assert kept.sqnr_db == fidelity_of({"live": varying}, {"live": varying + 1e-3}).sqnr_db


def test_a_constant_output_that_is_lost_counts_beside_one_that_varies() -> None:
    rng = np.random.default_rng(0)
    varying = rng.normal(size=(30, 2))
    reference = {"live": varying, "dead": np.zeros((30, 2))}
    lost = fidelity_of(reference, {"live": varying, "dead": np.full((30, 2), 0.5)})
    assert lost.sqnr_db == -200.0


def test_agreement_leaves_ties_out() -> None:
    y = np.ones((4, 2), np.float32)
    wanted, got = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    found = fidelity_of({"y": y}, {"y": y}, labels={"y": (wanted, got, np.array([False, True, False, False]))})
    assert found.flips == 1
    assert found.agreement == pytest.approx(2 / 3)


def test_agreement_is_missing_where_all_is_tied() -> None:
    y = np.ones((2, 2), np.float32)
    found = fidelity_of({"y": y}, {"y": y}, labels={"y": (np.array([0, 1]), np.array([0, 0]), np.array([True, True]))})
    assert found.agreement is None
    assert found.flips == 0


def test_ties_of_the_largest_scores() -> None:
    scores = np.array([[0.5, 0.5, 0.0], [0.4, 0.4000005, 0.1], [0.4, 0.40001, 0.1], [0.9, 0.1, 0.1]])
    assert ties(Reference({"y": scores}), Decision((0, 1, 2))).tolist() == [True, True, False, False]


def test_ties_at_a_threshold() -> None:
    scores = np.array([[0.5], [0.4999995], [0.49999], [0.9]])
    assert ties(Reference({"y": scores}), Decision((0, 1), threshold=0.5)).tolist() == [True, True, False, False]
    small = Reference({"y": np.array([0.0, 1e-7, -1.0])})
    assert ties(small, Decision((0, 1), threshold=0.0)).tolist() == [True, True, False]


def test_ties_of_the_scores_that_decide() -> None:
    """Not of those that are returned; within a millionth of the largest score."""
    scores = np.array([[0.5, 0.5], [0.5, 0.5], [0.2, 0.8]])
    decision = Decision((0, 1))
    assert ties(Reference({"y": scores}, deciding=np.array([2e4, 1e-2, -3.0])), decision).tolist() == [
        False,
        True,
        False,
    ]
    three = np.array([[5e3, 0.0, 5e3 - 1e-3], [5e3, 0.0, 5e3 - 1e-1]])
    assert ties(Reference({"y": np.ones((2, 3))}, deciding=three), decision).tolist() == [True, False]


def test_integers_are_compared_by_equality_and_floats_by_ratios() -> None:
    reference = {
        "x": np.array([[1.0, 2.0], [3.0, 4.0]], np.float32),
        "ids": np.array([2**53, 2**53 + 1, 7, 8]),
        "flags": np.array([True, False]),
    }
    output = reference | {"ids": np.array([2**53, 2**53, 7, 9]), "x": reference["x"] + np.float32(0.1)}
    found = fidelity_of(reference, output)
    assert found.worst_integers == IntegerFidelity("ids", 0.5)
    assert found.sqnr_db == found.float_sqnr_db == of([[1, 2], [3, 4]], [[1.1, 2.1], [3.1, 4.1]]).sqnr_db
    only = fidelity_of({"ids": reference["ids"]}, {"ids": reference["ids"]})
    assert (only.worst_integers, only.float_sqnr_db) == (IntegerFidelity("ids", 1.0), None)
