"""The package as an object: opening, choosing an artifact, verifying, saving."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec import Struct

from edgeml.core.errors import (
    EdgemlError,
    InputError,
    MissingDependencyError,
    PackageError,
    TargetError,
    UnsupportedModelError,
    VerificationError,
)
from edgeml.core.formats.artifact_check import check_artifact
from edgeml.core.recipe import find_recipe
from edgeml.core.registry.engines import find_engine
from edgeml.core.session import Session
from edgeml.core.system.digest import digest_of
from edgeml.core.system.log import log_info
from edgeml.core.system.paths import checked_path
from edgeml.core.system.text import printable
from edgeml.package.archive import FIRST, Archive, pack
from edgeml.package.failures import Failure
from edgeml.package.manifest import (
    MAX_MANIFEST_BYTES,
    ArtifactRecord,
    FileRecord,
    Manifest,
    encode_manifest,
)
from edgeml.package.manifest_file import decode_manifest
from edgeml.package.selection import AUTO, Choice

if TYPE_CHECKING:  # modules that only some programs need are loaded at their first use
    from edgeml.core.isolation import Isolation
    from edgeml.core.records.evidence_details import Evidence
    from edgeml.core.system.limits import Limits
    from edgeml.package.verify import Verification

__all__ = ["Package", "load", "open_package"]

_SESSION_MEMORY_MB = 1024.0
_SESSION_TIMEOUT_S = 60.0


class Package(Struct, frozen=True):
    """A package: a model's artifacts, each proven against the source, with the evidence.

    `edgeml.build` returns one, and `edgeml.open_package` opens one from a file. In a notebook a package is shown as
    a table of its artifacts.

    Attributes:
        manifest: The package's description: name, version, source, data, and a record of each artifact.
        failures: After `build`: logs and scripts of the recipes that failed. `save` writes them beside the package.
        shared_failure_files: Files that the scripts of all failures need: the model and the calibration data.
        trust_source: Whether the caller trusts the author of the model. Needed to run a package that was built with
            ``trust_source=True``.

    Example:
        >>> package = edgeml.open_package("digits.edgeml")
        >>> package
        <Package digits 1.0.0: 2 of 2 recipes released (tflite-int8, onnx-fp32), 142.7 kB>
        >>> labels = package.session("tflite-int8").classify(x)
    """

    manifest: Manifest
    _archive: Archive
    failures: tuple[Failure, ...] = ()
    shared_failure_files: Mapping[str, bytes] = {}
    trust_source: bool = False

    @property
    def label(self) -> str:
        """Name of the package in messages: its file's name."""
        return self._archive.label

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """Semantic version of the model."""
        return self.manifest.version

    @property
    def released(self) -> tuple[str, ...]:
        """Recipes of the released artifacts."""
        return tuple(record.recipe for record in self.manifest.artifacts if record.verdict.released)

    def __repr__(self) -> str:
        total = len(self.manifest.artifacts) + len(self.manifest.refused)
        names = f" ({', '.join(self.released)})" if self.released else ""
        size = sum(self._archive.sizes.values()) / 1000
        title = printable(f"{self.name} {self.version}")
        return f"<Package {title}: {len(self.released)} of {total} recipes released{names}, {size:,.1f} kB>"

    def _repr_html_(self) -> str:
        from edgeml.package.notebook import package_html

        return package_html(self.manifest)

    def artifact(self, recipe: str) -> ArtifactRecord:
        """Return the record of an artifact: file, signature, needs, evaluation, verdict.

        Args:
            recipe: The artifact's recipe, such as ``tflite-int8``.

        Raises:
            InputError: The package does not contain an artifact of that recipe.
        """
        for record in self.manifest.artifacts:
            if record.recipe == recipe:
                return record
        for refused in self.manifest.refused:
            if refused.recipe == recipe:
                raise InputError(
                    f"{self._archive.label} does not contain '{recipe}': {refused.reason}", fix=refused.fix
                )
        names = ", ".join(record.recipe for record in self.manifest.artifacts)
        raise InputError(
            f"{self._archive.label} does not contain an artifact '{recipe}'.",
            fix=f"choose one of {names}." if names else "",
        )

    def read(self, name: str) -> bytes:
        """Return the bytes of an entry, checked against its digest in the manifest.

        Args:
            name: Name of the entry, such as ``artifacts/tflite-int8.tflite``.

        Raises:
            PackageError: The package does not contain the entry, or the entry is damaged.
        """
        return self._entry(name, checksum=False)  # a digest that matches makes the checksum redundant

    def _entry(self, name: str, *, checksum: bool = True) -> bytes:
        data = self._archive.read(name, checksum=checksum)
        expected = self.manifest.files.get(name)
        if expected is None or digest_of(data) != expected.sha256:
            raise VerificationError(
                f"{self._archive.label}: the digest of '{name}' does not match the manifest.",
                fix="get the file again.",
            )
        return data

    @property
    def sizes(self) -> dict[str, int]:
        """A number for each free size of the artifacts, by name, as the golden inputs have; empty without such."""
        return dict(self.manifest.golden.sizes)

    def golden_inputs(self, sizes: Mapping[str, int] | None = None) -> dict[str, np.ndarray]:
        """Return typical inputs ``[samples, ...]`` by tensor name, in the source's own units.

        Args:
            sizes: A number for each free size, by name: the golden inputs of these sizes, or else others cut or
                repeated to them. None for the sizes of the data that the artifacts were judged on.

        Raises:
            InputError: `sizes` are not the free sizes of the package.
            PackageError: An entry is damaged.
        """
        from edgeml.core.caller_inputs import shaped_by_input
        from edgeml.core.free_sizes import checked_sizes, resized
        from edgeml.package.golden import golden_inputs

        golden, signature = self.manifest.golden, self.manifest.source.signature
        if sizes is None:
            return golden_inputs(golden, self.read)
        numbers = checked_sizes(sizes, signature)
        golden = next((each for each in (golden, *self.manifest.golden_at) if each.sizes == numbers), golden)
        inputs = shaped_by_input(golden_inputs(golden, self.read), signature, "golden inputs")
        return inputs if golden.sizes == numbers else resized(inputs, signature, numbers)

    def size_bytes(self, recipe: str) -> int:
        """Return the size of an artifact's file in bytes.

        Raises:
            InputError: The package does not contain an artifact of that recipe.
        """
        return self.manifest.files[self.artifact(recipe).file].size_bytes

    def evidence(self, recipe: str) -> Evidence | None:
        """Return the details behind an artifact's figures: flips, confusion, calibration; None without any.

        Raises:
            InputError: The package does not contain an artifact of that recipe.
            PackageError: The entry is damaged or invalid.
        """
        from edgeml.package.evidence import MAX_EVIDENCE_BYTES, decode_evidence

        name = self.artifact(recipe).evidence
        if name is None:
            return None
        size = self.manifest.files[name].size_bytes
        if size > MAX_EVIDENCE_BYTES:
            raise PackageError(f"{self.label}: '{name}' has {size} bytes, expected at most {MAX_EVIDENCE_BYTES}.")
        decision = self.manifest.source.decision
        return decode_evidence(self.read(name), f"{self.label}: '{name}'", len(decision.labels) if decision else 0)

    def session(
        self,
        recipe: str | None = None,
        *,
        target: str = "cpu",
        threads: int | None = None,
        allow_fallback: bool = False,
        isolated: bool | Isolation | Limits = False,
        memory_mb: float | None = None,
        timeout_s: float | None = None,
        sizes: Mapping[str, int] | None = None,
    ) -> Session:
        """Open an artifact on a target.

        In this process a hostile artifact can crash the engine, and the program with it, loop for ever or exhaust the
        memory. Isolated, it does so in a child process: the call raises an IsolationError within the limits, and the
        next call starts another child. A call costs about 0.5 ms more, opening a session some tenths of a second.

        Args:
            recipe: The artifact's recipe, such as ``tflite-int8``; a rejected artifact runs too. None for the best
                released artifact.
            target: Where to run; ``auto`` for the target that suits this machine best. The session's `reason`
                explains the choice.
            threads: Cores that one call may use. None: one core for a single sample, all cores for many samples.
            allow_fallback: Whether operators that the target does not support may run on the CPU; the session's
                `placement` lists them.
            isolated: Whether the engine runs in a child process, on the targets ``cpu`` and ``micro``. All methods of
                the session are the same, except `bind`, which is refused. Threads take turns. Instead of True, the
                limits of the process, or one that sessions share, which holds one artifact at a time.
            memory_mb: Memory of an isolated artifact in MB, above that of the process with its engine and the
                artifact's bytes: by default 1,024; ``math.inf`` for no limit.
            timeout_s: Time limit in seconds of one call of an isolated artifact's engine, one sample or one batch: by
                default 60; ``math.inf`` for no limit.
            sizes: For artifacts with free sizes a number for each, by name: the session takes inputs of these sizes
                alone, with less overhead, and can be bound to memory. None for inputs of any size.

        Raises:
            InputError: The package does not contain the artifact, a limit is not valid, or `sizes` are not the free
                sizes of the artifact.
            MissingDependencyError: The engine is not installed.
            PackageError: The artifact is damaged, or is not what the package declares.
            UnsupportedModelError: The package was built with ``trust_source=True``, and opened without, or the artifact
                reaches for other files or for operators that engines do not bring.
            IsolationError: An isolated artifact ends the engine, or exceeds a limit.
            TargetError: The target does not exist, or the engine cannot run the artifact, or all of it, there. If
                the artifact or the target is to be chosen, the next best is opened instead, and `reason` says so;
                likewise if several engines run the format on the target.

        Example:
            >>> package.session("tflite-int8").predict(x)
            >>> session = package.session(isolated=True, memory_mb=200, timeout_s=5)  # a package of unknown origin
        """
        isolation = _isolation(isolated, memory_mb, timeout_s)
        if recipe is not None and target != AUTO:
            return self._open(recipe, target, threads, allow_fallback=allow_fallback, isolation=isolation, sizes=sizes)
        failures: list[EdgemlError] = []
        skipped = ""
        for choice in self._choices(recipe, target):
            try:
                session = self._open(
                    choice.recipe,
                    choice.target,
                    threads,
                    allow_fallback=allow_fallback,
                    isolation=isolation,
                    sizes=sizes,
                )
            except (TargetError, MissingDependencyError) as error:
                failures.append(error)
                skipped += f" {choice.recipe} on {choice.target} did not open: {error.message}"
                continue
            session.reason = f"{choice.reason}{skipped} {session.reason}".rstrip()
            return session
        raise failures[0]

    def _open(
        self,
        recipe: str,
        target: str,
        threads: int | None,
        *,
        allow_fallback: bool,
        isolation: Isolation | Limits | None,
        sizes: Mapping[str, int] | None,
    ) -> Session:
        record = self.artifact(recipe)
        open_session = find_engine(find_recipe(recipe).format, target)
        session = open_session(
            self._checked_artifact(record),
            record.signature,
            needs=record.needs,
            decision=self.manifest.source.decisions,
            preprocessing=self.manifest.preprocessing,
            target=target,
            threads=threads,
            allow_fallback=allow_fallback,
            isolation=isolation,
            sizes=sizes,
        )
        log_info("opened %s of %s on %s by %s", recipe, self.label, target, session.engine)  # its version costs 15 ms
        return session

    def _checked_artifact(self, record: ArtifactRecord) -> bytes:
        """Return the bytes of an artifact that an engine may load."""
        if self.manifest.trust_source and not self.trust_source:
            raise UnsupportedModelError(
                f"{self.label} was built with trust_source=True, and is not run without the same trust in its author.",
                fix="if you trust the author with your files and your machine, use --trust-source (trust_source=True).",
            )
        data, name = self.read(record.file), f"{self.label}: the artifact {record.recipe}"
        format_ = find_recipe(record.recipe).format
        try:
            check_artifact(data, format_, record.signature, name=name, trust_source=self.trust_source)
        except InputError as error:
            raise PackageError(error.message, fix="get the file again, from a source that you trust.") from error
        return data

    def choose(self, recipe: str | None = None, *, target: str = AUTO) -> Choice:
        """Choose the artifact and the target for this machine.

        Args:
            recipe: The artifact, if only the target is to be chosen.
            target: The target, if only the artifact is to be chosen.

        Returns:
            The artifact, the target, and the reason.

        Raises:
            InputError: The package does not contain the artifact.
            TargetError: The target does not exist, no artifact is released, or none can run here.
            MissingDependencyError: No artifact can run here because an engine is not installed.

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
                f"{self._archive.label} does not contain a released artifact.",
                fix="run a rejected one by its name: package.session(recipe), or --artifact RECIPE.",
            )
        records = [record for record in self.manifest.artifacts if record.verdict.released]
        return choices(self.manifest, records, target=target)

    def best(self) -> str:
        """Return the recipe of the released artifact for this machine: the fastest if measured, else the smallest.

        Raises:
            TargetError: No artifact is released, or none can run here.
            MissingDependencyError: No artifact can run here because an engine is not installed.
        """
        return self.choose().recipe

    def digest(self) -> str:
        """Return the digest of the whole file; every entry is checked against its own digest on the way.

        Raises:
            VerificationError: The digest of an entry does not match.
            PackageError: The file is not a valid package.
        """
        return digest_of(
            pack({FIRST: self._archive.read(FIRST)} | {name: self._entry(name) for name in self.manifest.files})
        )

    def verify(
        self, *, digest: str | None = None, memory_mb: float | None = None, timeout_s: float | None = None
    ) -> Verification:
        """Check every digest, then the golden vectors on the engines that are installed.

        The engines run in a child process, under limits: a hostile artifact does not end this program.

        Args:
            digest: Expected digest of the whole file, ``sha256:…``, or None.
            memory_mb: Memory limit of an artifact in MB, by default 256, and more for large artifacts.
            timeout_s: Time limit of one call of an engine in seconds: by default 30.

        Raises:
            VerificationError: A digest or a golden vector does not match, or an artifact ends its engine or exceeds a
                limit.
            PackageError: The file is not a valid package.
            TargetError: No artifact can run here, so that nothing is proven.
        """
        from edgeml.core.system.limits import DEFAULT_TIMEOUT_S, Limits
        from edgeml.package.verify import verify

        return verify(self, digest, Limits.checked(memory_mb, DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the package, durably, and the logs and scripts of failed recipes to ``PATH.failed``.

        Args:
            path: File to write, by convention ``NAME.edgeml``.

        Raises:
            InputError: The path is empty or contains a null character.
            StorageError: The file cannot be written. A file that existed before is unchanged.
        """
        from pathlib import Path

        from edgeml.core.system.files import atomic_write
        from edgeml.package.failures import write_failures

        file = Path(checked_path(path))
        contents = {name: self._archive.read(name) for name in self._archive.sizes}
        atomic_write(file, pack(contents))
        write_failures(file.with_name(f"{file.name}.failed"), self.failures, self.shared_failure_files)

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        contents: Mapping[str, bytes],
        *,
        failures: tuple[Failure, ...] = (),
        shared_failure_files: Mapping[str, bytes] | None = None,
    ) -> Package:
        """Create a package in memory; the manifest's list of files is computed from the contents."""
        files = {name: FileRecord(len(data), digest_of(data)) for name, data in sorted(contents.items())}
        complete = msgspec.structs.replace(manifest, files=files)
        data = pack({FIRST: encode_manifest(complete), **contents})
        archive = Archive(data)
        return cls(_read_manifest(archive), archive, failures, shared_failure_files or {}, manifest.trust_source)


