"""PyTorch's own files: it wrote the fixtures (`fixtures/make_torch_files.py`), and hand-made ones lie."""

import io
import pickle
import pickletools
import struct
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from purecnn.errors import FileFormatError
from purecnn.formats import read_torch
from purecnn.formats.pytorch import pickle_reader
from purecnn.formats.pytorch.pickle_reader import Call, Pairs, PickleReader, Stored
from purecnn.formats.pytorch.tensors import NAMES

HERE = Path(__file__).parents[1] / "fixtures" / "torch"


@pytest.mark.parametrize("name", ["tensors.pt", "tensors.pth"])
def test_every_dtype_and_layout_is_what_pytorch_reads(name):
    found = read_torch(HERE / name)
    with np.load(HERE / "tensors.npz") as wanted:
        names = [
            one for one in wanted.files if name == "tensors.pt" or one not in ("uint16", "uint32", "uint64")
        ]
        assert list(found) == names
        for one in names:
            assert found[one].dtype == wanted[one].dtype, one
            assert np.array_equal(found[one], wanted[one]), one
            assert found[one].shape == wanted[one].shape, one
            flags = found[one].flags
            assert flags.c_contiguous
            assert flags.writeable
            assert flags.aligned
    assert np.shares_memory(found["same"], found["float32"])
    assert not np.shares_memory(found["turned"], found["every second"])


