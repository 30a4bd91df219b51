"""Functions of the top level over several folders: benchmarks, reports, comparisons, training."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from msgspec.structs import replace

from edgeml.core.errors import InputError
from edgeml.core.records.benchmark_results import Results, Scenario, read_results
from edgeml.core.source import is_bare
from edgeml.core.system.files import atomic_write
from edgeml.core.system.paths import checked_path, is_path
from edgeml.core.system.temporary import TemporaryFolder
from edgeml.measurement.cases import DEFAULT_SCENARIOS, Case, Options
from edgeml.measurement.devices.device import Device
from edgeml.package import Package, PackageDiff, open_package
from edgeml.pipeline.progress import Progress, Step, show_progress
from edgeml.trainers.result import Trained, TrainingMetrics
from edgeml.trainers.training_schema import Training

__all__ = ["Report", "TrainingRun", "bench", "diff", "report", "train"]

ReportFormat = Literal["html", "markdown", "png"]
_FORMATS: dict[str, ReportFormat] = {".html": "html", ".htm": "html", ".md": "markdown", ".png": "png"}
T = TypeVar("T")


def bench(
    package: Package | str | os.PathLike[str],
    *,
    artifacts: str | Iterable[str] = (),
    targets: str | Iterable[str] = (),
    scenarios: Scenario | Iterable[Scenario] = (),
    threads: int | Iterable[int | None] = (),
    batches: int | Iterable[int] = (),
    seconds: float = 3.0,
    latency_bound_ms: float | None = None,
    cold_starts: int = 6,
    seed: int = 0,
    sizes: Mapping[str, int] | None = None,
    device: str | Device | None = None,
    progress: Progress = None,
) -> Results:
    """Measure artifacts × targets × scenarios × threads × batch sizes, on this machine or on a device over SSH.

    Args:
        package: A package, its path, or the path of a ``.tflite`` or ``.onnx`` file.
        artifacts: Recipes, or a single recipe; by default all released artifacts. Artifacts that cannot run here are
            skipped unless they are named.
        targets: Targets, or a single target; by default ``cpu``.
        scenarios: Scenarios with MLPerf's meaning: ``single-stream``, ``multi-stream``, ``offline``, ``server``; by
            default ``single-stream`` and ``offline``.
        threads: Cores that a call may use; by default the session's own choice.
        batches: Samples per query, for the scenarios ``offline`` and ``multi-stream``; in ``server`` the largest
            number of queries that are run in one call.
        seconds: Minimum duration of a measurement.
        latency_bound_ms: Bound of the 99th percentile, for the scenario ``server``.
        cold_starts: Number of fresh processes for the cold start of each artifact on each target; 0 for none.
        seed: Seed of the arrivals in the scenario ``server``.
        sizes: A number for each free size, by name, of a package whose artifacts have them, or of a file; by default
            those of the package's golden inputs.
        device: Address of a device, ``[user@]host[:port]``, or a `Device` of `edgeml.measurement.devices`; None for
            this machine. The package's golden vectors are checked on the device first.
        progress: None shows a progress bar in a terminal or notebook, False shows nothing; or a function that is
            called with a `Step` before each measurement.

    Returns:
        The measurements, with 95% intervals and the state of the machine; a table in notebooks.

    Raises:
        InputError: The package does not contain the artifact, an argument is not valid, or the file does not exist.
        TargetError: A named artifact or target cannot run here, or the device lacks something or is unreachable.
        MissingDependencyError: An engine is not installed.
        PackageError: The file is not a valid package.

    Example:
        >>> edgeml.bench("digits.edgeml", device="pi@raspberrypi.local")
        <Results of digits 1.0.0 on pi@raspberrypi.local: 4 measurements>
        >>> results = edgeml.bench("digits.edgeml", artifacts="tflite-int8")
        >>> results
        <Results of digits 1.0.0 on AMD EPYC: 2 measurements>
        >>> results.measurements[0].latency[0].ms
        Figure(value=0.0065, low=0.0065, high=0.0066)
    """
    from edgeml.measurement.bench import bench as measure_cases
    from edgeml.measurement.model_file import open_model_file

    selection: dict[str, Any] = {
        "artifacts": _several(artifacts),
        "targets": _several(targets),
        "scenarios": _several(scenarios),
        "threads": _several(threads),
        "batches": _several(batches),
    }
    options = Options(seconds, latency_bound_ms, cold_starts, seed)
    if device is not None:
        return _bench_on_device(_package(package), device, selection, options, sizes or {}, progress)
    bare = is_path(package) and is_bare(os.fspath(package))  # type: ignore[arg-type]
    path = Path(checked_path(package, "package")) if bare else None  # type: ignore[arg-type]
    subject = _package(package) if path is None else open_model_file(path, sizes=sizes)
    options = replace(options, cold_starts=0) if bare else options
    total = _count_cases(len(selection["artifacts"] or subject.released), selection)
    done = 0
    with show_progress(progress) as show:

        def show_case(case: Case) -> None:
            nonlocal done
            show(Step(done, max(total, done + 1), str(case)))
            done += 1

        return measure_cases(subject, **selection, options=options, sizes=sizes, progress=show_case)


def _bench_on_device(
    package: Package,
    device: str | Device,
    selection: Mapping[str, Sequence[Any]],
    options: Options,
    sizes: Mapping[str, int],
    progress: Progress,
) -> Results:

    from edgeml.measurement.devices import Job, News, bench_on_device

    flags = {"artifacts": "--artifact", "targets": "--target", "scenarios": "--scenario", "batches": "--batch"}
    flags["threads"] = "--threads"
    values = [(flag, value) for key, flag in flags.items() for value in selection[key] if value is not None]
    values += [("--seconds", options.seconds), ("--cold-starts", options.cold_starts), ("--seed", options.seed)]
    values += [("--size", f"{name}={size}") for name, size in sizes.items()]
    values += [] if options.latency_bound_ms is None else [("--latency-bound", options.latency_bound_ms)]
    words = tuple(word for flag, value in values for word in (flag, str(value)))
    formats = tuple(dict.fromkeys(record.recipe.partition("-")[0] for record in package.manifest.artifacts))
    total = _count_cases(len(selection["artifacts"] or package.released), selection)
    with show_progress(progress) as show, TemporaryFolder() as folder:
        file = folder / "package.edgeml"
        package.save(file)

        def show_news(news: News) -> None:
            show(Step(news.done, max(total, news.done), news.text))

        target = Device(device) if isinstance(device, str) else device
        return bench_on_device(target, Job(file, package.digest(), formats, words), report=show_news)


def _count_cases(artifacts: int, selection: Mapping[str, Sequence[Any]]) -> int:
    """Return the number of measurements, if all artifacts run on all targets."""
    scenarios = selection["scenarios"] or DEFAULT_SCENARIOS
    batches = len(selection["batches"]) or 1
    per_setting = sum(1 if scenario == "single-stream" else batches for scenario in scenarios)
    return artifacts * (len(selection["targets"]) or 1) * (len(selection["threads"]) or 1) * per_setting


def diff(
    old: Package | str | os.PathLike[str],
    new: Package | str | os.PathLike[str],
    *,
    inputs: object = None,
    results: Results | str | os.PathLike[str] | Iterable[Results | str | os.PathLike[str]] = (),
) -> PackageDiff:
    """Compare two packages: labels, signature, figures, needs, and the outputs on the same inputs.

    Args:
        old: The package in use, or its path.
        new: The package that may replace it, or its path.
        inputs: Inputs for both packages: an array ``[samples, ...]``, one array per input name, or the path of a
            ``.npy`` or ``.npz`` file. By default the golden inputs of both packages.
        results: Results of `edgeml.bench` for either package, or the paths of results files.

    Returns:
        The changes; `compatible` and `reasons` say whether the new package can replace the old one.

    Raises:
        InputError: A file does not exist, the inputs do not fit the old package, or results belong to neither
            package.
        PackageError: A file is not a valid package.

    Example:
        >>> changes = edgeml.diff("digits-1.edgeml", "digits-2.edgeml")
        >>> changes.compatible, changes.reasons
        (False, ('2 labels have another position among the scores.',))
    """
    from edgeml.package.diff import diff_packages
    from edgeml.pipeline.data_files import read_inputs

    return diff_packages(
        _package(old), _package(new), inputs=read_inputs(inputs, "inputs"), results=_read_results(results)
    )


def report(
    package: Package | str | os.PathLike[str],
    results: Results | str | os.PathLike[str] | Iterable[Results | str | os.PathLike[str]] = (),
) -> Report:
    """Compose a report of a package and its benchmark results.

    Args:
        package: The package, or its path.
        results: Results of `edgeml.bench`, or the paths of results files, one per device.

    Returns:
        The report, which `Report.save` writes as a page, as Markdown or as an image; notebooks show the page.

    Raises:
        InputError: A file does not exist, or results are empty or belong to another package.
        PackageError: The file is not a valid package.

    Example:
        >>> results = edgeml.bench("digits.edgeml")
        >>> edgeml.report("digits.edgeml", results).save("report.html")
    """
    from edgeml.reporting.inputs import read_devices

    composed = Report(_package(package), _read_results(results))
    read_devices(composed.results, composed.package)  # errors now, not when the report is rendered
    return composed


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """A report of a package and its benchmark results, rendered on demand.

    Attributes:
        package: The package.
        results: The benchmark results, one per device.

    Example:
        >>> page = edgeml.report("digits.edgeml", ["laptop.json", "pi4.json"])
        >>> page.save("report.html")
        >>> page.save("report.md")  # for a pull request
        >>> page.save("report.png")  # for a slide
    """

    package: Package
    results: tuple[Results, ...] = ()

    def __repr__(self) -> str:
        count = len(self.results)
        return f"<Report of {self.package!r} with {count} results file{'' if count == 1 else 's'}>"

    def _repr_html_(self) -> str:
        import html

        page = html.escape(self.render().decode("utf-8"))
        return f'<iframe srcdoc="{page}" sandbox="allow-scripts" style="width: 100%; height: 40em; border: 0"></iframe>'

    def render(self, format: ReportFormat = "html") -> bytes:  # noqa: A002  # the word that callers know
        """Return the report as the bytes of a file.

        Args:
            format: ``html`` for a page that loads nothing from elsewhere, ``markdown`` for a pull request, ``png``
                for a slide.

        Raises:
            InputError: The format is not supported.
            PackageError: The package is damaged.
            MissingDependencyError: The extra ``report`` is not installed.
        """
        from edgeml.reporting import FORMATS, make_report

        if format not in FORMATS:
            raise InputError(f"format: {format!r} is not supported.", fix=f"choose one of {', '.join(FORMATS)}.")
        return make_report(self.package, self.results, format)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the report; the ending of the path determines the format.

        Args:
            path: File to write: ``.html``, ``.htm``, ``.md`` or ``.png``.

        Raises:
            InputError: The ending is not supported.
            StorageError: The file cannot be written.
            MissingDependencyError: The extra ``report`` is not installed.
        """
        file = Path(checked_path(path))
        format_ = _FORMATS.get(file.suffix.lower())
        if format_ is None:
            raise InputError(
                f"{file.name}: the ending '{file.suffix}' is not supported.", fix=f"use {', '.join(_FORMATS)}."
            )
        atomic_write(file, self.render(format_))


