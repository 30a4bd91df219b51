"""A child process that holds an object and executes calls of its methods.

Work that may print, leak or crash runs there: conversion, and the first run of an artifact. The child is started at the
first call and again after a crash. Its output goes to a file. The child ends with the thread of the parent that started
it, however that thread ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import math
import os
import select
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeVar

import msgspec
import numpy as np

from edgeml.core import errors
from edgeml.core.errors import ConversionError, EdgemlError, InputError, ResourceError
from edgeml.core.system.imports import EXTRA_OF_MODULE, resolve
from edgeml.core.system.text import as_unicode
from edgeml.core.texts import text_array

__all__ = ["Worker", "WorkerCrash", "WorkerKilled", "WorkerTimeout", "serve", "start_child"]

T = TypeVar("T")

_LENGTH = struct.Struct("<Q")
_STARTED = b"\1"  # before all replies: what ends the child earlier is not due to a call
_STDERR = 2
_ARRAY = 1  # code of the extension type of msgpack that holds the bytes of an array
_PR_SET_PDEATHSIG = 1
_POLL_S = 1.0  # between checks that the child is alive
_MOST_LOG_BYTES = 2**24  # of earlier calls: a child that lives for weeks may print at each call


class WorkerCrash(ConversionError):
    """The child process died; the log holds its output.

    Attributes:
        status: Exit status of the child, negative for a signal; None for a child that did not end by itself.
    """

    status: int | None = None


class WorkerKilled(ResourceError):
    """The child process was killed by another, or by the system because memory ran out."""


class WorkerTimeout(WorkerCrash):
    """The child process did not reply in time and was killed, or exceeded a limit of time of its own."""


class _Result(msgspec.Struct):
    """A reply as the child sends it."""

    value: object


class _Reply(msgspec.Struct):
    """A reply as the parent reads it."""

    value: msgspec.Raw = msgspec.Raw(b"\xc0")  # nil
    error: str = ""
    message: str = ""
    fix: str = ""
    extra: str = ""
    trace: str = ""


def _encode_array(value: object) -> object:
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "O":
            value = text_array(list(map(str, value.flat)), "array").reshape(value.shape)
        array = np.ascontiguousarray(value)
        data = array.reshape(-1).view(np.uint8).data if array.nbytes else b""
        return value.dtype.str, value.shape, msgspec.msgpack.Ext(_ARRAY, data)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return os.fsencode(value)  # names of files need not be UTF-8
    raise TypeError(f"{type(value).__name__} cannot cross to a worker")


def _decode_array(kind: type, value: Any) -> object:
    if kind is np.ndarray:
        dtype, shape, data = value
        return data.view(dtype).reshape(shape) if len(data) else np.empty(shape, dtype)
    if kind is Path:
        return Path(os.fsdecode(value))
    raise TypeError(f"{kind.__name__} cannot cross from a worker")


def _encode(value: object) -> bytes:
    try:
        return msgspec.msgpack.encode(value, enc_hook=_encode_array)
    except UnicodeEncodeError as error:
        raise InputError(f"got the text {error.object!r:.80}, which is not valid Unicode.") from error
    except OverflowError as error:
        raise InputError("got a whole number of more than 64 bits.") from error


def _decode(data: bytes | msgspec.Raw, kind: Any) -> Any:
    return msgspec.msgpack.decode(data, type=kind, dec_hook=_decode_array, ext_hook=_copy_array)


def _copy_array(code: int, data: memoryview) -> np.ndarray:  # noqa: ARG001  # there is one code
    """Return the bytes of an array, the only copy of them."""
    return np.frombuffer(data, np.uint8).copy()


def start_child(factory: str, replies: int, environment: dict[str, str], log: BinaryIO) -> subprocess.Popen[bytes]:
    """Start a Python process that runs `serve`.

    The process has a group of its own: Ctrl-C in a terminal reaches only the parent, which then ends the child.

    Args:
        factory: As for `Worker`.
        replies: Descriptor that the child writes its replies to.
        environment: Variables that the child gets in addition to those of this process.
        log: File for the child's output.

    Returns:
        The process, whose standard input accepts settings and calls.

    Raises:
        OSError: The process cannot be started.
    """
    if not sys.executable:  # a program that embeds Python need not set it
        raise FileNotFoundError(errno.ENOENT, "The Python interpreter is unknown: sys.executable is not set")
    code = f"from edgeml.core.system.worker import serve; serve({factory!r}, {replies}, {os.getpid()})"
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code],  # -P keeps the working directory off the search path
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        env=os.environ | environment,
        pass_fds=(replies,),
        process_group=0,
    )


class Worker:
    """An object in a child process.

    Args:
        factory: ``module:Class`` of the object. Its methods must be annotated: arguments and results are transferred
            as values (numbers, text, bytes, structs, numpy arrays), never as pickles.
        settings: The only argument of the class, a struct.
        folder: Folder for the child's log and temporary files; the child is killed without removing them.

    Example:
        >>> with Worker("edgeml.pipeline.children.convert:Conversion", settings, folder) as worker:
        ...     artifact = worker.call("convert", "tflite-int8", returns=Artifact)
    """

    def __init__(self, factory: str, settings: msgspec.Struct, folder: Path) -> None:
        self._factory = factory
        self._settings = _encode(settings)
        self._folder = folder
        self._log_path = folder / f"{factory.rpartition(':')[2].lower()}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._replies = -1
        self._has_started = False

    def call(self, method: str, *arguments: object, returns: type[T], timeout_s: float | None = None) -> T:
        """Call a method of the object.

        Args:
            method: Name of the method.
            arguments: Arguments of the method.
            returns: Type of the result.
            timeout_s: Time after which the child is killed; None to wait as long as the child lives.

        Raises:
            EdgemlError: The error that the method raised, with `log` set to the output of the call.
            WorkerCrash: The child died or ran out of time. The next call starts another child.
            WorkerKilled: Another process, or the system, killed the child.
            ResourceError: The child cannot be started, or runs out of memory.
        """
        if not self.is_running:
            self._start()
        try:
            begin = self._begin_log()
            self._write(_encode([method, arguments]))
            reply = self._read(timeout_s)
        except BaseException:
            self.close()
            raise
        if reply is None:
            raise self._crash(method, begin, timeout_s)
        if reply.error:
            raise _to_exception(reply, self._log(begin))
        return _decode(reply.value, returns)

    @property
    def is_running(self) -> bool:
        """True if the child lives, so that a call does not start another one."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """Kill the child and its own child processes."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(BrokenPipeError):  # input that the dead child has not read
            process.__exit__(None, None, None)
        os.close(self._replies)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        self.close()
        try:
            read, write = _pipe()
        except OSError as error:
            raise _start_error(error) from error
        environment = {
            "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),  # the child imports the same edgeml
            "PYTHONHASHSEED": "0",  # the same bytes from the same input
            "TMPDIR": str(self._folder),
            "TF_CPP_MIN_LOG_LEVEL": "2",
        }
        try:
            with self._log_path.open("ab") as log:
                self._process = start_child(self._factory, write, environment, log)
        except BaseException as error:
            os.close(read)
            if isinstance(error, OSError):
                raise _start_error(error) from error
            raise
        finally:
            os.close(write)
        self._replies, self._has_started = read, False
        self._write(self._settings)

    def _write(self, data: bytes) -> None:
        assert self._process is not None and self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the child died, and will not reply
            self._process.stdin.write(_LENGTH.pack(len(data)))
            self._process.stdin.write(data)
            self._process.stdin.flush()

    def _read(self, timeout_s: float | None) -> _Reply | None:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        if not self._has_started:
            self._has_started = self._read_bytes(len(_STARTED), deadline) is not None
        header = self._read_bytes(_LENGTH.size, deadline)
        data = header and self._read_bytes(_LENGTH.unpack(header)[0], deadline)
        return msgspec.msgpack.decode(data, type=_Reply) if data else None

    def _read_bytes(self, count: int, deadline: float | None) -> bytearray | None:
        data = bytearray()
        while len(data) < count:
            if not self._readable(deadline):
                return None
            chunk = os.read(self._replies, min(count - len(data), 1 << 20))
            if not chunk:
                return None
            data += chunk
        return data

    def _readable(self, deadline: float | None) -> bool:
        """Wait until data can be read; return False if the child is dead or the time is over."""
        assert self._process is not None
        ready = select.poll()
        ready.register(self._replies, select.POLLIN)
        while True:
            left_s = math.inf if deadline is None else max(0.0, deadline - time.monotonic())
            if ready.poll(1000 * min(left_s, _POLL_S)):
                return True
            # A process that a dead child had started may hold the pipe open.
            if left_s <= _POLL_S or self._process.poll() is not None:
                return False

    def _crash(self, method: str, begin: int, timeout_s: float | None) -> WorkerCrash | ResourceError:
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1.0)
        status = self._process.returncode
        self.close()
        if status == -signal.SIGALRM:  # of `limited_time`
            how = "exceeded its time limit"
        elif status is None:
            how = f"gave no answer within {timeout_s:g} s" if timeout_s is not None else "closed its end"
        elif status < 0:
            how = f"died of {signal.Signals(-status).name}"
        else:
            how = f"ended with status {status}"
        message = f"The child process {how} in '{method}'."
        if status == -signal.SIGKILL:
            return WorkerKilled(
                f"{message} Another process killed it, or the system did because memory ran out.",
                fix="free memory, and try again.",
                log=self._log(begin),
            )
        if status is not None and not self._has_started:
            return ResourceError(
                f"The child process cannot start: it {how}.",
                fix="raise the limits of memory and of file descriptors, and try again; the log has the details.",
                log=self._log(begin),
            )
        timed_out = status == -signal.SIGALRM or (status is None and timeout_s is not None)
        kind = WorkerTimeout if timed_out else WorkerCrash
        crash = kind(message, log=self._log(begin))
        crash.status = status
        return crash

    def _begin_log(self) -> int:
        """Return where the log of the next call begins; a large log is emptied."""
        size = self._log_path.stat().st_size
        if size <= _MOST_LOG_BYTES:
            return size
        os.truncate(self._log_path, 0)  # the child appends
        return 0

    def _log(self, begin: int) -> str:
        with self._log_path.open("rb") as log:
            log.seek(begin)
            return log.read().decode("utf-8", errors="replace")