def test_the_order_of_bytes_is_the_files():
    found = read_torch(HERE / "big-endian.pt")
    assert found["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["b"].tolist() == [1, -2.5]
    assert found["b"].dtype == np.dtype("=f4")


def test_a_state_dict_is_found_among_what_a_checkpoint_holds(tmp_path):
    found = read_torch(HERE / "checkpoint.pth")
    assert {name: array.shape for name, array in found.items()} == {
        "0.weight": (4, 3),
        "0.bias": (4,),
        "2.weight": (2, 4),
        "2.bias": (2,),
    }
    assert read_torch(HERE / "checkpoint.pth", "state_dict").keys() == found.keys()
    with pytest.raises(
        FileFormatError, match=r"holds epoch, arch, state_dict, .*, wanted a dict of tensors under"
    ):
        read_torch(HERE / "checkpoint.pth", "optimizer")


@pytest.mark.parametrize(
    ("held", "key", "wanted"),
    [
        ({"generator": {"a": 1.0}}, None, 1.0),
        ({"model": {"a": 1.0}, "ema": {"a": 2.0}}, None, 1.0),
        ({"model": {"a": 1.0}, "ema": {"a": 2.0}}, "ema", 2.0),
        ({"a": 1.0, "epoch": 3}, None, 1.0),
        (
            {"one": {"a": 1.0}, "two": {"a": 2.0}},
            None,
            "holds several dicts of tensors, one, two: read_torch",
        ),
        (
            {"model": {"a": 1.0}, "net": {"a": 2.0}},
            None,
            "holds several dicts of tensors, model, net: read_torch",
        ),
        ({"epoch": 3}, None, "holds epoch, wanted a dict of tensors by name"),
        ({}, None, "holds nothing, wanted a dict of tensors by name"),
        ([1], None, "holds a list, wanted a dict of tensors by name"),
        (1.0, None, "holds a lone tensor, wanted a dict"),
    ],
)
def test_which_tensors_are_taken(held, key, wanted, tmp_path):
    (tmp_path / "a.pt").write_bytes(archive(held))
    if isinstance(wanted, str):
        with pytest.raises(FileFormatError, match=f"a.pt: the file {wanted}"):
            read_torch(tmp_path / "a.pt", key)
    else:
        found = read_torch(tmp_path / "a.pt", key)
        assert {name: array.item() for name, array in found.items()} == {"a": wanted}


# Files made by hand -----------------------------------------------------------------------------------------


class Named:
    """What pickles as a name that is imported; a call of it, with arguments."""

    def __init__(self, module, name, arguments=None, state=None):
        self.module, self.name, self.arguments, self.state = module, name, arguments, state


class Outside:
    """What pickles as lying outside."""

    def __init__(self, id):
        self.id = id


class Pickler(pickle._Pickler):
    """Python's own pickler in Python, which writes names that can't be imported."""

    def persistent_id(self, value):
        return value.id if isinstance(value, Outside) else None

    def save(self, value, save_persistent_id=True):
        if not isinstance(value, Named):
            return super().save(value, save_persistent_id)
        if self.proto >= 4:
            self.save(value.module)
            self.save(value.name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(b"c" + value.module.encode() + b"\n" + value.name.encode() + b"\n")
        if value.arguments is not None:
            self.save(tuple(value.arguments))
            self.write(b"R")
        if value.state is not None:
            self.save(value.state)
            self.write(b"b")
        return None


def pickled(value, protocol=2):
    held = io.BytesIO()
    Pickler(held, protocol).dump(value)
    return held.getvalue()


def storage(key="0", kind="FloatStorage", count=1, *more):
    return Outside(("storage", Named("torch", kind), key, "cpu", count, *more))


def tensor(stored, offset=0, shape=(), strides=(), version="_v2", more=(False, OrderedDict())):
    arguments = (stored, offset, shape, strides, *more)
    return Named("torch._utils", f"_rebuild_tensor{version}", arguments)


def described(value, parts):
    """Return what a float in a value stands for: a tensor of it, whose storage is put among the parts."""
    if isinstance(value, float):
        parts.append(struct.pack("<f", value))
        return tensor(storage(str(len(parts) - 1)))
    if isinstance(value, dict):
        return {name: described(held, parts) for name, held in value.items()}
    return value


def zipped(members, **options):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", **options) as made:
        for name, data in members:
            made.writestr(name, data)
    return held.getvalue()


def archive(value, parts=None, protocol=2, order=b"little", **options):
    """Return a file whose pickle describes a value, with the storages of its tensors."""
    parts = [] if parts is None else parts
    data = pickled(described(value, parts), protocol)
    members = [("archive/data.pkl", data), ("archive/byteorder", order)]
    members += [(f"archive/data/{number}", part) for number, part in enumerate(parts)]
    return zipped(members, **options)


def refusal(data, path):
    path.write_bytes(data)
    with pytest.raises(FileFormatError) as caught:
        read_torch(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_all_binary_protocols_are_read(protocol, tmp_path):
    held = {"a": 2.5, "b": {"n": [1, -2, 300, 70_000, 2**40], "s": "é", "t": ((), (None,), True), "f": {1}}}
    (tmp_path / "a.pt").write_bytes(archive(held, protocol=protocol))
    assert read_torch(tmp_path / "a.pt")["a"] == 2.5


def test_a_whole_module_and_torchscript_are_told_the_lines_that_convert(tmp_path):
    with pytest.raises(FileFormatError) as caught:
        read_torch(HERE / "module.pt")
    assert "the pickle names 'torch.nn.modules.container.Sequential'" in str(caught.value)
    assert "state = torch.load(FILE, weights_only=False) and safetensors.torch.save_file(state," in str(
        caught.value
    )
    with pytest.raises(FileFormatError, match=r"a program of TorchScript.*torch.jit.load"):
        read_torch(HERE / "script.pt")


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("torch.storage", "_load_from_bytes"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
        ("torch.hub", "load"),
        ("collections.OrderedDict", "__init__"),
    ],
)
def test_a_name_that_no_state_dict_has_is_refused_and_not_called(module, name, protocol, tmp_path):
    held = {"a": 1.0, "evil": Named(module, name, ("exit 3",))}
    told = refusal(archive(held, protocol=protocol), tmp_path / "a.pt")
    assert f"the pickle names '{module}.{name}', which is not among what a state dict is made of" in told
    assert "nothing in a file is run here" in told


def test_every_opcode_is_read_as_pickletools_describes_it_or_refused_by_its_name():
    """An opcode that is read takes as many bytes as Python's own description of it says."""
    known, long = set(), struct.pack("<I", 3) + b"abc"
    arguments = {
        "uint1": b"\x02",
        "uint2": b"\x02\x00",
        "int4": b"\x02\x00\x00\x00",
        "uint4": b"\x02\x00\x00\x00",
        "uint8": bytes(8),
        "float8": bytes(8),
        "long1": b"\x02\x01\x01",
        "string1": b"\x03abc",
        "unicodestring1": b"\x03abc",
        "bytes1": b"\x03abc",
        "string4": long,
        "unicodestring4": long,
        "bytes4": long,
        "unicodestring8": struct.pack("<Q", 3) + b"abc",
        "stringnl_noescape_pair": b"torch\nSize\n",
    }
    stacks = {
        "EMPTY": b"",
        "APPEND": b"]N",
        "APPENDS": b"](N",
        "ADDITEMS": b"](N",
        "SETITEM": b"}NN",
        "SETITEMS": b"}(",
    }
    stacks |= {"TUPLE": b"(", "FROZENSET": b"(", "REDUCE": b"ctorch\nSize\n)", "NEWOBJ": b"ctorch\nSize\n)"}
    stacks |= {"BUILD": b"}N", "STACK_GLOBAL": b"X\5\0\0\0torchX\4\0\0\0Size"}
    for opcode in pickletools.opcodes:
        code = ord(opcode.code)
        if opcode.name == "STOP":
            continue
        if code not in pickle_reader.STEPS:
            assert pickle_reader.OTHERS[code] == opcode.name
            with pytest.raises(FileFormatError, match=f"has the opcode {opcode.name} b"):
                PickleReader(bytes([code]) + bytes(20), 0, NAMES).read()
            continue
        known.add(opcode.name)
        before = stacks.get(opcode.name, b"NNNN")
        data = before + bytes([code]) + (arguments[opcode.arg.name] if opcode.arg else b"")
        reader = PickleReader(data, 0, NAMES)
        reader.memo[2] = None
        while reader.at < len(data):
            pickle_reader.STEPS[reader.take(1)[0]](reader)
        assert reader.at == len(data), opcode.name
    assert len(known) == len(pickle_reader.STEPS)


def test_a_pickle_becomes_what_python_makes_of_it():
    held = {
        "n": [0, 255, 256, 65_536, -1, 2**31, -(2**40), 2**500, 1.5, float("inf")],
        "t": ("ü" * 300, b"\x00" * 300, None, True, False, (), [], {}, frozenset((7,)), {8}),
        "again": [same := ["x"], same, (same,)],
        3: OrderedDict(a=[1, (2, {"b": 3})]),
    }

    def plain(value):
        if isinstance(value, Pairs):
            return {plain(key): plain(held) for key, held in value}
        if isinstance(value, Call):
            kind = value.name.rpartition(".")[2]
            made = {"set": set, "frozenset": frozenset, "encode": lambda s, c: s.encode(c), "bytes": bytes}
            return made[kind](*map(plain, value.arguments))
        return type(value)(map(plain, value)) if isinstance(value, list | tuple) else value

    for protocol in (2, 3, 4, 5):
        reader = PickleReader(
            pickle.dumps(held, protocol), 0, {*NAMES, "__builtin__.bytes", "builtins.bytes"}
        )
        found = plain(reader.read())
        if protocol >= 4:  # there sets have opcodes of their own, of which no more than the members is kept
            found["t"] = (*found["t"][:-2], frozenset(found["t"][-2]), set(found["t"][-1]))
        assert found == held
        assert reader.at == len(reader.data)
        assert reader.stored == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x80\x02", r"ends at byte 2, wanted 1 more bytes at 2"),
        (b"\x80\x06N.", "of protocol 6, wanted at most 5"),
        (b".", "ends at byte 1 with no value"),
        (b"(.", "ends at byte 2 with no value"),
        (b"NN.", "ends at byte 3 with no value"),
        (b"X\xff\xff\xff\xffabc.", "wanted 4294967295 more bytes"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc.", "wanted 18446744073709551615 more bytes"),
        (b"X\x02\0\0\0\xff\xff.", r"has b'\\xff\\xff', wanted text in UTF-8"),
        (b"h\x07.", "asks at byte 2 for value 7"),
        (b"q\x00.", "has Mark on its stack at byte 2, wanted a value"),
        (b"(q\x00.", "has Mark on its stack"),
        (b"t.", "has no mark on its stack"),
        (b"N\x85\x86.", "has less than 2 values on its stack at byte 3"),
        (b"NNa.", "has NoneType on its stack at byte 3, wanted list or Call"),
        (b"}Na.", "adds to a dict at byte 3, wanted a list"),
        (b"]NNs.", "has list on its stack at byte 4, wanted Pairs or Call"),
        (b"}(Nu.", "has a key without a value"),
        (b"N)R.", "has NoneType on its stack at byte 3, wanted Name"),
        (b"ccollections\nOrderedDict\nNR.", "has NoneType on its stack"),
        (b"ccollections\nOrderedDict\nN\x85R.", "makes a dict of something else"),
        (b"NNb.", "has NoneType on its stack at byte 3, wanted Pairs or Call"),
        (b"NN\x93.", "has NoneType on its stack at byte 3, wanted str"),
        (b"c" + b"a" * 300 + b"\nb\n.", "has a name of more than 200 bytes at 1"),
        (b"N0.", r"has the opcode POP b'0' at byte 1, which no state dict has"),
        (b"\xfa.", r"has the opcode b'\\xfa' at byte 0"),
        (b"N" * 300_000, "more than 250,000 opcodes"),
    ],
)
def test_a_damaged_pickle_is_one_sentence(data, words):
    with pytest.raises(FileFormatError, match=words):
        PickleReader(data, 0, NAMES).read()


def test_depth_circles_and_references_cost_nothing(tmp_path):
    deep = b"\x80\x02N" + b"\x85" * 100_000
    circle = b"\x80\x02]q\x00h\x00a"
    many = b"\x80\x02(]q\x00" + b"h\x00" * 30_000 + b"t"
    doubled = b"\x80\x02N" + b"q\x00h\x00\x86" * 1000  # 2 ** 1000 values, if each were gone through
    for data in (deep, circle, many, doubled, b"\x80\x02}q\x00h\x00h\x00s"):
        told = refusal(zipped([("a/data.pkl", data + b".")]), tmp_path / "a.pt")
        assert "wanted a dict of tensors by name" in told


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (tensor(storage(), 0, (2,), (1,)), "reaches to element 1 of a storage of 1"),
        (tensor(storage(), 1, (), ()), "reaches to element 1 of a storage of 1"),
        (tensor(storage(), -1, (), ()), "begins at no element"),
        (tensor(storage(), 0, (-1,), (1,)), "not all whole numbers from 0 up"),
        (tensor(storage(), 0, (1,), (-1,)), "not all whole numbers from 0 up"),
        (tensor(storage(), 0, (True,), (1,)), "not all whole numbers from 0 up"),
        (tensor(storage(), 0, [1], (1,)), "not all whole numbers from 0 up"),
        (tensor(storage(), 0, (1, 1), (1,)), "2 sizes and 1 strides, wanted as many"),
        (tensor(storage(), 0, (1,) * 65, (1,) * 65), "65 sizes and 65 strides, wanted as many, at most 64"),
        (tensor(storage(), 0, (2**40,), (0,)), "4398046511104 bytes; all tensors of a file of"),
        (tensor(storage(), 0, (0, 2**62), (1, 1)), "bytes; all tensors of a file of"),
        (tensor(storage(), 0, (1, 2), (2**62, 2**62)), "reaches to element 4611686018427387904"),
        (tensor(storage(count=2)), "its storage has 4 bytes, the pickle says 8"),
        (tensor(storage(count=-1)), "a storage without its class, key and size"),
        (tensor(storage(count=True)), "a storage without its class, key and size"),
        (tensor(storage(key=0)), "a storage without its class, key and size"),
        (tensor(storage(kind="DoubleStorage")), "its storage has 4 bytes, no multiple of 8"),
        (tensor(storage(kind="Size")), "storage '0' is a torch.Size, wanted a class of storages"),
        (tensor(storage(kind="UntypedStorage", count=4)), "its storage has no dtype"),
        (tensor(storage("7")), "the archive has no 'archive/data/7'"),
        (tensor(storage("../../x")), "the archive has no 'archive/data/../../x'"),
        (tensor(storage("0", "FloatStorage", 1, ("a", 0, 1))), "is a view of another"),
        (tensor(Outside(("module", 1))), "describes a storage otherwise"),
        (tensor(None), "describes it otherwise"),
        (tensor(storage(), more=()), "describes it otherwise"),
        (tensor(storage(), more=(False, OrderedDict(), {"conj": True})), "negated or conjugated"),
        (
            tensor(storage(), version="_v3", more=(False, {}, None)),
            "its dtype is not said, wanted one of float16",
        ),
        (
            tensor(storage(), version="_v3", more=(False, {}, Named("torch", "float8_e5m2"))),
            "its dtype is torch.float8_e5m2, wanted one of float16",
        ),
        (Named("torch._utils", "_rebuild_parameter", (None, True, {})), "it is a parameter of no tensor"),
        (Named("torch._utils", "_rebuild_parameter", ()), "it is a parameter of no tensor"),
    ],
)
def test_a_tensor_that_its_storage_does_not_hold_is_refused(made, words, tmp_path):
    told = refusal(archive({"w": made}, [bytes(4)]), tmp_path / "a.pt")
    assert "tensor 'w': " in told
    assert words in told


