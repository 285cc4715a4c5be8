"""Pictures, and folders of them."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from pathlib import Path
from random import Random

import numpy as np

from campaigns.fuzz.fence import grow
from campaigns.fuzz.mutations import INTEGERS, blind
from purecnn import Dense, Flatten, Network, Softmax
from purecnn.datasets import folders
from purecnn.formats import pictures
from purecnn.formats.png_writer import png
from purecnn.layers.preprocessing import PREPARATIONS
from purecnn.networks.pictures import prepared

# Pictures -----------------------------------------------------------------------------------------------


@cache
def picture_seeds() -> list[bytes]:
    from PIL import Image

    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (6, 7, 3), np.uint8))
    clear = Image.fromarray(rng.integers(0, 256, (6, 7, 4), np.uint8))
    grey = Image.fromarray(rng.integers(0, 256, (6, 7), np.uint8))
    deep = Image.fromarray(rng.integers(0, 65536, (6, 7)).astype(np.uint16))
    made = [(colour, k) for k in ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")]
    made += [
        (clear, "PNG"),
        (grey, "PNG"),
        (deep, "PNG"),
        (colour.quantize(4), "PNG"),
        (grey, "TIFF"),
        (deep, "TIFF"),
    ]
    found = []
    for image, kind in made:
        out = io.BytesIO()
        image.save(out, kind)
        found.append(out.getvalue())
    for options in (
        {"compression": "tiff_lzw"},
        {"compression": "tiff_adobe_deflate"},
        {"compression": "packbits"},
    ):
        out = io.BytesIO()
        colour.save(out, "TIFF", **options)
        found.append(out.getvalue())
    return found


def lying_picture(rng: Random, seeds: list[bytes]) -> bytes:
    chosen = rng.choice(seeds)
    if chosen.startswith(b"\x89PNG"):
        return lying_png(rng, chosen)
    if chosen.startswith(b"\xff\xd8"):
        return lying_jpeg(rng, chosen)
    if chosen.startswith(b"II"):
        return lying_tiff(rng, chosen)
    return blind(rng, [chosen])


def read_any(path: Path) -> None:
    number = path.stat().st_size % 4
    if number == 3:
        pictures.read_mask(path)
    else:
        pictures.read_picture(path, (1, 3, None)[number])


#: Sides of pictures that are whole, and of odd proportions.
SIDES = (1, 2, 3, 28, 1000, 4097, 65_537, 1_000_000)


def lying_or_narrow(rng: Random, seeds: list[bytes]) -> bytes:
    """Return a picture that lies, or one that is whole, and may be a million times as wide as it is high."""
    if rng.random() < 0.7:
        return lying_picture(rng, seeds)
    height = rng.choice(SIDES)
    width = rng.choice([side for side in SIDES if side * height <= 5_000_000])
    pixels = np.zeros((height, width), np.uint8)
    pixels[rng.randrange(height), rng.randrange(width)] = rng.randrange(256)
    pixels[: rng.randrange(height + 1), : rng.randrange(width + 1)] += np.uint8(rng.randrange(256))
    if rng.random() < 0.3:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    return png(pixels)


def answered(path: Path) -> None:
    """Prepare a picture in one of the ways, and let a network say what it shows: `purecnn predict`."""
    number = path.stat().st_size
    preparation = PREPARATIONS[number % len(PREPARATIONS)]
    coloured = preparation not in ("character", "object") and number // len(PREPARATIONS) % 2
    network = Network(
        [Flatten(), Dense(output_size=3), Softmax()], input_shape=(3 if coloured else 1, 28, 28)
    )
    network.predict(prepared(network, path, preparation)[np.newaxis].astype(float))


def grown(data: bytes, path: Path) -> Path:
    """Make a folder of class folders from a case, with one good picture in it."""
    path.mkdir()
    (path / "a").mkdir()
    picture = b"P5 2 1 255 \x10\x20"
    (path / "a" / "good.pgm").write_bytes(picture)
    grow(data.split(b"\n")[:200], path, picture)
    return path


def folder_seeds() -> list[bytes]:
    tree = b"d\tb\nf\tb/1.pgm\tGOOD\nl\tb/2.pgm\t1.pgm\nf\tb/.hidden\tx\nf\treadme\tx"
    return [tree, b"f\ta/1.pgm\tGOOD\nf\ta/2.png\tnothing\nl\tc\ta\nl\ta/3.png\t3.png\np\ta/4.png"]


def lying_folder(rng: Random, seeds: list[bytes]) -> bytes:
    lines = rng.choice(seeds).split(b"\n")
    names = [
        b"a",
        b"b",
        b"c",
        b"a/1.png",
        b"b/1.png",
        b"b/x",
        b"train",
        b"test",
        b"test/a/1.pgm",
        b"\xff",
        b"a/\xff.png",
        b"a/..",
    ]
    targets = [
        b"..",
        b".",
        b"a",
        b"nowhere",
        b"/dev/zero",
        b"/dev/full",
        b"/proc/self/mem",
        b"../a",
        b"1.png",
        b"/",
        b"good.pgm",
    ]
    for _ in range(rng.choice([1, 2, 5])):
        kind = rng.choice([b"d", b"l", b"l", b"p", b"f", b"m"])
        rest = (
            rng.choice(targets)
            if kind == b"l"
            else rng.choice([b"GOOD", b"", b"P5 99999 99999 255 ", b"\x89PNG"])
        )
        lines.insert(rng.randrange(len(lines) + 1), b"\t".join([kind, rng.choice(names), rest]))
    return b"\n".join(lines)


def read_folder(path: Path) -> None:
    number = len(list(path.iterdir()))
    found = folders.ImageFolder(path, on_error=("raise", "skip")[number % 2], crop=number % 3 > 0)
    found.load()


# PNG ----------------------------------------------------------------------------------------------------


def lying_png(rng: Random, data: bytes) -> bytes:
    """Return a PNG picture with chunks changed, doubled, removed or bombs, and their sums right again."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], bytearray(data[at + 8 : at + 8 + length])))
        at += 12 + length
    for _ in range(rng.choice([1, 1, 2, 3])):
        if not chunks:
            break
        number, what = rng.randrange(len(chunks)), rng.randrange(8)
        kind, body = chunks[number]
        if what <= 1 and chunks[0][1]:
            header = chunks[0][1]
            place, size = rng.choice([(0, 4), (4, 4), (8, 1), (9, 1), (10, 1), (12, 1)])
            value = rng.choice([*INTEGERS, 5000, 7000]) % (1 << 8 * size)
            header[place : place + size] = value.to_bytes(size, "big")
        elif what == 2:
            chunks.insert(rng.randrange(len(chunks)), (kind, body[:]))
        elif what == 3:
            del chunks[number]
        elif what == 4 and body:
            chunks[number] = (kind, bytearray(blind(rng, [bytes(body)])))
        elif what == 5:
            bomb = zlib.compress(bytes(rng.choice([10**5, 10**7])))
            named = rng.choice(
                [(b"zTXt", b"a\x00\x00"), (b"iCCP", b"a\x00\x00"), (b"iTXt", b"a\x00\x01\x00\x00\x00")]
            )
            chunks.insert(min(1, len(chunks)), (named[0], bytearray(named[1] + bomb)))
        elif what == 6:
            kind = rng.choice(
                [b"IHDR", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"eXIf", b"gAMA", b"IEND"]
            )
            chunks.insert(
                rng.randrange(len(chunks)), (kind, bytearray(rng.randbytes(rng.choice([0, 1, 8, 26]))))
            )
        else:
            rng.shuffle(chunks)
    out = bytearray(data[:8])
    for kind, body in chunks:
        out += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return bytes(out)


