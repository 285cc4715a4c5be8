"""Pictures are prepared as MNIST's were, so MNIST's own digits must come back as they are."""

import io
import re
import struct
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest

from purecnn import Dense, Flatten, Network, ShapeError, Softmax
from purecnn.datasets import prepare_digit
from purecnn.datasets.resampling import resample
from purecnn.errors import FileFormatError, MissingExtraError
from purecnn.formats import pictures, read_picture
from purecnn.formats.png_writer import png
from purecnn.networks.pictures import prepared


def some_digits(count=40):
    from purecnn.datasets.mnist import load_data

    return load_data()[1][0][:count]


def differences(digits, change):
    """Return the mean absolute difference that preparing each changed digit leaves."""
    return np.array([np.abs(prepare_digit(change(digit)).astype(int) - digit).mean() for digit in digits])


def enlarged(digit):
    return np.kron(digit, np.ones((10, 10), np.uint8))


@pytest.mark.parametrize(
    "change",
    [
        lambda digit: digit,
        lambda digit: 255 - digit,
        lambda digit: np.pad(digit, ((0, 9), (30, 1))),
        lambda digit: 255 - np.pad(digit, ((90, 3), (0, 0))),
        enlarged,
        lambda digit: 255 - np.pad(enlarged(digit), ((100, 0), (3, 311))),
        lambda digit: 200 - np.pad(enlarged(digit) // 2, 40),
    ],
    ids=["as it is", "inverted", "shifted", "inverted and shifted", "enlarged", "all three", "fainter"],
)
def test_digits_of_mnist_come_back(change):
    found = differences(some_digits(), change)
    assert found.mean() < 0.3
    assert np.sort(found)[-3] < 1  # a centre of mass near half a pixel may be rounded the other way


def photograph(digit, rng, contrast=0.6, noise=8, shadow=40):
    """Return the digit, dark on bright, blurred, noisy, lit from one side, with specks of dust."""
    sharp = np.pad(enlarged(digit).astype(float), ((150, 40), (30, 120)))
    blurred = sum(np.roll(sharp, (dy, dx), (0, 1)) for dy in range(-3, 4) for dx in range(-3, 4)) / 49
    lit = 230 - contrast * blurred - np.linspace(0, shadow, sharp.shape[0])[:, None]
    picture = np.clip(lit + rng.normal(0, noise, sharp.shape), 0, 255).astype(np.uint8)
    picture[rng.integers(0, sharp.shape[0], 5), rng.integers(0, sharp.shape[1], 5)] = 0
    return picture


def test_photographs_of_digits_look_like_the_digits():
    rng = np.random.default_rng(0)
    found = []
    for digit in some_digits(30):
        prepared = prepare_digit(photograph(digit, rng))
        found.append(np.corrcoef(prepared.ravel(), digit.ravel())[0, 1])
        assert not prepared[[0, 0, -1, -1], [0, -1, 0, -1]].any()  # the paper is black
    # A blurred edge or a speck beside it makes the box a pixel or two larger and all else smaller.
    assert np.median(found) > 0.8
    assert min(found) > 0.5


def test_a_rectangle_worked_by_hand():
    picture = np.full((50, 40), 9, np.uint8)
    picture[5:45, 10:30] = 209  # 40 x 20 becomes 20 x 10, its centre of mass (9.5, 4.5) at (14, 14)
    wanted = np.zeros((28, 28), np.uint8)
    wanted[4:24, 10:20] = 255
    np.testing.assert_array_equal(prepare_digit(picture), wanted)


def test_enlarging_interpolates_linearly():
    picture = np.zeros((4, 6), np.uint8)
    picture[1:3, 2:4] = [[200, 100], [200, 100]]
    found = prepare_digit(picture, size=4, box=4)
    np.testing.assert_array_equal(found, np.tile(np.uint8([255, 223, 159, 128]), (4, 1)))


def test_the_aspect_is_kept_and_a_line_is_a_pixel_wide_at_least():
    picture = np.zeros((300, 300), np.uint8)
    picture[20:280, 150] = 255
    found = prepare_digit(picture)
    assert np.count_nonzero(found.any(axis=0)) == 1
    assert np.count_nonzero(found.any(axis=1)) == 20


def test_a_digit_whose_mass_is_at_one_end_stays_in_the_frame():
    picture = np.zeros((100, 100), np.uint8)
    picture[10:90, 10] = 30
    picture[10:20, 10:90] = 255
    found = prepare_digit(picture)
    assert found[-1].any()
    assert np.count_nonzero(found.any(axis=1)) == 20


@pytest.mark.parametrize("shape", [(1, 50), (50, 1), (2, 2), (3, 500), (500, 3)])
def test_tiny_and_narrow_pictures(shape):
    picture = np.zeros(shape, np.uint8)
    picture[0, 0] = 9
    assert prepare_digit(picture, box=3).max() == 255
    with pytest.raises(ValueError, match="shows a dot of 1 x 1 pixels, wanted a digit of at least 7"):
        prepare_digit(picture)


def test_what_would_fill_the_box_is_no_digit():
    """A dot or a disc, fitted into the box, would look like a bold zero; a wide stroke is still one."""
    row, column = np.mgrid[:140, :140] - 70
    for radius in (3, 5, 10, 30, 60):
        picture = np.uint8(255) * (row**2 + column**2 <= radius**2).astype(np.uint8)
        with pytest.raises(ValueError, match="a dot or a filled shape, wanted the strokes of a digit"):
            prepare_digit(picture)
    bar = np.zeros((140, 140), np.uint8)
    bar[20:120, 50:90] = 255
    assert np.count_nonzero(prepare_digit(bar).any(axis=0)) == 8


def test_other_sizes():
    picture = np.zeros((30, 30), np.uint8)
    picture[5:25, 5:15] = 255
    assert prepare_digit(picture, size=32, box=32).shape == (32, 32)
    assert prepare_digit(picture, size=1, box=1).tolist() == [[255]]


def test_noise_is_refused_by_a_number_that_is_a_grey():
    noise = np.random.default_rng(0).integers(0, 255, (50, 50), dtype=np.uint8)
    with pytest.raises(
        ValueError, match=r"stands out from its border, whose grey varies by (\d+)\.\d of 255"
    ) as error:
        prepare_digit(noise)
    assert 60 < int(re.search(r"(\d+)\.\d of 255", str(error.value))[1]) < 140


def test_blank_pictures_are_refused():
    rng = np.random.default_rng(0)
    noise = rng.normal(200, 8, (300, 300)).astype(np.uint8)
    for picture in (np.zeros((1, 1), np.uint8), np.full((400, 30), 255, np.uint8), noise, noise[:40, :40]):
        with pytest.raises(ValueError, match=r"blank: .* wanted a digit"):
            prepare_digit(picture)


def test_any_noise_gives_a_digit_or_a_sentence():
    rng = np.random.default_rng(0)
    for _ in range(300):
        shape = rng.integers(1, 150, 2)
        picture = rng.integers(0, 256, shape).astype(np.uint8)
        picture[rng.random(shape) < rng.random()] = rng.integers(256)
        box = int(rng.integers(1, 29))
        try:
            assert prepare_digit(picture, box=box).max() == 255
        except ValueError as error:
            assert re.search("blank|shows a dot", str(error))  # noqa: PT017 - most of them are no digits


def test_wrong_arrays_are_refused():
    with pytest.raises(TypeError, match="float64, wanted uint8"):
        prepare_digit(np.zeros((28, 28)))
    for shape in [(28, 28, 3), (0, 5), (28,)]:
        with pytest.raises(ShapeError, match="wanted \\(height, width\\)"):
            prepare_digit(np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match="box is 29, wanted from 1 to size, which is 28"):
        prepare_digit(np.zeros((28, 28), np.uint8), box=29)
    with pytest.raises(ValueError, match="box is 0"):
        prepare_digit(np.zeros((28, 28), np.uint8), box=0)


@pytest.fixture
def pillow():
    return pytest.importorskip("PIL.Image")


GREY = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)


