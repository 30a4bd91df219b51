from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgeml
from edgeml.core.errors import PackageError
from edgeml.package.manifest import encode_manifest
from edgeml.package.manifest_file import decode_manifest
from tests.support.forging import contents_of, manifest_text
from tests.support.hints import UPGRADE_HINT


@pytest.fixture(scope="module")
def text(small_package_file: Path) -> bytes:
    return contents_of(small_package_file.read_bytes())["manifest.json"]


def test_comes_back_as_it_was(text: bytes) -> None:
    manifest = decode_manifest(text, "x")
    assert encode_manifest(manifest) == text
    assert (manifest.format, manifest.name, manifest.version) == (1, "iris", "1.2.3")


def test_is_json_that_a_person_can_read(text: bytes) -> None:
    assert manifest_text(json.loads(text)) == text
    assert text.decode("ascii").count("\n") > 100
    assert text.endswith(b"\n}\n")


def test_says_nothing_of_the_machine_but_its_cpu(text: bytes, small_package: edgeml.Package) -> None:
    found = json.loads(text)
    assert set(found["cpu"]) == {"architecture", "features"}
    assert str(Path.home()) not in text.decode()
    assert str(Path.cwd()) not in text.decode()
    assert small_package.manifest.licence == found["licence"] == "Apache-2.0"
    assert "author" not in found


@pytest.mark.parametrize("found", [2, 3, 10**9, 10**18])
def test_a_newer_format_says_so(text: bytes, found: int) -> None:
    for newer in (
        text.replace(b'"format": 1,', b'"format": %d,' % found),
        b'{"format":%d}' % found,
        b'{"else": [1, {"a": null}], "format": %d}' % found,
    ):
        with pytest.raises(PackageError, match=f"^x.edgeml is of the newer format {found};") as caught:
            decode_manifest(newer, "x.edgeml")
        assert caught.value.fix == UPGRADE_HINT


PLACES: list[tuple[str | int, ...]] = [
    (),
    ("source",),
    ("source", "signature", "inputs", 0),
    ("artifacts", 0),
    ("artifacts", 0, "needs"),
    ("artifacts", 0, "evaluation", "fidelity"),
    ("artifacts", 0, "verdict"),
    ("goal",),
    ("golden",),
    ("golden", "runs", 0),
    ("data",),
    ("cpu",),
    ("files", "artifacts/onnx-fp32.onnx"),
]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_an_unknown_field_anywhere_says_that_the_package_is_newer(text: bytes, place: tuple[str | int, ...]) -> None:
    found = part = json.loads(text)
    for step in place:
        part = part[step]
    part["invented"] = 1
    with pytest.raises(PackageError, match=rf"unknown field.*newer edgeml: {UPGRADE_HINT}"):
        decode_manifest(manifest_text(found), "x")


def test_an_unknown_recipe_says_that_the_package_is_newer(text: bytes) -> None:
    newer = text.replace(b'"recipe": "onnx-fp32"', b'"recipe": "onnx-int4"')
    with pytest.raises(PackageError, match=rf"recipe 'onnx-int4' is not known.*newer version: {UPGRADE_HINT}"):
        decode_manifest(newer, "x")