@dataclass(frozen=True, slots=True, repr=False)
class TrainingRun:
    """The outcome of `edgeml.train`.

    Attributes:
        trained: The model's description: settings, metrics on held-out samples, epochs, files.
        folder: The folder with the model, ``training.json``, samples and pictures.
        package: The package, if the training has a table ``[build]``; saved in the folder.
    """

    trained: Trained
    folder: Path
    package: Package | None = None

    @property
    def model(self) -> Path:
        """Path of the model's file."""
        return self.folder / self.trained.model

    @property
    def metrics(self) -> TrainingMetrics:
        """Metrics on the held-out samples."""
        return self.trained.metrics

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {value}" for name, value in self._figures()[:2])
        package = f", {self.package!r}" if self.package is not None else ""
        return f"<TrainingRun {self.trained.task}, {figures or 'not evaluated'}: {self.model}{package}>"

    def _repr_html_(self) -> str:
        from edgeml.core.html import html_table

        rows = [["task", self.trained.task], ["model", str(self.model)], *map(list, self._figures())]
        table = html_table(f"Training in {self.folder}", ["", "held-out samples"], rows)
        return table + (self.package._repr_html_() if self.package is not None else "")

    def _figures(self) -> list[tuple[str, str]]:
        names = {"accuracy": "accuracy", "f1": "F1", "r2": "R²", "mse": "MSE", "relative_mse": "relative MSE"}
        values = ((name, getattr(self.metrics, field)) for field, name in names.items())
        return [(name, f"{value:.4g}") for name, value in values if value is not None]


