"""`edgeml bench --device` and `--lab`: the same benchmark on other machines."""

from __future__ import annotations

import contextlib
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from edgeml.cli.output import console, notes, print_json, printable, show_error
from edgeml.cli.output_files import STDOUT
from edgeml.core.errors import EdgemlError, InputError, StorageError
from edgeml.core.records.error_record import ErrorDocument, error_record

if TYPE_CHECKING:
    from edgeml.core.records.benchmark_results import Results
    from edgeml.measurement.devices import Device, News

__all__ = ["bench_on_devices", "device_options", "read_devices"]

F = TypeVar("F", bound=Callable[..., Any])

_FOR_THIS_MACHINE = frozenset(
    {
        "output", "as_json", "baseline", "fail_if", "journal", "skipped", "force", "device", "lab", "python",
        "ssh_option", "keep", "verbose", "quiet", "log_file",
    }
)  # fmt: skip


def device_options(command: F) -> F:
    """Add the options that name devices: a decorator of the command."""
    for option in (
        click.option("--keep", is_flag=True, help="Leave the files on the device."),
        click.option("--ssh-option", multiple=True, metavar="KEY=VALUE", help="An option of ssh, as its -o."),
        click.option("--python", default="", metavar="PATH", help="Python on the device; default: the first found."),
        click.option("--lab", type=click.Path(path_type=Path), help="Measure on all devices of this TOML file."),
        click.option("--device", multiple=True, metavar="ADDRESS", help="Measure on user@host[:port], over SSH."),
    ):
        command = option(command)
    return command


def read_devices(
    addresses: tuple[str, ...], lab: Path | None, python: str, ssh_options: tuple[str, ...]
) -> tuple[Device, ...]:
    """Return the devices that the options name.

    Raises:
        InputError: An address or the lab's file is malformed, or two devices have the same name.
    """
    from edgeml.measurement.devices import Device, read_lab

    devices = [Device(host=host, python=python, ssh_options=ssh_options) for host in addresses]
    devices += [] if lab is None else read_lab(lab)
    names = [_file_name(device) for device in devices]
    duplicates = [device.title for device in devices if names.count(_file_name(device)) > 1]
    if duplicates:
        raise InputError(
            f"Device {duplicates[0]} is named twice.", fix="give each a name of its own in the lab's file."
        )
    if (python or ssh_options) and not addresses:
        raise InputError(
            "--python and --ssh-option require --device.", fix="give a --device; a lab's file has its own settings."
        )
    return tuple(devices)


def bench_on_devices(
    context: click.Context,
    package: Path,
    devices: tuple[Device, ...],
    *,
    output: Path | None,
    keep: bool,
    as_json: bool,
    report: Callable[..., int],
) -> int:
    """Measure on devices side by side, with the options of the command line.

    Args:
        context: Context of the command.
        package: The package.
        devices: Where to measure.
        output: The results file; for several devices the folder of their files.
        keep: Whether the files stay on the devices.
        as_json: Whether the results are printed as JSON.
        report: Writes and prints results, and returns the exit code. Called with the results, the file, and the
            console of their tables as `text`, which is None for JSON.

    Returns:
        The largest exit code of all devices.

    Raises:
        EdgemlError: The only device failed.
        PackageError: The package is corrupt.
    """
    from edgeml.cli.main import exit_code
    from edgeml.measurement.devices import Job, bench_in_lab
    from edgeml.package import open_package

    alone = len(devices) == 1 and context.params["lab"] is None
    if not alone and output is not None:
        _make_folder(output)
    opened = open_package(package)
    formats = tuple(dict.fromkeys(record.recipe.partition("-")[0] for record in opened.manifest.artifacts))
    job = Job(package, opened.digest(), formats, _device_arguments(context), keep=keep)
    codes = []
    outcomes: dict[str, Results | ErrorDocument] = {}
    headline = notes() if as_json or output == STDOUT else console()
    tables = None if as_json and alone else headline

    def on_result(device: Device, results: Results | EdgemlError) -> None:
        """Write and print results at once: another device may take much longer, or be interrupted."""
        try:
            if isinstance(results, EdgemlError):
                raise results
            outcomes[device.title] = results
            file = output if alone or output is None else output / f"{_file_name(device)}.json"
            headline.print(f"{device.title}, {results.machine.model}: {_golden(results)}", soft_wrap=True)
            codes.append(report(results, file, text=tables))
        except EdgemlError as error:
            if alone:
                raise
            show_error(error)
            codes.append(exit_code(error))
            outcomes[device.title] = ErrorDocument(error_record(error, exit_code(error)))

    with _status_lines(devices) as show:
        bench_in_lab(devices, job, report=show, on_result=on_result)
    if as_json and not alone:
        print_json({device.title: outcomes[device.title] for device in devices if device.title in outcomes})
    return max(codes)


def _golden(results: Results) -> str:
    if not results.golden:
        return "no golden vectors ran there."
    holds = sum(check.status == "holds" for check in results.golden)
    return f"{holds} of {len(results.golden)} golden vectors ran there, and hold."


def _device_arguments(context: click.Context) -> tuple[str, ...]:
    """Return the options of the command line that the device's own command gets."""
    words: list[str] = []
    for parameter in context.command.params:
        name = parameter.name or ""
        set_by_user = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if set_by_user and name not in _FOR_THIS_MACHINE and isinstance(parameter, click.Option):
            value = context.params[name]
            for item in value if parameter.multiple else [value]:
                words += [parameter.opts[-1]] if parameter.is_flag else [parameter.opts[-1], str(item)]
    return tuple(words)


def _file_name(device: Device) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", device.title)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be created: {error.strerror}.", fix="give another --output.") from error


@contextlib.contextmanager
def _status_lines(devices: tuple[Device, ...]) -> Iterator[Callable[[Device, News], None]]:
    """Show a line for each device on a terminal; print remarks everywhere."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    lock, output = threading.Lock(), notes()

    def print_remark(device: Device, news: News) -> None:
        if news.remark:
            with lock:
                output.print(f"{device.title}: {news.text}", soft_wrap=True)

    if output.quiet or not output.is_terminal:
        yield print_remark
        return
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=output,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # results are printed meanwhile, above the lines or to a file
    ) as lines:
        tasks = {device.title: lines.add_task(f"{device.title}: connecting", total=None) for device in devices}

        def show(device: Device, news: News) -> None:
            print_remark(device, news)
            line = f"{device.title}: {news.text}" + (f", {news.done} done" if news.done else "")
            with lock:
                lines.update(tasks[device.title], description=printable(line))

        yield show
