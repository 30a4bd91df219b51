"""Verification of a package: all digests, and the golden vectors on the engines of this machine."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from msgspec import Struct

from edgeml.core.errors import IsolationError, TargetError, VerificationError
from edgeml.core.isolation import Isolation
from edgeml.core.session import Session
from edgeml.core.system.limits import Limits
from edgeml.package.golden import GoldenCheck, check_runs
from edgeml.package.manifest import Manifest

__all__ = ["VerifiablePackage", "Verification", "verify"]


class VerifiablePackage(Protocol):
    """The parts of a `Package` that verification uses."""

    @property
    def label(self) -> str:
        """Name in messages."""
        ...

    @property
    def manifest(self) -> Manifest:
        """The manifest."""
        ...

    def digest(self) -> str:
        """Digest of the whole file, with every entry's own checked on the way."""
        ...

    def read(self, name: str) -> bytes:
        """An entry's bytes, checked against the manifest."""
        ...

    def session(self, recipe: str, *, target: str, isolated: Isolation) -> Session:
        """Open an artifact on a target."""
        ...


class Verification(Struct, frozen=True):
    """Result of `Package.verify`; a digest or golden vector that does not match raises instead.

    Attributes:
        entries: Number of entries whose digests were checked.
        digest: Digest of the whole file.
        golden: One check per golden run, including runs whose engine is not installed.
    """

    entries: int
    digest: str
    golden: tuple[GoldenCheck, ...]


def verify(package: VerifiablePackage, digest: str | None, limits: Limits) -> Verification:
    """Check all digests and the golden vectors, as `Package.verify` describes."""
    whole = package.digest()
    if digest is not None and digest != whole:
        raise VerificationError(
            f"{package.label} has the digest {whole}, expected {digest}.",
            fix="get the file again, from the source of the digest.",
        )
    manifest = package.manifest
    try:
        with Isolation(limits) as isolation:
            open_session = partial(package.session, isolated=isolation)
            checks = [
                check
                for golden in (manifest.golden, *manifest.golden_at)
                for check in check_runs(golden, package.read, open_session)
            ]
    except IsolationError as error:
        raise VerificationError(f"{package.label}: {error.message}", fix=error.fix, log=error.log) from error
    failed = [check for check in checks if check.status == "fails"]
    if failed:
        raise VerificationError(
            f"{package.label}: golden vectors do not match: "
            + "; ".join(f"{check.recipe}: {check.detail}" for check in failed)
            + ".",
            fix="do not use these artifacts on this machine.",
        )
    if all(check.status == "not run" for check in checks):
        reasons = "; ".join(sorted({check.detail for check in checks})) or "the package does not contain artifacts"
        raise TargetError(f"{package.label}: all digests match, but no golden vector could be run: {reasons}")
    return Verification(len(manifest.files) + 1, whole, tuple(checks))
