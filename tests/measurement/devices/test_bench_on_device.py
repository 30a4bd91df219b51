"""Benchmarks on a device: a real SSH server on this machine, that has a home folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

import edgeml
from edgeml.core.errors import EdgemlError, InputError, StorageError, TargetError, VerificationError
from edgeml.core.records.benchmark_results import Results, decode_results, encode_results
from edgeml.measurement.devices import ConnectionLost, Device, Job, News, bench_in_lab, bench_on_device
from edgeml.measurement.devices.connection import Cancelled
from edgeml.pipeline import Step
from tests.support.canned_edgeml import can
from tests.support.hasty_devices import EDGEML, hasten
from tests.support.processes import eventually, repository
from tests.support.ssh_server import SshServer, missing_sshd

pytestmark = pytest.mark.skipif(bool(missing_sshd()), reason=missing_sshd())

PACKAGE = repository() / "tests/data/format1.edgeml"
QUICK = ("--artifact", "onnx-fp32", "--scenario", "single-stream", "--cold-starts", "0", "--seconds", "0.1")
SLOW = (*QUICK[:-1], "1", "--artifact", "tflite-int8")
Server = Callable[..., SshServer]


@pytest.fixture(scope="module", autouse=True)
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Shortens the waits of benchmarks that this process asks for; `edgeml` as a process is as users have it."""
    folder = tmp_path_factory.mktemp("hasty")
    with pytest.MonkeyPatch.context() as patch:
        hasten(patch, folder)
        yield folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    made = SshServer(tmp_path_factory.mktemp("server"))
    yield made
    made.stop()


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Server]:
    """Servers with variables of their own."""
    made: list[SshServer] = []

    def make(**variables: str) -> SshServer:
        made.append(SshServer(tmp_path / f"server{len(made)}", **variables))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="module")
def package() -> edgeml.Package:
    return edgeml.open_package(PACKAGE)


def job(*options: str, keep: bool = False, patience_s: float = 20, lease_s: float = 60) -> Job:
    digest = edgeml.open_package(PACKAGE).digest()
    return Job(PACKAGE, digest, ("tflite", "onnx"), options, keep=keep, patience_s=patience_s, lease_s=lease_s)


def here(server: SshServer) -> Device:
    return server.device(python=sys.executable)


def command(server: SshServer, *options: str | Path, hasty: Path | None = None) -> list[str | Path]:
    """Words of `edgeml bench`, as it is or with the shorter waits of `hasty`."""
    device = here(server)
    ssh = [word for option in device.ssh_options for word in ("--ssh-option", option)]
    there = ["--device", device.host, "--python", device.python]
    start: list[str | Path] = ["-m", "edgeml"] if hasty is None else ["-c", EDGEML, hasty]
    return [sys.executable, *start, "bench", PACKAGE, *there, *ssh, *options]


