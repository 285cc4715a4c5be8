"""The safetensors package is the oracle of our reader and our writer, both ways and to the bit."""

import json
import os
import stat
import struct
import sys
import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import load_file, save, save_file

from purecnn.backend import files
from purecnn.errors import FileFormatError
from purecnn.formats import read_safetensors, write_safetensors

CODES = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"]


def some_arrays():
    rng = np.random.default_rng(0)
    arrays = {f"of {code}": (rng.random((3, 5)) * 9 - (code[0] in "fi") * 4).astype(code) for code in CODES}
    grid = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    arrays |= {
        "zero size": np.zeros((3, 0, 2), np.float64),
        "0-d": np.array(2.5, np.float32),
        "0-d bool": np.array(True),
        'ünïcode "quoted"\n😀': np.ones(1, np.uint8),
        "": np.ones(3, np.int16),
        "strided": grid[:, ::2, ::-1],
        "Fortran": np.asfortranarray(grid),
        "broadcast": np.broadcast_to(np.float32(3), (2, 2)),
        "not a number": np.array([np.nan, -0.0, np.inf]),
    }
    return arrays


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype, name
        assert found[name].shape == array.shape, name
        assert found[name].tobytes() == array.tobytes(), name


def pack(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_the_package_reads_what_we_write(tmp_path):
    arrays = some_arrays()
    write_safetensors(tmp_path / "a", arrays, {"k": "v"})
    assert_same(load_file(tmp_path / "a"), arrays)


def test_we_read_what_the_package_writes(tmp_path):
    arrays = {name: np.array(array, order="C") for name, array in some_arrays().items()}
    metadata = {"one": "1", "ü\n": '{"nested": ["text"]}', "": '\\ " 😀'}
    save_file(arrays, tmp_path / "a", metadata)
    found, found_metadata = read_safetensors(tmp_path / "a")
    assert_same(found, arrays)
    assert found_metadata == metadata


@pytest.mark.parametrize("metadata", [None, {"only": "é\x00\x1f\x7f\u2028/"}])
def test_bytes_are_those_of_the_package(tmp_path, metadata):
    arrays = {name: np.array(array, order="C") for name, array in some_arrays().items()}
    write_safetensors(tmp_path / "a", dict(reversed(arrays.items())), metadata)
    assert (tmp_path / "a").read_bytes() == save(arrays, metadata)


def test_data_start_at_a_multiple_of_8_bytes(tmp_path):
    for length in range(1, 20):
        write_safetensors(tmp_path / "a", {"x" * length: np.ones(1)})
        assert struct.unpack("<Q", (tmp_path / "a").read_bytes()[:8])[0] % 8 == 0


def test_order_of_metadata_does_not_change_the_bytes(tmp_path):
    write_safetensors(tmp_path / "a", {}, {"a": "1", "b": "2"})
    write_safetensors(tmp_path / "b", {}, {"b": "2", "a": "1"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_either_byte_order_is_stored_little_endian_and_read_as_native(tmp_path):
    values = [1.5, -2.0, 3e10]
    for order in "<>":
        write_safetensors(tmp_path / "a", {"x": np.array(values, order + "f8")})
        found = read_safetensors(tmp_path / "a")[0]["x"]
        assert found.dtype.isnative
        assert found.tolist() == values
        assert (tmp_path / "a").read_bytes().endswith(np.array(values, "<f8").tobytes())


def test_arrays_read_are_writable_and_contiguous(tmp_path):
    write_safetensors(tmp_path / "a", some_arrays())
    for array in read_safetensors(tmp_path / "a")[0].values():
        assert array.flags.writeable
        assert array.flags.c_contiguous


def test_bfloat16_is_widened_exactly(tmp_path):
    numbers = np.array([1.0, -2.5, 3e38, np.inf, 0.0, 2.0**-130], np.float32)
    stored = (numbers.view(np.uint32) >> 16).astype("<u2")
    wanted = (stored.astype(np.uint32) << 16).view(np.float32)
    for shape in [(6,), (2, 3)]:
        header = {"x": {"dtype": "BF16", "shape": shape, "data_offsets": [0, 12]}}
        (tmp_path / "a").write_bytes(pack(header, stored.tobytes()))
        found = read_safetensors(tmp_path / "a")[0]["x"]
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, wanted.reshape(shape))


F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
ENTRY = json.dumps(F32).encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["0 bytes", "at least 8"]),
        (b"\0\0\0\0\0\0\0", ["7 bytes", "at least 8"]),
        (struct.pack("<Q", 9) + b"{}", ["9 bytes", "at most 2"]),
        (struct.pack("<Q", 2**64 - 1) + b"{}", [str(2**64 - 1), "at most 2"]),
        (pack(b""), ["its end", "an object"]),
        (pack(b"[]"), ["'[]'", "an object"]),
        (pack(b"{"), ["its end", "a name"]),
        (pack(b"{}x"), ["'x'", "spaces"]),
        (pack(b'{"a\x01":' + ENTRY + b"}", bytes(8)), ["a\\x01", "JSON"]),
        (pack(b'{"a\xff":' + ENTRY + b"}", bytes(8)), ["JSON"]),
        (pack(b'{"a\\ud800":' + ENTRY + b"}", bytes(8)), ["ud800", "JSON"]),
        (pack(b"{" + b'"a":' * 2 + b"}"), ["'\"a\":}'", "dtype"]),
        (pack(b'{"a":' + ENTRY + b"," + b'"a":' + ENTRY + b"}", bytes(8)), ["'a' twice"]),
        (pack(b'{"a":' + ENTRY + b",}", bytes(8)), ["'}'", "a name"]),
        (pack(b'{"a":' + ENTRY + b' "b":' + ENTRY + b"}", bytes(8)), ["a comma"]),
        (pack(b'{"a":{"dtype":"F32","dtype":"F32","shape":[]}}'), ["'dtype'", "twice"]),
        (pack(b'{"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}', bytes(4)), ["[01]", "JSON"]),
        (pack({"a": []}), ["'[]}'", "'a'", "dtype"]),
        (pack({"a": {"dtype": "F32"}}), ["F32", "shape and data_offsets"]),
        (pack({"a": F32 | {"more": 1}}, bytes(8)), ["more", "dtype"]),
        (pack({"a": F32 | {"dtype": "F8_E4M3"}}, bytes(8)), ["'F8_E4M3'", "BF16"]),
        (pack({"a": F32 | {"dtype": 32}}, bytes(8)), ["32", "a string"]),
        (pack({"a": F32 | {"shape": [-2]}}, bytes(8)), ["[-2]", "from 0 up"]),
        (pack({"a": F32 | {"shape": [2.0]}}, bytes(8)), ["[2.0]", "integers"]),
        (pack({"a": F32 | {"shape": [True]}}, bytes(8)), ["[true]", "integers"]),
        (pack({"a": F32 | {"shape": [[2]]}}, bytes(8)), ["[[2]]", "integers"]),
        (pack({"a": F32 | {"shape": [3]}}, bytes(8)), ["[0, 8]", "12 bytes"]),
        (pack({"a": F32 | {"shape": [1] * 65}}, bytes(8)), ["at most 64"]),
        (pack({"a": F32 | {"shape": [2**62, 4]}}, bytes(8)), [str(2**62), "at most"]),
        (pack({"a": F32 | {"shape": [2**32, 2**32]}}, bytes(8)), [str(2**32), "at most"]),
        (pack({"a": F32 | {"shape": [0, 2**70]}}, bytes(8)), [str(2**70), "at most"]),
        (pack({"a": F32 | {"data_offsets": [0]}}, bytes(8)), ["[0]", "8 bytes"]),
        (pack({"a": F32 | {"data_offsets": [8, 0]}}, bytes(8)), ["[8, 0]", "8 bytes"]),
        (pack({"a": F32 | {"data_offsets": [-8, 0]}}, bytes(8)), ["[-8, 0]", "from 0 up"]),
        (pack({"a": F32 | {"data_offsets": [4, 12]}}, bytes(12)), ["byte 4", "wanted 0"]),
        (pack({"a": F32, "b": F32 | {"data_offsets": [4, 12]}}, bytes(12)), ["'b'", "byte 4", "wanted 8"]),
        (pack({"a": F32, "b": F32}, bytes(8)), ["byte 0", "wanted 8"]),
        (pack({"a": F32}, bytes(7)), ["7 bytes", "8"]),
        (pack({"a": F32}, bytes(9)), ["9 bytes", "8"]),
        (pack({}, bytes(1)), ["1 bytes", "0"]),
        (pack({"a": {"dtype": "BOOL", "shape": [2], "data_offsets": [0, 2]}}, b"\1\2"), ["byte 2", "0 or 1"]),
        (pack({"__metadata__": {"a": 1}}), ['"a": 1', "strings"]),
        (pack({"__metadata__": []}), ["[]", "strings"]),
        (pack({"__metadata__": {"a": {"b": "c"}}}), ['"b"', "strings"]),
        (pack(b'{"__metadata__":{"a":"b","a":"c"}}'), ["'a'", "twice"]),
        (pack(b'{"__metadata__":{},"__metadata__":{}}'), ["__metadata__", "twice"]),
        (pack(b'{"__metadata__":{"a","b"}}'), ['"a","b"', "JSON"]),
    ],
)
def test_hostile_files_are_refused_in_one_sentence(tmp_path, content, words):
    path = tmp_path / "hostile"
    path.write_bytes(content)
    with pytest.raises(FileFormatError) as caught:
        read_safetensors(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "wanted" in message
    assert "\n" not in message
    for word in words:
        assert word in message.removeprefix(f"{path}: ")


def test_a_header_above_the_limit_is_refused_before_it_is_read(tmp_path):
    with open(tmp_path / "a", "wb") as file:
        file.write(struct.pack("<Q", 100_000_001))
        file.truncate(100_000_100)  # a hole, no bytes on the disk
    with pytest.raises(FileFormatError, match="100000001 bytes, wanted at most 100000000"):
        read_safetensors(tmp_path / "a")


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 10**6,
        b'{"a":' * 200_000,
        b'{"a":{"shape":' + b"[" * 10**6,
        b'{"a":{"shape":[' + b"0," * 500_000,
        b'{"a":[' + b"[]," * 300_000,
        b'{"' + b"\\" * 10**6,
        b"{" + b" " * 10**6,
        b"{" + b'"":{},' * 150_000,
    ],
)
def test_no_header_takes_more_memory_than_a_few_of_its_own_size(tmp_path, text):
    (tmp_path / "a").write_bytes(pack(text))
    tracemalloc.start()
    with pytest.raises(FileFormatError):
        read_safetensors(tmp_path / "a")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * len(text)


