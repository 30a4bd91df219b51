"""A device that lies: the caller ends with a named error, in bounded memory."""

from __future__ import annotations

import json
import os
import sys

import pytest

import edgeml
from edgeml.core.errors import EdgemlError, TargetError, VerificationError
from edgeml.core.records.benchmark_results import encode_results
from edgeml.measurement import Options, bench
from edgeml.measurement.devices import Device, Job, bench_on_device
from tests.support.peak_memory import peak_mb
from tests.support.processes import repository

PACKAGE = repository() / "tests/data/format1.edgeml"

# What `ssh` is here: a peer that speaks the agent's language, and lies as its environment says.
PEER = """
import base64, json, os, re, sys, time, zlib
lie, out = os.environ["PEER_LIE"], sys.stdout.buffer
remote = sys.argv[-1]
mark = re.search("edgeml-[0-9a-f]{32}", remote).group(0).encode()

def reply(**fields):
    out.write(b"\\n" + mark + b" " + json.dumps(fields).encode() + b"\\n")
    out.flush()

def packed(data):
    return base64.b64encode(zlib.compress(data)).decode()

def zeros(megabytes):
    packer = zlib.compressobj()
    return base64.b64encode(b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()).decode()

sys.stdin.buffer.read(int(re.search(r"read\\((\\d+)\\)", remote).group(1)))
if lie == "long line":
    out.write(b"\\n" + mark + b' {"python": "')
    for _ in range(300):
        out.write(bytes([97]) * 2**20)
reply(python="3.12.1", machine="aarch64", system="Linux")
results, verified = (open(os.environ[name], "rb").read() for name in ("PEER_RESULTS", "PEER_VERIFIED"))
codes, golden = {"verify": 0, "bench": 0}, json.loads(verified)
if lie == "failing vectors":
    golden["golden"][0]["status"] = "fails"
if lie == "no vectors":
    golden["golden"] = []
if lie == "unknown steps":
    codes["../x"] = 0
for line in sys.stdin.buffer:
    request = json.loads(line)
    if request["do"] == "look":
        reply(lacking={}, engines=["onnxruntime"], free_bytes=2**40, folder="/x", state="none")
    elif request["do"] == "start":
        sys.stdin.buffer.read(request["size"])
        reply(state="running")
    elif request["do"] == "follow":
        lines = 0
        while lie in ("flood", "standstill", "queue"):
            lines += lie == "flood"
            reply(state="running", lines=lines, waiting=lie == "queue")
            time.sleep(0.02 if lie == "flood" else 0.4)
        reply(state="done")
    elif request["do"] == "fetch":
        files = {"results.json": packed(results), "golden.json": packed(json.dumps(golden).encode())}
        if lie == "bomb":
            files = {name: zeros(400) for name in files}
        reply(codes=codes, files=files, free_bytes=2**40)
    elif request["do"] == "finish":
        reply(state="none")
"""


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables with which the peer tells the truth."""
    folder = tmp_path_factory.mktemp("peer")
    (folder / "ssh").write_text(f"#!{sys.executable}\n{PEER}")
    (folder / "ssh").chmod(0o755)
    package = edgeml.open_package(PACKAGE)
    results = bench(
        package, artifacts=["onnx-fp32"], scenarios=["single-stream"], options=Options(seconds=0.02, cold_starts=0)
    )
    (folder / "results.json").write_bytes(encode_results(results))
    golden = [
        {"recipe": check.recipe, "family": check.family, "status": check.status, "detail": check.detail}
        for check in package.verify().golden
    ]
    (folder / "verified.json").write_text(json.dumps({"digest": package.digest(), "golden": golden}))
    return {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PEER_RESULTS": str(folder / "results.json"),
        "PEER_VERIFIED": str(folder / "verified.json"),
    }


def ask(lie: str, peer: dict[str, str], patch: pytest.MonkeyPatch) -> edgeml.Results:
    for name, value in {**peer, "PEER_LIE": lie}.items():
        patch.setenv(name, value)
    job = Job(PACKAGE, edgeml.open_package(PACKAGE).digest(), ("onnx",))
    return bench_on_device(Device("pi"), job)


def test_an_honest_device_is_believed(peer: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    results = ask("", peer, monkeypatch)
    assert results.machine.device == "pi"
    assert {check.status for check in results.golden} <= {"holds", "not run"}


@pytest.mark.parametrize(
    ("lie", "error", "message"),
    [
        ("failing vectors", VerificationError, "the golden vectors do not hold there"),
        ("no vectors", VerificationError, "the golden vectors do not hold there.*none of them ran"),
        ("unknown steps", TargetError, "exit codes of unknown steps"),
        ("flood", TargetError, "more than 3 replies a second"),
        ("long line", TargetError, "endless output"),
        ("bomb", TargetError, "incomplete results.json"),
    ],
)
def test_lies_are_errors(
    lie: str, error: type[EdgemlError], message: str, peer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with peak_mb() as peak, pytest.raises(error, match=message):
        ask(lie, peer, monkeypatch)
    assert peak() < 200


@pytest.mark.parametrize("lie", ["standstill", "queue"])
def test_a_benchmark_that_never_advances_is_given_up(
    lie: str, peer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgeml.measurement.devices import job

    monkeypatch.setattr(job, "_STEP_S", 0.5 if lie == "standstill" else 1e9)
    monkeypatch.setattr(job, "_QUEUE_S", 0.5 if lie == "queue" else 1e9)
    with pytest.raises(TargetError, match="has not advanced"):
        ask(lie, peer, monkeypatch)