@pytest.fixture(scope="module")
def results_file(server: SshServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `edgeml bench --device` writes."""
    file = tmp_path_factory.mktemp("results") / "r.json"
    words = command(server, *QUICK, "-o", file)
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=repository())
    assert done.returncode == 0, done.stderr
    assert server.nothing_left()
    return file


@pytest.fixture(scope="module")
def canned(results_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables of devices on which `edgeml` gives again what it gave before, as `can` says."""
    words: list[str | Path] = [sys.executable, "-m", "edgeml", "verify", PACKAGE, "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=repository())
    brought = decode_results(results_file.read_bytes(), "r.json")
    there = msgspec.structs.replace(brought, machine=msgspec.structs.replace(brought.machine, device=""), golden=())
    return can(tmp_path_factory.mktemp("canned"), done.stdout, encode_results(there))


def test_a_benchmark_on_a_device(server: SshServer, package: edgeml.Package, results_file: Path) -> None:
    results = decode_results(results_file.read_bytes(), "r.json")
    assert results.machine.device == server.host
    assert [(m.artifact, m.target, m.scenario) for m in results.measurements] == [("onnx-fp32", "cpu", "single-stream")]
    assert results.measurements[0].latency
    checks = package.verify().golden
    assert [(g.artifact, g.family, g.status, g.detail) for g in results.golden] == [
        (c.recipe, c.family, c.status, c.detail) for c in checks
    ]
    assert {g.status for g in results.golden} == {"holds"}


@pytest.mark.slow
def test_the_top_level_measures_on_a_device(server: SshServer, package: edgeml.Package) -> None:
    steps: list[Step] = []
    results = edgeml.bench(
        package, artifacts="onnx-fp32", scenarios="single-stream", threads=[1], seconds=0.05, cold_starts=0,
        device=here(server), progress=steps.append,
    )  # fmt: skip
    assert results.machine.device == server.host
    (measurement,) = results.measurements
    assert (measurement.artifact, measurement.scenario, measurement.threads) == ("onnx-fp32", "single-stream", 1)
    assert {check.status for check in results.golden} == {"holds"}
    assert {step.total for step in steps} == {1}
    assert repr(results) == f"<Results of {package.name} {package.version} on {server.host}: 1 measurement>"
    assert server.nothing_left()
    with pytest.raises(edgeml.InputError, match="address"):
        edgeml.bench(package, device="no address at all")


@pytest.mark.slow
def test_a_benchmark_survives_a_cut_connection_and_a_device_that_is_started_anew(server: SshServer) -> None:
    seen: list[News] = []
    running: list[int] = []

    def report(news: News) -> None:
        seen.append(news)
        if news.text != "measuring":
            return
        if not running:
            assert eventually(lambda: server.processes() != [])
            running.extend(server.processes())
            assert server.cut() > 0
        elif len(seen_by("connecting again")) == 1 and news.done:
            assert set(running) & set(server.processes())  # it went on meanwhile
            for process in server.processes():
                os.kill(process, signal.SIGKILL)
            server.cut()

    def seen_by(text: str) -> list[int]:
        return [index for index, news in enumerate(seen) if text in news.text]

    results = bench_on_device(here(server), job(*SLOW, "--seconds", "0.6"), report=report)
    assert len(seen_by("sending the package")) == 1
    anew = seen_by("connecting again")
    assert len(anew) == 2
    assert all(news.done >= seen[anew[1] - 1].done > 0 for news in seen[anew[1] :] if news.text == "measuring")
    assert [m.artifact for m in results.measurements] == ["onnx-fp32", "tflite-int8"]
    assert {check.status for check in results.golden} == {"holds"}
    assert server.nothing_left()


@pytest.mark.slow
def test_the_benchmark_of_a_caller_that_died_is_taken_up(server: SshServer, tmp_path: Path) -> None:
    words = command(server, *QUICK, "-o", tmp_path / "r.json")
    first = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=repository())
    assert eventually(lambda: len(server.processes()) > 1, within_s=30)
    started = server.processes()[0]
    first.kill()
    first.wait()
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=repository())
    assert done.returncode == 0, done.stderr
    assert "resuming the benchmark that is there" in done.stderr
    assert len(decode_results((tmp_path / "r.json").read_bytes(), "r.json").measurements) == 1
    assert not eventually(lambda: started in server.processes(), within_s=0)
    assert server.nothing_left()


@pytest.mark.slow
def test_a_benchmark_that_nobody_asks_after_ends_and_removes_itself(server: SshServer, hasty: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pytest import MonkeyPatch\n"
        "from edgeml.measurement.devices import *\n"
        "from tests.support.hasty_devices import hasten; hasty, host, python, package, *ssh = sys.argv[1:]\n"
        "hasten(MonkeyPatch(), Path(hasty))\n"
        "job = Job(Path(package), '', ('onnx',), ('--seconds', '60'), lease_s=0.7)\n"
        "bench_on_device(Device(host, python=python, ssh_options=tuple(ssh)), job)"
    )
    device = here(server)
    words: list[str | Path] = [
        sys.executable,
        "-c",
        code,
        hasty,
        device.host,
        device.python,
        str(PACKAGE),
        *device.ssh_options,
    ]
    caller = subprocess.Popen(words, cwd=repository())
    assert eventually(lambda: len(server.processes()) > 1, within_s=30)
    caller.kill()
    caller.wait()
    assert server.listing() != []
    assert eventually(server.nothing_left, within_s=15)