def test_storages_are_bounded_by_the_file(tmp_path):
    same = {str(number): tensor(storage(str(number), count=1000), 0, (1000,), (1,)) for number in range(30)}
    data = archive(same, [bytes(4000)] * 30)
    (tmp_path / "a.pt").write_bytes(data)
    assert len(read_torch(tmp_path / "a.pt")) == 30
    # all members are made to lie in one place
    end = data.index(b"PK\x01\x02")
    first = struct.pack("<I", data.index(b"archive/data/0") - 30)
    fields, at = bytearray(data), end
    while (at := fields.find(b"PK\x01\x02", at)) >= 0:
        if fields[at + 46 : at + 59] == b"archive/data/":
            fields[at + 42 : at + 46] = first
        at += 4
    refusal(bytes(fields), tmp_path / "a.pt")
    # and one in another, so that all of them are larger than the file
    inner = zipped([("archive/data/1", bytes(4000))])
    inner = inner[: inner.index(b"PK\x01\x02")]
    count = len(inner) // 4
    two = {str(k): tensor(storage(str(k), count=n), 0, (n,), (1,)) for k, n in enumerate((count, 1000))}
    held = io.BytesIO(archive(two, [inner]))
    with zipfile.ZipFile(held, "a") as made:
        info = zipfile.ZipInfo("archive/data/1")
        info.header_offset = held.getvalue().index(inner)
        info.file_size = info.compress_size = 4000
        info.CRC = zlib.crc32(bytes(4000))
        made.filelist.append(info)
        made._didModify = True
    assert len(held.getvalue()) < 4000 + len(inner)
    told = refusal(held.getvalue(), tmp_path / "a.pt")
    assert "'archive/data/1' has 4000 bytes, wanted at most" in told
    # and one storage is many tensors
    views = {str(number): tensor(storage(count=50_000), 0, (50_000,), (1,)) for number in range(30)}
    told = refusal(archive(views, [bytes(200_000)]), tmp_path / "a.pt")
    assert "tensor '9': it has 200000 bytes; all tensors of a file of" in told


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"order": b"middle"}, "the order of bytes is 'middle', wanted little or big"),
        ({"order": b"\xff"}, "the file is damaged"),
        (
            {"compression": zipfile.ZIP_DEFLATED},
            "'archive/data.pkl' is packed, wanted it as PyTorch stores it",
        ),
        ({"parts": [b"\x02"]}, "is of truth values with a byte 2, wanted 0 or 1"),
    ],
)
def test_an_archive_that_pytorch_did_not_write_is_refused(change, words, tmp_path):
    change = {"parts": [b"\x01"]} | change
    held = {"w": tensor(storage(kind="BoolStorage"))}
    assert words in refusal(archive(held, **change), tmp_path / "a.pt")


