"""Small files that would cost gigabytes: each is refused, or read within 200 MB."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

import edgeml
from edgeml.core.encoding import Binning, check_encoding
from edgeml.core.errors import EdgemlError, InputError, PackageError
from edgeml.core.preprocessing import Audio, Image, check_declaration
from edgeml.core.records.benchmark_results import encode_results, read_results
from edgeml.core.tensors import TensorSpec
from edgeml.measurement import Options, bench
from edgeml.preprocessing.array_files import read_array_file
from edgeml.preprocessing.audio import compute_features
from edgeml.preprocessing.csv_table import read_csv
from edgeml.reporting import make_report
from edgeml.trainers import Csv, Sklearn, Training
from edgeml.trainers.fit_worker import Trainer, TrainerSettings
from edgeml.trainers.idx_files import read_idx
from tests.support.forging import forged
from tests.support.peak_memory import peak_mb
from tests.support.processes import repository

PACKAGE = repository() / "tests/data/format1.edgeml"
MB = 2**20
SPARE_MB = 200.0


@pytest.fixture
def model(tmp_path: Path) -> Path:
    rows = np.random.default_rng(0).normal(size=(60, 2))
    skops.io.dump(LogisticRegression().fit(rows, (rows[:, 0] > 0).astype(int)), tmp_path / "model.skops")
    return tmp_path / "model.skops"


def refused(call: Callable[[], object], words: str, error: type[EdgemlError] = InputError) -> None:
    with peak_mb() as peak:
        with pytest.raises(error, match=words):
            call()
        assert peak() < SPARE_MB


def write_csv(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def zeros_npz(path: Path, megabytes: int, shape: tuple[int, ...]) -> Path:
    """Write an archive whose array of zeros is compressed a thousand times."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (118 - len(header)) + b"\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w", force_zip64=True) as f:
        f.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        for _ in range(megabytes):
            f.write(bytes(MB))
    return path


def test_arrays_that_unpack_to_gigabytes(model: Path, tmp_path: Path) -> None:
    path = zeros_npz(tmp_path / "x.npz", 256, (2**25, 2))
    assert path.stat().st_size < 2 * MB
    refused(lambda: read_array_file(path), "unpacks to 2684")
    refused(lambda: edgeml.build(model, evaluation=path), "evaluation: x.npz .*unpacks to")
    refused(lambda: edgeml.build(model, calibration=path), "calibration: x.npz .*unpacks to")


def test_arrays_that_are_compressed_as_usual_are_read(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 255, (2000, 28, 28), np.uint8) * (np.arange(28) % 5 == 0)
    np.savez_compressed(tmp_path / "x.npz", x=images.astype(np.uint8))
    np.testing.assert_array_equal(read_array_file(tmp_path / "x.npz")["x"], images)


