"""Portable pixmaps, held to what Pillow reads in the same bytes, and to what no file may cost."""

import contextlib
import io
import time

import numpy as np
import pytest

from helpers.waiting import slowness
from purecnn.errors import FileFormatError
from purecnn.formats import read_picture, read_pnm
from purecnn.formats.pnm import read_header

RNG = np.random.default_rng(0)


def read(data):
    return read_pnm(data, read_header(data))


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"P1\n3 2\n1 0 1\n0 1 1\n", [[0, 255, 0], [255, 0, 0]]),
        (b"P1 3 2 101011", [[0, 255, 0], [255, 0, 0]]),
        (b"P4 3 2\n" + bytes([0b10100000, 0b01111111]), [[0, 255, 0], [255, 0, 0]]),
        (b"P2 # of a kind\n2\n#2\n1 15\n0 15", [[0, 255]]),
        (b"P2 2 1 255 # so\n7 # and so\n8", [[7, 8]]),
        (b"P5 2 1 255\n\x07\x08", [[7, 8]]),
        (b"P5 2 1 255 #\n", [[35, 10]]),
        (b"P5 2 1 65535\n\x01\x00\x00\x02", [[256, 2]]),
        (b"P2 2 1 1000 500 1000", [[32768, 65535]]),
        (b"P3 1 1 3 0 1 3", [[[0, 85, 255]]]),
        (b"P6 1 1 510\n\x00\x00\x00\xff\x01\xfe", [[[0, 128, 255]]]),
        (b"P6\t1\r1\v3\f\x01\x02\x09", [[[85, 170, 255]]]),
    ],
)
def test_by_hand(data, wanted):
    assert read(data).tolist() == wanted


@pytest.mark.parametrize("most", [1, 7, 100, 255, 256, 1000, 65535])
@pytest.mark.parametrize("kind", ["P1", "P2", "P3", "P4", "P5", "P6"])
def test_pillow_reads_the_same(kind, most):
    pillow = pytest.importorskip("PIL.Image")
    most = 1 if kind in ("P1", "P4") else most
    values = RNG.integers(0, most + 1, (5, 11, 3) if kind in ("P3", "P6") else (5, 11))
    head = f"{kind}\n# made here\n11 5\n{'' if kind in ('P1', 'P4') else most}\n".replace(
        "\n\n", "\n"
    ).encode()
    if kind in ("P1", "P2", "P3"):
        body = "\n".join(" ".join(map(str, row.ravel())) for row in values).encode()
    elif kind == "P4":
        body = np.packbits(values.astype(np.uint8), axis=1).tobytes()
    else:
        body = values.astype(">u2" if most > 255 else np.uint8).tobytes()
    with pillow.open(io.BytesIO(head + body), formats=["PPM"]) as image:
        wanted = np.asarray(image.convert("L") if image.mode == "1" else image)
    np.testing.assert_array_equal(read(head + body), wanted)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"P5", "3 numbers are wanted behind P5"),
        (b"P4 1", "2 numbers"),
        (b"P5 -1 1 255\n\x00", "3 numbers"),
        (b"P5 0 1 255\n", "0 x 1 pixels"),
        (b"P5 1 1 65536\n\x00\x00", "values up to 65536, wanted 1 to 65535"),
        (b"P5 2 2 255\n\x00\x00\x00", "3 of 4 values"),
        (b"P2 2 2 255\n1 2 3", "3 of 4 values"),
        (b"P2 2 1 255\n1 -2", "not all numbers"),
        (b"P2 2 1 255\n1 256", "one of its values is 256, wanted at most 255"),
        (b"P2 1 1 255\n" + b"9" * 400, "one of its values is"),
        (b"P1 2 1 12", "one of its values is"),
        (b"P2 1 1 255\n" + b"#\n" * 20_000 + b"1", "comments"),
        (b"P3 99999 99999 255\n", "9999800001 pixels|99999 x 99999 pixels, wanted at most"),
    ],
)
def test_damaged_files_are_refused_in_a_sentence(data, words, tmp_path):
    pytest.importorskip("PIL.Image")
    (tmp_path / "a.ppm").write_bytes(data)
    with pytest.raises(FileFormatError, match=words):
        read_picture(tmp_path / "a.ppm")


@pytest.mark.parametrize(
    "data",
    [
        b"P6\n" + b"#\n" * 1_000_000 + b"2 1 255 abcdef",
        b"P6\n" + b" " * 2_000_000 + b"2 1 255 abcdef",
        b"P6\n" + b" \n" * 1_000_000 + b"x",
        b"P6 #" + b"x" * 2_000_000,
        b"P2 1000 1000 255\n" + b"1 " * 1_000_000,
        b"P2 2 1 255\n" + b"#\n" * 1_000_000 + b"1 2",
        b"P6 600 600 100\n" + bytes(3 * 360_000),
    ],
)
def test_two_megabytes_take_no_seconds(data, tmp_path):
    pytest.importorskip("PIL.Image")
    (tmp_path / "a.ppm").write_bytes(data)
    begin = time.process_time()
    with contextlib.suppress(FileFormatError):
        read_picture(tmp_path / "a.ppm")
    assert time.process_time() - begin < 2 * slowness()
