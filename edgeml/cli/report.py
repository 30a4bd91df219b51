"""`edgeml report`."""

from __future__ import annotations

from pathlib import Path

import click

from edgeml.cli.output import console, json_option, print_json
from edgeml.cli.output_files import (
    STDOUT,
    OutputPath,
    check_output,
    check_stdout,
    force_option,
    is_report,
    write_output,
)
from edgeml.core.errors import InputError

__all__ = ["command"]

_PATH = click.Path(path_type=Path)
_FORMATS = {".html": "html", ".htm": "html", ".md": "markdown", ".png": "png"}


@click.command("report", short_help="Write a page about a package and its benchmarks.")
@click.argument("package", type=_PATH)
@click.argument("results", type=_PATH, nargs=-1)
@click.option(
    "-o",
    "--output",
    type=OutputPath(),
    required=True,
    help="The file to write: .html, .md or .png; - for stdout.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["html", "markdown", "png"]),
    help="Default: by the ending of the output; html for -.",
)
@force_option
@json_option
def command(
    package: Path, results: tuple[Path, ...], *, output: Path, format_: str | None, force: bool, as_json: bool
) -> None:
    """Write a page about PACKAGE, and about what `edgeml bench` measured: one RESULTS file per device.

    \b
    edgeml report net.edgeml -o report.html
    edgeml report net.edgeml laptop.json pi4.json -o report.html
    edgeml report net.edgeml laptop.json -o report.md      for a pull request
    edgeml report net.edgeml laptop.json -o report.png     for a slide
    edgeml report net.edgeml -o - --format markdown | less

    The page is a single file that needs no network, and can be printed.
    """
    from edgeml.cli.predict_worker import running

    check_stdout(output, as_json=as_json)
    by_name = _FORMATS.get(output.suffix.lower())
    if format_ and by_name not in (None, format_):
        raise InputError(
            f"{output}: the name is of the format {by_name}, expected {format_}.", fix="leave out --format."
        )
    endings = () if format_ else tuple(_FORMATS)
    check_output(output, package, *results, endings=endings, same_kind=is_report, force=force)
    format_ = format_ or by_name or "html"
    with running(package) as child:
        data = child.call("report", [path.absolute() for path in results], format_, returns=bytes)
    write_output(output, data)
    if as_json:
        print_json({"output": str(output), "format": format_, "size_bytes": len(data), "results": len(results)})
        return
    if output != STDOUT:
        console().print(f"{output}: {format_}, {len(data) / 1000:.1f} kB", soft_wrap=True)