@pytest.mark.parametrize("ending", ["png", "bmp", "gif", "pgm", "tiff", "webp"])
def test_lossless_formats_give_the_pixels(pillow, tmp_path, ending):
    path = tmp_path / f"picture.{ending}"
    image = pillow.fromarray(GREY)
    if ending == "webp":
        image.convert("RGB").save(path, lossless=True)
    else:
        image.save(path)
    found = read_picture(path)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, GREY)
    assert found.flags.writeable


@pytest.mark.parametrize("mode", ["1", "P", "RGB", "CMYK"])
def test_other_modes_become_grey(pillow, tmp_path, mode):
    path = tmp_path / ("picture.tiff" if mode == "CMYK" else "picture.png")
    image = pillow.fromarray(np.kron(np.uint8([[0, 255], [255, 0]]), np.ones((8, 8), np.uint8)))
    image.convert("RGB").convert(mode).save(path)
    np.testing.assert_allclose(read_picture(path), np.asarray(image), atol=2)


def test_transparent_parts_are_white(pillow, tmp_path):
    path = tmp_path / "picture.png"
    for mode, band in [("LA", [0, 100]), ("RGBA", [0, 0, 0, 100])]:
        pixels = np.zeros((1, 3, len(band)), np.uint8)
        pixels[0, 1] = band
        pixels[0, 2, -1] = 255
        pillow.fromarray(pixels).save(path)
        with pillow.open(path) as image:
            assert image.mode == mode
        assert read_picture(path).tolist() == [[255, 155, 0]]
    pillow.fromarray(np.uint8([[7, 0]])).save(path, transparency=7)
    assert read_picture(path).tolist() == [[255, 0]]


