"""`edgeml bench --device` and `--lab`: the same benchmark on other machines."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from edgeml.cli.output import console, notes, print_json, printable, show_error
from edgeml.core.errors import EdgemlError, InputError, StorageError

if TYPE_CHECKING:
    from edgeml.core.records.benchmark_results import Results
    from edgeml.measurement.devices import Device, News

__all__ = ["bench_there", "device_options", "devices_of"]

F = TypeVar("F", bound=Callable[..., Any])

_FOR_THIS_MACHINE = frozenset(
    {"output", "as_json", "baseline", "fail_if", "journal", "device", "lab", "python", "ssh_option", "keep"}
)


def device_options(command: F) -> F:
    """Adds the options that name devices: a decorator of the command."""
    for option in (
        click.option("--keep", is_flag=True, help="Leave the files on the device."),
        click.option("--ssh-option", multiple=True, metavar="KEY=VALUE", help="An option of ssh, as its -o."),
        click.option("--python", default="", metavar="PATH", help="Python on the device; else it is looked for."),
        click.option("--lab", type=click.Path(path_type=Path), help="Measure on all devices of this TOML file."),
        click.option("--device", multiple=True, metavar="ADDRESS", help="Measure on user@host[:port], over SSH."),
    ):
        command = option(command)
    return command


def devices_of(
    addresses: tuple[str, ...], lab: Path | None, python: str, ssh_options: tuple[str, ...]
) -> tuple[Device, ...]:
    """The devices that were named.

    Raises:
        InputError: An address or the lab's file is malformed, or two devices have one name.
    """
    from edgeml.measurement.devices import Device, read_lab

    devices = [Device(host=host, python=python, ssh_options=ssh_options) for host in addresses]
    devices += [] if lab is None else read_lab(lab)
    names = [_file_name(device) for device in devices]
    twice = [device.title for device in devices if names.count(_file_name(device)) > 1]
    if twice:
        raise InputError(f"Device {twice[0]} is named twice.", fix="give each a name of its own in the lab's file.")
    if (python or ssh_options) and not addresses:
        raise InputError("--python and --ssh-option are of --device.", fix="give a device; a lab's file has its own.")
    return tuple(devices)


def bench_there(
    context: click.Context,
    package: Path,
    devices: tuple[Device, ...],
    *,
    output: Path | None,
    keep: bool,
    as_json: bool,
    tell: Callable[..., int],
) -> int:
    """Measures on devices side by side, with the options that the command was given.

    Args:
        context: Of the command.
        package: The package.
        devices: Where to measure.
        output: The results file; of several devices the folder of their files.
        keep: Leaves the files there.
        as_json: As of the command.
        tell: Writes and shows results, and gives the exit code: from these, the file, and whether as JSON.

    Returns:
        The exit code, the largest of all devices.

    Raises:
        EdgemlError: The one device failed.
        PackageError: The file is no sound package.
    """
    from edgeml.cli.main import exit_code
    from edgeml.measurement.devices import Job, bench_in_lab
    from edgeml.package import open_package

    alone = len(devices) == 1 and context.params["lab"] is None
    if not alone and output is not None:
        _make(output)
    opened = open_package(package)
    formats = tuple(dict.fromkeys(record.recipe.partition("-")[0] for record in opened.manifest.artifacts))
    job = Job(package, opened.digest(), formats, _options(context), keep=keep)
    codes, measured = [], {}

    def arrived(device: Device, results: Results | EdgemlError) -> None:
        """Writes and shows them at once: another device may take much longer, or be given up by Ctrl-C."""
        try:
            if isinstance(results, EdgemlError):
                raise results
            measured[device.title] = results
            file = output if alone or output is None else output / f"{_file_name(device)}.json"
            out = notes() if as_json else console()
            out.print(f"{device.title}, {results.machine.model}: {_golden(results)}", soft_wrap=True)
            codes.append(tell(results, file, as_json=as_json and alone))
        except EdgemlError as error:
            if alone:
                raise
            show_error(error)
            codes.append(exit_code(error))

    with _board(devices) as report:
        bench_in_lab(devices, job, report=report, arrived=arrived)
    if as_json and not alone:
        print_json({device.title: measured[device.title] for device in devices if device.title in measured})
    return max(codes)


def _golden(results: Results) -> str:
    if not results.golden:
        return "no golden vector ran there."
    holds = sum(check.status == "holds" for check in results.golden)
    return f"{holds} of {len(results.golden)} golden vectors ran there, and hold."


def _options(context: click.Context) -> tuple[str, ...]:
    """Those that the command was given and that are for the device."""
    words: list[str] = []
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and name not in _FOR_THIS_MACHINE and isinstance(parameter, click.Option):
            value = context.params[name]
            for item in value if parameter.multiple else [value]:
                words += [parameter.opts[-1]] if parameter.is_flag else [parameter.opts[-1], str(item)]
    return tuple(words)


def _file_name(device: Device) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", device.title)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror}.", fix="give another folder by -o.") from error


@contextlib.contextmanager
def _board(devices: tuple[Device, ...]) -> Iterator[Callable[[Device, News], None]]:
    """A line for each device on a terminal; what is to be kept in view is printed everywhere."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    lock, output = threading.Lock(), notes()
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=output,
        transient=True,
        redirect_stdout=False,  # results are printed meanwhile
        disable=not output.is_terminal,
    ) as board:
        tasks = {device.title: board.add_task(f"{device.title}: connecting", total=None) for device in devices}

        def report(device: Device, news: News) -> None:
            line = f"{device.title}: {news.text}" + (f", {news.done} done" if news.done else "")
            with lock:
                if news.remark:
                    board.console.print(line, soft_wrap=True)
                board.update(tasks[device.title], description=printable(line))

        yield report