# JPEG and TIFF ------------------------------------------------------------------------------------------


def lying_jpeg(rng: Random, data: bytes) -> bytes:
    """Return a JPEG picture with segments doubled, moved, removed and changed, and what nobody needs."""
    pieces, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xD9:
        # behind the start of a scan comes what was scanned, up to the next marker that is none of its own
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xDA:
            while end < len(data) and not (
                data[end] == 0xFF and data[end + 1] not in (0, *range(0xD0, 0xD8))
            ):
                end += 1
        pieces.append(bytearray(data[at:end]))
        at = end
    for _ in range(rng.choice([1, 1, 2, 3])):
        if not pieces:
            break
        number, what = rng.randrange(len(pieces)), rng.randrange(7)
        piece = pieces[number]
        if what == 0:
            pieces[number:number] = [piece[:]] * rng.choice([1, 3, 300])
        elif what == 1:
            del pieces[number]
        elif what == 2 and len(piece) > 2:
            place = rng.randrange(2, min(len(piece), 20))
            piece[place] = rng.choice([0, 1, 2, 3, 8, 255, rng.randrange(256)])
        elif what == 3:
            frame = next((p for p in pieces if 0xC0 <= p[1] <= 0xC2), piece)
            frame[5:9] = struct.pack(">HH", *(rng.choice([0, 1, 6, 300, 3000, 65535]) for _ in range(2)))
        elif what == 4:
            kind, body = rng.choice(
                [
                    (0xE1, b"Exif\0\0" + lying_tiff(rng, picture_seeds()[5])[:60_000]),
                    (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + rng.randbytes(20)),
                    (0xE2, b"ICC_PROFILE\0" + rng.randbytes(9)),
                    (0xE2, b"MPF\0" + rng.randbytes(40)),
                    (0xED, b"Photoshop 3.0\0" + b"8BIM" + rng.randbytes(12)),
                    (0xEE, b"Adobe" + rng.randbytes(7)),
                    (0xFE, bytes(rng.choice([0, 60_000]))),
                ]
            )
            made = bytearray(b"\xff" + bytes([kind]) + struct.pack(">H", len(body) + 2) + body)
            pieces[number:number] = [made] * rng.choice([1, 1, 30])
        elif what == 5:
            pieces.insert(rng.randrange(len(pieces)), bytearray(blind(rng, [bytes(piece)])))
        else:
            rng.shuffle(pieces)
    return data[:2] + b"".join(pieces) + data[at:]


def lying_tiff(rng: Random, data: bytes) -> bytes:
    """Return a TIFF picture whose directory lies: about what is where, how much of it and of which kind."""
    changed = bytearray(data)
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    for _ in range(rng.choice([1, 1, 2, 3])):
        place = at + 2 + 12 * rng.randrange(count)
        what = rng.randrange(5)
        if what == 0:
            tag = rng.choice([256, 258, 262, 273, 274, 277, 279, 322, 330, 34665, 34853, 33723, 34675, 700])
            struct.pack_into("<H", changed, place, tag)
        elif what == 1:
            struct.pack_into("<H", changed, place + 2, rng.choice([*range(14), 16, 18, 255]))
        elif what == 2:
            struct.pack_into("<I", changed, place + 4, rng.choice([*INTEGERS, 100_000, 10]) % 2**32)
        elif what == 3:
            value = rng.choice([*INTEGERS, at, place, len(data), len(data) - 4, 5000])
            struct.pack_into("<I", changed, place + 8, value % 2**32)
        else:
            struct.pack_into("<I", changed, at + 2 + 12 * count, rng.choice([at, 8, len(data) - 6, 2**31]))
    return bytes(changed) + bytes(rng.choice([0, 0, 1000, 300_000]))