@pytest.mark.parametrize("ending", ["png", "tiff", "pgm"])
def test_16_bit_grey_is_scaled(pillow, tmp_path, ending):
    path = tmp_path / f"picture.{ending}"
    values = np.uint16([[0, 128, 129, 257, 32896, 65535]])
    if ending == "pgm":  # which older versions of Pillow read and do not write
        path.write_bytes(b"P5 6 1 65535\n" + values.astype(">u2").tobytes())
    else:
        pillow.fromarray(values).save(path)
    assert read_picture(path).tolist() == [[0, 0, 1, 1, 128, 255]]


@pytest.mark.parametrize("values", [np.int32([[-1, 5]]), np.int32([[0, 65536]]), np.float32([[0, 1]])])
def test_grey_values_without_a_known_range_are_refused(pillow, tmp_path, values):
    pillow.fromarray(values).save(tmp_path / "picture.tiff")
    with pytest.raises(FileFormatError, match=r"grey values .*, wanted a whole picture"):
        read_picture(tmp_path / "picture.tiff")


def test_a_turned_camera_is_turned_back(pillow, tmp_path):
    exif = pillow.Exif()
    exif[0x0112] = 6  # the first row of the file is the picture's right-hand side
    pillow.fromarray(GREY).save(tmp_path / "picture.png", exif=exif)
    np.testing.assert_array_equal(read_picture(tmp_path / "picture.png"), np.rot90(GREY, -1))


