"""A process with all frameworks loaded, which forks the tests' children: they start in 20 ms in place of 4 s.

The process of a child is as real as one that was started anew, and as separate: it may crash, hang or leak. Only its
modules are there already, and those of edgeml are the same as of the parent. The server loads them at the first
request; it ends with the process that started it.

A child of such a child, as of ``edgeml build``, is forked by its own parent, with which it ends.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Mapping
from io import BufferedWriter, TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self

from tests.support import without

__all__ = ["VARIABLE", "ForkServer", "ForkedProcess", "start_server"]

VARIABLE = "EDGEML_TEST_FORK_SERVER"
"""Name of the variable that holds the server's address."""

PRELOADED = (
    "ai_edge_litert.interpreter", "keras", "onnx", "onnxruntime", "onnxruntime.quantization",
    "onnxruntime.quantization.shape_inference", "onnxruntime.transformers.float16", "pandas", "scipy.stats",
    "skl2onnx", "sklearn.ensemble", "sklearn.linear_model", "sklearn.pipeline", "skops.io", "tensorflow", "tf2onnx",
    "edgeml.cli", "edgeml.cli.build", "edgeml.cli.inspect", "edgeml.package.diff", "edgeml.pipeline",
    "edgeml.pipeline.children.prove", "edgeml.core.system.worker",
)  # fmt: skip
HIGH = 200  # descriptors from here on collide with none that a child is to have
MOST_BYTES = 1 << 20