@pytest.mark.slow
def test_ctrl_c_removes_what_is_there(server: SshServer, hasty: Path) -> None:
    caller = subprocess.Popen(command(server, *SLOW, hasty=hasty), stderr=subprocess.PIPE, text=True, cwd=repository())
    assert eventually(lambda: len(server.processes()) > 1, within_s=30)
    caller.send_signal(signal.SIGINT)
    _, errors = caller.communicate(timeout=30)
    assert caller.returncode == 130
    assert errors.strip() == "Interrupted."
    assert server.nothing_left()


@pytest.mark.slow
def test_ctrl_c_ends_what_is_kept_and_it_can_be_gone_on_with(new_server: Server, tmp_path: Path) -> None:
    kept = new_server()
    (tmp_path / "sitecustomize.py").write_text(  # it must not be done before it is given up: its clock is held
        "import time\n"
        f"from pathlib import Path\nhold, clock = Path({str(tmp_path / 'hold')!r}), time.perf_counter_ns\n"
        "def held():\n"
        "    while Path('journal').exists() and hold.exists():\n"
        "        time.sleep(0.01)\n"
        "    return clock()\n"
        "if hold.exists():\n"
        "    time.perf_counter_ns = held\n"
    )
    (tmp_path / "hold").touch()
    device = kept.device(python=sys.executable, env={"PYTHONPATH": str(tmp_path)})

    def journal() -> bool:
        return any(name.endswith("/journal") for name in kept.listing())

    with pytest.raises(Cancelled):
        bench_on_device(device, job(*QUICK, keep=True), cancelled=journal)
    assert kept.processes() == []
    assert journal()
    (tmp_path / "hold").unlink()
    seen: list[str] = []
    results = bench_on_device(device, job(*QUICK), report=lambda news: seen.append(news.text))
    assert "sending the package" not in seen
    assert [m.artifact for m in results.measurements] == ["onnx-fp32"]
    assert kept.nothing_left()


@pytest.mark.slow
def test_what_is_being_unpacked_when_it_is_given_up_is_removed_too(server: SshServer, tmp_path: Path) -> None:
    """Unpacking goes on until another process there waits for it, which only that does which is to remove it."""
    (tmp_path / "sitecustomize.py").write_text(
        "import time, zipfile\n"
        f"from pathlib import Path\nawaited = Path({str(tmp_path / 'awaited')!r})\n"
        "unpack, sleep = zipfile.ZipFile.extractall, time.sleep\n"
        "def slowly(*words):\n"
        "    unpack(*words)\n"
        "    time.sleep = sleep\n"
        "    deadline = time.monotonic() + 5\n"
        "    while not awaited.exists() and time.monotonic() < deadline:\n"
        "        sleep(0.02)\n"
        "    sleep(0.2)\n"
        "zipfile.ZipFile.extractall = slowly\n"
        "time.sleep = lambda seconds: (awaited.touch(), sleep(seconds))\n"
    )
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    with pytest.raises(Cancelled):
        bench_on_device(
            server.device(python=str(python)), job(*SLOW),
            cancelled=lambda: any(name.endswith(".new") for name in server.listing()),
        )  # fmt: skip
    assert (tmp_path / "awaited").exists()
    assert eventually(server.nothing_left)