def _pipe() -> tuple[int, int]:
    """Create a pipe whose descriptors are not those of standard streams, which the child replaces."""
    import fcntl

    ends = os.pipe()
    if min(ends) > _STDERR:
        return ends
    try:
        return tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _STDERR + 1) for end in ends)  # type: ignore[return-value]
    finally:
        for end in ends:
            os.close(end)


def _start_error(error: OSError) -> ResourceError:
    return ResourceError(
        f"A child process cannot be started: {error.strerror or error}.",
        fix="free memory, disk space or file descriptors, and try again.",
    )


def _to_exception(reply: _Reply, log: str) -> Exception:
    """Return the child's error; a foreign exception becomes a ConversionError.

    The log and the traceback are kept for failures of tools; refusals of edgeml itself do not need them.
    """
    if reply.error == "MissingDependencyError":
        return errors.MissingDependencyError(reply.message, reply.extra)
    if reply.error == "MemoryError":
        return ResourceError("The child process ran out of memory.", fix="free memory, or raise its limit.", log=log)
    kind = getattr(errors, reply.error, None)
    if kind is None:
        return ConversionError(f"{reply.error}: {reply.message}", log=log + reply.trace)
    tool_failed = issubclass(kind, ConversionError | errors.TargetError)
    error: EdgemlError = kind(reply.message, fix=reply.fix, log=log + reply.trace if tool_failed else "")
    return error