class ForkedProcess:
    """A forked process, with as much of `subprocess.Popen` as the tests and `Worker` use.

    Args:
        pid: Its number.
        reap: Waits for it, or with a time of 0 only looks; gives the exit status as `Popen.returncode`, or None.
        stdin: Its standard input.
        stdout: What it prints.
    """

    def __init__(
        self,
        pid: int,
        reap: Callable[[float | None], int | None],
        *,
        stdin: BufferedWriter | None = None,
        stdout: TextIOWrapper | None = None,
    ) -> None:
        self.pid, self.stdin, self.stdout = pid, stdin, stdout
        self.returncode: int | None = None
        self._reap = reap

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._reap(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self.returncode = self._reap(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("forked", timeout or 0.0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def read(self, timeout: float | None = None) -> str:
        """The rest of what it prints, to its end."""
        assert self.stdout is not None
        with self.stdout:
            text = self.stdout.read()
        self.wait(timeout)
        return text

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in (self.stdin, self.stdout):
            if file is not None:
                with contextlib.suppress(BrokenPipeError):
                    file.close()
        self.wait()


class ForkServer:
    """The client's side. Several threads may use it.

    Args:
        address: Of the server.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def start(
        self,
        job: tuple[str, ...],
        fds: Mapping[int, int],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        apart: Literal["", "group", "session"] = "",
    ) -> tuple[int, Callable[[float | None], int | None]]:
        """Starts a child.

        Args:
            job: As `_work` takes it.
            fds: Descriptor here by the number that it is to have there.
            cwd: Its working folder; None for that of this process.
            env: All its variables; None for those of this process.
            apart: What it is to have of its own: a process group, or a session.

        Returns:
            The child's number, and what waits for it.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as request:
            request.connect(self._address)
            read, write = os.pipe()
            variables = dict(os.environ if env is None else env)
            message = {"job": job, "fds": list(fds), "env": variables, "cwd": str(cwd or Path.cwd()), "apart": apart}
            data = json.dumps(message).encode()
            assert len(data) < MOST_BYTES
            request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MOST_BYTES)
            try:
                socket.send_fds(request, [data], [write, *fds.values()])
            finally:
                os.close(write)
        status = os.fdopen(read, "rb", buffering=0)
        pid = int(status.readline())
        ended = selectors.DefaultSelector()
        ended.register(status, selectors.EVENT_READ)

        def reap(timeout: float | None) -> int | None:
            if not ended.select(timeout):
                return None
            found = int(status.readline())
            ended.close()
            status.close()
            return found

        return pid, reap

    def python(
        self, *arguments: object, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout_s: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Runs ``python ARGUMENTS``: a script, or ``-m MODULE``, or ``-c CODE``, with what follows."""
        return self._run(("python", *map(str, arguments)), cwd, env, timeout_s)

    def edgeml(
        self, *arguments: object, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout_s: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Runs ``edgeml ARGUMENTS``."""
        return self._run(("edgeml", *map(str, arguments)), cwd, env, timeout_s)

    def popen(self, *arguments: object, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> ForkedProcess:
        """Starts ``python ARGUMENTS`` in a session of its own, with its output and errors in one pipe, `stdout`."""
        read, write = os.pipe()
        with Path(os.devnull).open("rb") as nothing:
            fds = {0: nothing.fileno(), 1: write, 2: write}
            pid, reap = self.start(("python", *map(str, arguments)), fds, cwd=cwd, env=env, apart="session")
        os.close(write)
        return ForkedProcess(pid, reap, stdout=os.fdopen(read))

    def _run(
        self, job: tuple[str, ...], cwd: Path | None, env: Mapping[str, str] | None, timeout_s: float
    ) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, Path(os.devnull).open("rb") as nothing:
            pid, reap = self.start(job, {0: nothing.fileno(), 1: out.fileno(), 2: err.fileno()}, cwd=cwd, env=env)
            code = reap(timeout_s)
            if code is None:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(job, timeout_s)
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(job, code, out.read().decode(), err.read().decode())

    def start_child(
        self, factory: str, replies: int, environment: dict[str, str], log: BinaryIO
    ) -> subprocess.Popen[bytes]:
        """As `edgeml.core.system.worker.start_child`."""
        read, write = os.pipe()
        fds = {0: read, 1: log.fileno(), 2: log.fileno(), replies: replies}
        try:
            pid, reap = self.start(("worker", factory, str(replies)), fds, env=os.environ | environment, apart="group")
        finally:
            os.close(read)
        return ForkedProcess(pid, reap, stdin=os.fdopen(write, "wb"))  # type: ignore[return-value]  # what is used


def start_server(folder: Path) -> tuple[str, subprocess.Popen[bytes]]:
    """Starts a server that ends with this process; gives its address."""
    address = str(folder / "forks")
    environment = os.environ | {"PYTHONHASHSEED": "0", "TF_CPP_MIN_LOG_LEVEL": "2"}
    code = f"from tests.support.fork_server import serve; serve({address!r})"
    with (folder / "log").open("wb") as log:  # where frameworks say what nobody asked
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=Path(__file__).parents[2],
            process_group=0,
        )
    deadline = time.monotonic() + 60.0
    while not Path(address).exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the fork server does not start: {(folder / 'log').read_text()}")
        time.sleep(0.005)
    return address, process


def serve(address: str) -> None:
    """The server's loop. It ends when its standard input does."""
    waked, wake = os.pipe()
    for end in (waked, wake):
        os.set_blocking(end, False)
    # Held back rather than ignored: a child gets what came before it was ready.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(f"{address}.new")
    listening.listen(128)
    Path(f"{address}.new").rename(address)
    selector = selectors.DefaultSelector()
    for file in (0, waked, listening):
        selector.register(file, selectors.EVENT_READ)
    children: dict[int, int] = {}
    loaded = False
    while True:
        ready = [key.fileobj for key, _ in selector.select()]
        if 0 in ready:
            break
        if listening in ready:
            if not loaded:
                loaded = True
                for name in PRELOADED:
                    importlib.import_module(name)
                gc.freeze()  # a child's collections would go through all of that, and copy its memory
            connection = listening.accept()[0]
            data, fds, _, _ = socket.recv_fds(connection, MOST_BYTES, 64)
            connection.close()
            if data:
                _fork(json.loads(data), fds, children, (listening.fileno(), waked, wake))
        if waked in ready:
            os.read(waked, 4096)
        _reap(children)
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _fork(message: dict[str, Any], fds: list[int], children: dict[int, int], own: tuple[int, ...]) -> None:
    status, *given = fds
    pid = os.fork()
    if pid:
        if message["apart"] == "group":
            with contextlib.suppress(OSError):
                os.setpgid(pid, pid)
        for fd in given:
            os.close(fd)
        os.write(status, f"{pid}\n".encode())
        children[pid] = status
        return
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for fd in (status, *own, *children.values()):
        os.close(fd)
    _become(message, dict(zip(message["fds"], given, strict=True)))


def _reap(children: dict[int, int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        told = children.pop(pid, None)
        if told is not None:
            with contextlib.suppress(BrokenPipeError):
                os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os.close(told)


def start_child(factory: str, replies: int, environment: dict[str, str], log: BinaryIO) -> subprocess.Popen[bytes]:
    """As `edgeml.core.system.worker.start_child`, by a fork of this process itself.

    A process with threads, as of a framework at work, leaves it to the server: a lock that another thread holds would
    be held in the child for good.
    """
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        return ForkServer(os.environ[VARIABLE]).start_child(factory, replies, environment, log)
    read, write = os.pipe()
    # Held back meanwhile: Python loses an interrupt that comes while its modules look after themselves at a fork.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    pid = os.fork()
    if pid == 0:
        os.close(write)
        # What this process would remove at its end, such as temporary folders, is not the child's to remove.
        weakref.finalize._registry.clear()  # type: ignore[attr-defined]
        job, env = ("worker", factory, str(replies)), os.environ | environment
        _become(
            {"job": job, "env": env, "cwd": str(Path.cwd()), "apart": "group"},
            {0: read, 1: log.fileno(), 2: log.fileno(), replies: replies},
        )
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)
    os.close(read)

    def reap(timeout: float | None) -> int | None:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            found, status = os.waitpid(pid, 0 if deadline is None else os.WNOHANG)
            if found:
                return os.waitstatus_to_exitcode(status)
            if deadline is not None and time.monotonic() >= deadline:
                return None
            time.sleep(0.002)

    return ForkedProcess(pid, reap, stdin=os.fdopen(write, "wb"))  # type: ignore[return-value]  # what is used


def _become(message: Mapping[str, Any], fds: Mapping[int, int]) -> None:
    """What a forked child does, to its end."""
    code = 1
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        if message["apart"] == "group":
            os.setpgid(0, 0)
        elif message["apart"] == "session":
            os.setsid()
        high = {number: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH) for number, fd in fds.items()}
        for fd in set(fds.values()) - set(fds):
            with contextlib.suppress(OSError):
                os.close(fd)
        for number, fd in high.items():
            os.dup2(fd, number)
            os.close(fd)
        os.environ.clear()
        os.environ.update(message["env"])
        os.chdir(message["cwd"])
        added = [entry for entry in message["env"].get("PYTHONPATH", "").split(os.pathsep) if entry]
        sys.path[:] = [*added, *(entry for entry in sys.path if entry and entry not in added)]
        if missing := os.environ.get(without.VARIABLE):
            without.forget(missing.split())
        tempfile.tempdir = None
        sys.stdin = os.fdopen(0, closefd=False)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        _work(*message["job"])
        code = 0
    except KeyboardInterrupt:  # Python ends by the signal too, when it has said so
        traceback.print_exc()
        code = -signal.SIGINT
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  # as Python's own last word
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        if code < 0:
            signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        os._exit(code)


def _work(kind: str, *arguments: str) -> None:
    """Does the job of a child: ``worker FACTORY ANSWERS``, ``edgeml ARGUMENTS`` or ``python ARGUMENTS``."""
    from edgeml.core.system import worker

    if kind == "worker":
        factory, answers = arguments
        worker.serve(factory, int(answers), os.getppid())
        return
    worker.start_child = start_child
    if kind == "edgeml":
        from edgeml.cli import main

        sys.argv = ["edgeml", *arguments]
        main()
    elif arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
    elif arguments[0] == "-m":
        sys.argv = [*arguments[1:]]
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [*arguments]
        sys.path.insert(0, str(Path(arguments[0]).parent))
        runpy.run_path(arguments[0], run_name="__main__")
