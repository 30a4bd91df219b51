"""A package as an object."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgeml.core.engines import find_engine
from edgeml.core.errors import InputError, PackageError, TargetError, VerificationError
from edgeml.core.recipe import find_recipe
from edgeml.core.session import Session
from edgeml.package.archive import FIRST, Archive, pack
from edgeml.package.choice import AUTO, Choice, choose
from edgeml.package.golden import GoldenCheck, check_run, golden_inputs
from edgeml.package.manifest import (
    MAX_MANIFEST_BYTES,
    ArtifactRecord,
    FileRecord,
    Manifest,
    decode_manifest,
    encode_manifest,
)

if TYPE_CHECKING:  # what saving needs is loaded when it is needed
    from edgeml.package.failures import Failure

__all__ = ["Package", "Verification", "digest_of", "load", "open_package"]


@dataclass(frozen=True, slots=True)
class Verification:
    """What `Package.verify` found. All of it holds: what does not raises.

    Attributes:
        entries: Number of entries whose digests were checked.
        digest: Digest of the whole file.
        golden: One check per golden run, those that could not be run included.
    """

    entries: int
    digest: str
    golden: tuple[GoldenCheck, ...]


def digest_of(data: bytes) -> str:
    """``sha256:`` and the hexadecimal digest."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Package:
    """An opened or built package.

    Attributes:
        manifest: What it says of itself.
        failures: After `build`: what is kept of recipes that failed. Saved beside the package, not in it.
        shared_failure_files: Files that all failures' scripts need: the model and the calibration data.
    """

    manifest: Manifest
    _archive: Archive
    failures: tuple[Failure, ...] = ()
    shared_failure_files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def released(self) -> tuple[str, ...]:
        """Recipes of the released artifacts."""
        return tuple(record.recipe for record in self.manifest.artifacts if record.verdict.released)

    def artifact(self, recipe: str) -> ArtifactRecord:
        """What is known of the artifact.

        Raises:
            InputError: The package has none of that recipe.
        """
        for record in self.manifest.artifacts:
            if record.recipe == recipe:
                return record
        for refused in self.manifest.refused:
            if refused.recipe == recipe:
                raise InputError(f"{self._archive.label} has no artifact '{recipe}': {refused.reason}", fix=refused.fix)
        there = ", ".join(record.recipe for record in self.manifest.artifacts) or "none"
        raise InputError(f"{self._archive.label} has no artifact '{recipe}'; it has {there}.")

    def read(self, name: str) -> bytes:
        """An entry's bytes, checked against the manifest.

        Raises:
            PackageError: There is none of that name, or it is damaged.
        """
        data = self._archive.read(name)
        expected = self.manifest.files.get(name)
        if expected is None or digest_of(data) != expected.sha256:
            raise VerificationError(
                f"{self._archive.label}: the digest of '{name}' does not hold.", fix="get the file again."
            )
        return data

    def session(
        self,
        recipe: str | None = None,
        *,
        target: str = "cpu",
        threads: int | None = None,
        allow_fallback: bool = False,
    ) -> Session:
        """Makes an artifact ready to run.

        Args:
            recipe: Which, for instance ``tflite-int8``. A rejected one runs too. None for the best released one.
            target: Where; ``auto`` for where it runs best, which `reason` of the session then explains.
            threads: Cores that a call may use. None: one for a single sample, all for many.
            allow_fallback: Whether operators that the target does not take may run on the CPU; `placement` of the
                session tells which.

        Raises:
            InputError: The package has no such artifact.
            MissingDependencyError: The engine is not installed.
            TargetError: There is no such target, or the engine cannot run the artifact there, or not all of it.

        Example:
            >>> package.session("tflite-int8").predict(x)
        """
        reason = ""
        if recipe is None or target == AUTO:
            choice = self.choose(recipe, target=target)
            recipe, target, reason = choice.recipe, choice.target, choice.reason
        record = self.artifact(recipe)
        opener = find_engine(find_recipe(recipe).format, target)
        session = opener(
            self.read(record.file),
            record.signature,
            needs=record.needs,
            decision=self.manifest.source.decision,
            preprocessing=self.manifest.preprocessing,
            target=target,
            threads=threads,
            allow_fallback=allow_fallback,
        )
        session.reason = reason
        return session

    def choose(self, recipe: str | None = None, *, target: str = AUTO) -> Choice:
        """The artifact and the target for this machine, and why.

        Args:
            recipe: The artifact, where only the target is to be chosen.
            target: The target, where only the artifact is to be chosen.

        Raises:
            InputError: The package has no such artifact.
            TargetError: There is no such target, none is released, or none can run here.
            MissingDependencyError: None can run here for want of an engine.

        Example:
            >>> print(package.choose().reason)
        """
        if recipe is not None:
            return choose(self.manifest, [self.artifact(recipe)], target=target)
        if not self.released:
            raise TargetError(
                f"{self._archive.label} has no released artifact.",
                fix="name a rejected one if you must: --artifact, or package.session(recipe).",
            )
        records = [record for record in self.manifest.artifacts if record.verdict.released]
        return choose(self.manifest, records, target=target)

    def best(self) -> str:
        """The released artifact for this machine: the fastest where latency was measured, else the smallest.

        Raises:
            TargetError: None is released, or none can run here.
            MissingDependencyError: None can run here for want of an engine.
        """
        return self.choose().recipe

    def digest(self) -> str:
        """Digest of the whole file. Every entry is checked against its own on the way.

        Raises:
            VerificationError: An entry's digest does not hold.
            PackageError: The file is not sound.
        """
        return digest_of(
            pack({FIRST: self._archive.read(FIRST)} | {name: self.read(name) for name in self.manifest.files})
        )

    def verify(self, *, digest: str | None = None) -> Verification:
        """Checks every digest, then the golden vectors on the engines that are installed.

        Args:
            digest: ``sha256:…`` that the whole file must have, or None.

        Raises:
            VerificationError: A digest or a golden vector does not hold.
            PackageError: The file is not sound.
            TargetError: No artifact can run here, so that nothing was proven.
        """
        whole = self.digest()
        if digest is not None and digest != whole:
            raise VerificationError(
                f"{self._archive.label} has the digest {whole}, expected {digest}.",
                fix="get the file from whom you have the digest from.",
            )
        inputs = golden_inputs(self.manifest.golden, self.read)
        checks = [check_run(run, inputs, self.read, self.session) for run in self.manifest.golden.runs]
        failed = [check for check in checks if check.status == "fails"]
        if failed:
            raise VerificationError(
                f"{self._archive.label}: golden vectors do not hold: "
                + "; ".join(f"{check.recipe}: {check.detail}" for check in failed)
                + ".",
                fix="do not use these artifacts on this machine.",
            )
        if all(check.status == "not run" for check in checks):
            why = "; ".join(sorted({check.detail for check in checks})) or "it has no artifact"
            raise TargetError(f"{self._archive.label}: all digests hold, and no golden vector could be run: {why}")
        return Verification(len(self.manifest.files) + 1, whole, tuple(checks))

    def save(self, path: str | Path) -> None:
        """Writes the package, durably; and what is kept of failed recipes into ``PATH.failed`` beside it.

        Raises:
            StorageError: It cannot be written. A file that was there before is as it was.
        """
        from edgeml.package.failures import write_failures
        from edgeml.package.storage import write_durably

        path = Path(path)
        contents = {name: self._archive.read(name) for name in self._archive.sizes}
        write_durably(path, pack(contents))
        write_failures(path.with_name(f"{path.name}.failed"), self.failures, self.shared_failure_files)

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        contents: Mapping[str, bytes],
        *,
        failures: tuple[Failure, ...] = (),
        shared_failure_files: Mapping[str, bytes] | None = None,
    ) -> Package:
        """A package in memory; the manifest's list of files is made from the contents."""
        files = {name: FileRecord(len(data), digest_of(data)) for name, data in sorted(contents.items())}
        complete = msgspec.structs.replace(manifest, files=files)
        data = pack({FIRST: encode_manifest(complete), **contents})
        return cls(_checked(archive := Archive(data)), archive, failures, shared_failure_files or {})


