from __future__ import annotations

import io
import random
import shutil
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest

from edgeml.core.errors import InputError, PackageError
from edgeml.package.archive import MAX_BYTES, Archive, pack

CONTENTS = {
    "golden/b.npy": bytes(range(256)),
    "manifest.json": b"{}\n",
    "artifacts/a-b_c.tflite": b"TFL3" * 100,
    "evidence/empty.json": b"",
    "Z": b"\xff",
}
ORDER = ["manifest.json", "Z", "artifacts/a-b_c.tflite", "evidence/empty.json", "golden/b.npy"]


def read(data: bytes) -> dict[str, bytes]:
    archive = Archive(data)
    return {name: archive.read(name) for name in archive.sizes}


def test_what_was_packed_is_read() -> None:
    data = pack(CONTENTS)
    assert read(data) == CONTENTS
    assert list(Archive(data).sizes) == ORDER
    assert Archive(data).sizes["golden/b.npy"] == 256


def test_only_one_sequence_of_bytes_stands_for_given_entries() -> None:
    data = pack(CONTENTS)
    for seed in range(5):
        names = list(CONTENTS)
        random.Random(seed).shuffle(names)
        assert pack({name: CONTENTS[name] for name in names}) == data
    assert pack(read(data)) == data


def test_the_standard_library_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "x.edgeml"
    path.write_bytes(pack(CONTENTS))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ORDER
        assert {name: archive.read(name) for name in archive.namelist()} == CONTENTS
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert info.external_attr == 0o100644 << 16
            assert (info.extra, info.comment) == (b"", b"")


def test_unzip_reads_it(tmp_path: Path) -> None:
    unzip = shutil.which("unzip")
    if unzip is None:
        pytest.skip("unzip is not installed")
    path = tmp_path / "x.edgeml"
    path.write_bytes(pack(CONTENTS))
    done = subprocess.run([unzip, "-q", path, "-d", tmp_path / "out"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for name, data in CONTENTS.items():
        assert (tmp_path / "out" / name).read_bytes() == data


def test_a_file_is_read_as_memory_is(tmp_path: Path) -> None:
    path = tmp_path / "x.edgeml"
    path.write_bytes(pack(CONTENTS))
    archive = Archive(path)
    assert archive.label == "x.edgeml"
    assert {name: archive.read(name) for name in archive.sizes} == CONTENTS


def test_an_entry_that_is_not_there() -> None:
    with pytest.raises(PackageError, match="entry 'artifacts/x' is missing"):
        Archive(pack(CONTENTS)).read("artifacts/x")


def test_more_than_it_can_hold_is_refused() -> None:
    with pytest.raises(InputError, match="at most"):
        pack({"manifest.json": b"", **{f"f{i}": b"" for i in range(4096)}})

    class Huge(bytes):
        def __len__(self) -> int:
            return MAX_BYTES + 1

    with pytest.raises(InputError, match="leave out some recipes"):
        pack({"manifest.json": Huge()})


def test_as_many_as_it_can_hold() -> None:
    contents = {"manifest.json": b"", **{f"f{i}": b"" for i in range(4095)}}
    assert read(pack(contents)) == contents


# What is below writes ZIP files by hand or by the standard library, field by field after APPNOTE.TXT.


def central(name: bytes, size: int = 0, offset: int = 0, *, stored: int | None = None, **fields: int) -> bytes:
    f = {"version": 20, "flags": 0, "method": 0, "time": 0, "date": 0x21, "attributes": 0o100644 << 16} | fields
    return (
        struct.pack(
            "<4s6H3I5H2I", b"PK\1\2", 3 << 8 | 20, f["version"], f["flags"], f["method"], f["time"], f["date"],
            0, size if stored is None else stored, size, len(name), 0, 0, 0, 0, f["attributes"], offset,
        )
        + name
    )  # fmt: skip


def end(count: int, length: int, begin: int, comment: bytes = b"") -> bytes:
    return struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, length, begin, len(comment)) + comment


def local(name: bytes, size: int = 0) -> bytes:
    return struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 0x21, 0, size, size, len(name), 0) + name


def archive_of(names: list[bytes], **fields: int) -> bytes:
    """Empty entries of these names."""
    body, directory = b"", b""
    for name in names:
        directory += central(name, offset=len(body), **fields)
        body += local(name)
    return body + directory + end(len(names), len(directory), len(body))


def test_the_hand_written_form_is_the_canonical_one() -> None:
    names = [b"manifest.json", b"a", b"b/c"]
    assert archive_of(names) == pack({name.decode(): b"" for name in names})


@pytest.mark.parametrize(
    "name",
    [
        b"../x", b"/etc/passwd", b"a/../b", b"a/./b", b"./a", b"a//b", b"a/", b"..", b".hidden", b"a/.b", b"-x",
        b"a\\b", b"C:x", b"a\0b", b"\xc3\xa4", b"a b", b"a\n", b"", b"x" * 256,
    ],
)  # fmt: skip
def test_forbidden_names(name: bytes) -> None:
    data = archive_of(sorted([b"manifest.json", name], key=lambda n: (n != b"manifest.json", n)))
    with pytest.raises(PackageError):
        Archive(data)