def serve(factory: str, replies: int, parent: int) -> None:
    """Run the child's main loop: read settings and then calls from standard input, and reply to each call.

    Args:
        factory: As for `Worker`.
        replies: Descriptor to write replies to.
        parent: Process whose death ends this one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with(parent)
    requests = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    with os.fdopen(replies, "wb") as out:
        out.write(_STARTED)
        out.flush()
        settings = _receive(requests)
        instance: Any = None
        while settings is not None and (request := _receive(requests)) is not None:
            try:
                if instance is None:
                    kind = resolve(factory)
                    instance = kind(_decode(settings, next(iter(_annotations(kind.__init__).values()))))
                reply = _encode(_Result(_invoke(instance, request)))
            except Exception as error:  # noqa: BLE001  # sent to the parent, with its traceback
                reply = _encode(_failure_reply(error))
            sys.stdout.flush()
            sys.stderr.flush()
            out.write(_LENGTH.pack(len(reply)))
            out.write(reply)
            out.flush()
            del reply


def _receive(stream: BinaryIO) -> bytes | None:
    header = stream.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        return None
    data = stream.read(_LENGTH.unpack(header)[0])
    return data or None


@functools.cache  # reading them takes as long as a call of a small model
def _annotations(function: Any) -> dict[str, Any]:
    import typing

    return {name: kind for name, kind in typing.get_type_hints(function).items() if name != "return"}


def _invoke(instance: object, request: bytes) -> object:
    method, arguments = msgspec.msgpack.decode(request, type=tuple[str, list[msgspec.Raw]])
    function = getattr(instance, method)
    annotations = _annotations(function).values()
    return function(*(_decode(argument, kind) for argument, kind in zip(arguments, annotations, strict=True)))


def _failure_reply(error: Exception) -> _Reply:
    import traceback

    trace = as_unicode("".join(traceback.format_exception(error)))
    if isinstance(error, errors.MissingDependencyError):
        return _Reply(error="MissingDependencyError", message=as_unicode(error.what), extra=error.extra, trace=trace)
    if isinstance(error, EdgemlError):
        message, fix = as_unicode(error.message), as_unicode(error.fix)
        return _Reply(error=type(error).__name__, message=message, fix=fix, trace=as_unicode(error.log) + trace)
    if isinstance(error, ModuleNotFoundError) and (name := (error.name or "").partition(".")[0]) in EXTRA_OF_MODULE:
        return _Reply(
            error="MissingDependencyError",
            message=f"This step (module '{name}')",
            extra=EXTRA_OF_MODULE[name],
            trace=trace,
        )
    message = as_unicode(str(error).strip()) or "no message"
    return _Reply(error=type(error).__name__, message=message, trace=trace)


def _die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies, even if the parent is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent died before the call
        os._exit(1)
