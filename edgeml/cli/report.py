"""`edgeml report`."""

from __future__ import annotations

from pathlib import Path

import click

from edgeml.cli.output import console, json_option, print_json
from edgeml.cli.output_files import STDOUT, check_output, check_stdout, force_option, write_output

__all__ = ["command"]

_PATH = click.Path(path_type=Path)
_FORMS = {".html": "html", ".htm": "html", ".md": "markdown", ".png": "png"}


@click.command("report", short_help="Make a page of what is known of a package.")
@click.argument("package", type=_PATH)
@click.argument("results", type=_PATH, nargs=-1)
@click.option(
    "-o", "--output", type=_PATH, required=True, help="The file to write: .html, .md or .png; - for standard output."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "markdown", "png"]),
    help="Default: by the ending of the output; html for -.",
)
@force_option
@json_option
def command(
    package: Path, results: tuple[Path, ...], *, output: Path, form: str | None, force: bool, as_json: bool
) -> None:
    """Make a page of what is known of PACKAGE, and of what `edgeml bench` measured of it: a RESULTS file a device.

    \b
    edgeml report net.edgeml -o report.html
    edgeml report net.edgeml laptop.json pi4.json -o report.html
    edgeml report net.edgeml laptop.json -o report.md      for a pull request
    edgeml report net.edgeml laptop.json -o report.png     for a slide
    edgeml report net.edgeml -o - --format markdown | less

    The page is one file, loads nothing from anywhere, and prints.
    """
    from edgeml.cli.predict_worker import running

    check_stdout(output, as_json=as_json)
    check_output(output, package, *results, endings=() if form else tuple(_FORMS), force=force)
    form = form or _FORMS.get(output.suffix.lower(), "html")  # of - too
    with running(package) as child:
        data = child.call("report", [path.absolute() for path in results], form, returns=bytes)
    write_output(output, data)
    if as_json:
        print_json({"output": str(output), "format": form, "size_bytes": len(data), "results": len(results)})
        return
    if output != STDOUT:
        console().print(f"{output}: {form}, {len(data) / 1000:.1f} kB", soft_wrap=True)
