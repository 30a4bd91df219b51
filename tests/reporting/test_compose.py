"""What a report says: held to the package's manifest and the measured times, not to its own code."""

from __future__ import annotations

import io
import json
import math
import re
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest
from markdown_it import MarkdownIt
from PIL import Image
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix

import edgeml
from edgeml.core.goal import Verdict
from edgeml.core.records.benchmark_results import Conditions, Figure, Measurement, Quantile, Results, encode_results
from edgeml.core.records.evidence import Drop, McNemar
from edgeml.reporting import make_report
from edgeml.reporting.charts import render_svg
from edgeml.reporting.compose import compose_document
from edgeml.reporting.document import Chart, Frame, Table
from edgeml.reporting.inputs import read_devices
from edgeml.reporting.label_placement import place_labels
from edgeml.reporting.sections.tradeoff import tradeoff_chart
from edgeml.reporting.speeds import Speed
from edgeml.trainers.result import Epoch, TrainingCurves
from tests.support.hostile_names import hostile_package
from tests.support.measured import compact, reference

replace = msgspec.structs.replace


def chart(package: edgeml.Package, section: str, results: Results | None = None, folder: Path | None = None) -> Chart:
    """The first of a section."""
    paths = []
    if results is not None and folder is not None:
        paths = [folder / "results.json"]
        paths[0].write_bytes(encode_results(results))
    document = compose_document(package, read_devices(paths, package))
    (found,) = [one for one in document.sections if one.key == section]
    return next(part for part in found.parts if isinstance(part, Chart))


