"""HDF5 files over which the HDF5 library would walk without an end are refused before it sees them."""

import io
import struct

import numpy as np
import pytest

from campaigns.fuzz.files.hostile_hdf5 import lookup3, starts, sums
from purecnn.errors import FileFormatError
from purecnn.formats.hdf5 import opened

h5py = pytest.importorskip("h5py")


def made(write, version="earliest"):
    """The bytes of the HDF5 file that a function writes."""
    held = io.BytesIO()
    with h5py.File(held, "w", libver=version) as file:
        write(file)
    return held.getvalue()


def put(data, at, kind, *values):
    """The same bytes with numbers written over some of them."""
    packed = struct.pack(f"<{kind}", *values)
    return data[:at] + packed + data[at + len(packed) :]


def texts(data, name="names"):
    with opened(io.BytesIO(data)) as root:
        return root.texts(name)


def names(data):
    with opened(io.BytesIO(data)) as root:
        return root.names()


def with_texts(file):
    file.attrs.create("names", np.array(["x" * 20] * 3000, object), dtype=h5py.string_dtype())
    file.attrs["long"] = "y" * 1_000_000


def with_groups(file):
    for number in range(300):
        file.create_group(f"{number}")


@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_good_files_are_read(version):
    assert texts(made(with_texts, version)) == ["x" * 20] * 3000
    assert texts(made(with_texts, version), "long") == ["y" * 1_000_000]
    assert sorted(names(made(with_groups, version)), key=int) == [f"{number}" for number in range(300)]


def test_a_heap_whose_size_lies_is_refused():
    data = made(with_texts)
    (heap, *_) = starts(data, b"GCOL")
    (size,) = struct.unpack_from("<Q", data, heap + 8)
    # zeros follow, objects of no size: the library never gets past them
    longer = put(data[: heap + size] + bytes(4096) + data[heap + size :], heap + 8, "Q", size + 4096)
    with pytest.raises(FileFormatError, match=r"a heap of .* bytes has an object of 0 at"):
        texts(longer)


@pytest.mark.parametrize("length", [2**64 - 1, 2**64 - 16, 2**63, 100_000])
def test_an_object_that_leaves_its_heap_is_refused(length):
    data = made(with_texts)
    (heap, *_) = starts(data, b"GCOL")
    with pytest.raises(FileFormatError, match=f"has an object of {length} at 16"):
        texts(put(data, heap + 24, "Q", length))


def test_heaps_in_each_other_are_refused():
    inside = b"".join(b"GCOL\x01\0\0\0" + struct.pack("<Q", 16) for _ in range(4000))
    data = made(lambda file: file.create_dataset("a", data=np.frombuffer(inside, np.uint8)))
    at = data.find(b"GCOL")
    for number in range(2, 4000):
        data = put(data, at + 16 * (4000 - number) + 8, "Q", 16)
    with opened(io.BytesIO(data)):
        pass  # each is by itself, and empty
    whole = put(data, at + 8, "Q", len(data) - at)
    with pytest.raises(FileFormatError, match="a heap of"):
        names(whole)
    nested = bytearray(data)
    for number in range(3999):
        place = at + 16 * number
        nested[place : place + 16] = b"GCOL\x01\0\0\0" + struct.pack("<Q", 64000 - 16 * number)
    with pytest.raises(FileFormatError, match=r"a heap of .* bytes has|lie in each other"):
        names(bytes(nested))


def test_thousands_of_references_to_a_long_text_are_refused():
    data = made(with_texts)
    long = data.find(struct.pack("<I", 1_000_000))
    reference, short, at = data[long : long + 16], struct.pack("<I", 20), 0
    patched, count = bytearray(data), 0
    while (at := data.find(short, at)) >= 0:
        (heap,) = struct.unpack_from("<Q", data, at + 4)
        if data[heap : heap + 4] == b"GCOL":
            patched[at : at + 16] = reference
            count += 1
        at += 1
    assert count == 3000
    with pytest.raises(FileFormatError, match="refers 3000 times to a text of 1000000 bytes"):
        texts(bytes(patched))


