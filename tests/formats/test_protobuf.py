"""Protocol buffers, held to bytes worked out by hand and to the reference implementation's."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from purecnn.errors import FileFormatError
from purecnn.formats import decode, encode
from purecnn.formats.protobuf import MAX_DEPTH, Field

SCHEMA = {
    "Test": {
        1: Field("a", "integer"),
        2: Field("text", "text"),
        3: Field("inner", "Test"),
        4: Field("f", "float"),
        5: Field("d", "double"),
        6: Field("many", "integer", repeated=True),
        7: Field("floats", "float", repeated=True),
        8: Field("raw", "bytes"),
        9: Field("texts", "text", repeated=True),
        10: Field("u", "unsigned"),
        11: Field("doubles", "double", repeated=True),
    }
}

# the bytes, worked out on paper: key = number << 3 | wire type
BY_HAND = [
    ("08 96 01", {"a": 150}),
    ("08 ff ff ff ff ff ff ff ff ff 01", {"a": -1}),
    ("50 ff ff ff ff ff ff ff ff ff 01", {"u": 2**64 - 1}),
    ("12 07 74 65 73 74 69 6e 67", {"text": "testing"}),
    ("1a 03 08 96 01", {"inner": {"a": 150}}),
    ("25 00 00 80 3f", {"f": 1.0}),
    ("29 00 00 00 00 00 00 f0 bf", {"d": -1.0}),
    ("32 06 03 8e 02 9e a7 05", {"many": [3, 270, 86942]}),
    ("3a 08 00 00 80 3f 00 00 00 40", {"floats": [1.0, 2.0]}),
    ("42 02 ff 00", {"raw": b"\xff\x00"}),
    ("4a 01 61 4a 00", {"texts": ["a", ""]}),
    ("5a 08 00 00 00 00 00 00 f0 3f", {"doubles": [1.0]}),
    ("", {}),
]


def plain(message):
    """Return a decoded message with lists in place of arrays, and bytes in place of views."""
    kinds = {np.ndarray: np.ndarray.tolist, memoryview: bytes, dict: plain}
    return {key: kinds.get(type(value), lambda v: v)(value) for key, value in message.items()}


@pytest.mark.parametrize(("text", "message"), BY_HAND)
def test_by_hand(text, message):
    data = bytes.fromhex(text)
    assert plain(decode(data, SCHEMA, "Test")) == message
    assert encode(message, SCHEMA, "Test") == data


def test_repeated_numbers_may_be_packed_or_not_or_both():
    data = bytes.fromhex("30 01 32 02 02 03 30 04")
    assert decode(data, SCHEMA, "Test")["many"].tolist() == [1, 2, 3, 4]


def test_packed_numbers_of_every_length_come_back():
    values = [0, *(sign * (1 << power) for power in range(63) for sign in (1, -1)), -(1 << 63), (1 << 63) - 1]
    found = decode(encode({"many": values}, SCHEMA, "Test"), SCHEMA, "Test")["many"]
    assert found.dtype == np.int64
    assert found.tolist() == values


def test_fields_that_are_not_known_are_passed_over():
    data = bytes.fromhex("f8 01 05  f9 01 00 00 00 00 00 00 00 00  fa 01 02 61 62  fd 01 00 00 00 00  08 07")
    assert decode(data, SCHEMA, "Test") == {"a": 7}


def test_the_last_of_several_holds():
    assert decode(bytes.fromhex("08 01 08 02"), SCHEMA, "Test") == {"a": 2}


def test_none_is_left_out_and_a_name_that_is_not_known_is_an_error():
    assert encode({"a": None, "many": []}, SCHEMA, "Test") == b""
    with pytest.raises(KeyError):
        encode({"b": 1}, SCHEMA, "Test")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("08", "a number in Test does not end"),
        ("08 ff ff ff ff ff ff ff ff ff ff 01", "a number in Test does not end within 10 bytes"),
        ("12 07 74", "field 2 of Test is to have 7 bytes, but 1 are left"),
        ("12 01 ff", r"Test.text holds b'\\xff', wanted UTF-8"),
        ("0b", "field 1 of Test has wire type 3, wanted 0, 1, 2 or 5"),
        ("00 01", "field of number 0"),
        ("0d 00 00 00 00", "Test.a has wire type 5, wanted 0"),
        ("20 01", "Test.f has wire type 0, wanted 5"),
        ("10 01", "Test.text has wire type 0, wanted 2"),
        ("38 01", "Test.floats has wire type 0, wanted 5"),
        ("3a 03 00 00 00", "Test.floats has 3 bytes, wanted a multiple of 4"),
        ("32 01 80", "a number in Test.many does not end"),
        ("32 0b ff ff ff ff ff ff ff ff ff ff 01", "a number in Test.many does not end"),
        ("25 00", "field 4 of Test is to have 4 bytes, but 1 are left"),
    ],
)
def test_damaged_messages_are_refused(text, words):
    with pytest.raises(FileFormatError, match=words):
        decode(bytes.fromhex(text), SCHEMA, "Test")


def test_deep_messages_are_refused():
    data = b""
    for _ in range(MAX_DEPTH + 1):
        data = encode({"raw": None}, SCHEMA, "Test") + bytes([0x1A]) + _length(data) + data
    with pytest.raises(FileFormatError, match=f"more than {MAX_DEPTH} deep"):
        decode(data, SCHEMA, "Test")


def _length(data: bytes) -> bytes:
    return encode({"a": len(data)}, SCHEMA, "Test")[1:]


def test_too_many_fields_are_refused(monkeypatch):
    monkeypatch.setattr("purecnn.formats.protobuf.MAX_OBJECTS", 100)
    with pytest.raises(FileFormatError, match="more than 100 fields"):
        decode(bytes.fromhex("4a 00") * 101, SCHEMA, "Test")


def test_numbers_that_are_not_packed_take_the_memory_of_packed_ones() -> None:
    data = b"\x08\x01" * 20_000
    tracemalloc.start()
    found = decode(data, {"Test": {1: Field("a", "integer", repeated=True)}}, "Test")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found["a"].tolist() == [1] * 20_000
    assert peak < 400_000


@pytest.mark.parametrize("piece", [10, 11, 17, 1 << 16])
def test_packed_numbers_are_the_same_wherever_they_are_cut(
    piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("purecnn.formats.protobuf.PIECE", piece)
    schema = {"Test": {1: Field("a", "integer", repeated=True), 2: Field("b", "float", repeated=True)}}
    values = [0, 1, 127, 128, -1, 2**63 - 1, -(2**63), 300, 5] * 7
    found = decode(
        encode({"a": values, "b": [1.5]}, schema, "Test") + b"\x08\x07\x15\0\0\0\x40", schema, "Test"
    )
    assert found["a"].tolist() == [*values, 7]
    assert found["b"].tolist() == [1.5, 2.0]
    with pytest.raises(FileFormatError, match="does not end within 10 bytes"):
        decode(b"\x0a\x0d\x01" + b"\x80" * 12, schema, "Test")
