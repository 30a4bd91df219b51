from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

import edgeml
from edgeml import Goal
from edgeml.core.errors import InputError
from edgeml.core.goal import Remark, Verdict, parse_share
from edgeml.core.recipe import Floor

BOUNDS = ["max_drop", "max_size_bytes", "max_p95_ms", "min_sqnr_db", "min_agreement"]


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("bound", [math.nan, math.inf, -math.inf, "0.01", True, [1]])
def test_what_is_no_finite_number_is_refused(name: str, bound: object) -> None:
    with pytest.raises(InputError, match=f"{name} is .*, expected a "):
        Goal(**{name: bound})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("max_drop", -1e-9),
        ("max_size_bytes", -1),
        ("max_size_bytes", 1.5),
        ("max_p95_ms", -0.1),
        ("min_agreement", -0.1),
        ("min_agreement", 1.01),
    ],
)
def test_what_no_artifact_can_mean_is_refused(name: str, bound: float) -> None:
    with pytest.raises(InputError, match=name):
        Goal(**{name: bound})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("bound", [0, 1, 1.0, np.float64(1), np.float32(1), np.int64(1)])
def test_a_goal_comes_back_from_json_as_it_was(name: str, bound: float) -> None:
    goal = Goal(**{name: bound})  # type: ignore[arg-type]
    text = msgspec.json.encode(goal)
    again = msgspec.json.decode(text, type=Goal)
    assert again == goal
    assert msgspec.json.encode(again) == text
    assert getattr(goal, name) == bound


def test_floors_are_raised_and_not_lowered_by_default() -> None:
    floor = Floor(40.0, 0.99)
    assert Goal().floor(floor) == floor
    assert Goal(min_sqnr_db=60, min_agreement=1).floor(floor) == Floor(60.0, 1.0)
    assert Goal(min_sqnr_db=10, min_agreement=0.5).floor(floor) == floor
    assert Goal(min_sqnr_db=10, min_agreement=0.5, lower_floors=True).floor(floor) == Floor(10.0, 0.5)
    assert Goal(min_sqnr_db=-5, lower_floors=True).floor(floor) == Floor(-5.0, 0.99)


@pytest.mark.parametrize(
    ("remark", "text"),
    [
        (Remark("there are no labels."), "there are no labels."),
        (Remark("the interval holds the goal.", "open"), "open: the interval holds the goal."),
        (Remark("", "open"), "open: "),
        (Remark("open questions remain."), "open questions remain."),
        (Remark("open: twice", "open"), "open: open: twice"),
    ],
)
def test_a_remark_comes_back_from_its_text(remark: Remark, text: str) -> None:
    assert str(remark) == text
    assert Remark.parse(text) == remark


def test_open_remarks_are_those_that_leave_the_verdict_open() -> None:
    remarks = ("there are no labels.", "open: accuracy may fall.", "open questions remain.", "open: R² may fall.")
    verdict = Verdict("released", remarks=remarks)
    assert verdict.open_remarks == (Remark("accuracy may fall.", "open"), Remark("R² may fall.", "open"))
    assert Verdict("released", remarks=remarks[:1]).open_remarks == ()
    assert Verdict("released").open_remarks == ()


def test_released_is_what_may_be_chosen() -> None:
    assert Verdict("released").released
    assert not Verdict("rejected", ("too far off",)).released


@pytest.mark.parametrize("drop", [0.5, 1.0, 1, 10.0])
def test_a_build_refuses_a_drop_that_cannot_be_meant(drop: float, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"max_drop: got .*expected less than 0\.5.*1% or 0\.01"):
        edgeml.build(tmp_path / "absent.keras", goal=Goal(max_drop=drop))


def test_a_package_with_any_drop_is_read(small_package: edgeml.Package) -> None:
    contents = {name: small_package.read(name) for name in small_package.manifest.files}
    manifest = msgspec.structs.replace(small_package.manifest, goal=Goal(max_drop=1.0))
    assert edgeml.Package.of(manifest, contents).manifest.goal.max_drop == 1.0


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("0.01", 0.01), ("0.1 %", 0.001), ("100%", 1.0), ("0", 0.0)])
def test_shares(text: str, share: float) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize("text", ["", "%", "one", "1%%", "1 percent"])
def test_texts_that_are_not_shares(text: str) -> None:
    with pytest.raises(InputError, match="expected a fraction or a percentage"):
        parse_share(text)
