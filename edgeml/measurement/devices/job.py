"""A benchmark on a device, from the first connection to the removal of all files."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from edgeml.core.errors import (
    EdgemlError,
    MissingDependencyError,
    StorageError,
    TargetError,
    VerificationError,
)
from edgeml.core.records.benchmark_results import MAX_RESULTS_BYTES, GoldenResult, Results, decode_results
from edgeml.core.records.error_record import ErrorRecord, decode_error, error_class
from edgeml.core.registry.tables import ENGINES
from edgeml.measurement.devices.code import CARRIED, NEEDED, archive
from edgeml.measurement.devices.connection import Cancelled, Connection, ConnectionLost
from edgeml.measurement.devices.device import Device
from edgeml.measurement.devices.protocol import Fetched, Look, Progress, State, Verified

__all__ = ["Job", "News", "bench_on_device"]

_STARTS = 3
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_SPACE = 8  # the archive, what is unpacked from it, journal and results
_LEAST_FREE = 16 * 2**20
_FULL = 2**16
_UNSOUND = 3
_BURST, _REPLIES_PER_S = 30, 3  # one a second is due; a stalled link delivers several at a time
_STEP_S, _QUEUE_S = 2 * 3600.0, 24 * 3600.0  # for one measurement, and for the benchmarks of others before it
_OUTPUTS = {"verify": "golden.json", "bench": "bench.json"}

T = TypeVar("T")


class Job(Struct, frozen=True):
    """A benchmark to run on a device.

    Attributes:
        package: File of the package.
        digest: Digest of the package, as ``sha256:…``.
        formats: Formats of its artifacts, as ``tflite``.
        options: Options of ``edgeml bench``, without those that name outputs.
        keep: Whether the files stay on the device.
        patience_s: Seconds in which a lost connection is tried again.
        lease_s: Seconds without a caller after which the benchmark there ends and removes itself.
    """

    package: Path
    digest: str
    formats: tuple[str, ...]
    options: tuple[str, ...] = ()
    keep: bool = False
    patience_s: float = 600.0
    lease_s: float = 3600.0


class News(Struct, frozen=True):
    """State of a benchmark on a device, for its caller.

    Attributes:
        text: The current step, or an event.
        done: Number of finished measurements.
        remark: Whether the text should stay in view, and not be replaced by the next one.
    """

    text: str
    done: int = 0
    remark: bool = False


def bench_on_device(
    device: Device,
    job: Job,
    *,
    report: Callable[[News], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Results:
    """Measure a package on a device, and check its golden vectors there; leave nothing behind.

    The benchmark continues there while the connection is lost. Connecting again resumes it, also by another process
    that asks for the same package and options.

    Args:
        device: The device.
        job: The benchmark.
        report: Called with the state of the benchmark.
        cancelled: Polled regularly; the benchmark is ended and removed when it returns true.

    Returns:
        The results, with the device's title and its golden checks.

    Raises:
        ConnectionLost: The device cannot be reached, or not for too long. The benchmark may still run there.
        TargetError: The device lacks something, or the benchmark failed there.
        StorageError: The storage of the device fails.
        VerificationError: Golden vectors do not match there, or the results are of another package.
        EdgemlError: The command ended with this error there.
        Cancelled: The caller cancelled the benchmark.
    """
    return _Run(device, job, report, cancelled).results()


class _Run:
    def __init__(self, device: Device, job: Job, report: Callable[[News], None], cancelled: Callable[[], bool]) -> None:
        self._device = device
        self._job = job
        self._report = report
        self._cancelled = cancelled
        self._options = [*job.options, *device.options]
        self._archive = archive(job.package, ())
        self._name = _name(self._archive, self._options, device)
        self._started = False
        self._starts = 0
        self._deadline = 0.0
        self._carried: tuple[str, ...] = ()

    @property
    def _lease(self) -> str:
        return f"otherwise it ends and removes itself within {self._job.lease_s / 60:.0f} minutes."

    def results(self) -> Results:
        """Return the results, as `bench_on_device` does."""
        try:
            return self._connect_and_run()
        except ConnectionLost as error:
            if self._started:
                error.fix = f"run the same command again to resume the benchmark there; {self._lease}"
            raise
        except BaseException:
            if self._started:
                self._clear()
            raise

    def _connect_and_run(self) -> Results:
        pause_s = _SHORTEST_PAUSE_S
        while True:
            connected = False
            try:
                with Connection(self._device, cancelled=self._cancelled) as connection:
                    connected = True
                    return self._run(connection)
            except ConnectionLost as error:
                if connected:
                    pause_s = _SHORTEST_PAUSE_S
                if not self._started or time.monotonic() + pause_s > self._deadline:
                    raise
                self._report(News(f"{error.message.rstrip('.')}; connecting again in {pause_s:.0f} s", remark=True))
                self._sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _run(self, connection: Connection) -> Results:
        """Run the benchmark to its end, whatever its state is."""
        look = self._look(connection)
        state = look.state
        if state in {"running", "done", "stopped"} and not self._started:
            self._report(News("resuming the benchmark that is there", remark=True))
        if not self._started:
            self._started = True
            self._renew_patience()
        fetched = Fetched()
        while not fetched.codes:
            while state != "done":
                if state != "running":
                    self._start(connection, send=state != "stopped")
                state = self._follow(connection)
            fetched = connection.ask("fetch", job=self._name, returns=Fetched)
            state = "none"
        results = self._read(fetched)
        if self._job.keep:
            self._report(News(f"its files stay there, in {look.folder}", remark=True))
        try:
            connection.ask("finish", job=self._name, keep=self._job.keep, returns=Progress)
        except ConnectionLost:
            self._clear()
        return results

    def _look(self, connection: Connection) -> Look:
        modules = " ".join([*NEEDED, *CARRIED])
        modules_of_engines = dict.fromkeys(e.module for e in ENGINES if e.format in self._job.formats)
        look = connection.ask(
            "look", job=self._name, variables=self._device.env, modules=modules, engines=" ".join(modules_of_engines),
            returns=Look,
        )  # fmt: skip
        title = self._device.title
        missing = {name: why for name, why in look.lacking.items() if name in NEEDED}
        litert = "tflite-runtime" if connection.machine.startswith("arm") else "ai-edge-litert"
        engines = {"tflite": litert, "onnx": "onnxruntime"}
        engine = [] if look.engines else [engines[format_] for format_ in self._job.formats[:1]]
        if missing or engine:
            what = [f"{name} ({why})" for name, why in missing.items()]
            if engine:
                what.append(f"an engine for {' or '.join(self._job.formats)} artifacts")
            python = self._device.python or "python3"
            raise TargetError(
                f"{title} (Python {connection.python}, {connection.machine}) lacks {', '.join(what)}.",
                fix=f"there: {python} -m pip install {' '.join([*missing, *engine])}",
            )
        self._carried = tuple(name for name in CARRIED if name in look.lacking)
        needed = _SPACE * len(self._archive) + _LEAST_FREE
        if look.state == "none" and look.free_bytes < needed:
            raise StorageError(
                f"{title} has {look.free_bytes / 1e6:.1f} MB free in {look.folder}, "
                f"expected at least {needed / 1e6:.1f} MB.",
                fix="free some space there, or set XDG_CACHE_HOME to another folder in the lab's file.",
            )
        return look

    def _renew_patience(self) -> None:
        self._deadline = time.monotonic() + self._job.patience_s

    def _start(self, connection: Connection, *, send: bool) -> None:
        if self._starts >= _STARTS:
            raise TargetError(f"{self._device.title}: the benchmark process disappeared {_STARTS} times.")
        self._starts += 1
        data = b""
        if send:
            self._report(News("sending the package"))
            data = archive(self._job.package, self._carried) if self._carried else self._archive
        connection.ask(
            "start", job=self._name, size=len(data), arguments=self._options, lease_s=self._job.lease_s,
            payload=data, returns=Progress,
        )  # fmt: skip

    def _follow(self, connection: Connection) -> State:
        """Follow the benchmark until it does not run any more; return its state."""
        progress = connection.ask("follow", job=self._name, returns=Progress)
        watch = _Watch(self._device.title)
        while progress.state == "running":
            watch.check(progress)
            self._renew_patience()  # a connection alone does not: one that always breaks would be tried for ever
            step = "waiting for another benchmark there" if progress.waiting else "measuring"
            self._report(News(step, max(0, progress.lines - 1)))  # the first line describes the benchmark
            progress = connection.answer(Progress)
        if progress.state == "stopped":
            if (progress.free_bytes or 0) < _FULL:
                raise self._full(progress.log)
            if self._starts >= _STARTS:
                raise TargetError(f"{self._device.title}: the benchmark process died.", log=progress.log)
        return progress.state

    def _read(self, fetched: Fetched) -> Results:
        """Return the results, checked.

        A package whose golden vectors cannot run there, since the engine is missing, is measured nevertheless.
        """
        if not {"verify", "bench"} >= fetched.codes.keys():
            raise TargetError(f"{self._device.title} sent exit codes of unknown steps.")
        for step, code in fetched.codes.items():
            if code and (step == "bench" or code == _UNSOUND):
                raise self._failed(step, code, fetched)
        for line in self._skipped(fetched):
            self._report(News(f"not measured: {line}", remark=True))
        title = self._device.title
        results = decode_results(self._unpacked(fetched, "results.json"), f"results from {title}")
        self._compare(results.package.digest)
        golden: tuple[GoldenResult, ...] = ()
        if fetched.codes.get("verify") == 0:
            verified = _decode(self._unpacked(fetched, "golden.json"), Verified, f"golden checks from {title}")
            self._compare(verified.digest)
            self._check_golden(verified)
            golden = tuple(GoldenResult(c.recipe, c.family, c.status, c.detail) for c in verified.golden)
        else:
            error = self._error(fetched, "golden.json")
            reason = error.message if error is not None else f"edgeml verify exited with {fetched.codes.get('verify')}"
            self._report(News(f"the golden vectors were not checked there: {reason}", remark=True))
        machine = msgspec.structs.replace(results.machine, device=title)
        return msgspec.structs.replace(results, machine=machine, golden=golden)

    def _check_golden(self, verified: Verified) -> None:
        """Check that the golden vectors hold, as the exit status of `edgeml verify` there says."""
        statuses = {check.status for check in verified.golden}
        if "fails" in statuses or "holds" not in statuses:
            failed = next((check for check in verified.golden if check.status == "fails"), None)
            detail = f"{failed.recipe} on {failed.family}: {failed.detail}" if failed else "none of them ran"
            raise VerificationError(
                f"{self._device.title}: the golden vectors do not hold there, although edgeml verify exited with 0: "
                f"{detail}."
            )

    def _compare(self, digest: str) -> None:
        if digest != self._job.digest:
            raise VerificationError(
                f"{self._device.title} sent results of the package {digest}, expected {self._job.digest}.",
                fix="do not change the package's file meanwhile, and run edgeml bench again.",
            )

    def _failed(self, step: str, code: int, fetched: Fetched) -> EdgemlError:
        """Return the error that ended a step on the device, as an error of this process."""
        log = fetched.logs.get(step, "")
        title = self._device.title
        if fetched.free_bytes < _FULL:
            return self._full(log)
        error = self._error(fetched, _OUTPUTS[step])
        if error is None:
            return TargetError(f"{title}: edgeml {step} exited there with {code}.", log=log)
        kind = error_class(error.kind)
        if code == _UNSOUND:
            kind = VerificationError
        elif kind is None or issubclass(kind, MissingDependencyError):
            kind = TargetError  # the device lacks something, or its edgeml fails
        return kind(f"{title}: {error.message}", fix=error.fix, log=error.log)

    def _error(self, fetched: Fetched, name: str) -> ErrorRecord | None:
        """Return the error that a step printed as JSON, or None if there is none."""
        return decode_error(self._unpacked(fetched, name)) if fetched.files.get(name) else None

    def _skipped(self, fetched: Fetched) -> tuple[str, ...]:
        """Return what was not measured, and why."""
        if not fetched.files.get("skipped.json"):
            return ()
        data = self._unpacked(fetched, "skipped.json")
        return _decode(data, tuple[str, ...], f"skipped measurements from {self._device.title}")

    def _full(self, log: str) -> StorageError:
        return StorageError(f"{self._device.title}: its disk is full.", fix="free some space there.", log=log)

    def _unpacked(self, fetched: Fetched, name: str) -> bytes:
        packed = fetched.files.get(name)
        try:
            unpacker = zlib.decompressobj()
            data = unpacker.decompress(base64.b64decode(packed or "", validate=True), MAX_RESULTS_BYTES)
        except (binascii.Error, ValueError, zlib.error) as error:
            raise TargetError(f"{self._device.title} sent a corrupt {name}: {error}.") from error
        if not unpacker.eof:
            raise TargetError(f"{self._device.title} sent an incomplete {name}.")
        return data

    def _clear(self) -> None:
        """Remove the benchmark, after an error."""
        try:
            with Connection(self._device, cancelled=lambda: False) as connection:
                self._look(connection)  # sets the variables that name its folder
                connection.ask("finish", job=self._name, keep=self._job.keep, returns=Progress)
        except EdgemlError as error:
            why = error.message.rstrip(".")
            self._report(News(f"the benchmark could not be removed there: {why}; {self._lease}", remark=True))

    def _sleep(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self._cancelled():
                raise Cancelled
            time.sleep(min(left, 0.2))


class _Watch:
    """Check of the replies about a running benchmark: they come once a second, and it advances.

    Args:
        title: Name of the device.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._began = self._advanced = time.monotonic()
        self._replies = 0
        self._last: tuple[int, bool] | None = None

    def check(self, progress: Progress) -> None:
        """Take a reply.

        Raises:
            TargetError: The device floods this machine with replies, or the benchmark has not advanced for hours.
        """
        now = time.monotonic()
        self._replies += 1
        if self._replies > _BURST + _REPLIES_PER_S * (now - self._began):
            raise TargetError(f"{self._title} sends more than {_REPLIES_PER_S} replies a second, expected one.")
        state = progress.lines, progress.waiting
        if state != self._last:
            self._last, self._advanced = state, now
        limit_s = _QUEUE_S if progress.waiting else _STEP_S
        if now - self._advanced > limit_s:
            raise TargetError(
                f"{self._title}: the benchmark has not advanced for {limit_s / 3600:.0f} hours.",
                fix="see what keeps the device busy; fewer --seconds make each step shorter.",
            )


def _name(data: bytes, options: list[str], device: Device) -> str:
    """Return the name of the folder there: the same for the same package, edgeml, options and Python."""
    settings = json.dumps([device.title, options, device.python, device.env], sort_keys=True).encode()
    return hashlib.sha256(hashlib.sha256(data).digest() + settings).hexdigest()[:24]


def _decode(data: bytes, kind: type[T], label: str) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TargetError(f"The {label} cannot be read: {error}.") from error