@pytest.mark.parametrize(
    "names",
    [
        [b"manifest.json", b"b", b"a"],
        [b"a", b"manifest.json"],
        [b"manifest.json", b"a", b"a"],
        [b"manifest.json", b"manifest.json"],
        [b"a", b"b"],
        [b"Manifest.json"],
    ],
)
def test_order_and_duplicates(names: list[bytes]) -> None:
    with pytest.raises(PackageError, match="not in order"):
        Archive(archive_of(names))


@pytest.mark.parametrize(
    "fields",
    [
        {"version": 45},
        {"flags": 1},  # encrypted
        {"flags": 8},  # sizes behind the data
        {"flags": 0x800},
        {"method": 8},
        {"time": 1},
        {"date": 0x5821},
        {"attributes": 0o120777 << 16},  # a symbolic link
    ],
    ids=str,
)
def test_other_metadata(fields: dict[str, int]) -> None:
    with pytest.raises(PackageError, match="not in canonical form"):
        Archive(archive_of([b"manifest.json"], **fields))


@pytest.mark.parametrize("size", [1, 3, 2**20, 2**31, 2**32 - 1])
@pytest.mark.parametrize("entries", [1, 2, 50])
def test_sizes_that_the_file_does_not_hold(size: int, entries: int) -> None:
    names = [b"manifest.json", *(b"f%02d" % i for i in range(entries - 1))]
    directory = b"".join(central(name, size) for name in names)
    body = b"".join(local(name, size) for name in names)
    for begin in (0, len(body)):
        with pytest.raises(PackageError):
            Archive(body[:begin] + directory + end(entries, len(directory), begin))


@pytest.mark.parametrize("count", [0, 2, 4096, 4097, 65535])
def test_counts_that_the_directory_does_not_hold(count: int) -> None:
    body, directory = local(b"manifest.json"), central(b"manifest.json")
    with pytest.raises(PackageError):
        Archive(body + directory + end(count, len(directory), len(body)))


@pytest.mark.parametrize(("length", "begin"), [(0, 0), (2**32 - 1, 2**32 - 1), (2**32 - 1, 0), (59, 44), (0, 102)])
def test_a_directory_elsewhere(length: int, begin: int) -> None:
    body, directory = local(b"manifest.json"), central(b"manifest.json")
    assert (len(directory), len(body)) == (59, 43)
    with pytest.raises(PackageError):
        Archive(body + directory + end(1, length, begin))


def test_a_gap_between_entries() -> None:
    body, directory = local(b"manifest.json") + b"gap", central(b"manifest.json")
    with pytest.raises(PackageError, match="canonical"):
        Archive(body + directory + end(1, len(directory), len(body)))


def test_an_entry_that_begins_elsewhere() -> None:
    body, directory = local(b"manifest.json"), central(b"manifest.json", offset=1)
    with pytest.raises(PackageError, match="canonical"):
        Archive(body + directory + end(1, len(directory), len(body)))


def test_a_large_sparse_file_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "sparse.edgeml"
    length = 2**31
    with path.open("wb") as file:
        file.truncate(length)
        file.seek(length)
        file.write(end(4096, length, 0))
    with pytest.raises(PackageError, match="its directory does not fit the file"):
        Archive(path)


def zip_of(contents: dict[str, bytes], **options: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:  # type: ignore[call-overload]
        for name in sorted(contents, key=lambda name: (name != "manifest.json", name)):
            info = zipfile.ZipInfo(name)
            info.compress_type = options.get("compression", zipfile.ZIP_STORED)
            archive.writestr(info, contents[name])
    return buffer.getvalue()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_other_tools_pack_is_refused(compression: int) -> None:
    with pytest.raises(PackageError, match="is not a valid package"):
        Archive(zip_of(CONTENTS, compression=compression))


def test_a_comment() -> None:
    data = pack(CONTENTS)[:-2] + struct.pack("<H", 5) + b"hello"
    assert zipfile.ZipFile(io.BytesIO(data)).comment == b"hello"
    with pytest.raises(PackageError):
        Archive(data)


def test_zip64() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("manifest.json", "w", force_zip64=True) as entry:
        entry.write(b"{}\n")
    with pytest.raises(PackageError):
        Archive(buffer.getvalue())
    body, directory = local(b"manifest.json"), central(b"manifest.json")
    begin = len(body) + len(directory)
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(directory), len(body))
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, begin, 1)
    data = body + directory + end64 + locator + end(65535, 2**32 - 1, 2**32 - 1)
    assert zipfile.ZipFile(io.BytesIO(data)).namelist() == ["manifest.json"]
    with pytest.raises(PackageError):
        Archive(data)


def test_a_checksum_of_other_content() -> None:
    data = bytearray(pack({"manifest.json": b"{}\n", "x": b"abc"}))
    position = data.index(b"abc")
    data[position : position + 3] = b"abd"
    archive = Archive(bytes(data))
    assert archive.read("manifest.json") == b"{}\n"
    with pytest.raises(PackageError, match="checksum of 'x'"):
        archive.read("x")
    old, new = (struct.pack("<I", zlib.crc32(text)) for text in (b"abc", b"abd"))
    with pytest.raises(PackageError, match="header of 'x'"):  # the directory's checksum alone is mended
        Archive(bytes(data[: data.rindex(old)] + new + data[data.rindex(old) + 4 :])).read("x")