def _checked(archive: Archive) -> Manifest:
    if archive.sizes[FIRST] > MAX_MANIFEST_BYTES:
        raise PackageError(
            f"{archive.label}: the manifest has {archive.sizes[FIRST]} bytes, at most {MAX_MANIFEST_BYTES} are allowed."
        )
    manifest = decode_manifest(archive.read(FIRST), archive.label)
    listed = {name: record.size_bytes for name, record in manifest.files.items()}
    there = {name: size for name, size in archive.sizes.items() if name != FIRST}
    if listed != there:
        odd = sorted({name for name, _ in listed.items() ^ there.items()})
        raise VerificationError(
            f"{archive.label}: the manifest's list of files and the archive differ in {', '.join(odd[:5])}."
        )
    return manifest


def open_package(path: str | Path) -> Package:
    """Opens a package. Its form and its manifest are checked now, each entry's digest when it is read.

    Raises:
        InputError: There is no such file.
        StorageError: It cannot be read.
        PackageError: It is no sound package, or of a newer format.

    Example:
        >>> package = open_package("digits.edgeml")
        >>> session = package.session("tflite-int8")
    """
    archive = Archive(Path(path))
    return Package(_checked(archive), archive)


def load(path: str | Path, *, target: str = AUTO, threads: int | None = None, allow_fallback: bool = False) -> Session:
    """The best released artifact of a package, ready to run on this machine. The session's `reason` says why it is.

    Args:
        path: The package.
        target: Where to run; by default where it runs best.
        threads: Cores that a call may use. None: one for a single sample, all for many.
        allow_fallback: Whether operators that the target does not take may run on the CPU.

    Raises:
        PackageError: As `open_package`.
        TargetError: No artifact is released, or none can run here.
        MissingDependencyError: None can run here for want of an engine.

    Example:
        >>> labels = edgeml.load("digits.edgeml").classify(x)
    """
    return open_package(path).session(target=target, threads=threads, allow_fallback=allow_fallback)
