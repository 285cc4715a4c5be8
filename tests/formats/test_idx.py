"""The IDX reader, held to bytes written by hand, and to files that are wrong in every way we know."""

import gzip
import os
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from purecnn.errors import FileFormatError
from purecnn.formats import read_idx
from purecnn.formats.idx import load_folder

# two images of 2 x 3 pixels, and their labels, written out byte by byte
IMAGES = bytes(
    [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 0, 1, 2, 3, 4, 5, 250, 251, 252, 253, 254, 255]
)
LABELS = bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9])
PIXELS = [[[0, 1, 2], [3, 4, 5]], [[250, 251, 252], [253, 254, 255]]]

Write = Callable[[bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(data: bytes) -> Path:
        path = tmp_path / "file"
        path.write_bytes(data)
        return path

    return to_file


def header(code: int, *shape: int) -> bytes:
    return bytes([0, 0, code, len(shape)]) + b"".join(length.to_bytes(4, "big") for length in shape)


# --- what is read ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_images_and_labels(write: Write, pack: Callable[[bytes], bytes]) -> None:
    images = read_idx(write(pack(IMAGES)))
    assert images.dtype == np.uint8
    assert images.tolist() == PIXELS
    assert images.flags.writeable
    assert images.flags.c_contiguous
    assert read_idx(str(write(pack(LABELS)))).tolist() == [7, 9]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
@pytest.mark.parametrize(
    ("code", "data", "dtype", "wanted"),
    [
        (0x08, "00 ff", np.uint8, [0, 255]),
        (0x09, "7f 80", np.int8, [127, -128]),
        (0x0B, "01 02 ff fe", np.int16, [258, -2]),
        (0x0C, "00 01 00 00 80 00 00 00", np.int32, [65536, -(2**31)]),
        (0x0D, "3f 80 00 00 c0 20 00 00", np.float32, [1.0, -2.5]),
        (0x0E, "3f f8 00 00 00 00 00 00 c0 00 00 00 00 00 00 00", np.float64, [1.5, -2.0]),
    ],
)
def test_every_type(
    write: Write, pack: Callable[[bytes], bytes], code: int, data: str, dtype: type, wanted: list[float]
) -> None:
    array = read_idx(write(pack(header(code, 2) + bytes.fromhex(data))))
    assert array.dtype == np.dtype(dtype)
    assert array.dtype.isnative
    assert array.tolist() == wanted


def test_the_name_does_not_say_whether_it_is_gzipped(tmp_path: Path) -> None:
    (tmp_path / "plain.gz").write_bytes(LABELS)
    (tmp_path / "gzipped").write_bytes(gzip.compress(LABELS))
    assert read_idx(tmp_path / "plain.gz").tolist() == read_idx(tmp_path / "gzipped").tolist() == [7, 9]


def test_a_gzip_file_of_several_members(write: Write) -> None:
    assert read_idx(write(gzip.compress(IMAGES[:9]) + gzip.compress(IMAGES[9:]))).tolist() == PIXELS


def test_more_than_one_chunk(write: Write) -> None:
    data = np.random.default_rng(0).integers(-(2**15), 2**15, (3, 700, 1001)).astype(">i2")
    for pack in (bytes, gzip.compress):
        array = read_idx(write(pack(header(0x0B, 3, 700, 1001) + data.tobytes())))
        np.testing.assert_array_equal(array, data)


def test_an_empty_axis(write: Write) -> None:
    assert read_idx(write(header(8, 0, 28, 28))).shape == (0, 28, 28)


def test_sixty_four_axes(write: Write) -> None:
    assert read_idx(write(header(8, *[1] * 64) + b"\5")).shape == (1,) * 64


# --- what is refused ---------------------------------------------------------------------------------------


def refusal(path: Path) -> str:
    with pytest.raises(FileFormatError) as caught:
        read_idx(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent: there is no such file; an IDX file"):
        read_idx(tmp_path / "absent")


def test_a_folder_or_a_pipe_is_no_file(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "not a regular file but a folder, wanted an IDX file, plain or gzipped"
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "not a regular file but a pipe" in refusal(tmp_path / "pipe")


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"", "ends inside its header, 0 bytes into a part of 4"),
        (IMAGES[:3], "ends inside its header, 3 bytes into a part of 4"),
        (IMAGES[:10], "ends inside its header, 6 bytes into a part of 12"),
        (
            b"\x89XYZ\r\n\x1a\n",
            "starts with bytes 89 58 59; an IDX file starts with 00 00 and one of 08, 09, 0b, 0c, 0d, 0e",
        ),
        (
            b"\0\0\x0a\1\0\0\0\1\0",
            "starts with bytes 00 00 0a; an IDX file starts with 00 00 and one of 08, 09, 0b, 0c, 0d, 0e",
        ),
        (
            b"\0\1\x08\1\0\0\0\1\0",
            "starts with bytes 00 01 08; an IDX file starts with 00 00 and one of 08, 09, 0b, 0c, 0d, 0e",
        ),
        (b"\0\0\x08\0\7", "its header claims 0 axes; 1 to 64 are wanted"),
        (header(8, *[1] * 65) + b"\5", "its header claims 65 axes; 1 to 64 are wanted"),
        (
            header(0x0E, 0, 2**32 - 1, 2**32 - 1),
            f"its header claims shape (0, 4294967295, 4294967295), more than the {2**63 - 1} bytes that fit",
        ),
    ],
)
def test_wrong_headers(write: Write, pack: Callable[[bytes], bytes], data: bytes, wanted: str) -> None:
    assert refusal(write(pack(data) if data or pack is gzip.compress else data)) == wanted


def test_plain_truncated_and_oversized(write: Write) -> None:
    assert (
        refusal(write(IMAGES[:-1]))
        == "its header claims 12 bytes of data for shape (2, 2, 3), and the file holds 11"
    )
    assert (
        refusal(write(IMAGES + b"\0\0"))
        == "holds 14 bytes of data, and its header claims 12 for shape (2, 2, 3)"
    )


def test_gzipped_truncated_and_oversized(write: Write) -> None:
    assert (
        refusal(write(gzip.compress(IMAGES[:-1])))
        == "ends after 11 bytes of data, and its header claims 12 for shape (2, 2, 3)"
    )
    assert (
        refusal(write(gzip.compress(IMAGES + b"\0")))
        == "holds more than the 12 bytes of data that its header claims for shape (2, 2, 3)"
    )


def test_damaged_gzip(write: Write) -> None:
    whole = gzip.compress(IMAGES)
    assert refusal(write(whole[:-9])) == f"its gzip stream is cut short at {len(whole) - 9} bytes"
    assert refusal(write(whole[:-4])) == f"its gzip stream is cut short at {len(whole) - 4} bytes"
    wrong_sum = bytearray(whole)
    wrong_sum[-8] ^= 1
    assert refusal(write(bytes(wrong_sum))).startswith("its gzip stream is damaged (CRC check failed")
    assert refusal(write(whole + b"tail")).startswith("its gzip stream is damaged (Not a gzipped file")
    assert refusal(write(whole[:10] + b"\xff" * 9)).startswith("its gzip stream is damaged (Error -3")


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
@pytest.mark.parametrize("shape", [(2**31,), (60000, 28, 28), (2**32 - 1,) * 9, (2**32 - 1, 2**31 - 1)])
def test_a_claim_that_the_file_can_not_justify_takes_no_memory(
    write: Write, pack: Callable[[bytes], bytes], shape: tuple[int, ...]
) -> None:
    path = write(pack(header(8, *shape) + b"few"))
    tracemalloc.start()
    try:
        message = refusal(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert message.startswith("its header claims ")
    assert str(shape) in message
    assert peak < 200_000


def test_a_claim_above_the_memory_left(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np, "empty", none_left)
    assert (
        refusal(write(IMAGES))
        == "its header claims 12 bytes of data for shape (2, 2, 3), more than the memory left"
    )


@pytest.mark.parametrize("seed", range(6))
def test_mutations_are_read_or_refused(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    path = tmp_path / "file"
    refused = 0
    tracemalloc.start()
    try:
        for _ in range(100):
            data = bytearray(rng.choice([IMAGES, LABELS, header(0x0C, 2, 1) + bytes(range(8))]))
            gzipped = rng.random() < 0.5
            inside = gzipped and rng.random() < 0.5  # damage what is compressed, not the stream around it
            if gzipped and not inside:
                data = bytearray(gzip.compress(data))
            for _ in range(rng.randint(1, 3)):
                place = rng.randrange(len(data))
                match rng.randrange(4):
                    case 0:
                        data[place] = rng.choice([0, 1, 8, 127, 128, 255, rng.randrange(256)])
                    case 1:
                        del data[place : place + rng.randint(1, 8)]
                    case 2:
                        data[place:place] = rng.randbytes(rng.randint(1, 8))
                    case 3:
                        data[place : place + 4] = b"\xff\xff\xff\xff"
                data = data or bytearray(1)
            path.write_bytes(gzip.compress(data) if inside else data)
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            try:
                assert read_idx(path).nbytes <= 1032 * path.stat().st_size
            except FileFormatError:
                refused += 1
            # the second term is what the gzip module takes for itself
            assert tracemalloc.get_traced_memory()[1] - before < 1032 * path.stat().st_size + 300_000
    finally:
        tracemalloc.stop()
    assert 50 < refused < 100


# --- folders -----------------------------------------------------------------------------------------------

NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / name).write_bytes(IMAGES if "images" in name else LABELS)
    return tmp_path


def check(folder: Path) -> None:
    for x, y in load_folder(folder):
        assert x.tolist() == PIXELS
        assert y.tolist() == [7, 9]


def test_plain_folder(folder: Path) -> None:
    check(folder)


def test_gzipped_folder(folder: Path) -> None:
    for name in NAMES:
        data = (folder / name).read_bytes()
        (folder / name).unlink()
        (folder / f"{name}.gz").write_bytes(gzip.compress(data))
    check(folder)


def test_of_twins_the_plain_one_is_read(folder: Path) -> None:
    (folder / f"{NAMES[0]}.gz").write_bytes(b"never read")
    (folder / f"._{NAMES[0]}").write_bytes(b"what one system leaves beside its files")
    check(folder)


@pytest.mark.parametrize("rename", ["emnist-letters-{}", "{}.gz"])
def test_emnist_names(folder: Path, rename: str) -> None:
    for name in NAMES:
        (folder / name).rename(folder / rename.format(name.replace("t10k", "test")))
    check(folder)


def test_train_and_test_come_from_their_own_files(folder: Path) -> None:
    (folder / NAMES[0]).write_bytes(header(8, 1, 2, 3) + bytes(6))
    (folder / NAMES[1]).write_bytes(header(0x0C, 1) + bytes([0, 0, 1, 0]))
    (x_train, y_train), (x_test, y_test) = load_folder(str(folder))
    assert x_train.shape == (1, 2, 3)
    assert y_train.tolist() == [256]
    assert x_test.shape == (2, 2, 3)
    assert y_test.tolist() == [7, 9]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent: there is no such folder; one that holds four IDX"):
        load_folder(tmp_path / "absent")


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(
        FileNotFoundError, match=f"holds no file named .*{name[:11]}.*; the four files of one set"
    ):
        load_folder(folder)


def test_two_sets_in_one_folder(folder: Path) -> None:
    (folder / "emnist-digits-train-images-idx3-ubyte").write_bytes(IMAGES)
    with pytest.raises(
        FileFormatError,
        match=r"2 files are named \*train-images\*idx3\* \(emnist-digits-train-images-idx3-ubyte, "
        r"train-images-idx3-ubyte\); exactly 1 is wanted",
    ):
        load_folder(folder)


@pytest.mark.parametrize(
    ("name", "data", "wanted"),
    [
        (NAMES[0], IMAGES[:-1], "claims 12 bytes"),
        (NAMES[0], LABELS, r"holds uint8 of shape \(2,\); uint8 images of shape \(n, height, width\)"),
        (NAMES[2], header(9, 2, 2, 3) + bytes(12), r"holds int8 of shape \(2, 2, 3\); uint8 images"),
        (NAMES[2], header(8, 0, 2, 3), r"holds uint8 of shape \(0, 2, 3\); uint8 images .* none of them 0"),
        (NAMES[1], IMAGES, r"holds uint8 of shape \(2, 2, 3\); integer labels of shape \(n,\) are wanted"),
        (NAMES[1], header(0x0D, 2) + bytes(8), r"holds float32 of shape \(2,\); integer labels"),
        (NAMES[3], LABELS[:7] + b"\1\7", "holds 1 labels, and t10k-images-idx3-ubyte beside it 2 images"),
        (NAMES[2], header(8, 2, 3, 2) + bytes(12), r"of \(2, 3\) pixels .* of \(3, 2\); one size is wanted"),
    ],
)
def test_files_that_do_not_belong_together(folder: Path, name: str, data: bytes, wanted: str) -> None:
    (folder / name).write_bytes(data)
    with pytest.raises(FileFormatError, match=wanted):
        load_folder(folder)


def test_archives_of_kaggle_s(folder: Path) -> None:
    """Each file unpacks into a folder of its name; others hold the files with a dot beside these."""
    for name in NAMES:
        (folder / name).rename(folder / "file")
        (folder / name).mkdir()
        (folder / "file").rename(folder / name / name)
    (folder / NAMES[0] / f"._{NAMES[0]}").write_bytes(b"what one system leaves beside its files")
    check(folder)
    for name in NAMES:
        dotted = name.replace("-idx", ".idx")
        (folder / dotted).write_bytes((folder / name / name).read_bytes())
        (folder / name / name).write_bytes(b"never read")
    check(folder)
