"""`edgeml verify`."""

from __future__ import annotations

import re
from pathlib import Path

import click

from edgeml.cli.options import limits_of, limits_options, trust_option
from edgeml.cli.output import console, json_option, print_json
from edgeml.core.errors import InputError

__all__ = ["command"]


@click.command("verify", short_help="Check a package's digests, and its golden vectors on this machine.")
@click.argument("package", type=click.Path(path_type=Path))
@click.option("--digest", metavar="sha256:…", help="Expected digest of the whole file.")
@trust_option
@limits_options
@json_option
def command(
    package: Path, *, digest: str | None, trust_source: bool, memory_mb: float | None, timeout_s: float, as_json: bool
) -> None:
    """Check every byte of PACKAGE, then run its golden vectors on the engines that are installed.

    \b
    edgeml verify net.edgeml
    edgeml verify net.edgeml --digest sha256:2f1c…

    The engines run in another process: a model that crashes it, or exceeds its memory or time, does not hold.

    Exit code 0: all golden vectors that can run here hold, and at least one ran. 3: something does not match.
    """
    from edgeml.cli.package_files import check_package_file
    from edgeml.package import open_package

    if digest is not None and not re.fullmatch("sha256:[0-9a-f]{64}", digest):
        raise InputError(f"--digest: got '{digest}', expected sha256: and 64 hexadecimal digits.")
    check_package_file(package)
    limits = limits_of(memory_mb, timeout_s)
    opened = open_package(package, trust_source=trust_source)
    verification = opened.verify(digest=digest, memory_mb=limits.memory_mb, timeout_s=limits.timeout_s)
    if as_json:
        print_json(verification)
        return
    out = console()
    out.print(f"{verification.entries} entries, every byte accounted for: {verification.digest}", soft_wrap=True)
    for check in verification.golden:
        out.print(f"{check.recipe:15} {check.family:8} {check.status:8} {check.detail}", soft_wrap=True)
    ran = sum(check.status == "holds" for check in verification.golden)
    out.print(f"{ran} of {len(verification.golden)} golden vectors ran here, and hold.")