def edited(edit: Callable[[Any], object]) -> Callable[[bytes], bytes]:
    def change(text: bytes) -> bytes:
        found = json.loads(text)
        edit(found)
        return manifest_text(found)

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + b"\n",
        lambda text: b" " + text,
        lambda text: text.rstrip(),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(b'"name": ', b'"name":  '),
        lambda text: text.replace(b'"name": "iris"', b'"name": "\\u0069ris"'),
        lambda text: json.dumps(json.loads(text)).encode(),
        lambda text: json.dumps(json.loads(text), indent=2).encode(),
        lambda text: manifest_text(dict(sorted(json.loads(text).items()))),
        lambda text: manifest_text(dict(reversed(json.loads(text).items()))),
        lambda text: text.replace(b'"name": "iris",', b'"name": "iris",\n "name": "iris",'),
        lambda text: text.replace(b'"name": "iris",', b'"name": "else",\n "name": "iris",'),
        lambda text: text.replace(b'"format": 1,', b'"format": 1,\n "format": 1,'),
        lambda text: text.replace(b'"format": 1,', b'"format": 1.0,'),
        lambda text: text.replace(b'"format": 1,', b'"format": 0,'),
        lambda text: text.replace(b'"format": 1,', b'"format": -1,'),
        lambda text: text.replace(b'"format": 1,', b'"format": "1",'),
        lambda text: text.replace(b'"format": 1,', b'"format": true,'),
        lambda text: text.replace(b'"format": 1,\n', b""),
        lambda text: text.replace(b'"licence": "Apache-2.0"', b'"licence": ""'),  # a default is left out
        lambda text: text.replace(b'"samples": 150', b'"samples": 150.0'),
        lambda text: text.replace(b'"samples": 150', b'"samples": 1.5e2'),
        lambda text: text.replace(b'"samples": 150', b'"samples": 0150'),
        lambda text: text.replace(b'"agreement": 1.0', b'"agreement": 1'),
        lambda text: text.replace(b'"agreement": 1.0', b'"agreement": 1.00'),
        lambda text: text.replace(b'"agreement": 1.0', b'"agreement": 1e0'),
        lambda text: text.replace(b'"agreement": 1.0', b'"agreement": NaN'),
        lambda text: text.replace(b'"agreement": 1.0', b'"agreement": Infinity'),
        lambda text: text.replace(b'"agreement": 1.0', b'"agreement": 1e999'),
        lambda text: text.replace(b'"agreement": 1.0', b'"agreement": "1.0"'),
        lambda text: text.replace(b'"name": "iris"', b'"name": "\xff\xfe"'),
        lambda text: text.replace(b'"name": "iris"', b'"name": "\\ud800"'),
        lambda text: text.replace(b'"name": "iris"', b'"name": "../iris"'),
        lambda text: text.replace(b'"name": "iris"', b'"name": "Iris"'),
        lambda text: text.replace(b'"version": "1.2.3"', b'"version": "1.2"'),
        lambda text: text.replace(b'"name": "iris"', b'"name": "' + b"x" * 65 + b'"'),
        lambda text: text.replace(b"Apache-2.0", b"x" * 10_001),
        lambda text: b"",
        lambda text: b"null\n",
        lambda text: b"[]\n",
        lambda text: b"{}\n",
        lambda text: b"1\n",
        lambda text: text[:-10],
        lambda text: b"[" * 200_000,
        lambda text: b'{"format":' * 100_000,
        lambda text: b'{"else":' + b"[" * 100_000 + b"]" * 100_000 + b',"format":1}',
        lambda text: b'{"else":' + b"[" * 100_000 + b"]" * 100_000 + b',"format":2}',
        lambda text: b"\x80\x04N.",
        lambda text: bytes(1000),
        edited(lambda m: m["artifacts"].append(m["artifacts"][0])),
        edited(lambda m: m["artifacts"].pop()),
        edited(lambda m: m["artifacts"][0].update(file="artifacts/else")),
        edited(lambda m: m["artifacts"][0].update(file="manifest.json")),
        edited(lambda m: m["artifacts"][0].update(file="../../etc/passwd")),
        edited(lambda m: m["artifacts"][0].update(file=m["artifacts"][1]["file"])),
        edited(lambda m: m["artifacts"][0]["needs"].update(opset="x")),
        edited(lambda m: m["artifacts"][0]["verdict"].update(status="perfect")),
        edited(lambda m: m["artifacts"][0]["signature"]["inputs"][0].update(dtype="object")),
        edited(lambda m: m["artifacts"][0]["signature"]["inputs"][0].update(name="else")),
        edited(lambda m: m["files"].pop("artifacts/onnx-fp32.onnx")),
        edited(lambda m: m["files"].update(x={"size_bytes": 1, "sha256": "sha256:" + "0" * 64})),
        edited(lambda m: m["files"]["artifacts/onnx-fp32.onnx"].update(size_bytes=-1)),
        edited(lambda m: m["files"]["artifacts/onnx-fp32.onnx"].update(sha256="sha256:" + "A" * 64)),
        edited(lambda m: m["files"]["artifacts/onnx-fp32.onnx"].update(sha256="md5:00")),
        edited(lambda m: m["golden"]["runs"][0].update(recipe="tflite-int8")),
        edited(lambda m: m["golden"]["runs"][0].update(outputs={})),
        edited(lambda m: m["golden"].update(samples=15)),
        edited(lambda m: m["golden"].update(samples=-16)),
        edited(lambda m: m["golden"].update(inputs={})),
    ],
)
def test_what_is_no_canonical_manifest_is_refused(text: bytes, change: Callable[[bytes], bytes]) -> None:
    changed = change(text)
    assert changed != text
    with pytest.raises(PackageError, match=r"^x\.edgeml"):
        decode_manifest(changed, "x.edgeml")


def test_every_token_counts(text: bytes) -> None:
    """No line may be left out or doubled, but for fields that the next line's absence leaves sound."""
    lines = text.splitlines(keepends=True)
    sound = 0
    for i in range(len(lines)):
        for changed in (b"".join(lines[:i] + lines[i + 1 :]), b"".join([*lines[: i + 1], *lines[i:]])):
            try:
                manifest = decode_manifest(changed, "x")
            except PackageError:
                continue
            sound += 1
            assert encode_manifest(manifest) == changed
    assert sound < len(lines) / 4