def trees(data):
    """The level, the place and the branches of each node of a tree of names, the highest first."""
    found = [(data[at + 5], at, struct.unpack_from("<H", data, at + 6)[0]) for at in starts(data, b"TREE")]
    return sorted(found, reverse=True)


def test_a_tree_that_leads_to_itself_is_refused():
    data = made(with_groups)
    level, at, branches = trees(data)[0]
    assert level == 1
    for branch in (0, branches - 1):
        with pytest.raises(FileFormatError, match="leads from level 1 to none of level 0"):
            names(put(data, at + 32 + 16 * branch, "Q", at))


def test_a_tree_that_is_too_high_or_too_wide_is_refused():
    data = made(with_groups)
    _, at, _ = trees(data)[0]
    with pytest.raises(FileFormatError, match=r"has .* branches at level 3, wanted at most 32"):
        names(put(data, at + 5, "B", 3))
    with pytest.raises(FileFormatError, match="has 33 branches at level 1"):
        names(put(data, at + 6, "H", 33))
    leaf = data.find(b"SNOD")
    with pytest.raises(FileFormatError, match="a leaf of a tree has 9 names"):
        names(put(data, leaf + 6, "H", 9))


def test_a_newer_tree_that_is_too_high_or_a_packed_heap_is_refused():
    data = made(with_groups, "latest")
    (tree,), (heap,) = starts(data, b"BTHD"), starts(data, b"FRHP")
    lengths = dict(sums(data))

    def summed(changed, at):
        return put(changed, at + lengths[at], "I", lookup3(changed[at : at + lengths[at]]))

    with pytest.raises(FileFormatError, match="a tree has 4 levels of nodes of 512 bytes"):
        names(summed(put(data, tree + 12, "H", 4), tree))
    with pytest.raises(FileFormatError, match="levels of nodes of 513 bytes"):
        names(summed(put(data, tree + 6, "I", 513), tree))
    with pytest.raises(FileFormatError, match="a heap is compressed"):
        names(summed(put(data, heap + 7, "H", 1), heap))


@pytest.mark.parametrize("at", [13, 14, 24])
def test_other_widths_and_another_beginning_are_refused(at):
    data = made(with_groups)
    with pytest.raises(FileFormatError, match="wanted an HDF5 file as h5py writes it"):
        names(put(data, at, "B", 4))


def test_chunks_are_refused():
    data = made(lambda file: file.create_dataset("a", data=np.ones((8, 8), np.float32), chunks=(2, 2)))
    with pytest.raises(FileFormatError, match="cut into chunks"), opened(io.BytesIO(data)) as root:
        root.variable("a")


def test_one_name_that_is_said_over_and_over_has_an_end():
    data = made(with_texts)
    with opened(io.BytesIO(data)) as root, pytest.raises(FileFormatError, match="never end"):
        sum(len(root.texts("long")) for _ in range(1000))


def test_bfloat16_is_widened():
    """h5py has no type for it, yet reads it as any other float; the file holds half of what it then takes."""
    values = np.array([1.0, -2.5, 3.140625, 1e30, 0.0], np.float32)
    stored = (values.view(np.uint32) >> 16).astype("<u2")

    def write(file):
        kind = h5py.h5t.IEEE_F32LE.copy()
        kind.set_fields(15, 7, 8, 0, 7)
        kind.set_precision(16)
        kind.set_size(2)
        kind.set_ebias(127)
        space = h5py.h5s.create_simple((5,))
        created = h5py.h5d.create(file.id, b"weights", kind, space)
        created.write(h5py.h5s.ALL, h5py.h5s.ALL, stored.view(np.float16), mtype=kind)

    with opened(io.BytesIO(made(write))) as root:
        variable = root.variable("weights")
        assert variable.shape == (5,)
        found = variable.read()
    assert found.dtype.kind == "f"
    np.testing.assert_array_equal(found.astype(np.float32), (stored.astype(np.uint32) << 16).view(np.float32))