def test_hundreds_of_mutations_are_refused_or_read_in_bounded_memory(tmp_path):
    arrays = {"w": np.arange(12.0).reshape(3, 4), "b": np.zeros((2, 0)), "m": np.array([True, False])}
    write_safetensors(tmp_path / "valid", arrays, {"k": 'a "quoted" \\ text'})
    valid = (tmp_path / "valid").read_bytes()
    rng = np.random.default_rng(1)
    digits = [at for at, byte in enumerate(valid[:300]) if chr(byte) in "0123456789"]
    refused = 0
    for turn in range(600):
        mutated = bytearray(valid)
        kind = turn % 4
        if kind == 0:  # any bytes
            for _ in range(rng.integers(1, 4)):
                mutated[rng.integers(len(mutated))] = rng.integers(256)
        elif kind == 1:  # cut off
            del mutated[rng.integers(len(mutated)) :]
        elif kind == 2:  # another number in the header
            at = digits[rng.integers(len(digits))]
            mutated[at : at + 1] = str(int(rng.integers(10)) ** int(rng.integers(1, 30))).encode()
            mutated[:8] = struct.pack("<Q", struct.unpack("<Q", valid[:8])[0] + len(mutated) - len(valid))
        else:  # a piece doubled
            start, length = rng.integers(len(mutated)), rng.integers(1, 40)
            mutated[start:start] = mutated[start : start + length]
        (tmp_path / "mutated").write_bytes(mutated)
        tracemalloc.start()
        try:
            read_safetensors(tmp_path / "mutated")
        except FileFormatError:
            refused += 1
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 400_000  # the file has 400 bytes; the reader's buffer has up to 256 KiB
    assert refused > 300


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path, monkeypatch):
    write_safetensors(tmp_path / "a", {"x": np.ones(100)})
    size = os.path.getsize(tmp_path / "a")
    os.truncate(tmp_path / "a", size - 8)
    real = os.fstat
    monkeypatch.setattr(
        os, "fstat", lambda number: os.stat_result([*real(number)[:6], size, *real(number)[7:]])
    )
    with pytest.raises(FileFormatError, match="gave 792 bytes, wanted 800"):
        read_safetensors(tmp_path / "a")