@pytest.mark.slow
def test_what_a_login_shell_prints_is_passed_over_and_files_are_kept_when_asked_for(
    new_server: Server, canned: dict[str, str]
) -> None:
    noisy = new_server()
    device = noisy.device(python=sys.executable, env=canned | {"CANNED_SECONDS": "0.4"})  # in which there is mail
    lines = [
        "printf 'Welcome! \\033[2J\\007 \\000\\377'",
        'echo \'edgeml-0123 {"python": "3.11"}\'',
        "head -c 200000 /dev/urandom",
        "(for i in 1 2 3 4 5 6 7 8; do sleep 0.3; printf 'You have mail'; echo mail >&2; done) &",
        "echo 'Last login: today' >&2",
        'printf \'{"state": "done"}\'',
    ]
    (noisy.home / ".bashrc").write_text("\n".join(lines), encoding="utf-8")
    seen: list[News] = []
    results = bench_on_device(device, job(*QUICK, keep=True), report=seen.append)
    assert len(results.measurements) == 1
    (kept,) = [news for news in seen if news.remark]
    assert (Path(kept.text.rpartition(" ")[2]) / "results.json").exists()
    seen.clear()
    bench_on_device(device, job(*QUICK), report=seen.append)  # what was fetched before is no result of this run
    assert any(news.text == "sending the package" for news in seen)
    assert noisy.listing() == ["home/.bashrc"]


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with what a device needs, and no more: no edgeml, click or rich."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    ours = Path(np.__file__).parents[1]
    for pattern in ("numpy*", "msgspec*", "onnxruntime*"):
        for path in ours.glob(pattern):
            (site / path.name).symlink_to(path)
    return folder / "bin/python"


@pytest.mark.slow
def test_a_lab_goes_on_without_the_device_that_fails(server: SshServer, bare_python: Path, tmp_path: Path) -> None:
    lab = tmp_path / "lab.toml"
    lab.write_text(
        f'[one]\nhost = "{server.host}"\npython = "{bare_python}"\nssh_options = {list(server.options)}\n'
        f'options = ["--seed", "7"]\n[gone]\nhost = "no-such-host.invalid"\n'
    )
    options: list[str | Path] = [*QUICK, "--lab", lab, "-o", tmp_path / "out", "--json"]
    words = [sys.executable, "-m", "edgeml", "bench", PACKAGE, *options]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=repository())
    assert done.returncode == 2, done.stderr
    assert "error: gone cannot be reached: " in done.stderr
    (file,) = (tmp_path / "out").iterdir()
    assert file.name == "one.json"
    results = decode_results(file.read_bytes(), file.name)
    assert results.machine.device == "one"
    assert [check.status for check in results.golden] == ["not run", "holds"]  # it has onnxruntime alone
    shown = json.loads(done.stdout)
    assert list(shown) == ["gone", "one"]
    assert shown["one"]["machine"]["device"] == "one"
    assert shown["gone"]["error"]["message"].startswith("gone cannot be reached: ")
    assert shown["gone"]["error"]["exit_code"] == 2
    assert server.nothing_left()


@pytest.mark.slow
def test_results_are_written_as_they_arrive(
    server: SshServer, new_server: Server, tmp_path: Path, hasty: Path, canned: dict[str, str]
) -> None:
    other = new_server()  # on one device they would take turns
    lab = tmp_path / "lab.toml"
    lab.write_text("".join(
        f'[{name}]\nhost = "{at.host}"\npython = "{sys.executable}"\nssh_options = {list(at.options)}\n'
        f'env = {{PYTHONPATH = "{canned["PYTHONPATH"]}", CANNED_SECONDS = "{seconds}"}}\n'
        for name, at, seconds in (("quick", server, 0), ("slow", other, 60))
    ))  # fmt: skip
    options_here: list[str | Path] = [*QUICK, "--lab", lab, "-o", tmp_path / "out"]
    words = [sys.executable, "-c", EDGEML, hasty, "bench", PACKAGE, *options_here]
    caller = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=repository())
    file = tmp_path / "out/quick.json"
    try:
        assert eventually(lambda: server.processes() != [], within_s=30)
        arrived = eventually(file.exists, within_s=30)
    finally:
        caller.send_signal(signal.SIGINT)
        caller.communicate(timeout=60)
    assert arrived
    assert decode_results(file.read_bytes(), file.name).machine.device == "quick"
    assert server.nothing_left()
    assert other.nothing_left()


