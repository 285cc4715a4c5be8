"""Pictures, and folders of them."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from random import Random

import numpy as np

from campaigns.fence import grow
from campaigns.mutations import INTEGERS, blind
from purecnn import folders, picture

# Pictures -----------------------------------------------------------------------------------------------


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
    return blind(rng, [chosen])


def read_any(path: Path) -> None:
    picture.read_picture(path, (1, 3, None)[path.stat().st_size % 3])


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
    found = folders.ImageFolder(path, on_error=("raise", "skip")[len(list(path.iterdir())) % 2])
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
