"""The reader of .npz files, held to NumPy's own, and to files that are wrong in every way we know."""

import io
import pickle
import re
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from purecnn.errors import FileFormatError
from purecnn.formats import read_arrays, read_npz

X, Y = np.random.default_rng(0).integers(0, 256, (6, 4, 5), dtype=np.uint8), np.arange(6)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["u1", "<i8", ">i4", "<f4", ">f8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_numpy_saves_is_read(save: Any, dtype: str, order: str, tmp_path: Path) -> None:
    x = np.asarray(X, dtype, order)
    save(tmp_path / "a.npz", x=x, y=Y, x_test=x[:2], y_test=Y[:2], extra=np.array("words"))
    (found, labels), test = read_npz(tmp_path / "a.npz")
    assert test is not None
    for one, other in ((found, x), (labels, Y), (test[0], x[:2]), (test[1], Y[:2])):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
        assert one.flags.writeable
    save(tmp_path / "b.npz", x=x, y=Y)
    assert read_npz(tmp_path / "b.npz")[1] is None


def npy(header: str, data: bytes, version: tuple[int, int] = (1, 0)) -> bytes:
    words = header.encode("latin1")
    return (
        b"\x93NUMPY"
        + bytes(version)
        + len(words).to_bytes(2 if version == (1, 0) else 4, "little")
        + words
        + data
    )


def write(path: Path, method: int = zipfile.ZIP_STORED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as held:
        for name, data in members.items():
            held.writestr(f"{name}.npy", data)
    return path


def saved(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_a_header_of_the_second_version(tmp_path: Path) -> None:
    data = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }\n", b"\7\t", (2, 0))
    (x, y), _ = read_npz(write(tmp_path / "a.npz", x=data, y=saved([0, 1])))
    assert x.tolist() == [7, 9]
    assert y.tolist() == [0, 1]


HEADER = "{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}\n"


class Evil:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("it ran what the file says",))


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"x": saved(X)}, "holds x; x and y, and x_test and y_test if there is a test set are wanted"),
        ({"x": saved(X), "y": saved(Y), "x_test": saved(X)}, "holds x, y, x_test; x and y, and"),
        ({}, "holds no array; x and y"),
        (
            {"x": saved(X), "y": saved(Y[:5])},
            r"x and y have shapes \(6, 4, 5\) and \(5,\); one answer for each",
        ),
        ({"x": saved(X), "y": saved(3)}, r"x and y have shapes \(6, 4, 5\) and \(\); one"),
        (
            {"x": saved(X), "y": saved(Y), "x_test": saved(X), "y_test": saved(Y[:1])},
            r"x_test and y_test have shapes \(6, 4, 5\) and \(1,\)",
        ),
        (
            {"x": saved(X), "y": saved(np.array(list("abcdef")))},
            "y is of dtype <U1; an array of real numbers",
        ),
        ({"x": saved(X), "y": npy(HEADER.format("|O", "(1,)"), pickle.dumps([Evil()]))}, "y is of dtype obj"),
        (
            {"x": npy(HEADER.format("|u1", "(2,)"), b"12345"), "y": saved(Y)},
            r"x claims 2 bytes of data for shap",
        ),
        (
            {"x": npy(HEADER.format("<f8", f"({2**40},)"), b"12345"), "y": saved(Y)},
            r"x claims 8796093022208 bytes of data for shape \(1099511627776,\), and its part of",
        ),
        (
            {"x": npy(HEADER.format("|u1", "(-1, -5)"), b"12345"), "y": saved(Y)},
            "is no .npz file, or a damaged",
        ),
        ({"x": npy("{'descr': __import__('os')}", b""), "y": saved(Y)}, "is no .npz file, or a damaged one"),
        ({"x": b"\x93NUMPY\1\0", "y": saved(Y)}, "is no .npz file, or a damaged one"),
        ({"x": npy("(" * 50, b""), "y": saved(Y)}, "is no .npz file, or a damaged one"),
        (
            {"x": npy("{'descr': (), 'fortran_order': False, 'shape': (2,), }\n", b"12"), "y": saved(Y)},
            "damaged one",
        ),
        ({"x": b"plain words", "y": saved(Y)}, "is no .npz file, or a damaged one"),
    ],
)
def test_refusals(members: dict[str, bytes], words: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", **members)
    with pytest.raises(FileFormatError, match=words) as caught:
        read_npz(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damage_is_found_by_the_checksum(method: int, tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", method, x=saved(X), y=saved(Y))
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 16] ^= 255  # of the checksum in the archive's directory
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=r"is no \.npz file, or a damaged one .*CRC"):
        read_npz(path)


@pytest.mark.parametrize("data", [b"", b"PK", b"\0no archive" * 99])
def test_foreign_files(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(FileFormatError, match=r"is no \.npz file, or a damaged one"):
        read_npz(tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError, match=r"there is no such file; an \.npz file with x and y, and"):
        read_npz(tmp_path / "absent.npz")


def test_a_directory_that_claims_more_than_deflate_can_give_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    x = npy(HEADER.format("|u1", f"({2**31 - 200},)"), b"")
    write(path, zipfile.ZIP_DEFLATED, x=x, y=saved(Y))
    data = bytearray(path.read_bytes())
    # the sizes in the archive's directory, which is what is believed
    place = data.index(b"PK\1\2") + 24
    data[place : place + 4] = (2**31 - 200 + len(x)).to_bytes(4, "little")
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(FileFormatError, match="packed into"):
        read_npz(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_a_stream_shorter_than_its_directory_says(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    x = npy(HEADER.format("|u1", "(500,)"), bytes(400))
    write(path, zipfile.ZIP_DEFLATED, x=x, y=saved(Y))
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\1\2") + 24
    data[place : place + 4] = (len(x) + 100).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=r"x ends after 400 of 500 bytes|damaged"):
        read_npz(path)


def in_directory(data: bytes, place: int, value: bytes) -> bytes:
    """Change the last entry of a zip archive's directory."""
    at = data.rindex(b"PK\1\2") + place
    return data[:at] + value + data[at + len(value) :]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (8, b"\1"),  # a password is wanted
        (42, b"\xff\xff\xff\xf0"),  # it begins behind the end
        (10, b"\x5d"),  # packed in a way that nobody knows
    ],
)
def test_a_directory_that_lies_is_one_sentence(place: int, value: bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", x=saved(X), y=saved(Y))
    path.write_bytes(in_directory(path.read_bytes(), place, value))
    with pytest.raises(FileFormatError) as caught:
        read_npz(path)
    assert str(caught.value).startswith(f"{path}: is no .npz file, or a damaged one (")


def test_a_packed_size_beyond_the_file_justifies_no_memory(tmp_path: Path) -> None:
    """An array of 2 GB whose directory says that it is packed into 2 GB, of a file of a few hundred bytes."""
    size = 2_000_000_000
    header = npy(HEADER.format("|u1", f"({size},)"), b"")
    path = write(tmp_path / "a.npz", y=saved(Y), x=header + bytes(1000))
    stated = (size + len(header)).to_bytes(4, "little")
    path.write_bytes(in_directory(path.read_bytes(), 20, stated + stated))
    tracemalloc.start()
    with pytest.raises(FileFormatError, match=r"x claims 2000000000 bytes|damaged one"):
        read_npz(path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_many_names_make_no_long_sentence(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", **{f"array{n}": b"" for n in range(1000)})
    with pytest.raises(FileFormatError, match="holds array0, array1, ") as caught:
        read_npz(path)
    assert len(str(caught.value)) < 500


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.npz").mkdir()
    with pytest.raises(FileFormatError, match="not a regular file but a folder"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_packs_zeros_without_end_is_refused(method: int, tmp_path: Path) -> None:
    data = saved(np.zeros(50_000_000, np.uint8))
    path = write(tmp_path / "a.npz", method, x=data, y=saved(Y))
    tracemalloc.start()
    with pytest.raises(FileFormatError, match=r"'x\.npy' is packed by way 1[24], wanted 8, deflate"):
        read_npz(path)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_all_arrays_are_read_by_name(save: Any, tmp_path: Path) -> None:
    arrays = {"a": X, "b/c": np.asfortranarray(np.ones((2, 3))), "d": np.array(2.5), "e": np.zeros((0, 4))}
    save(tmp_path / "a.npz", **arrays)
    found = read_arrays(tmp_path / "a.npz")
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())
    np.save(tmp_path / "a.npy", X)
    assert np.array_equal(read_arrays(tmp_path / "a.npy")[""], X)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (saved(np.array([None])), "is of dtype object; an array of real numbers is wanted"),
        (saved(X)[:-1], "claims 120 bytes of data for shape"),
        (saved(X) + b"x", "claims 120 bytes of data for shape"),
        (
            npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999,)}\n", b""),
            "claims 799999992 bytes",
        ),
        (b"\x93NUMPY", "is no .npy or .npz file, or a damaged one"),
        (b"a text, and nothing else", "looks like a text, wanted arrays in an .npy or .npz file"),
    ],
)
def test_one_array_that_lies_is_refused(data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(FileFormatError, match=f"a.npy.*{re.escape(words)}"):
        read_arrays(tmp_path / "a.npy")


def test_a_header_that_claims_to_be_long_takes_no_memory(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + bytes(20))
    tracemalloc.start()
    with pytest.raises(FileFormatError, match=r"is no \.npy or \.npz file, or a damaged one"):
        read_arrays(tmp_path / "a.npy")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_arrays_that_lie_in_one_place_are_refused(tmp_path: Path) -> None:
    data = bytearray(write(tmp_path / "a.npz", a=saved(X), b=saved(X), c=saved(X)).read_bytes())
    at = len(data)
    while (at := data.rfind(b"PK\x01\x02", 0, at)) >= 0:
        data[at + 42 : at + 46] = bytes(4)
    (tmp_path / "a.npz").write_bytes(
        bytes(data[: data.find(b"PK\x03\x04", 4)] + data[data.find(b"PK\x01\x02") :])
    )
    with pytest.raises(FileFormatError, match=r"a\.npz"):
        read_arrays(tmp_path / "a.npz")
    inner = write(tmp_path / "c.npz", b=saved(X)).read_bytes()
    inner = inner[: inner.index(b"PK\x01\x02")]
    around = saved(np.frombuffer(inner, np.uint8))
    path = write(tmp_path / "c.npz", a=around)
    with zipfile.ZipFile(path, "a") as made:
        info = zipfile.ZipInfo("b.npy")
        info.header_offset = path.read_bytes().index(inner)
        info.file_size = info.compress_size = len(saved(X))
        info.CRC = zlib.crc32(saved(X))
        made.filelist.append(info)
        made._didModify = True
    with pytest.raises(FileFormatError, match=r"c\.npz: b is there twice, or lies where another is"):
        read_arrays(path)
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as made:
        made.writestr("a.npy", saved(X))
        with pytest.warns(UserWarning, match="Duplicate name"):
            made.writestr("a.npy", saved(X))
    with pytest.raises(FileFormatError, match=r"b\.npz: a is there twice"):
        read_arrays(tmp_path / "b.npz")