def _read_manifest(archive: Archive) -> Manifest:
    if archive.sizes[FIRST] > MAX_MANIFEST_BYTES:
        raise PackageError(
            f"{archive.label}: the manifest has {archive.sizes[FIRST]} bytes, expected at most {MAX_MANIFEST_BYTES}."
        )
    manifest = decode_manifest(archive.read(FIRST), archive.label)
    listed = {name: record.size_bytes for name, record in manifest.files.items()}
    stored = {name: size for name, size in archive.sizes.items() if name != FIRST}
    if listed != stored:
        differing = sorted({name for name, _ in listed.items() ^ stored.items()})
        raise VerificationError(
            f"{archive.label}: the manifest's list of files and the archive differ in {', '.join(differing[:5])}."
        )
    return manifest


def open_package(path: str | os.PathLike[str], *, trust_source: bool = False) -> Package:
    """Open a package.

    The form of the file and its manifest are checked now, the digest of each entry when it is read, and an artifact's
    bytes before an engine loads them.

    Args:
        path: The package, ``NAME.edgeml``.
        trust_source: Whether you trust the author of the package with your files and your machine. Needed to run a
            package that was built with ``trust_source=True``.

    Raises:
        InputError: The file does not exist.
        StorageError: The file cannot be read.
        PackageError: The file is not a valid package, or has a newer format.

    Example:
        >>> package = edgeml.open_package("digits.edgeml")
        >>> session = package.session("tflite-int8")
    """
    archive = Archive(checked_path(path))
    return Package(_read_manifest(archive), archive, trust_source=trust_source)