def test_a_foreign_file_is_said_to_be_one(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(
        FileFormatError,
        match=r"picture\.png: looks like a PNG picture, wanted a safetensors file: `purecnn predict`",
    ):
        read_safetensors(path)


def test_what_is_no_regular_file_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match="not a regular file"):
        read_safetensors(tmp_path)
    with pytest.raises(ValueError, match="not a regular file"):
        write_safetensors(tmp_path, {})
    with pytest.raises(FileNotFoundError):
        read_safetensors(tmp_path / "missing")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are of POSIX")
def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileFormatError, match="not a regular file"):
        read_safetensors(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("tensors", "metadata", "error", "words"),
    [
        ({"x": np.ones(2, complex)}, None, TypeError, "'x' has dtype complex128, wanted one of U64"),
        ({"x": np.array([None])}, None, TypeError, "'x' has dtype object, wanted one of U64"),
        ({"x": np.array(["a"])}, None, TypeError, "'x' has dtype <U1, wanted one of U64"),
        ({1: np.ones(2)}, None, ValueError, "named 1, wanted a string"),
        ({"__metadata__": np.ones(2)}, None, ValueError, "named '__metadata__', wanted"),
        ({}, {"a": 1}, TypeError, "metadata 'a' is 1, wanted a string"),
        ({}, {1: "a"}, TypeError, "metadata 1 is 'a', wanted a string"),
        ({"\ud800": np.ones(2)}, None, ValueError, "wanted text"),
        ({}, {"a": "x" * 100_000_000}, ValueError, "wanted at most 100000000"),
    ],
)
def test_what_cannot_be_written_is_refused_and_leaves_the_old_file(tmp_path, tensors, metadata, error, words):
    (tmp_path / "a").write_text("old", encoding="utf-8")
    with pytest.raises(error, match=words):
        write_safetensors(tmp_path / "a", tensors, metadata)
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [("a", "old")]