def test_a_baseline_of_another_device_is_refused_before_anything_is_measured(
    server: SshServer, results_file: Path, tmp_path: Path
) -> None:
    lab = tmp_path / "lab.toml"
    lab.write_text('[gone]\nhost = "no-such-host.invalid"\n')
    options: list[str | Path] = [*QUICK, "--lab", lab, "--baseline", results_file]
    words = [sys.executable, "-m", "edgeml", "bench", PACKAGE, *options]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=repository())
    assert done.returncode == 2
    assert f"its device is '{server.host}', here it is 'gone'" in done.stderr


@pytest.mark.slow
def test_benchmarks_on_one_device_take_turns(server: SshServer, canned: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    env = canned | {"CANNED_SECONDS": "0.4", "CANNED_DO": f"echo begins >> {log}; sleep 0.2; echo ends >> {log}"}
    devices = [Device(server.host, name, sys.executable, env, ssh_options=server.options) for name in ("one", "two")]
    seen: list[str] = []
    found = bench_in_lab(tuple(devices), job(*QUICK), report=lambda _, news: seen.append(news.text))
    assert all(isinstance(results, Results) for results in found.values()), found
    assert "waiting for another benchmark there" in seen
    assert log.read_text().split() == ["begins", "ends"] * 2
    assert server.nothing_left()


def failed(server: SshServer, device: Device, kind: type[Exception], words: str) -> None:
    """Asserts that a benchmark fails with such a message, and that nothing is left."""
    before = server.listing()
    with pytest.raises(kind, match=words):
        bench_on_device(device, job(*QUICK))
    assert server.listing() == before
    assert eventually(lambda: server.processes() == [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "kind", "words", "fix"),
    [
        (("--artifact", "tflite-int4"), InputError, "'tflite-int4'", ""),
        (("--target", "moon"), TargetError, "'moon'", "use one of cpu"),
        (("--threads", "none"), TargetError, "'none' is not a valid integer", "edgeml bench --help"),
    ],
    ids=["artifact", "target", "usage"],
)
def test_an_error_there_is_the_error_here(
    server: SshServer, options: tuple[str, ...], kind: type[EdgemlError], words: str, fix: str
) -> None:
    with pytest.raises(kind) as caught:
        bench_on_device(here(server), job(*options))
    assert type(caught.value) is kind
    assert caught.value.message.startswith(f"{server.host}: ")
    assert words in caught.value.message
    assert fix in caught.value.fix
    assert server.nothing_left()


def test_a_device_that_cannot_be_reached(server: SshServer, new_server: Server) -> None:
    other = new_server()
    other.stop()
    began = time.monotonic()
    failed(server, here(other), ConnectionLost, "cannot be reached: .*Connection refused.*check that it is on")
    assert time.monotonic() - began < 5  # what was never there is not waited for
    failed(server, Device("no-such-host.invalid"), ConnectionLost, "Could not resolve hostname")


def test_a_device_whose_host_key_is_unknown_or_another(server: SshServer, new_server: Server) -> None:
    known = f"UserKnownHostsFile={server.folder / 'home'}/none"
    device = Device(server.host, ssh_options=(known, *here(server).ssh_options))
    failed(server, device, TargetError, "SSH does not know its host key.*run once, and compare the key: ssh ")
    other = new_server()
    text = (other.folder / "known_hosts").read_text(encoding="utf-8").replace(f":{other.port} ", f":{server.port} ")
    (other.folder / "known_hosts").write_text(text, encoding="utf-8")
    device = Device(server.host, ssh_options=(f"UserKnownHostsFile={other.folder}/known_hosts", *server.options))
    failed(server, device, TargetError, "its host key differs from the one that SSH knows")


def test_a_device_that_lets_nobody_in(server: SshServer, new_server: Server) -> None:
    options = (f"IdentityFile={new_server().folder / 'user_key'}", *server.options[1:])
    failed(
        server,
        Device(server.host, ssh_options=options),
        TargetError,
        "does not allow logins without a password.*ssh-copy-id",
    )


def test_a_device_without_python(server: SshServer, new_server: Server) -> None:
    (bare := server.folder / "bin").mkdir()
    (bare / "sh").symlink_to("/bin/sh")
    without = new_server(PATH=str(bare))
    failed(without, without.device(), TargetError, "does not have Python 3.11 or newer: python3 was not found")
    for python in ("/no/python3", "/usr/bin/env", "~/it's $HOME"):
        words = f"does not have Python 3.11 or newer: {re.escape(python)}: .+"
        failed(server, server.device(python=python), TargetError, words)


def test_a_python_that_lacks_modules(server: SshServer, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "empty")], check=True)
    device = server.device(python=f"{tmp_path}/empty/bin/python")
    words = r"lacks numpy \(ModuleNotFoundError: .*msgspec .*an engine for tflite or onnx artifacts.*"
    failed(server, device, TargetError, words + "python -m pip install numpy msgspec ai-edge-litert")