def test_damaged_archives_are_refused(tmp_path):
    good = archive({"a": 1.0})
    assert "damaged" in refusal(good[:-10], tmp_path / "a.pt")
    at = good.index(struct.pack("<f", 1.0))
    assert "Bad CRC-32" in refusal(good[:at] + b"x" + good[at + 1 :], tmp_path / "a.pt")
    assert "has 0 members data.pkl" in refusal(zipped([("a/b", b"")]), tmp_path / "a.pt")
    twice = zipped([("a/data.pkl", b""), ("b/data.pkl", b"")])
    assert "has 2 members data.pkl" in refusal(twice, tmp_path / "a.pt")
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = zipped([("a/data.pkl", b""), ("a/data.pkl", b"")])
    assert "has 'a/data.pkl' twice" in refusal(twice, tmp_path / "a.pt")
    double = pickled({"a": None}).replace(b"K", b"K")
    double = zipped([("a/data.pkl", b"\x80\x02}(X\1\0\0\0a" + tensors(2) + b"u."), ("a/data/0", bytes(4))])
    assert "has two tensors 'a'" in refusal(double, tmp_path / "a.pt")
    assert "begins with b'ab', wanted a zip archive or a pickle" in refusal(b"ab\0\1" * 9, tmp_path / "a.pt")


