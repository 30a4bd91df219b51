"""Addresses of devices, and files that name several."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeml.core.errors import InputError
from edgeml.measurement.devices import Device, read_lab


@pytest.mark.parametrize(
    ("host", "arguments"),
    [
        ("pi4", ["--", "pi4"]),
        ("pi@pi4.local", ["--", "pi@pi4.local"]),
        ("pi@10.0.0.7:2222", ["-p", "2222", "--", "pi@10.0.0.7"]),
        ("[fe80::1%eth0]:22", ["-p", "22", "--", "fe80::1%eth0"]),
    ],
)
def test_addresses_as_ssh_takes_them(host: str, arguments: list[str]) -> None:
    assert Device(host).ssh_arguments == arguments


@pytest.mark.parametrize(
    "host",
    ["", "-oProxyCommand=touch x", "pi@-oProxyCommand=x", "a b", "pi@", "pi4:0", "pi4:65536", "pi4:x", "a;b\n", "a/b"],
)
def test_what_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(InputError, match="is not a valid device address"):
        Device(host)


def test_a_lab(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(
        '[pi4]\nhost = "pi@pi4.local"\npython = "~/venv/bin/python"\nenv = { OMP_NUM_THREADS = "4" }\n'
        'ssh_options = ["ProxyJump=gate"]\n[board-2]\nhost = "board"\noptions = ["--threads", "2"]\n'
    )
    assert read_lab(path) == (
        Device("pi@pi4.local", "pi4", "~/venv/bin/python", {"OMP_NUM_THREADS": "4"}, ("ProxyJump=gate",)),
        Device("board", "board-2", options=("--threads", "2")),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "does not list any device"),
        ("[a", "cannot be read as TOML"),
        ('host = "pi4"', "device 'host'"),
        ("[a]", "missing required field `host`"),
        ('[a]\nhost = "pi4"\npyhton = "x"', "unknown field `pyhton`"),
        ('[a]\nhost = "-x"', "is not a valid device address"),
        ('["../a"]\nhost = "pi4"', "is not a valid device name"),
        ('[a]\nhost = "pi4"\nenv = { "A;B" = "1" }', "is not a valid name of an environment variable"),
        ('[a]\nhost = "pi4"\nenv = { A = 1 }', "Expected `str`"),
    ],
)
def test_a_lab_that_is_none(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_lab(path)


def test_a_lab_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="file not found"):
        read_lab(tmp_path / "lab.toml")
