"""PyTorch's own files as no version of it writes them: pickles that lie, around storages that are others."""

from __future__ import annotations

import io
import pickletools
import struct
import zipfile
from pathlib import Path
from random import Random

from campaigns.fuzz.containers import lying_zip, zipped
from campaigns.fuzz.mutations import FLOATS, INTEGERS, TEXTS, blind

FIXTURES = Path(__file__).resolve().parents[3] / "tests" / "fixtures" / "torch"
#: What may stand anywhere in a pickle.
PIECES = (
    *(
        b"}",
        b"]",
        b")",
        b"N",
        b"\x88",
        b"(",
        b"0",
        b"2",
        b"R",
        b"b",
        b"Q",
        b"t",
        b"\x85",
        b"s",
        b"u",
        b"a",
        b"e",
    ),
    *(b"cos\nsystem\n", b"ctorch\nSize\n", b"ccollections\nOrderedDict\n", b"ctorch\nDoubleStorage\n"),
    *(b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._utils\n_rebuild_tensor_v3\n", b"ctorch\nuint16\n"),
    *(b"ctorch._utils\n_rebuild_parameter\n", b"ctorch.storage\nUntypedStorage\n", b"\x93", b"\x81", b"."),
)


def torch_seeds() -> list[bytes]:
    names = ("big-endian.pt", "checkpoint.pth", "tensors.pt", "tensors.pth")
    return [(FIXTURES / name).read_bytes() for name in names]


def lying_torch(rng: Random, seeds: list[bytes]) -> bytes:
    """Change what a file's pickle says, or its storages, or the archive around both."""
    data = rng.choice(seeds)
    if not data.startswith(b"PK"):
        steps, end = opcodes(data, 5)
        return lying_pickle(rng, steps) + (data[end:] if rng.random() < 0.9 else blind(rng, [data[end:]]))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        held = [(info.filename, archive.read(info)) for info in archive.infolist()]
    what = rng.random()
    if what < 0.7:
        name, pickle = held[0]
        held[0] = name, lying_pickle(rng, opcodes(pickle, 1)[0])
    elif what < 0.85:
        at = rng.randrange(len(held))
        name, part = held[at]
        held[at] = name, rng.choice([blind(rng, [part]), part[:-1], part * 2, b"", part + bytes(10**6)])
    return zipped(held, zipfile.ZIP_STORED) if what < 0.85 else lying_zip(rng, held)


def opcodes(data: bytes, count: int) -> tuple[list[bytes], int]:
    """Return the opcodes of so many pickles behind each other, with their arguments, and where they end."""
    found, start = [], 0
    for _ in range(count):
        places = [start + at for _, _, at in pickletools.genops(data[start:])]
        end = places[-1] + 1
        found += [data[a:b] for a, b in zip(places, [*places[1:], end], strict=True)]
        start = end
    return found, start


def lying_pickle(rng: Random, steps: list[bytes]) -> bytes:
    """Return a pickle with one or a few opcodes replaced, removed, doubled, moved or put in."""
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        at, what = rng.randrange(len(steps)), rng.randrange(9)
        if what < 3:
            steps[at] = value(rng)
        elif what == 3:
            steps[at] = rng.choice(steps)
        elif what == 4:
            steps[at:at] = [rng.choice([*PIECES, rng.randbytes(1), value(rng)])]
        elif what == 5:
            steps[at:at] = [steps[at]] * rng.choice([1, 3, 100, 100_000])
        elif what == 6 and len(steps) > 1:
            del steps[at]
        elif what == 7:
            steps.insert(rng.randrange(len(steps)), steps.pop(at))
        else:
            steps[at] = rng.choice(PIECES)
    return b"".join(steps)


def value(rng: Random) -> bytes:
    """Return the opcode of a number or a text that hardly any place wants."""
    what = rng.randrange(4)
    if what == 0:
        text = rng.choice(TEXTS).encode("utf-8", "surrogatepass")
        return b"X" + struct.pack("<I", len(text)) + text
    if what == 1:
        return b"G" + struct.pack(">d", rng.choice(FLOATS))
    number = rng.choice(INTEGERS) * rng.choice([1, 1, -1])
    packed = number.to_bytes(number.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(packed)]) + packed