def test_a_device_that_has_no_shell(new_server: Server) -> None:
    silent = new_server(PATH="/nowhere", SHELL="/bin/false")
    failed(silent, silent.device(), TargetError, "does not have a POSIX shell: .*not found")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Makes file systems of so many megabytes."""
    made: list[Path] = []

    def make(megabytes: int) -> Path:
        folder = tmp_path / f"disk{len(made)}"
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("only root can mount a small disk")
        made.append(folder)
        return folder

    yield make
    for folder in made:
        subprocess.run(["umount", folder], check=True)


def test_a_disk_that_is_too_small(new_server: Server, small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(2)
    full = new_server(XDG_CACHE_HOME=str(disk))
    failed(
        full, here(full), StorageError, r"has 2\.\d MB free in .*disk0/edgeml-bench/\w+, expected at least \d\d\.\d MB"
    )
    assert list(disk.iterdir()) == []


@pytest.mark.slow
def test_a_disk_that_fills_up(new_server: Server, small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(64)
    full = new_server(XDG_CACHE_HOME=str(disk))

    def fill(news: News) -> None:
        if news.text == "measuring" and not (disk / "filler").exists():
            with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
                while file.write(bytes(2**20)):
                    pass

    with pytest.raises(StorageError, match=r"its disk is full|No space left"):
        bench_on_device(here(full), job(*SLOW), report=fill)
    assert [path.name for path in disk.iterdir()] == ["filler"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("do", "kind", "words"),
    [
        ('sed -i "s/sha256:[0-9a-f]*/sha256:0/" results.json', VerificationError, "results of the package sha256:0"),
        ('sed -i "s/sha256:[0-9a-f]*/sha256:1/" golden.json', VerificationError, "results of the package sha256:1"),
        ("truncate -s 2000 results.json", InputError, "is not a valid results file: Input data was truncated"),
        ("truncate -s 0 results.json", InputError, "is not a valid results file: Input data was truncated"),
        ("rm results.json", TargetError, "sent an incomplete results.json"),
        ("truncate -s 200 golden.json", TargetError, "golden checks from .* cannot be read: .*truncated"),
    ],
)  # fmt: skip
def test_results_of_another_package_and_truncated_ones(
    server: SshServer, canned: dict[str, str], do: str, kind: type[Exception], words: str
) -> None:
    failed(server, server.device(python=sys.executable, env=canned | {"CANNED_DO": do}), kind, words)


@pytest.mark.slow
@pytest.mark.parametrize("hours", [-100_000, 100_000])
def test_a_clock_that_jumps(server: SshServer, tmp_path: Path, hours: int) -> None:
    """Each process there sees the clock jump soon after its start, and so do the times of the job's files."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, time\n"
        "began, real, touch = time.monotonic(), time.time, os.utime\n"
        f"time.time = lambda: real() + (time.monotonic() > began + 0.7) * {hours * 3600}\n"
        "time.time_ns = lambda: int(time.time() * 1e9)\n"
        "os.utime = lambda path, times=None, **more: touch(path, times or (max(0, time.time()),) * 2, **more)\n"
    )
    seen: list[str] = []

    def report(news: News) -> None:
        if news.text == "measuring" and news.text not in seen:
            server.cut()
        seen.append(news.text)

    device = server.device(python=sys.executable, env={"PYTHONPATH": str(tmp_path)})
    results = bench_on_device(device, job(*SLOW, "--seconds", "0.6", lease_s=5), report=report)
    assert seen.count("sending the package") == 1
    assert [m.artifact for m in results.measurements] == ["onnx-fp32", "tflite-int8"]
    assert all(m.latency and 0 < m.latency[0].ms.value < 1000 for m in results.measurements)
    assert server.nothing_left()


