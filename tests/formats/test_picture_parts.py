"""Pillow is given what a picture's pixels need: they are the same, and what lies beside them is not read."""

import io
import struct
import time
import zlib

import numpy as np
import pytest

from helpers.waiting import slowness
from purecnn.errors import FileFormatError
from purecnn.formats import read_picture
from purecnn.formats.picture_parts import Metered, parts_of

pillow = pytest.importorskip("PIL.Image")
operations = pytest.importorskip("PIL.ImageOps")

RNG = np.random.default_rng(0)
COLOURS = np.kron(RNG.integers(0, 256, (6, 9, 3), np.uint8), np.ones((4, 4, 1), np.uint8))


def saved(kind, mode="RGB", **options):
    """The bytes of a picture."""
    held = io.BytesIO()
    pillow.fromarray(COLOURS).convert(mode).save(held, kind, **options)
    return held.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def among_png(*chunks, data=None):
    """A PNG picture with chunks behind its header."""
    data = data or saved("PNG")
    return data[:33] + b"".join(chunk(*one) for one in chunks) + data[33:]


def segment(kind, body):
    return bytes([0xFF, kind]) + struct.pack(">H", len(body) + 2) + body


def among_jpeg(*segments, data=None):
    data = data or saved("JPEG")
    return data[:2] + b"".join(segment(*one) for one in segments) + data[2:]


def read(data, tmp_path, channels=None):
    (tmp_path / "picture").write_bytes(data)
    return read_picture(tmp_path / "picture", channels)


