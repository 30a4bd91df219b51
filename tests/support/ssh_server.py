"""A real SSH server on the loopback address, with keys, a home folder and a configuration of its own."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from edgeml.measurement.devices import Device
from tests.support.processes import eventually

__all__ = ["SSHD", "SshServer", "missing_sshd"]

SSHD = "/usr/sbin/sshd"


def missing_sshd() -> str:
    """Why there can be no server here; empty where there can be one."""
    for tool in (SSHD, "ssh", "ssh-keygen"):
        if shutil.which(tool) is None:
            return f"{tool} is missing; on Debian and Ubuntu: apt-get install openssh-server openssh-client"
    return ""


class SshServer:
    """A server, and the device that it makes of this machine.

    Args:
        folder: Where all of it lies. `home` in it is what the server's sessions take for their home folder, and
            `tmp` for that of temporary files.
        variables: More of the environment of its sessions.
    """

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder, self.home = folder, folder / "home"
        self.home.mkdir(parents=True)
        (folder / "tmp").mkdir()
        for name in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        host_key = (folder / "host_key.pub").read_text(encoding="utf-8")
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {host_key}", encoding="utf-8")
        environment = {"HOME": self.home, "TMPDIR": folder / "tmp", "XDG_CACHE_HOME": "", **variables}
        lines = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {folder / 'host_key'}",
            f"AuthorizedKeysFile {folder / 'authorized_keys'}",
            "PidFile none",
            "UsePAM no",
            "StrictModes no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "KexAlgorithms curve25519-sha256",  # the newest take thrice the time
            "SetEnv " + " ".join(f'"{name}={value}"' for name, value in environment.items()),
        ]
        (folder / "sshd_config").write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.start()

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        with contextlib.suppress(PermissionError):
            Path("/run/sshd").mkdir(exist_ok=True)  # as the service does
        with (self.folder / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", self.folder / "sshd_config"], stdin=subprocess.DEVNULL, stderr=log
            )
        assert eventually(self._answers), (self.folder / "sshd.log").read_text()

    def stop(self) -> None:
        """Ends it and its sessions."""
        self.cut()
        self._process.terminate()
        self._process.wait()

    def cut(self) -> int:
        """Kills the sessions that are open, and says how many there were; what runs in them is left alone."""
        found = 0
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError, ProcessLookupError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self._process.pid:
                    os.kill(int(folder.name), signal.SIGKILL)
                    found += 1
        return found

    def device(self, **fields: object) -> Device:
        """The device that it makes of this machine."""
        return Device(host=self.host, ssh_options=self.options, **fields)  # type: ignore[arg-type]

    @property
    def host(self) -> str:
        """Its address."""
        return f"{getpass.getuser()}@127.0.0.1:{self.port}"

    @property
    def options(self) -> tuple[str, ...]:
        """What SSH needs to know of it."""
        return (
            f"IdentityFile={self.folder / 'user_key'}",
            "IdentitiesOnly=yes",
            f"UserKnownHostsFile={self.folder / 'known_hosts'}",
            "GlobalKnownHostsFile=/dev/null",
        )

    def listing(self) -> list[str]:
        """All that lies in its home and temporary folders."""
        found = []
        for name in ("home", "tmp"):
            for folder, folders, files in os.walk(self.folder / name):
                found += [str((Path(folder) / entry).relative_to(self.folder)) for entry in folders + files]
        return sorted(found)

    def processes(self) -> list[int]:
        """Those of benchmarks: they inherit the variable that names theirs, and the home folder."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                variables = (folder / "environ").read_bytes().split(b"\0")
                ours = f"HOME={self.home}".encode() in variables
                if ours and any(variable.startswith(b"EDGEML_DEVICE_JOB=") for variable in variables):
                    found.append(int(folder.name))
        return sorted(found)

    def nothing_left(self) -> bool:
        """Whether no file and no process of a benchmark is there."""
        return self.listing() == [] and self.processes() == []

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False
