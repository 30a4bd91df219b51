"""A package as an object."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from edgeml.core.errors import (
    EdgemlError,
    InputError,
    MissingDependencyError,
    PackageError,
    TargetError,
    VerificationError,
)
from edgeml.core.recipe import find_recipe
from edgeml.core.registry.engines import find_engine
from edgeml.core.system.digest import digest_of
from edgeml.package.archive import FIRST, Archive, pack
from edgeml.package.manifest import (
    MAX_MANIFEST_BYTES,
    ArtifactRecord,
    FileRecord,
    Manifest,
    decode_manifest,
    encode_manifest,
)
from edgeml.package.selection import AUTO

if TYPE_CHECKING:  # what choosing, verifying and saving need is loaded when it is needed
    from pathlib import Path

    import numpy as np

    from edgeml.core.records.evidence_details import Evidence
    from edgeml.core.session import Session
    from edgeml.package.failures import Failure
    from edgeml.package.selection import Choice
    from edgeml.package.verify import Verification

__all__ = ["Package", "load", "open_package"]


class Package(Struct, frozen=True):
    """An opened or built package.

    Attributes:
        manifest: What it says of itself.
        failures: After `build`: what is kept of recipes that failed. Saved beside the package, not in it.
        shared_failure_files: Files that all failures' scripts need: the model and the calibration data.
    """

    manifest: Manifest
    _archive: Archive
    failures: tuple[Failure, ...] = ()
    shared_failure_files: Mapping[str, bytes] = {}

    @property
    def label(self) -> str:
        """What messages call it: its file's name."""
        return self._archive.label

    @property
    def name(self) -> str:
        """The model's name."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """Its version."""
        return self.manifest.version

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
        return self._entry(name, checksum=False)  # which a digest that holds makes needless

    def _entry(self, name: str, *, checksum: bool = True) -> bytes:
        data = self._archive.read(name, checksum=checksum)
        expected = self.manifest.files.get(name)
        if expected is None or digest_of(data) != expected.sha256:
            raise VerificationError(
                f"{self._archive.label}: the digest of '{name}' does not hold.", fix="get the file again."
            )
        return data

    def golden_inputs(self) -> dict[str, np.ndarray]:
        """Typical inputs ``[samples, ...]`` by tensor name, in the source's own units.

        Raises:
            PackageError: An entry is damaged.
        """
        from edgeml.package.golden import golden_inputs

        return golden_inputs(self.manifest.golden, self.read)

    def size_bytes(self, recipe: str) -> int:
        """Of the artifact's file.

        Raises:
            InputError: The package has no such artifact.
        """
        return self.manifest.files[self.artifact(recipe).file].size_bytes

    def evidence(self, recipe: str) -> Evidence | None:
        """The details behind an artifact's figures: flips, confusion, calibration; None where it has none.

        Raises:
            InputError: The package has no artifact of that recipe.
            PackageError: The entry is damaged, or not sound.
        """
        from edgeml.package.evidence import MAX_EVIDENCE_BYTES, decode_evidence

        name = self.artifact(recipe).evidence
        if name is None:
            return None
        size = self.manifest.files[name].size_bytes
        if size > MAX_EVIDENCE_BYTES:
            raise PackageError(f"{self.label}: '{name}' has {size} bytes, at most {MAX_EVIDENCE_BYTES} are allowed.")
        decision = self.manifest.source.decision
        return decode_evidence(self.read(name), f"{self.label}: '{name}'", len(decision.labels) if decision else 0)

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
            TargetError: There is no such target, or the engine cannot run the artifact there, or not all of it. Where
                artifact or target are to be chosen, the next best is taken, and `reason` says so; likewise where
                several engines run the format on the target.

        Example:
            >>> package.session("tflite-int8").predict(x)
        """
        if recipe is not None and target != AUTO:
            return self._open(recipe, target, threads, allow_fallback=allow_fallback)
        failures: list[EdgemlError] = []
        passed = ""
        for choice in self._choices(recipe, target):
            try:
                session = self._open(choice.recipe, choice.target, threads, allow_fallback=allow_fallback)
            except (TargetError, MissingDependencyError) as error:
                failures.append(error)
                passed += f" {choice.recipe} on {choice.target} did not open: {error.message}"
                continue
            session.reason = f"{choice.reason}{passed} {session.reason}".rstrip()
            return session
        raise failures[0]

    def _open(self, recipe: str, target: str, threads: int | None, *, allow_fallback: bool) -> Session:
        record = self.artifact(recipe)
        opener = find_engine(find_recipe(recipe).format, target)
        return opener(
            self.read(record.file),
            record.signature,
            needs=record.needs,
            decision=self.manifest.source.decision,
            preprocessing=self.manifest.preprocessing,
            target=target,
            threads=threads,
            allow_fallback=allow_fallback,
        )

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
        return next(self._choices(recipe, target))

    def _choices(self, recipe: str | None, target: str) -> Iterator[Choice]:
        from edgeml.package.selection import choices

        if recipe is not None:
            return choices(self.manifest, [self.artifact(recipe)], target=target)
        if not self.released:
            raise TargetError(
                f"{self._archive.label} has no released artifact.",
                fix="name a rejected one if you must: --artifact, or package.session(recipe).",
            )
        records = [record for record in self.manifest.artifacts if record.verdict.released]
        return choices(self.manifest, records, target=target)

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
            pack({FIRST: self._archive.read(FIRST)} | {name: self._entry(name) for name in self.manifest.files})
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
        from edgeml.package.verify import verify

        return verify(self, digest)

    def save(self, path: str | Path) -> None:
        """Writes the package, durably; and what is kept of failed recipes into ``PATH.failed`` beside it.

        Raises:
            StorageError: It cannot be written. A file that was there before is as it was.
        """
        from pathlib import Path

        from edgeml.core.system.files import atomic_write
        from edgeml.package.failures import write_failures

        path = Path(path)
        contents = {name: self._archive.read(name) for name in self._archive.sizes}
        atomic_write(path, pack(contents))
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
    archive = Archive(os.fsdecode(path))
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