@pytest.mark.parametrize("step", ["to_disk", "take_name"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, step, error):
    def fail(*arguments):
        raise error

    write_safetensors(tmp_path / "a", {"x": np.ones(3)})
    monkeypatch.setattr(files, step, fail)
    with pytest.raises(type(error)):
        write_safetensors(tmp_path / "a", {"x": np.zeros(1000)})
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert read_safetensors(tmp_path / "a")[0]["x"].tolist() == [1, 1, 1]


def test_the_name_holds_the_old_bytes_until_the_new_ones_are_whole(tmp_path, monkeypatch):
    write_safetensors(tmp_path / "a", {"x": np.ones(3)})
    write_safetensors(tmp_path / "b", {"x": np.zeros(3)})
    old, new = (tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()
    seen = []
    real = os.replace

    def watched(source, target):
        with open(source, "rb") as file:
            seen.append(((tmp_path / "a").read_bytes(), file.read()))
        real(source, target)

    monkeypatch.setattr(os, "replace", watched)
    write_safetensors(tmp_path / "a", {"x": np.zeros(3)})
    assert seen == [(old, new)]
    assert (tmp_path / "a").read_bytes() == new


@pytest.mark.skipif(sys.platform == "win32", reason="permissions and links of POSIX")
def test_permissions_and_links_are_kept(tmp_path):
    target = tmp_path / "target"
    write_safetensors(target, {})
    target.chmod(0o640)
    (tmp_path / "link").symlink_to(target)
    write_safetensors(tmp_path / "link", {"x": np.ones(1)})
    assert (tmp_path / "link").is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert list(read_safetensors(target)[0]) == ["x"]