def values(chart: Chart, layer: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = chart.draw(Frame(900, narrow=False))["layer"][layer]["data"]["values"]
    return found


def with_artifacts(package: edgeml.Package, *changes: dict[str, Any]) -> edgeml.Package:
    records = [replace(record, **change) for record, change in zip(package.manifest.artifacts, changes, strict=True)]
    contents = {name: package.read(name) for name in package.manifest.files}
    return edgeml.Package.of(replace(package.manifest, artifacts=tuple(records)), contents)


def single(recipe: str, ms: Figure, **also: Any) -> Measurement:
    latency = (Quantile(0.5, ms), Quantile(0.9, Figure(2 * ms.value)))
    return Measurement(recipe, "cpu", "e", "single-stream", 1, 1, 100, 3, 1.0, latency, None, 1, Conditions(), **also)


def test_the_table_is_the_manifest(package: edgeml.Package) -> None:
    table = compose_document(package, ()).table
    rows = [dict(zip([column.title for column in table.columns], row, strict=True)) for row in table.rows]
    for row, record in zip(rows, package.manifest.artifacts, strict=True):
        accuracy = record.evaluation.metrics and record.evaluation.metrics.accuracy
        assert row["artifact"] == record.recipe
        assert row["accuracy"] == f"{100 * (accuracy or 0):.1f}%"
        assert float(row["kB"]) == pytest.approx(len(package.read(record.file)) / 1000, abs=0.05)
        assert record.measurement is not None
        assert float(row["median, ms"]) == pytest.approx(record.measurement.median_ms, abs=5e-4)


def test_an_error_that_rises_is_not_called_a_drop(package: edgeml.Package) -> None:
    drop = Drop("relative_mse", 0.004, 0.001, 0.008, "x")
    changes = [{"evaluation": replace(record.evaluation, drop=drop)} for record in package.manifest.artifacts]
    changed = with_artifacts(package, *changes)
    assert "a rise of relative squared error of +0.0040" in compose_document(changed, ()).verdict
    assert chart(changed, "evidence").title == "Rise of relative squared error, and the goal of at most 0.02"
    task = replace(changed.manifest.source, task="reconstruction", architecture="x" * 100)
    contents = {name: changed.read(name) for name in changed.manifest.files}
    document = compose_document(edgeml.Package.of(replace(changed.manifest, source=task), contents), ())
    assert "rise [95%]" in [column.title for column in document.table.columns]
    assert document.subtitle.endswith("…, reconstruction")  # however long the architecture's name is


@pytest.mark.slow
@pytest.mark.parametrize("width", [328, 920])
@pytest.mark.parametrize(
    ("sizes", "medians"), [((450, 1_200_000), None), ((450, 460), (0.0032, 0.0625)), ((450, 460), (0.0000021, 3400.0))]
)
def test_every_tick_of_what_it_costs_has_its_figure(
    package: edgeml.Package, sizes: tuple[int, int], medians: tuple[float, float] | None, width: int
) -> None:
    files = dict(package.manifest.files)
    for record, size in zip(package.manifest.artifacts, sizes, strict=True):
        files[record.file] = replace(files[record.file], size_bytes=size)
    records = tuple(replace(record, measurement=None) for record in package.manifest.artifacts)
    manifest = replace(package.manifest, files=files, artifacts=records)
    speeds = {}
    for record, median in zip(records, medians or (), strict=False):
        speeds[record.recipe] = Speed(record.recipe, Figure(median), None, 0.9, "cpu", 1)
    drawing = tradeoff_chart(manifest, speeds, "bench-1", 0)
    assert drawing is not None
    frame = Frame(width, narrow=width < 500)
    picture = ET.fromstring(render_svg(drawing, frame))
    (axis,) = (one for one in picture.iter() if one.get("aria-label", "").startswith("X-axis"))
    groups = {str(one.get("class")).split()[-1]: list(one) for one in axis.iter() if one.get("class")}
    ticks, figures = groups["role-axis-tick"], [one.text or "" for one in groups["role-axis-label"]]
    assert len(figures) == len(ticks) >= 2
    assert all(re.fullmatch(r"[\d,]+(\.\d+)?", figure) for figure in figures)


def test_noise_does_not_fill_the_axis_of_losses(package: edgeml.Package) -> None:
    """Two artifacts that differ by less than any text tells stand at one height, nearly."""
    changes = [
        {"evaluation": replace(record.evaluation, drop=Drop("r2", lost, lost, lost, "x"))}
        for record, lost in zip(package.manifest.artifacts, (0.0, 3e-8), strict=True)
    ]
    spec = chart(with_artifacts(package, *changes), "tradeoff").draw(Frame(900, narrow=False))
    low, high = spec["layer"][4]["encoding"]["y"]["scale"]["domain"]
    assert high - low > 1e-3


def test_a_label_stands_nearest_to_its_own_mark() -> None:
    """As of the demo's net: two marks in one place, a third that touches them, a fourth beside, lines through all."""
    marks = [(116.0, 145.0, 18.7), (116.0, 145.0, 14.2), (103.0, 145.0, 11.6), (160.0, 145.0, 11.5)]
    names = ["tflite-fp32", "tflite-fp16", "tflite-dynamic", "tflite-int8"]
    labels = place_labels(marks, names, 850, 360, [(102, 0, 104, 145), (103, 144, 500, 146)])
    for number, (label, name) in enumerate(zip(labels, names, strict=True)):
        half = 3.5 * len(name), 7.5
        gaps = [
            math.hypot(max(abs(label.center - x) - half[0], 0), max(abs(label.middle - y) - half[1], 0))
            for x, y, _ in marks
        ]
        assert gaps[number] <= min(gaps) + 4, name


def test_scenarios_are_drawn_apart(package: edgeml.Package, measured: Results, tmp_path: Path) -> None:
    """A query of a server waits, and one of a multi-stream has many samples: their latencies do not compare."""
    one = single("tflite-int8", Figure(1.0))
    others = [replace(one, scenario="server", threads=2), replace(one, scenario="server", threads=4, batch=8)]
    path = tmp_path / "results.json"
    path.write_bytes(encode_results(replace(measured, measurements=(one, *others))))
    document = compose_document(package, read_devices([path], package))
    (found,) = [part for part in document.sections if part.key == "latency"]
    charts = [part for part in found.parts if isinstance(part, Chart)]
    assert [part.title for part in charts] == [
        "On bench-1, single-stream, cpu, 1 thread",
        "On bench-1, server, cpu",
    ]
    labels = [[value["name"] for value in values(part, 0)] for part in charts]
    assert labels == [["tflite-int8"], ["tflite-int8 ×2 b1", "tflite-int8 ×4 b8"]]


def test_the_front_holds_those_that_none_beats(package: edgeml.Package, measured: Results, tmp_path: Path) -> None:
    """Two artifacts: dearer and better make a front of two, dearer and worse of one."""
    evaluations = [record.evaluation for record in package.manifest.artifacts]
    worse = replace(evaluations[0], drop=Drop("accuracy", 0.004, 0.0, 0.008, "x"))
    better = replace(evaluations[1], drop=Drop("accuracy", 0.001, 0.0, 0.002, "x"))
    for first, second, expected in ((worse, better, 2), (better, worse, 1)):
        changed = with_artifacts(package, {"evaluation": first}, {"evaluation": second})
        found = replace(
            measured,
            package=reference(changed),
            measurements=(single("tflite-int8", Figure(1.0)), single("onnx-fp32", Figure(2.0))),
        )
        stair = values(chart(changed, "tradeoff", found, tmp_path), 0)
        assert len(stair) == expected + 2  # and an edge at each end
        assert (stair[1]["x"], stair[1]["y"]) == (1.0, 100 * (first.drop.value if first.drop else 0))


def test_a_tie_in_latency_goes_to_the_smaller(package: edgeml.Package, measured: Results, tmp_path: Path) -> None:
    sizes = {record.recipe: len(package.read(record.file)) for record in package.manifest.artifacts}
    assert sizes["tflite-int8"] < sizes["onnx-fp32"]
    path = tmp_path / "results.json"
    for low, expected in ((1.05, "onnx-fp32"), (0.95, "tflite-int8")):
        pair = (
            single("onnx-fp32", Figure(0.98, 0.97, 1.0)),
            single("tflite-int8", Figure(1.1, low, 1.2)),
        )
        path.write_bytes(encode_results(replace(measured, measurements=pair)))
        verdict = compose_document(package, read_devices([path], package)).verdict
        assert verdict.startswith(f"Ship {expected}: ")


def test_nothing_released_is_told(package: edgeml.Package) -> None:
    rejected = {"verdict": Verdict("rejected", ("accuracy drops by 0.3, more than 0.01",))}
    document = compose_document(with_artifacts(package, rejected, rejected), ())
    assert document.status == "bad"
    assert document.verdict.startswith(
        "Ship none of these: 0 of 2 recipes are released. For one, tflite-int8: accuracy drops by 0.3"
    )


def test_an_open_verdict_and_doubtful_figures_are_told(
    package: edgeml.Package, results_files: tuple[Path, Path]
) -> None:
    remark = "open: the 95% interval of the drop, -0.003 to 0.02, contains the goal of 0.01"
    changed = {"verdict": Verdict("released", (), (remark,))}
    document = compose_document(with_artifacts(package, changed, changed), ())
    assert document.status == "open"
    assert "The verdict is open: the 95% interval" in document.verdict
    document = compose_document(package, read_devices(results_files, package))
    assert document.status == "open"
    assert any("other processes took 41%" in line and "pi@board" in line for line in document.cautions)


def test_a_drop_has_the_unit_of_its_goal(package: edgeml.Package) -> None:
    drop = Drop("accuracy", 0.003, -0.001, 0.0071, "x")
    changes = [{"evaluation": replace(record.evaluation, drop=drop)} for record in package.manifest.artifacts]
    document = compose_document(with_artifacts(package, *changes), ())
    assert "a drop in accuracy of +0.3% [−0.1%, +0.7%] on 600 evaluation samples" in document.verdict
    assert [(fact.value, fact.detail) for fact in document.facts[1:2]] == [("+0.3%", "95% [−0.1%, +0.7%]")]
    losses = chart(with_artifacts(package, *changes), "evidence")
    assert losses.title == "Drop in accuracy, and the goal of at most 2%"
    assert [row[3] for row in losses.table.rows] == 2 * ["+0.3% [−0.1%, +0.7%]"]
    texts = json.dumps(msgspec.to_builtins([document.verdict, document.facts, document.table])) + losses.summary
    assert "point" not in texts


def test_seeded_inputs_are_called_random(package: edgeml.Package) -> None:
    """The manifest calls them ``drawn``, and keeps that name."""
    data = replace(package.manifest.data, judged_on="drawn", judged_samples=256)
    contents = {name: package.read(name) for name in package.manifest.files}
    document = compose_document(edgeml.Package.of(replace(package.manifest, data=data), contents), ())
    assert document.table.title == "Judged on 256 random samples"
    assert "on 256 random samples" in document.verdict
    text = make_report(edgeml.Package.of(replace(package.manifest, data=data), contents), [], "markdown").decode()
    assert "drawn" not in text


@pytest.mark.parametrize(("lost", "gained", "said"), [(40, 8, "significant (p = "), (9, 7, "not significant (p = ")])
def test_significance_is_said_with_its_p_value(package: edgeml.Package, lost: int, gained: int, said: str) -> None:
    p_value = float(binomtest(lost, lost + gained).pvalue)
    changes = [
        {"evaluation": replace(record.evaluation, mcnemar=McNemar(lost, gained, p_value))}
        for record in package.manifest.artifacts
    ]
    document = compose_document(with_artifacts(package, *changes), ())
    (evidence,) = [section for section in document.sections if section.key == "evidence"]
    (table,) = [part for part in evidence.parts if isinstance(part, Table) and "McNemar" in part.title]
    assert [row[1:] for row in table.rows] == 2 * [(str(lost), str(gained), f"{said}{p_value:.2g})")]


def test_flags_of_one_kind_are_told_once_at_their_worst(
    package: edgeml.Package, measured: Results, tmp_path: Path
) -> None:
    flags = [f"Other processes took {share}% of the cores' time." for share in (9, 41, 12)]
    found = [replace(single("tflite-int8", Figure(1.0)), conditions=Conditions((flag,))) for flag in flags]
    path = tmp_path / "results.json"
    path.write_bytes(encode_results(replace(measured, measurements=tuple(found), comparisons=())))
    cautions = compose_document(package, read_devices([path], package)).cautions
    (line,) = [line for line in cautions if "Doubtful" in line]
    where, _, worst = line.partition(", at worst: ")
    assert where == "Doubtful on bench-1 in 3 of 3 measurements (tflite-int8)"
    assert worst == "Other processes took 41% of the cores' time."


def test_what_was_not_measured_is_not_called_slower(package: edgeml.Package, measured: Results, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(encode_results(replace(measured, measurements=(single("onnx-fp32", Figure(1.0)),))))
    verdict = compose_document(package, read_devices([path], package)).verdict
    assert "It is the fastest of the 1 measured of 2 released artifacts." in verdict


def test_densities_leave_out_the_slowest_alone(package: edgeml.Package, measured: Results, tmp_path: Path) -> None:
    """Of 999 equal times and one a hundred times as long, all but the longest stand in one place."""
    times = np.full(1000, 1_000_000)
    times[500] = 100_000_000
    one = single("tflite-int8", Figure(1.0), times=compact(times))
    cells = values(chart(package, "latency", replace(measured, measurements=(one,)), tmp_path), 1)
    assert len(cells) == 1
    assert cells[0]["low"] <= 1.0 < cells[0]["high"]


def test_throughputs_of_one_batch_each_stand_in_rows(
    package: edgeml.Package, measured: Results, tmp_path: Path
) -> None:
    """As `edgeml bench` has them by default: each artifact at the batch that fills a twentieth of a second."""
    rates = {"tflite-int8": (512, 900.0), "onnx-fp32": (64, 700.0)}
    found = tuple(
        replace(single(name, Figure(1.0)), scenario="offline", batch=batch, throughput=Figure(rate))
        for name, (batch, rate) in rates.items()
    )
    throughputs = chart(package, "throughput", replace(measured, measurements=found), tmp_path)
    spec = throughputs.draw(Frame(900, narrow=False))
    assert "facet" not in spec
    assert [value["description"] for value in spec["data"]["values"]] == [
        f"{name}, cpu, 1 thread, batch {batch}: {rate:.0f} samples a second" for name, (batch, rate) in rates.items()
    ]


def test_training_curves_are_drawn(package: edgeml.Package) -> None:
    history = tuple(
        Epoch(number=i, of=4, loss=1 / i, validation_loss=2 / i, accuracy=1 - 1 / i, validation_accuracy=0.5)
        for i in range(1, 5)
    )
    contents = {name: package.read(name) for name in package.manifest.files}
    contents["evidence/training.json"] = msgspec.json.encode(TrainingCurves(history=history, best_epoch=3))
    trained = edgeml.Package.of(replace(package.manifest, training="evidence/training.json"), contents)
    loss = chart(trained, "training")
    assert [row[:2] for row in loss.table.rows] == [("1", "1"), ("2", "0.5"), ("3", "0.3333"), ("4", "0.25")]
    assert loss.table.states == ("", "", "best", "")


def test_other_costs_and_loads_are_told(package: edgeml.Package, measured: Results, tmp_path: Path) -> None:
    first = single(
        "tflite-int8", Figure(1.0), cold_start_ms=Figure(210.0, 200.0, 240.0), peak_mb=12.25, joules=0.0042,
        arena_bytes=5000,
    )  # fmt: skip
    server = replace(first, scenario="server", throughput=Figure(800.0, 750.0, 820.0), latency_bound_ms=5.0)
    none = replace(server, artifact="onnx-fp32", throughput=None)
    path = tmp_path / "results.json"
    path.write_bytes(encode_results(replace(measured, measurements=(first, server, none))))
    document = compose_document(package, read_devices([path], package))
    (found,) = [one for one in document.sections if one.key == "costs"]
    costs, loads = (part for part in found.parts if isinstance(part, Table))
    assert costs.rows[0] == ("tflite-int8, cpu", "bench-1", "210 [200, 240]", "12.2", "5.0", "4.2")
    assert [row[-1] for row in loads.rows] == ["800 [750, 820]", "none"]


def test_intervals_that_reach_below_0_are_drawn(package: edgeml.Package, measured: Results, tmp_path: Path) -> None:
    """Few queries may give a rate such an interval; a logarithmic axis has no place for it."""
    wide = Figure(100.0, -20.0, 220.0)
    measurements = tuple(replace(one, throughput=one.throughput and wide) for one in measured.measurements)
    path = tmp_path / "results.json"
    path.write_bytes(encode_results(replace(measured, measurements=measurements)))
    page = make_report(package, [path]).decode()
    assert "100 [-20, 220]" in page
    assert "NaN" not in page
    assert "Infinity" not in page


def with_evidence(package: edgeml.Package, **evidence: object) -> edgeml.Package:
    contents = {name: package.read(name) for name in package.manifest.files}
    contents |= {f"evidence/{recipe}.json": json.dumps(evidence).encode() for recipe in package.released}
    return edgeml.Package.of(package.manifest, contents)


def test_confusion_matrices_are_scikit_learns(package: edgeml.Package) -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 10, 500)
    given = np.where(rng.random(500) < 0.8, true, (true + 1) % 10)
    matrix = confusion_matrix(true, given)
    cells = [[int(i), int(j), int(matrix[i, j])] for i, j in np.argwhere(matrix)] + [[3, -1, 7]]
    changed = with_evidence(package, confusion={"cells": cells}, source_confusion={"cells": cells})
    document = compose_document(changed, ())
    charts = [part for section in document.sections for part in section.parts if isinstance(part, Chart)]
    (found,) = [one for one in charts if one.key == "confusion-artifact"]
    labels = [str(label) for label in decision(package)]
    cells_by_labels = {
        (v["row"], v["column"]): v["text"] for v in found.draw(Frame(900, narrow=False))["data"]["values"]
    }
    assert cells_by_labels.pop((labels[3], "none of these")) == "7"
    assert cells_by_labels == {(labels[i], labels[j]): str(matrix[i, j]) for i, j in np.argwhere(matrix)}
    errors = matrix - np.diag(np.diag(matrix))
    assert found.table.rows[0][2] == str(errors.max())


def decision(package: edgeml.Package) -> tuple[object, ...]:
    found = package.manifest.source.decision
    assert found is not None
    return found.labels


def test_calibration_is_drawn_beside_the_sources(package: edgeml.Package) -> None:
    bins = [{"samples": 0}] * 13 + [{"samples": 4, "confidence": 0.9, "accuracy": 0.75}, {"samples": 96}]
    source = {"ece": 0, "bins": [{}] * 15}
    changed = with_evidence(package, calibration={"ece": 0.15, "bins": bins}, source_calibration=source)
    found = chart(changed, "calibration")
    assert "0.1500" in found.title
    assert [row[1:] for row in found.table.rows] == [("90.0%", "75.0%", "4")]
    both = {"ece": 0.15, "bins": bins}
    same = chart(with_evidence(package, calibration=both, source_calibration=both), "calibration")
    drawn_last = values(same, 1)[-1]["of"]  # over the other's line, which shows between its dashes
    dashes = same.draw(Frame(900, narrow=False))["layer"][1]["encoding"]["strokeDash"]["scale"]
    assert dict(zip(dashes["domain"], map(tuple, dashes["range"]), strict=True))[drawn_last] != (1, 0)


def test_markdown_holds_the_verdict_and_the_table(package: edgeml.Package, results_files: tuple[Path, Path]) -> None:
    text = make_report(package, results_files, "markdown").decode()
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert "<h2>digits-format1 1.0.0</h2>" in html
    assert "<strong>Ship " in html
    assert html.count("<table>") >= 5
    for device in ("bench-1", "pi@\u200bboard"):  # each device's tables say whose they are
        assert f"<strong>On {device}.</strong> Loss against" in html
        assert f"<strong>Samples a second on {device}.</strong>" in html
    assert html.count("<details>") == html.count("</details>") > 3


def test_hostile_names_are_text_in_markdown_and_pictures(package: edgeml.Package) -> None:
    changed = hostile_package(package, 10_000)
    text = make_report(changed, [], "markdown").decode()
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert not any(f"<{tag}" in html for tag in ("script", "img", "svg", "style", "a ", "h1"))
    assert "&lt;/script&gt;&lt;script&gt;" in html
    assert "\u202e" not in text
    assert "@everyone" not in text
    assert "www." not in text  # GitHub makes a link of it; with a backslash between it does not
    assert ">www.example.com<" in html
    assert len(text) < 100_000
    assert make_report(changed, [], "png").startswith(b"\x89PNG")


def test_a_picture_is_a_slide(package: edgeml.Package, results_files: tuple[Path, Path]) -> None:
    with Image.open(io.BytesIO(make_report(package, results_files, "png"))) as image:
        assert image.width >= 1920
        assert 1.3 < image.width / image.height < 2.0
        colors = image.convert("RGB").getcolors(1 << 24) or []
    assert len(colors) > 50


def test_a_page_is_made_in_time_and_the_same_again(
    package: edgeml.Package, results_files: tuple[Path, Path], page_file: Path
) -> None:
    begin = time.process_time()
    data = make_report(package, results_files)
    assert time.process_time() - begin < 5
    assert len(data) < 5_000_000
    assert b"http://" not in data.replace(b"http://www.w3.org/", b"")
    assert b"https://" not in data
    assert data == page_file.read_bytes()


def test_a_table_tells_all_that_its_chart_draws(package: edgeml.Package, results_files: tuple[Path, Path]) -> None:
    document = compose_document(package, read_devices(results_files, package))
    for section in document.sections:
        for part in section.parts:
            if isinstance(part, Chart):
                assert isinstance(part.table, Table)
                assert part.table.rows
                assert '"description": {"field": "description"}' in json.dumps(part.draw(Frame(900, narrow=False)))