def tensors(count):
    """Return the pickle of so many tensors under one name, without what begins and ends it."""
    one = pickled(tensor(storage()))[2:-1]
    return one + (b"X\1\0\0\0a" + one) * (count - 1)


# The format before PyTorch 1.6 ------------------------------------------------------------------------------

MAGIC = 0x1950A86A20F9469CFC6C


def in_a_row(held, keys=("0",), parts=((1, bytes(4)),), magic=MAGIC, version=1001, little=True):
    system = {"protocol_version": version, "little_endian": little, "type_sizes": {"short": 2}}
    data = b"".join(map(pickled, (magic, version, system, held, list(keys))))
    return data + b"".join(struct.pack("<q" if little else ">q", count) + part for count, part in parts)


def test_an_old_file_of_another_order_of_bytes_is_read(tmp_path):
    stored = storage("0", "FloatStorage", 2, None)
    held = {"w": tensor(stored, 0, (2,), (1,)), "old": tensor(stored, 1, version="", more=())}
    for little, form in ((True, "<2f"), (False, ">2f")):
        data = in_a_row(held, parts=[(2, struct.pack(form, 1.5, -2))], little=little)
        (tmp_path / "a.pth").write_bytes(data + b"what another call wrote")
        found = read_torch(tmp_path / "a.pth")
        assert found["w"].tolist() == [1.5, -2]
        assert found["old"].item() == -2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"magic": 5}, "the file is a pickle, but none that torch.save wrote; where you trust it"),
        ({"version": 7}, "begins as PyTorch's before 1.6 do, and goes on otherwise"),
        ({"keys": "11"}, "lists storages that its tensors do not name, or one twice"),
        ({"keys": "00"}, "lists storages that its tensors do not name, or one twice"),
        ({"keys": [0]}, "lists storages that its tensors do not name, or one twice"),
        ({"keys": ()}, "tensor 'w': the file has no storage '0'"),
        ({"parts": [(2, bytes(8))]}, "storage '0' has 2 elements up to byte"),
        ({"parts": [(1, bytes(3))]}, "storage '0' has 1 elements up to byte"),
        ({"parts": []}, "storage '0' has -1 elements"),
        ({"held": {"w": tensor(storage()), "v": tensor(storage(count=2))}}, "'0' is described in two ways"),
    ],
)
def test_an_old_file_that_lies_is_refused(options, words, tmp_path):
    data = in_a_row(**{"held": {"w": tensor(storage())}} | options)
    assert words in refusal(data, tmp_path / "a.pth")


def test_what_lies_outside_is_kept_in_order():
    reader = PickleReader(pickled([Outside(1), Outside("b")]), 0, NAMES)
    assert [one.id for one in reader.read()] == [1, "b"]
    assert all(isinstance(one, Stored) for one in reader.stored)
