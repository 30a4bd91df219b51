"""SHA-256, against the examples of FIPS 180 and the system's own command."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

from edgeml.core.system.digest import digest_of

# NIST's examples for SHA-256: one block, two blocks, none, and a million letters.
VECTORS = [
    (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    ),
    (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (b"a" * 1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
]


@pytest.mark.parametrize(("data", "digest"), VECTORS, ids=["one block", "two blocks", "empty", "a million"])
def test_the_examples_of_the_standard(data: bytes, digest: str) -> None:
    assert digest_of(data) == f"sha256:{digest}"


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="there is no sha256sum")
@pytest.mark.parametrize("size", [1, 55, 56, 63, 64, 65, 100_000])
def test_equals_sha256sum(size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    told = subprocess.run(["sha256sum"], input=data, capture_output=True, check=True).stdout
    assert digest_of(data) == f"sha256:{told.split()[0].decode()}"