def train(
    training: Training | Mapping[str, Any] | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    progress: Progress = None,
) -> TrainingRun:
    """Train a model on data, and build its package if the training has a table ``[build]``.

    Args:
        training: The path of a training file (TOML), the same tables as a dict, or a `Training` of
            `edgeml.trainers`. Relative paths in a file start at its folder, those in a dict at the current folder.
        folder: Folder for the model, ``training.json``, samples, pictures, and the package ``NAME.edgeml``.
        progress: None shows a progress bar in a terminal or notebook, False shows nothing; or a function that is
            called with a `Step` before each epoch and step.

    Raises:
        InputError: The settings or the data are not valid, or files in the folder would be lost.
        StorageError: A file cannot be written.
        MissingDependencyError: An extra is not installed.

    Example:
        >>> run = edgeml.train("houses.toml", "houses")
        >>> run.metrics.r2
        >>> run.package.released

        >>> data = {"kind": "csv", "path": "houses.csv", "target": "price"}
        >>> model = {"kind": "sklearn", "estimator": "HistGradientBoostingRegressor"}
        >>> run = edgeml.train({"data": data, "model": model}, "houses")
    """
    from edgeml.pipeline import build_trained, check_packaging
    from edgeml.trainers import Epoch
    from edgeml.trainers.train import train as train_model
    from edgeml.trainers.training_file import convert_training, read_training

    target = Path(checked_path(folder, "folder"))
    settings: Training
    if isinstance(training, Mapping):
        settings = convert_training(training, Path())
    elif isinstance(training, Training):
        settings = training
    else:
        settings = read_training(Path(checked_path(training, "training")))
    if settings.build is not None:
        check_packaging(settings.build)
    with show_progress(progress) as show:
        show(Step(0, 1, "training"))

        def show_epoch(epoch: Epoch) -> None:
            show(Step(epoch.number, epoch.of, f"training, validation loss {epoch.validation_loss:.4g}"))

        trained = train_model(settings, target, show_epoch)
        if settings.build is None:
            return TrainingRun(trained, target)
        package = build_trained(trained, target, show)
        package.save(target / f"{settings.build.name}.edgeml")
    return TrainingRun(trained, target, package)


def _package(package: Package | str | os.PathLike[str]) -> Package:
    return package if isinstance(package, Package) else open_package(package)


def _read_results(
    results: Results | str | os.PathLike[str] | Iterable[Results | str | os.PathLike[str]],
) -> tuple[Results, ...]:
    items = [results] if isinstance(results, Results) or is_path(results) else list(results)  # type: ignore[arg-type]
    return tuple(
        item if isinstance(item, Results) else read_results(Path(checked_path(item, "results")))  # type: ignore[arg-type]
        for item in items
    )


def _several(values: T | Iterable[T]) -> tuple[T, ...]:
    """Return one or several values as a tuple."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        return (values,)
    return tuple(values)