def png_header(width, height):
    """Return a PNG file that claims a size and holds no pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(10_000, 5_001), (10_000, 10_000), (60_000, 60_000)])
def test_too_many_pixels_are_refused_before_they_are_decoded(pillow, tmp_path, size):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(*size))
    with pytest.raises(FileFormatError, match="pixels") as caught:
        read_picture(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "wanted" in str(caught.value)


def test_what_is_no_picture_is_refused(pillow, tmp_path):
    for content in (b"", b"not a picture", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n", bytes(1000)):
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(FileFormatError, match=r"a\.png: .*, wanted a whole picture"):
            read_picture(tmp_path / "a.png")
    with pytest.raises(FileFormatError, match="not a regular file but a folder, wanted a picture"):
        read_picture(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_picture(tmp_path / "missing.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "PPM", "WEBP"])
def test_damaged_pictures_are_read_or_refused(pillow, tmp_path, kind):
    stream = io.BytesIO()
    pillow.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20)).astype(np.uint8)).save(stream, kind)
    whole = stream.getvalue()
    rng = np.random.default_rng(1)
    path = tmp_path / "damaged"
    for turn in range(40):
        damaged = bytearray(whole)
        if turn % 2:
            del damaged[rng.integers(len(damaged)) :]
        for _ in range(rng.integers(0, 5)):
            if damaged:
                damaged[rng.integers(min(len(damaged), 200))] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            assert read_picture(path).ndim == 2
        except FileFormatError as error:
            assert str(error).startswith(f"{path}: ")  # noqa: PT017 - either outcome is right
            assert "\n" not in str(error)  # noqa: PT017


def test_no_warning_filter_is_left_behind(pillow, tmp_path):
    before = list(warnings.filters)
    (tmp_path / "a.png").write_bytes(png_header(60_000, 60_000))
    with pytest.raises(FileFormatError):
        read_picture(tmp_path / "a.png")
    assert list(warnings.filters) == before


def test_without_pillow_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)
    with pytest.raises(MissingExtraError, match=r"reading a picture .*cli"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pictures_are_laid_on_white_a_few_rows_at_a_time(
    pillow, tmp_path, monkeypatch, channels, mode
):
    drawn = pillow.fromarray(np.random.default_rng(3).integers(0, 256, (13, 7, 4), np.uint8))
    drawn = drawn.quantize(9) if mode == "P" else drawn.convert(mode)
    drawn.save(tmp_path / "a.png")
    whole = read_picture(tmp_path / "a.png", channels)
    monkeypatch.setattr(pictures, "PIECE", 15)
    assert np.array_equal(read_picture(tmp_path / "a.png", channels), whole)
    monkeypatch.undo()
    pillow.new("LA", (3000, 3000)).save(tmp_path / "b.png")
    tracemalloc.start()
    read_picture(tmp_path / "b.png", channels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60_000_000


@pytest.mark.parametrize("shape", [(9, 7), (1, 30), (30, 1), (5, 5), (28, 3), (64, 48)])
@pytest.mark.parametrize("size", [(4, 4), (9, 7), (13, 20), (1, 1), (40, 2)])
def test_resampling_is_that_of_plain_loops(shape, size):
    def weights(old, new):
        made = np.zeros((new, old))
        for k in range(new):
            for i in range(old):
                if new <= old:
                    made[k, i] = max(0, min((k + 1) * old / new, i + 1) - max(k * old / new, i))
                else:
                    made[k, i] = max(0, 1 - abs(min(max((k + 0.5) * old / new - 0.5, 0), old - 1) - i))
        return made / made.sum(axis=1, keepdims=True)

    values = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    wanted = weights(shape[0], size[0]) @ values @ weights(shape[1], size[1]).T
    for given in (values, values.astype(np.float32)):
        np.testing.assert_allclose(resample(given, *size), wanted, atol=1e-4)
    # in pieces that are summed each by itself
    wide = np.tile(values, (1, 5000))
    np.testing.assert_allclose(
        resample(wide, 1, 2),
        [[wide[:, : wide.shape[1] // 2].mean(), wide[:, wide.shape[1] // 2 :].mean()]],
        rtol=1e-5,
    )


def test_pictures_of_any_proportions_cost_what_their_pixels_do(pillow, tmp_path):
    """1,000,000 x 1 pixels, a file of 1 KB, took 2.7 GB; the sides are bounded too, before any is decoded."""
    path = tmp_path / "narrow.png"
    pixels = np.zeros((1, 1_000_000), np.uint8)
    pixels[0, 400_000:600_000] = 255
    path.write_bytes(png(pixels))
    network = Network([Flatten(), Dense(output_size=2), Softmax()], input_shape=(1, 28, 28))
    tracemalloc.start()
    try:
        for preparation in ("crop", "stretch", "object", "character"):
            assert prepared(network, path, preparation).shape == (1, 28, 28)
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()
    path.write_bytes(png(np.zeros((1, 1_000_001), np.uint8)))
    with pytest.raises(FileFormatError, match="1000001 x 1 pixels, wanted at most 1000000 on a side"):
        read_picture(path)
