"""Bounds for HDF5: trees and heaps are looked at before the library walks over them.

The HDF5 library walks over trees and heaps without a bound of its own: they are looked at before it comes.

A heap that lies about its sizes sends it into a circle that no exception ends, a tree whose branches are all
the same one is walked over a billion times, and ten thousand references to one long text make as many copies
of it. Signatures and layouts: https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO

from purecnn.errors import FileFormatError

#: How an HDF5 file begins.
MAGIC = b"\x89HDF\r\n\x1a\n"
#: Levels, branches of a node and names of a leaf, as the library itself makes trees of names.
MAX_LEVEL, MAX_BRANCHES, MAX_LEAF = 2, 32, 8
#: The same of the newer trees: levels, and bytes of a node.
MAX_DEPTH, MAX_NODE = 3, 512
#: Bytes of a heap's header, and of the header of each object in it.
HEADER = 16
#: Bytes that all copies of the texts of one attribute may take, and how many times the file's size besides.
COPIES, TIMES = 1 << 24, 4
#: Bytes of texts that count as long, and so many long ones that the references to each are counted.
LONG, MOST_LONG = 1000, 16
#: Bytes of the file that are looked through at a time.
BLOCK = 1 << 20


class Bounds:
    """What was found in a file that the library may walk over.

    Parameters
    ----------
    file : binary file
        That ought to be an HDF5 file.

    Raises
    ------
    FileFormatError
        If it is none, or the library might not come to an end with it.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.size = file, file.seek(0, 2)
        self.texts: list[tuple[int, bytes]] = []  # the long ones: how long, and what refers to it
        self.check_start()
        self.walked = 0
        checks = {
            b"GCOL\x01": self.walk,
            b"TREE\x00": self.check_node,
            b"SNOD\x01": self.check_leaf,
            b"BTHD\x00": self.check_tree,
            b"FRHP\x00": self.check_heap,
        }
        for place, signature in self.places(*checks):
            checks[signature](place)
        self.texts.sort(reverse=True)

    def part(self, place: int, length: int) -> bytes:
        """Return some bytes of the file; zeros behind its end."""
        self.file.seek(place)
        return self.file.read(length).ljust(length, b"\0")

    def places(self, *wanted: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield where some bytes, all of one length, stand in the file, and which."""
        for start in range(0, self.size, BLOCK):
            data = self.part(start, BLOCK + len(wanted[0]) - 1)
            for one in wanted:
                at = data.find(one)
                while at >= 0:
                    yield start + at, one
                    at = data.find(one, at + 1)

    def check_start(self) -> None:
        """Check that addresses count from the file's beginning, and that they and sizes take eight bytes."""
        start = self.part(0, 40)
        version = start[8]
        widths, base = (start[13:15], 28 if version else 24) if version < 2 else (start[9:11], 12)
        if not start.startswith(MAGIC) or widths != b"\x08\x08" or any(start[base : base + 8]):
            raise FileFormatError(f"begins with {start[:24].hex()}, wanted an HDF5 file as h5py writes it")

    def walk(self, place: int) -> None:
        """Go over the heap at a place, as the library does."""
        (size,) = struct.unpack("<8xQ", self.part(place, HEADER))
        if not HEADER <= size <= self.size - place:
            return  # the library itself refuses that
        self.walked += size
        if self.walked > self.size:
            raise FileFormatError("its heaps lie in each other, wanted each by itself")
        heap, at = self.part(place, size), HEADER
        while at + HEADER <= size:
            number, length = struct.unpack_from("<H6xQ", heap, at)
            # free space counts its own header, an object does not
            step = HEADER + -(-length // 8) * 8 if number else length
            if not HEADER <= step <= size - at:
                raise FileFormatError(f"a heap of {size} bytes has an object of {length} at {at}")
            if number and length >= LONG:
                self.texts.append((length, struct.pack("<QI", place, number)))
            at += step

    def check_node(self, place: int) -> None:
        """Check a node of a tree of names, as files have it that any version of the library reads."""
        node = self.part(place, 32 + 16 * MAX_BRANCHES)
        level, branches = struct.unpack_from("<BH", node, 5)
        if level > MAX_LEVEL or branches > MAX_BRANCHES:
            raise FileFormatError(
                f"a tree of names has {branches} branches at level {level}, wanted at most {MAX_BRANCHES} at "
                f"levels up to {MAX_LEVEL}"
            )
        for branch in range(branches if level else 0):
            (child,) = struct.unpack_from("<Q", node, 32 + 16 * branch)
            # a node that leads to itself, or up again, would be walked over until the stack is full
            below = self.part(child, 6) if child < self.size else b""
            if below != b"TREE\0" + bytes([level - 1]):
                raise FileFormatError(
                    f"a tree of names leads from level {level} to none of level {level - 1}"
                )

    def check_leaf(self, place: int) -> None:
        """Check a leaf of such a tree."""
        (names,) = struct.unpack_from("<H", self.part(place, 8), 6)
        if names > MAX_LEAF:
            raise FileFormatError(f"a leaf of a tree has {names} names, wanted at most {MAX_LEAF}")

    def check_tree(self, place: int) -> None:
        """Check the head of a newer tree."""
        size, depth = struct.unpack_from("<I2xH", self.part(place, 14), 6)
        if size > MAX_NODE or depth > MAX_DEPTH:
            raise FileFormatError(
                f"a tree has {depth} levels of nodes of {size} bytes, wanted at most {MAX_DEPTH} levels of "
                f"{MAX_NODE} bytes"
            )

    def check_heap(self, place: int) -> None:
        """Check the head of a newer heap: attributes in a packed one hide what they refer to."""
        if any(self.part(place, 9)[7:]):
            raise FileFormatError("a heap is compressed, wanted plain bytes")

    def check_copies(self, count: int) -> None:
        """Check that the texts of an attribute are not so many copies of a long one that memory runs out.

        Raises
        ------
        FileFormatError
            If the file refers to one so often.
        """
        room = COPIES + TIMES * self.size
        long = [text for text in self.texts if text[0] * count > room]
        for length, reference in long[:MOST_LONG]:
            used = min(count, sum(1 for _ in self.places(reference)))
            if used * length > room or len(long) > MOST_LONG:
                raise FileFormatError(f"it refers {used} times to a text of {length} bytes, wanted once")
