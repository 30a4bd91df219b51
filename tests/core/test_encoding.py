"""What is done to features before an artifact takes them, against numpy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from edgeml.core.encoding import Binning, Encoding, Scaling, check_encoding, describe_encoding, encoder

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(100, 3)).astype(np.float32) * [1, 20, 1e-3]
ROWS = ROWS.astype(np.float32)


def test_scaling_is_a_scaler_of_scikit_learn() -> None:
    scaler = StandardScaler().fit(ROWS)
    scaling = Scaling(tuple(scaler.mean_.astype(np.float32).tolist()), tuple(scaler.scale_.astype(np.float32).tolist()))
    made = encoder(scaling)(ROWS)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, scaler.transform(ROWS))


@pytest.mark.parametrize("count", [1, 100])
def test_binning_counts_the_cuts_below(count: int) -> None:
    cuts = [np.unique(ROWS[:, 0]), ROWS[:1, 1], ROWS[:0, 2]]
    made = encoder(Binning(tuple(tuple(column.tolist()) for column in cuts)))(ROWS[:count])
    expected = np.stack([[np.sum(own < x) for x in column] for own, column in zip(cuts, ROWS[:count].T, strict=True)])
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made * 256, expected.T)


def test_without_an_encoding_nothing_is_done() -> None:
    assert encoder(None)(ROWS) is ROWS


def test_what_overflows_is_left_to_be_clipped() -> None:
    assert np.isposinf(encoder(Scaling((0.0,), (1e-30,)))(np.array([[3e38]], np.float32)))[0, 0]


@pytest.mark.parametrize(
    ("encoding", "problem"),
    [
        (Scaling((0.0,), (1.0,)), "encodes 1 features"),
        (Scaling((0.0, 0.0), (1.0,)), "2 offsets and 1 scales"),
        (Scaling((0.0, np.nan), (1.0, 1.0)), "NaN, infinite"),
        (Scaling((0.0, 1e300), (1.0, 1.0)), "too large for float32"),
        (Scaling((0.0, 0.0), (1.0, 0.0)), "not positive"),
        (Scaling((0.0, 0.0), (1.0, 1e-60)), "not positive"),
        (Binning(((1.0,),)), "encodes 1 features"),
        (Binning(((1.0,), (2.0, 1.0))), "not in ascending order"),
        (Binning(((1.0,), (1.0, 1.0))), "not in ascending order"),
        (Binning(((1.0,), (np.inf,))), "not a finite float32"),
        (Binning(((0.1,), ())), "not a finite float32"),
        (Binning(((), tuple(map(float, range(256))))), "more than 255 cuts"),
    ],
    ids=str,
)
def test_what_is_no_encoding_of_two_features(encoding: Encoding, problem: str) -> None:
    assert problem in (check_encoding(encoding, (1, 2)) or "")


def test_sound_encodings() -> None:
    for encoding in (Scaling((0.0, -1.5), (1.0, 2.0)), Binning(((), tuple(map(float, range(255)))))):
        assert check_encoding(encoding, (None, 2)) is None
        assert "2 features" in describe_encoding(encoding)
    assert check_encoding(Scaling((0.0,), (1.0,)), (1, 1, 1)) is not None
