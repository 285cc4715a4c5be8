"""Files of data sets: IDX, `.npz`, archives, CIFAR-10's."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from random import Random

import numpy as np

from campaigns.fuzz.containers import gzipped, lying_gzip, lying_tar, lying_zip, zipped
from campaigns.fuzz.mutations import INTEGERS, blind
from purecnn.datasets.sources import SOURCES
from purecnn.formats import archives

# IDX ----------------------------------------------------------------------------------------------------

CODES = {"u1": 8, "i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}


def idx(values: np.ndarray) -> bytes:
    kind = values.dtype.newbyteorder(">").str.lstrip("|")
    sizes = b"".join(n.to_bytes(4, "big") for n in values.shape)
    return bytes([0, 0, CODES[kind], values.ndim]) + sizes + values.astype(kind).tobytes()


@cache
def idx_seeds() -> list[bytes]:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (5, 4, 4), np.uint8), np.arange(5, dtype=np.uint8)
    return [idx(images), idx(labels), *(idx(np.arange(6, dtype=kind)) for kind in CODES if kind != "u1")]


def lying_idx(rng: Random, seeds: list[bytes]) -> bytes:
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice([1, 1, 2, 3])):
        if rng.random() < 0.4:
            data[rng.choice([2, 3])] = rng.choice([0, 1, 2, 8, 9, 10, 14, 15, 64, 65, 255])
        else:
            at = 4 + 4 * rng.randrange(max(1, data[3]))
            data[at : at + 4] = (rng.choice(INTEGERS) % 2**32).to_bytes(4, "big")
    return bytes(data)


def lying_packed_idx(rng: Random, seeds: list[bytes]) -> bytes:
    plain = idx_seeds()
    return lying_gzip(rng, lying_idx(rng, plain) if rng.random() < 0.5 else rng.choice(plain))


# NumPy's .npz -------------------------------------------------------------------------------------------


def npy(values: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, values, allow_pickle=False)
    return out.getvalue()


def npz_members() -> list[tuple[str, bytes]]:
    x, y = np.arange(24, dtype=np.uint8).reshape(4, 2, 3), np.arange(4)
    return [
        ("x.npy", npy(x)),
        ("y.npy", npy(y)),
        ("x_test.npy", npy(np.asfortranarray(x))),
        ("y_test.npy", npy(y)),
    ]


def lying_npz(rng: Random, seeds: list[bytes]) -> bytes:
    members = npz_members()
    if rng.random() < 0.6:
        at = rng.randrange(4)
        members[at] = (members[at][0], lying_npy(rng, members[at][1]))
    return lying_zip(rng, members) if rng.random() < 0.5 else zipped(members)


def lying_npy(rng: Random, data: bytes) -> bytes:
    length = int.from_bytes(data[8:10], "little")
    shape = [rng.choice([*INTEGERS, 4, -1]) for _ in range(rng.choice([0, 1, 2, 3, 33, 70]))]
    kinds = (
        "|u1",
        "<i8",
        "<f4",
        ">f8",
        "|O",
        "|S5",
        "<U3",
        "<c8",
        "|V8",
        "<M8[s]",
        "|b1",
        "<f16",
        "<f2",
        "x",
        "u1,",
    )
    header = {
        "descr": rng.choice([*kinds, [("a", "<f4")], [("a", "<f4", (10**9,))], None, ["|u1"]]),
        "fortran_order": rng.choice([True, False, False, 1, None]),
        "shape": rng.choice([tuple(shape), shape, (4, 2, 3), (4,), (True,), ("4",), ((4,),), 4]),
    }
    if rng.random() < 0.3:
        header = {**header, rng.choice(["descr", "shape", "more"]): rng.choice([None, "x", 1.5, ()])}
    text = repr(header)
    what = rng.randrange(12)
    if what == 0:
        text = "(" * rng.choice([50, 500, 5000]) + text
    elif what == 1:
        text = blind(rng, [text.encode()]).decode("latin1")
    elif what == 2:
        text = "__import__('os').system('touch /tmp/escaped-by-fuzz')"
    elif what == 3:
        text = rng.choice(
            [
                "-" * 3000 + "1",
                "{" * 300,
                "1" * 9000,
                "{'shape': (1" + "0" * 9000 + ",)}",
                "\x00",
                "{1:2,**{}}",
            ]
        )
    packed = text.encode("latin1", "replace") + b"\n"
    version = rng.choice([(1, 0), (1, 0), (2, 0), (3, 0), (9, 9)])
    size = len(packed) if rng.random() < 0.9 else rng.choice(INTEGERS)
    start = b"\x93NUMPY" + bytes(version) + (size % 2**16).to_bytes(2, "little") + bytes(2) * (version[0] > 1)
    return start + packed + data[10 + length :]


# Archives -----------------------------------------------------------------------------------------------

INSIDE = ("gzip/a-images.gz", "gzip/a-labels.gz", "batches/one.bin")


def archive_members() -> list[tuple[str, bytes]]:
    return [
        (INSIDE[0], gzipped(idx_seeds()[0])),
        (INSIDE[1], b"xyz"),
        (INSIDE[2], b"1" * 700),
        ("readme", b""),
    ]


def lying_packed_tar(rng: Random, seeds: list[bytes]) -> bytes:
    data = lying_tar(rng, archive_members())
    return gzipped(data) if rng.random() < 0.8 else lying_gzip(rng, data)


def unpacked(path: Path) -> None:
    archives.unpack(path, INSIDE, path.parent)


def cifar_seeds() -> list[bytes]:
    return [b"".join(bytes([n % 10]) + bytes([n]) * 3072 for n in range(2))]


def cifar_folder(data: bytes, path: Path) -> Path:
    path.mkdir()
    for n, name in enumerate(SOURCES["cifar-10"].wanted()):
        (path / name).write_bytes(data if n == 2 else cifar_seeds()[0])
    return path


def idx_folder(data: bytes, path: Path) -> Path:
    path.mkdir()
    images, labels = idx_seeds()[:2]
    names = (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    )
    for n, name in enumerate(names):
        is_case = n == len(data) % 4
        (path / name).write_bytes(data if is_case else (images, labels)[n % 2])
    return path