PICTURES = {
    "png": saved("PNG"),
    "png palette": saved("PNG", "P"),
    "png bits": saved("PNG", "1"),
    "png profile": saved("PNG", icc_profile=bytes(200)),
    "png animated": saved("PNG", save_all=True, append_images=[pillow.new("RGB", (36, 24))]),
    "jpeg": saved("JPEG"),
    "jpeg grey": saved("JPEG", "L"),
    "jpeg progressive": saved("JPEG", progressive=True, quality=95),
    "jpeg as it is": saved("JPEG", subsampling=0, keep_rgb=True),
    "jpeg restarts": saved("JPEG", restart_marker_blocks=1),
    "jpeg cmyk": saved("JPEG", "CMYK"),
    "jpeg comment": saved("JPEG", comment=b"\xff\xda\xff\xd9", icc_profile=bytes(100_000)),
    "jpeg and more": saved("JPEG") + b"\xff\xd8\xff\xda" * 1000,
    "jpeg filled": saved("JPEG").replace(b"\xff\xdb", b"\xff\xff\xff\xdb"),
    "several": saved("MPO", save_all=True, append_images=[pillow.new("RGB", (36, 24))]),
    "gif": saved("GIF"),
    "tiff": saved("TIFF"),
    "tiff packed": saved("TIFF", compression="tiff_lzw"),
    "webp": saved("WEBP", lossless=True),
    "bmp": saved("BMP"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_pixels_are_those_of_the_whole_file(name, tmp_path):
    with pillow.open(io.BytesIO(PICTURES[name])) as image:
        wanted = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(read(PICTURES[name], tmp_path, 3), wanted)


def test_what_the_pixels_do_not_need_is_left_out():
    beside = [(b"tEXt", b"a\0b"), (b"iCCP", b"a\0\0"), (b"acTL", bytes(8)), (b"eXIf", b"MM")]
    assert parts_of(io.BytesIO(among_png(*beside))).file.read() == saved("PNG")
    beside = [(0xFE, b"a"), (0xE2, b"ICC_PROFILE\0\1\1"), (0xED, b"Photoshop 3.0\0"), (0xE1, b"Exif\0\0MM")]
    parts = parts_of(io.BytesIO(among_jpeg(*beside)))
    assert parts.file.read() == saved("JPEG")
    assert parts.exif == b"MM"
    assert parts_of(io.BytesIO(saved("JPEG") + b"more")).file.read() == saved("JPEG")
    assert parts_of(io.BytesIO(saved("JPEG", progressive=True))).scans > 5


@pytest.mark.parametrize("way", range(10))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_pictures_are_turned_as_pillow_turns_them(kind, way, tmp_path):
    exif = pillow.Exif()
    exif[0x010F], exif[0x0112] = "a camera", way
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(kind, exif=exif, **options)
    with pillow.open(io.BytesIO(data)) as image:
        wanted = np.asarray(operations.exif_transpose(image))
    np.testing.assert_array_equal(read(data, tmp_path), wanted)
    assert wanted.shape == ((24, 36, 3) if way not in range(5, 9) else (36, 24, 3))


def bomb(size):
    return zlib.compress(bytes(size), 9)


def tiff(entries, size, width=6, height=6):
    """A grey TIFF file of one directory and zeros behind it."""
    plain = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    plain += [(273, 4, 1, 400), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, width * height)]
    held = {entry[0]: entry for entry in (*plain, *entries)}
    rows = b"".join(struct.pack("<HHII", *held[tag]) for tag in sorted(held))
    return (b"II*\0\x08\0\0\0" + struct.pack("<H", len(held)) + rows).ljust(size, b"\0")


ENDLESS = {
    "png texts": lambda: among_png(*[(b"tEXt", b"a\0")] * 100_000),
    "png packed texts": lambda: among_png(*[(b"zTXt", b"a\0\0" + bomb(2**20 - 1))] * 3000),
    "png profiles": lambda: among_png(*[(b"iCCP", b"a\0\0" + bomb(2**20 - 1))] * 3000),
    "jpeg exif": lambda: among_jpeg(*[(0xE1, b"Exif\0\0" + bytes(20))] * 150_000),
    "jpeg fillers": lambda: saved("JPEG")[:2] + b"\xff" * 2_000_000 + saved("JPEG")[2:],
    "tiff strips": lambda: tiff(
        [(273, 3, 2_000_000, 400), (279, 3, 2_000_000, 400), (278, 4, 1, 1)], 4_000_500, 6, 2_000_000
    ),
    "tiff fields": lambda: tiff([(1000 + n, 7, 900_000, 20) for n in range(20_000)], 1_000_000),
    "exif fields": lambda: among_jpeg(
        (0xE1, b"Exif\0\0" + tiff([(1000 + n, 7, 60_000, 20) for n in range(4000)], 65_000))
    ),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_never_ends_takes_no_seconds(name, tmp_path):
    data = ENDLESS[name]()
    begin = time.process_time()
    try:
        assert read(data, tmp_path).shape[:2] in {(24, 36), (6, 6)}
    except FileFormatError as error:
        assert name.startswith("tiff"), error  # noqa: PT017 - the pixels of the others are whole
    assert time.process_time() - begin < 3 * slowness()


def test_a_thousand_scans_are_refused(tmp_path):
    held = io.BytesIO()
    pillow.new("L", (16, 16)).save(held, "JPEG", progressive=True)
    data = bytearray(held.getvalue())
    at = data.index(b"\xff\xc2")
    data[at + 5 : at + 9] = struct.pack(">HH", 7000, 7000)
    first = data.index(b"\xff\xda")
    second = data.index(b"\xff\xda", first + 2)
    many = bytes(data[:first] + data[first:second] * 1000 + data[second:])
    with pytest.raises(FileFormatError, match=r"10\d\d scans over its pixels, at most 30"):
        read(many, tmp_path)


def test_a_file_is_not_read_again_and_again():
    file = Metered(io.BytesIO(b"abc"), 7)  # as Pillow's newer versions see to by themselves
    for _ in range(2):
        assert (file.seek(0), file.read(), file.tell()) == (0, b"abc", 3)
    file.seek(0)
    with pytest.raises(ValueError, match="again and again"):
        file.read(2)


def test_many_strips_are_refused(tmp_path):
    strips = [(273, 3, 150_000, 400), (279, 3, 150_000, 400), (278, 4, 1, 1)]
    with pytest.raises(FileFormatError, match="150000 strips or tiles, at most 100000"):
        read(tiff(strips, 400_000, 6, 150_000), tmp_path)
    for order, mark in (("<", b"II+\0"), (">", b"MM\0+")):
        big = mark + struct.pack(f"{order}HHQQHHQQ", 8, 0, 16, 1, 324, 16, 100_001, 40)
        with pytest.raises(FileFormatError, match="100001 strips or tiles"):
            read(big, tmp_path)


@pytest.mark.parametrize("start", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"P5 2 2 255\n"])
def test_files_of_gigabytes_are_refused_unread(start, tmp_path):
    with open(tmp_path / "picture", "wb") as file:
        file.write(start)
        file.truncate(500_000_001)
    with pytest.raises(FileFormatError, match="it has 500000001 bytes, at most 500000000 are wanted"):
        read_picture(tmp_path / "picture")


def png_of(values, depth, kind, *chunks):
    """A PNG picture of rows of bytes as they are stored."""
    values = np.atleast_2d(values)
    width = values.shape[1] * 8 // (depth * {0: 1, 2: 3}[kind])
    rows = np.zeros((len(values), 1 + values.shape[1]), np.uint8)
    rows[:, 1:] = values
    header = struct.pack(">IIBBBBB", width, len(values), depth, kind, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in parts)


@pytest.mark.parametrize(
    ("stored", "depth", "kind", "key", "wanted"),
    [
        ([0b01000000], 1, 0, (0,), [255, 255] + [255] * 6),
        ([0b00011011], 2, 0, (1,), [0, 255, 170, 255]),
        ([0x05, 0xFA], 4, 0, (0,), [255, 85, 255, 170]),
        ([0, 7, 200], 8, 0, (0,), [255, 7, 200]),
        # of 16 bits: 0 is clear, 1 and 255 are not, though they are as black
        ([0, 0, 0, 1, 0, 255, 128, 128], 16, 0, (0,), [255, 0, 1, 128]),
        ([0, 0, 0, 9, 9, 9, 0, 0, 1], 8, 2, (0, 0, 0), [[255] * 3, [9] * 3, [0, 0, 1]]),
        ([1, 0, 2, 0, 3, 0, 200, 0, 2, 0, 3, 0], 16, 2, (256, 512, 768), [[255] * 3, [200, 2, 3]]),
    ],
)
def test_a_transparent_colour_lies_on_white_at_every_depth(stored, depth, kind, key, wanted, tmp_path):
    clear = (b"tRNS", struct.pack(f">{len(key)}H", *key))
    found = read(png_of(np.array(stored, np.uint8), depth, kind, clear), tmp_path)
    assert found[0].tolist() == wanted


def test_a_transparent_colour_that_is_cut_short_is_none(tmp_path):
    data = png_of(np.array([0, 0, 0, 9], np.uint8), 16, 0, (b"tRNS", b"\0"))
    try:
        assert read(data, tmp_path)[0].tolist() == [0, 0]
    except FileFormatError as error:
        assert "cannot be decoded" in str(error)  # noqa: PT017 - some versions of Pillow do refuse it