def load(
    path: str | os.PathLike[str],
    *,
    target: str = AUTO,
    threads: int | None = None,
    allow_fallback: bool = False,
    trust_source: bool = False,
    isolated: bool = False,
    memory_mb: float | None = None,
    timeout_s: float | None = None,
    sizes: Mapping[str, int] | None = None,
) -> Session:
    """Open the best released artifact of a package for this machine.

    The session's `reason` explains the choice; ``logging.getLogger("edgeml")`` reports it at level INFO.

    Args:
        path: The package, ``NAME.edgeml``.
        target: Where to run; by default the target that suits this machine best.
        threads: Cores that one call may use. None: one core for a single sample, all cores for many samples.
        allow_fallback: Whether operators that the target does not support may run on the CPU.
        trust_source: See `open_package`.
        isolated: Whether the engine runs in a child process: for packages of unknown origin; see `Package.session`.
        memory_mb: Memory limit of an isolated artifact in MB; see `Package.session`.
        timeout_s: Time limit of an isolated artifact in seconds; see `Package.session`.
        sizes: A number for each free size, by name; see `Package.session`.

    Raises:
        InputError: The file does not exist, a limit is not valid, or `sizes` are not the artifact's free sizes.
        PackageError: The file is not a valid package, or has a newer format.
        UnsupportedModelError: See `Package.session`.
        IsolationError: An isolated artifact ends the engine, or exceeds a limit.
        TargetError: No artifact is released, or none can run here.
        MissingDependencyError: No artifact can run here because an engine is not installed.

    Example:
        >>> labels = edgeml.load("digits.edgeml").classify(x)
    """
    return open_package(path, trust_source=trust_source).session(
        target=target,
        threads=threads,
        allow_fallback=allow_fallback,
        isolated=isolated,
        memory_mb=memory_mb,
        timeout_s=timeout_s,
        sizes=sizes,
    )


def _isolation(
    isolated: bool | Isolation | Limits,  # not only a flag
    memory_mb: float | None,
    timeout_s: float | None,
) -> Isolation | Limits | None:
    """Return the process of an isolated session, or its limits; None for a session in this process.

    Raises:
        InputError: A limit is not valid, or does not have a child process that it applies to.
    """
    if isolated is not True:
        misplaced = [name for name, value in (("memory_mb", memory_mb), ("timeout_s", timeout_s)) if value is not None]
        if misplaced:
            raise InputError(f"{misplaced[0]} is an option of isolated=True.", fix="add isolated=True, or omit it.")
        return isolated or None
    from edgeml.core.system.limits import Limits

    return Limits.checked(
        _SESSION_MEMORY_MB if memory_mb is None else memory_mb, _SESSION_TIMEOUT_S if timeout_s is None else timeout_s
    )