def test_entries_that_share_their_bytes(tmp_path: Path) -> None:
    """A directory may name the same bytes a thousand times."""
    np.savez(tmp_path / "x.npz", x=np.zeros((MB // 4,), np.float32))
    with zipfile.ZipFile(tmp_path / "x.npz", "a") as archive:
        (entry,) = archive.infolist()
        for number in range(1000):
            twin = zipfile.ZipInfo(f"x{number}.npy")
            twin.header_offset, twin.CRC = entry.header_offset, entry.CRC
            twin.compress_size = twin.file_size = entry.file_size
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin
        archive._didModify = True  # type: ignore[attr-defined]
    refused(lambda: read_array_file(tmp_path / "x.npz"), "unpacks to")


def test_gzip_that_unpacks_to_gigabytes(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "labels.gz", "wb") as file:
        file.write(b"\0\0\x08\x01" + (2**28).to_bytes(4, "big"))
        for _ in range(256):
            file.write(bytes(MB))
    refused(lambda: read_idx(tmp_path / "labels.gz", 1), "unpacks to more than")


@pytest.mark.slow
def test_archives_of_models_that_unpack_to_gigabytes(model: Path, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.skops"
    with zipfile.ZipFile(model) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry, old.read(entry))
        new.writestr("more.npy", bytes(80 * MB))
    refused(lambda: edgeml.build(bomb), "declares 838")


@pytest.mark.parametrize("rows", [2000, 20_000])
def test_one_long_text_among_many(rows: int, model: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", "a,b,y", *["1,p,0", "2,q,1"] * (rows // 2), f"1,{'z' * 100_000},1")
    training = Training(data=Csv(path=path, target="y"), model=Sklearn(estimator="LogisticRegression"))
    refused(lambda: Trainer(TrainerSettings(training, tmp_path)), "column 'b': text .* has 100000 characters")
    column = read_csv(path).select(["b"])[0]
    refused(column.texts, "text .* has 100000 characters")
    refused(column.labels, "text .* has 100000 characters")
    path = write_csv(tmp_path / "e.csv", "a,b,y", *["1,2,0", "2,3,1"] * (rows // 2), f"1,2,{'z' * 100_000}")
    refused(lambda: edgeml.build(model, evaluation=(path, "y")), "column 'y': text .* has 100000 characters")


def test_texts_of_about_one_length_are_read(tmp_path: Path) -> None:
    texts = [f"{'long ' * 20}{i}" for i in range(20_000)]
    (column,) = read_csv(write_csv(tmp_path / "t.csv", "a", *texts)).select(["a"])
    assert column.texts().tolist() == texts


@pytest.mark.parametrize("suffix", [".txt", ".json"])
def test_a_label_of_a_million_letters(suffix: str, tmp_path: Path) -> None:
    package, labels = edgeml.open_package(PACKAGE), [*map(str, range(9)), "x" * 10**6]
    (tmp_path / "net.onnx").write_bytes(package.read(package.artifact("onnx-fp32").file))
    file = tmp_path / f"labels{suffix}"
    file.write_text(json.dumps(labels) if suffix == ".json" else "\n".join(labels))
    for given in (labels, file):
        refused(
            lambda given=given: edgeml.build(tmp_path / "net.onnx", labels=given, task="classification"),  # type: ignore[misc]
            "labels: got 1000000 characters at index 9, expected at most 2000",
        )


def forged_package(folder: Path, change: Callable[[Any, dict[str, bytes]], None]) -> Path:
    path = folder / "forged.edgeml"
    path.write_bytes(forged(PACKAGE.read_bytes(), change))
    return path


def test_a_label_of_a_million_letters_in_a_package(tmp_path: Path) -> None:
    def change(manifest: Any, _: dict[str, bytes]) -> None:
        manifest["source"]["decision"]["labels"][3] = "x" * 10**6

    path = forged_package(tmp_path, change)
    refused(lambda: edgeml.open_package(path), "a label has 1000000 characters", PackageError)


def test_a_long_label_that_is_seldom_returned(tmp_path: Path) -> None:
    def change(manifest: Any, _: dict[str, bytes]) -> None:
        manifest["source"]["decision"]["labels"][3] = "x" * 2000

    package = edgeml.open_package(forged_package(tmp_path, change))
    x = package.golden_inputs()["image"]
    with package.session("onnx-fp32") as session:
        labels = session.classify(x)
        others = x[labels != "x" * 2000]
        many = np.concatenate([others] * (40_000 // len(others)))
        refused(lambda: session.classify(many), "The labels of .* samples take .* MB")
        np.testing.assert_array_equal(session.classify(many[: len(others)]), labels[labels != "x" * 2000])


@pytest.mark.parametrize("entry", ["evidence", "training"])
def test_entries_of_packages_that_are_read_whole(entry: str, tmp_path: Path) -> None:
    def change(manifest: Any, contents: dict[str, bytes]) -> None:
        text = b'{"x": [' + b"[]," * (5 * MB) + b"[]]}"
        if entry == "training":
            contents["evidence/training.json"], manifest["training"] = text, "evidence/training.json"
        else:
            contents["evidence/onnx-fp32.json"] = text

    package = edgeml.open_package(forged_package(tmp_path, change))
    refused(lambda: make_report(package, []), r"has \d+ bytes, expected at most 8388608", PackageError)


def test_results_of_millions_of_parts(tmp_path: Path) -> None:
    package = edgeml.open_package(PACKAGE)
    options = Options(seconds=0.02, cold_starts=0)
    results = bench(package, artifacts=["onnx-fp32"], scenarios=["single-stream"], options=options)
    text = json.loads(encode_results(results))
    part = {key: value for key, value in text["measurements"][0].items() if key != "times"}
    path = tmp_path / "r.json"
    path.write_text(json.dumps({**text, "measurements": [part] * (15 * MB // len(json.dumps(part)))}))
    with peak_mb() as peak:
        assert len(read_results(path).measurements) > 10_000
        assert peak() < SPARE_MB
    for body in ('{"format": 1, "x": [' + "[]," * (5 * MB) + "[]]}", "[" * (15 * MB)):
        path.write_text(body)
        refused(lambda: read_results(path), "is not a valid results file")
    with path.open("wb") as file:
        file.truncate(2**31)
    refused(lambda: read_results(path), "expected at most")


@pytest.mark.slow
def test_tables_of_many_short_fields(tmp_path: Path) -> None:
    rows = 15 * MB // 4
    path = write_csv(tmp_path / "t.csv", "a,b", *["1,2"] * rows)
    with peak_mb() as peak:
        columns = read_csv(path).select(["a", "b"])
        assert columns[1].numbers().sum() == 2 * rows
        assert peak() < SPARE_MB
    path = write_csv(tmp_path / "t.csv", ",".join(map(str, range(2 * MB))))
    refused(lambda: read_csv(path), "has 2097152 columns, expected at most 100000")


def audio(**changes: Any) -> Audio:
    fields: dict[str, Any] = {
        "front_end": "mfcc", "sample_rate": 16000, "frame_length": 480, "frame_step": 320, "fft_size": 512,
        "mel_bins": 40, "coefficients": 10, "low_hz": 20.0, "high_hz": 4000.0, "log_offset": 1e-6,
    }  # fmt: skip
    return Audio(**fields | changes)


FREE_IMAGE = TensorSpec("x", (None, None, None, 3), "float32")
FREE_AUDIO = TensorSpec("x", (None, None, 10), "float32")


@pytest.mark.parametrize(
    ("declaration", "spec", "fits"),
    [
        (Image(height=2160, width=3840), FREE_IMAGE, True),
        (Image(height=100_000, width=100_000), FREE_IMAGE, False),
        (Image(height=1_000_000, width=9), FREE_IMAGE, False),
        (audio(), FREE_AUDIO, True),
        (audio(samples=16000), FREE_AUDIO, True),
        (audio(mel_bins=1_000_000), FREE_AUDIO, False),
        (audio(mel_bins=2000), FREE_AUDIO, False),
        (audio(fft_size=1_000_000), FREE_AUDIO, False),
        (audio(samples=1_000_000_000, frame_step=1_000_000), FREE_AUDIO, False),
    ],
)
def test_preprocessing_of_sizes_that_the_model_leaves_free(
    declaration: Image | Audio, spec: TensorSpec, fits: bool
) -> None:
    problem = check_declaration(declaration, spec)
    assert (problem is None) == fits, problem


def test_a_clip_of_a_million_frames() -> None:
    clip = np.random.default_rng(0).normal(size=400_000).astype(np.float32)
    refused(lambda: compute_features(clip, audio(frame_step=1, fft_size=4096)), "expected at most 262144 frames")
    with peak_mb() as peak:
        features = compute_features(clip, audio(frame_step=4))
        assert peak() < SPARE_MB
    every_fifth = compute_features(clip, audio(frame_step=20))
    np.testing.assert_allclose(features[::5], every_fifth[: len(features[::5])], rtol=1e-5)


def test_cuts_that_are_padded_to_the_longest() -> None:
    widest = tuple(float(i) for i in range(255))
    assert check_encoding(Binning((widest,) * 1000), (None, 1000)) is None
    problem = check_encoding(Binning((widest, *[()] * 99_999)), (None, 100_000))
    assert problem is not None
    assert "exceed" in problem


def test_more_samples_than_settle_anything(model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2**20 + 1, 2), np.uint8))
    for name in ("evaluation", "calibration"):
        with pytest.raises(InputError, match=f"{name}: got 1048577 samples, expected at most 1048576"):
            edgeml.build(model, **{name: tmp_path / "x.npy"})  # type: ignore[arg-type]
