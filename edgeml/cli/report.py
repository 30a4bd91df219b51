"""`edgeml report`."""

from __future__ import annotations

from pathlib import Path

import click

from edgeml.cli.output import check_output, console, json_option, print_json

__all__ = ["command"]

_PATH = click.Path(path_type=Path)
_FORMS = {".html": "html", ".htm": "html", ".md": "markdown", ".png": "png"}


@click.command("report", short_help="Make a page of what is known of a package.")
@click.argument("package", type=_PATH)
@click.argument("results", type=_PATH, nargs=-1)
@click.option("-o", "--output", type=_PATH, required=True, help="The file to write: .html, .md or .png.")
@click.option(
    "--format", "form", type=click.Choice(["html", "markdown", "png"]), help="By default what the output's name says."
)
@json_option
def command(package: Path, results: tuple[Path, ...], *, output: Path, form: str | None, as_json: bool) -> None:
    """Make a page of what is known of PACKAGE, and of what `edgeml bench` measured of it: a RESULTS file a device.

    \b
    edgeml report net.edgeml -o report.html
    edgeml report net.edgeml laptop.json pi4.json -o report.html
    edgeml report net.edgeml laptop.json -o report.md      for a pull request
    edgeml report net.edgeml laptop.json -o report.png     for a slide

    The page is one file, loads nothing from anywhere, and prints.
    """
    from edgeml.cli.predict_worker import running
    from edgeml.core.system.files import atomic_write

    check_output(output, package, *results)
    form = form or _FORMS.get(output.suffix.lower(), "html")
    with running(package) as child:
        data = child.call("report", [path.absolute() for path in results], form, returns=bytes)
    atomic_write(output, data)
    if as_json:
        print_json({"output": str(output), "format": form, "size_bytes": len(data), "results": len(results)})
        return
    console().print(f"{output}: {form}, {len(data) / 1000:.1f} kB", soft_wrap=True)
