"""What a report tells of real models' evidence: held to scikit-learn's predictions, by numpy and scipy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from markdown_it import MarkdownIt
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, mean_absolute_error, mean_squared_error, r2_score

import edgeml
from edgeml.reporting import make_report
from edgeml.reporting.compose import written
from edgeml.reporting.document import Chart, Frame, Table
from tests.reporting.conftest import Judged


class Tables(NamedTuple):
    """Of the section: that of the drops, and the others by the start of their titles."""

    chart: Chart
    others: list[Table]

    def of(self, title: str) -> Table:
        (found,) = [table for table in self.others if table.title.startswith(title)]
        return found


def told(package: edgeml.Package) -> Tables:
    (section,) = [one for one in written(package, ()).sections if one.key == "evidence"]
    chart, *others = section.parts
    assert isinstance(chart, Chart)
    tables = [one.table if isinstance(one, Chart) else one for one in others]
    return Tables(chart, [one for one in tables if isinstance(one, Table)])


def figures(cell: str) -> list[float]:
    """Of `1 → 2` or `1 [2, 3]`."""
    return [
        float(part)
        for part in cell.replace("→", " ").replace("−", "-").strip("]").replace("[", "").replace(",", "").split()
    ]


def sqnr_db(reference: np.ndarray, found: np.ndarray) -> float:
    return float(10 * np.log10(np.square(reference).sum() / np.square(found - reference).sum()))


def test_a_classifiers_chance_and_goal(classifier: Judged) -> None:
    package, truth, before, after = classifier
    found = told(package)
    source, artifact = (np.equal(scores.argmax(axis=1), truth) for scores in (before, after))
    lost, gained = int((source & ~artifact).sum()), int((~source & artifact).sum())
    assert lost > gained > 0
    row = found.of("Of 1,197 samples those on which one of the two is right").rows[0]
    assert row[:3] == ("onnx-fp32", str(lost), str(gained))
    assert float(row[3]) == pytest.approx(binomtest(lost, lost + gained).pvalue, rel=0.05)
    assert row[4] == "significant"

    row = found.chart.table.rows[0]
    shares = [accuracy_score(truth, scores.argmax(axis=1)) for scores in (before, after)]
    assert row[1:3] == tuple(f"{share:.1%}" for share in shares)
    drop, low, high = figures(row[3])
    assert drop == pytest.approx(100 * (shares[0] - shares[1]), abs=0.051)
    assert low < 3 < high
    # An interval narrows with the root of the samples, until its end is the goal.
    needed = len(truth) * ((high - low) / 2 / (3 - 100 * (shares[0] - shares[1]))) ** 2
    said, _, rest = row[4].removeprefix("held so far: some ").partition(" ")
    assert float(said.replace(",", "")) == pytest.approx(needed, rel=0.1)
    assert rest == "samples would settle it"
    assert "the goal of 3 points: 2 open." in found.chart.summary

    row = found.of("How near the outputs are").rows[0]
    assert float(row[1]) == pytest.approx(sqnr_db(before, after), abs=0.051)
    agree = before.argmax(axis=1) == after.argmax(axis=1)
    assert row[4:] == (f"{agree.mean():.2%}", str((~agree).sum()))


def test_a_regressors_errors(regressor: Judged) -> None:
    package, truth, before, after = regressor
    found = told(package)
    row = found.of("Errors of the source").rows[0]
    for cell, metric in zip(row[1:4], (mean_absolute_error, mean_squared_error, r2_score), strict=True):
        assert figures(cell) == pytest.approx([metric(truth, before), metric(truth, after)], rel=1e-3)
    errors = np.stack([np.abs(values - truth).mean(axis=1) for values in (before, after)])
    rise, low, high = figures(row[4])
    assert rise == pytest.approx(errors[1].mean() - errors[0].mean(), rel=1e-2)
    assert low < rise < high
    worst = found.of("Mean absolute error of a sample").rows
    assert [int(row[0]) for row in worst] == np.argsort(errors[0] - errors[1])[:10].tolist()
    for sample, *cells in worst:
        pair = errors[:, int(sample)]
        assert list(map(float, cells)) == pytest.approx([*pair, pair[1] - pair[0]], rel=1e-2)
    squares = [np.square(values - truth).mean(axis=0) for values in (before, after)]
    outputs = found.of("Errors of an output").rows
    assert [int(row[0]) for row in outputs] == np.argsort(squares[0] - squares[1]).tolist()
    for output, _, mse, r2 in outputs:
        column = int(output)
        assert figures(mse) == pytest.approx([square[column] for square in squares], rel=1e-3)
        both = [r2_score(truth[:, column], values[:, column]) for values in (before, after)]
        assert figures(r2) == pytest.approx(both, rel=1e-3)
    assert not [table for table in found.others if "right" in table.title]


def test_it_stands_in_markdown(classifier: Judged) -> None:
    text = make_report(classifier.package, [], "markdown").decode()
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    for table in told(classifier.package).others:
        assert f"<p>{table.title}:</p>" in html
        for cell in table.rows[0]:
            assert f">{cell}</td>" in html


def test_a_package_of_before_tells_what_it_has(package: edgeml.Package) -> None:
    found = told(package)
    assert [table.title for table in found.others] == ["How near the outputs are to the source's"]
    assert found.chart.table.rows[0][1:3] == ("–", "97.8%")
    drawn = found.chart.draw(Frame(900, narrow=False))["layer"]
    assert [layer["data"]["values"][0]["drop"] for layer in drawn[:2]] == [0, 2]  # nothing lost, and the goal