def test_what_other_benchmarks_and_other_programs_left_does_not_stop_one(
    new_server: Server, canned: dict[str, str]
) -> None:
    used = new_server()
    base = used.home / ".cache/edgeml-bench"
    for name, file in (("dead", "contact"), ("cut.7.new", "package.edgeml"), ("foreign", "notes"), ("half", "journal")):
        (base / name).mkdir(parents=True)
        (base / name / file).touch()
    os.utime(base / "dead/contact", (0, 0))
    assert bench_on_device(used.device(python=sys.executable, env=canned), job(*QUICK)).measurements
    assert sorted(path.name for path in base.iterdir()) == ["foreign", "half"]


def test_a_home_folder_that_may_not_be_looked_into(new_server: Server, tmp_path: Path) -> None:
    if os.getuid():
        pytest.skip("only root can become somebody else")
    (tmp_path / "closed").mkdir(mode=0o700)
    code = "import os; from edgeml.measurement.devices.agent import _base; os.setuid(65534); print(_base())"
    variables = {"HOME": str(tmp_path / "closed"), "TMPDIR": "/tmp", "XDG_CACHE_HOME": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=repository(),
        env=os.environ | variables,
    )  # fmt: skip
    assert done.stdout == "/tmp/edgeml-bench-65534\n", done.stderr


_FORGED = """#!{python}
import json, re, sys
if not (found := re.search(r'read\\((\\d+)\\).*serve"\\]\\("(.*?)"', sys.argv[-1])):
    sys.exit(0)
out, mark = sys.stdout.buffer, found[2].encode()
sys.stdin.buffer.read(int(found[1]))

def say(answer):
    out.write(b"\\n" + mark + b" " + answer + b"\\n")
    out.flush()

def endless():
    while True:
        out.write(b"x" * 65536)

greeting = b'{{"python": "3.11.0", "machine": "x86_64"}}'
look = b'{{"lacking": {{}}, "engines": ["onnxruntime"], "free_bytes": 1000000000, "folder": "/", "state": "none"}}'
running, done, end = b'{{"state": "running"}}', b'{{"state": "done"}}', b'{{"state": "none"}}'
{first}
say(greeting)
for line in sys.stdin.buffer:
    request = json.loads(line)
    sys.stdin.buffer.read(request.get("size", 0))
    {then}
    say(dict(look=look, start=running, follow=done, fetch=b"{{}}", finish=end)[request["do"]])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "then", "kind", "words"),
    [
        ("endless()", "", TargetError, "prints endless output"),
        ("say(b'{}'); endless()", "", TargetError, "does not have Python 3.11 or newer"),
        ("greeting = b'{\"x\":' + b'[' * 1000000", "", TargetError, "sent an invalid reply: maximum recursion"),
        ("", "", TargetError, "the benchmark process disappeared 3 times"),
        ("", "if request['do'] == 'start': sys.exit(255)", ConnectionLost, "the connection was cut"),
    ],
    ids=["prints endlessly", "prints endlessly instead of a Python", "nests", "loses it", "is always cut"],
)
def test_a_device_that_answers_rubbish_is_given_up(
    server: SshServer, tmp_path: Path, first: str, then: str, kind: type[Exception], words: str
) -> None:
    python = tmp_path / "python"
    python.write_text(_FORGED.format(python=sys.executable, first=first, then=then or "pass"))
    python.chmod(0o755)
    asked = time.monotonic()

    def cancelled() -> bool:
        return time.monotonic() > asked + 30

    with pytest.raises(kind, match=words):
        bench_on_device(server.device(python=str(python)), job(*QUICK, patience_s=0.8), cancelled=cancelled)
