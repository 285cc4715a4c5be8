"""Pickles as data: the few opcodes that a state dict needs, none of which calls or imports anything.

A pickle is a program for a machine with a stack, which imports what it names and calls it. This reader
follows the stack alone: a name stays a name, a call becomes a `Call` that holds its arguments, and a name or
an opcode that is not among those listed here ends the reading. No value is hashed, compared or shown, so that
neither depth nor collisions cost anything: https://github.com/python/cpython/blob/main/Lib/pickletools.py.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from purecnn.errors import FileFormatError

#: Opcodes that are followed at most; those of a state dict are about 30 for each tensor.
MAX_STEPS = 250_000
#: Bytes of a name's two lines, and of a number.
MAX_NAME = 200
#: What makes a dict that is filled afterwards.
ORDERED = "collections.OrderedDict"


@dataclass(frozen=True, slots=True)
class Name:
    """What a pickle would import."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """What a pickle would make by calling a name; what it would fill it with afterwards is left out."""

    name: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """What lies outside of the pickle, by what the pickle says of it."""

    id: Any


class Pairs(list[tuple[Any, Any]]):
    """The keys and values of a dict, in order; a key may be there twice."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the members of a tuple, list or dict begin on the stack."""


MARK = Mark()


class PickleReader:
    """The stack of one pickle.

    Parameters
    ----------
    data : bytes
        Holds the pickle.
    at : int
        Where it begins.
    names : collection of str
        The names that it may have, ``module.name``.

    Attributes
    ----------
    at : int
        Where the pickle ends, once it was read.
    stored : list of Stored
        All that it says lies outside.
    """

    def __init__(self, data: bytes, at: int, names: Collection[str]) -> None:
        self.data, self.at, self.names = data, at, names
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.stored: list[Stored] = []

    def read(self) -> Any:
        """Return what the pickle describes.

        Raises
        ------
        FileFormatError
            If it is damaged, or has an opcode or a name that no state dict needs.
        """
        for _ in range(MAX_STEPS):
            start = self.at
            code = self.data[start] if start < len(self.data) else self.take(1)[0]
            self.at = start + 1
            if code == STOP:
                if len(self.stack) != 1 or self.stack[0] is MARK:
                    raise FileFormatError(f"the pickle ends at byte {self.at} with no value of its own")
                return self.stack[0]
            step = STEPS.get(code)
            if step is None:
                shown = f"{OTHERS.get(code, '')} {bytes([code])!r}".strip()
                raise FileFormatError(
                    f"the pickle has the opcode {shown} at byte {start}, which no state dict has"
                )
            step(self)
        raise FileFormatError(f"the pickle has more than {MAX_STEPS:,} opcodes")

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        end = self.at + size
        if end > len(self.data):
            raise FileFormatError(
                f"the pickle ends at byte {len(self.data)}, wanted {size} more bytes at {self.at}"
            )
        found = self.data[self.at : end]
        self.at = end
        return found

    def number(self, form: str) -> Any:
        """Return the next number, of a format of `struct`."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def pop(self, *kinds: type) -> Any:
        """Return the top of the stack, of one of some types if any are named."""
        value = self.stack.pop() if self.stack else MARK
        if value is MARK or (kinds and not isinstance(value, kinds)):
            wanted = " or ".join(kind.__name__ for kind in kinds) or "a value"
            raise FileFormatError(
                f"the pickle has {type(value).__name__} on its stack at byte {self.at}, wanted {wanted}"
            )
        return value

    def above_mark(self) -> list[Any]:
        """Return what lies above the topmost mark, and take it off the stack with the mark."""
        for place in range(len(self.stack) - 1, -1, -1):
            if self.stack[place] is MARK:
                found = self.stack[place + 1 :]
                del self.stack[place:]
                return found
        raise FileFormatError(f"the pickle has no mark on its stack at byte {self.at}")

    def line(self) -> str:
        """Return the next line."""
        end = self.data.find(b"\n", self.at, self.at + MAX_NAME)
        if end < 0:
            raise FileFormatError(f"the pickle has a name of more than {MAX_NAME} bytes at {self.at}")
        return text(self.take(end + 1 - self.at)[:-1])

    # What one opcode does to the stack ----------------------------------------------------------------------

    def name(self, module: str, last: str) -> None:
        """Put a name on the stack, if it is among those known."""
        full = f"{module}.{last}"
        if full not in self.names:
            raise FileFormatError(
                f"the pickle names {full[:MAX_NAME]!r}, which is not among what a state dict is made of"
            )
        self.stack.append(Name(full))

    def named_above(self) -> None:
        """Put a name on the stack in the place of its two parts."""
        last, module = self.pop(str), self.pop(str)
        self.name(module, last)

    def put(self, place: int) -> None:
        """Remember the top of the stack."""
        self.memo[place] = self.top()

    def get(self, place: int) -> None:
        """Put on the stack what was remembered."""
        if place not in self.memo:
            raise FileFormatError(
                f"the pickle asks at byte {self.at} for value {place}, which it did not keep"
            )
        self.stack.append(self.memo[place])

    def gather(self, count: int) -> None:
        """Make a tuple of the topmost values."""
        found = tuple(self.stack[-count:])
        if len(found) < count or any(value is MARK for value in found):
            raise FileFormatError(f"the pickle has less than {count} values on its stack at byte {self.at}")
        self.stack[-count:] = [found]

    def add(self, values: list[Any]) -> None:
        """Add values to the list on top of the stack."""
        home = self.top(list, Call)
        if isinstance(home, Pairs):
            raise FileFormatError(f"the pickle adds to a dict at byte {self.at}, wanted a list")
        if isinstance(home, list):
            home.extend(values)

    def set(self, values: list[Any]) -> None:
        """Add keys and values to the dict on top of the stack."""
        home = self.top(Pairs, Call)
        if len(values) % 2:
            raise FileFormatError(f"the pickle has a key without a value at byte {self.at}")
        if isinstance(home, Pairs):
            home.extend(zip(values[::2], values[1::2], strict=True))

    def top(self, *kinds: type) -> Any:
        """Return the top of the stack, and leave it there."""
        value = self.pop(*kinds)
        self.stack.append(value)
        return value

    def call(self) -> None:
        """Put a call, or the dict that it makes, in the place of a name and arguments."""
        arguments, name = self.pop(tuple), self.pop(Name)
        if name.text == ORDERED:
            self.stack.append(ordered(arguments))
        else:
            self.stack.append(Call(name.text, arguments))

    def build(self) -> None:
        """Leave out what would become attributes."""
        self.pop()
        self.top(Pairs, Call)

    def store(self) -> None:
        """Put what lies outside of the pickle in the place of what says where."""
        self.stored.append(Stored(self.pop()))
        self.stack.append(self.stored[-1])

    def protocol(self) -> None:
        """Pass over the version of pickles."""
        version = self.number("<B")
        if version > 5:
            raise FileFormatError(f"the pickle is of protocol {version}, wanted at most 5")


def text(data: bytes) -> str:
    """Return UTF-8 as text."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise FileFormatError(f"the pickle has {data[:40]!r}, wanted text in UTF-8") from None


def ordered(arguments: tuple[Any, ...]) -> Pairs:
    """Return the dict of a call of `OrderedDict`, which Python 2 gave its items as lists."""
    items = arguments[0] if len(arguments) == 1 and isinstance(arguments[0], list) else None
    if arguments and (items is None or any(not isinstance(i, list) or len(i) != 2 for i in items)):
        raise FileFormatError("the pickle makes a dict of something else than its keys and values")
    return Pairs((item[0], item[1]) for item in items or ())


Step = Callable[[PickleReader], Any]


def pushing(value: Callable[[PickleReader], Any]) -> Step:
    """Return the step that puts a value on the stack."""
    return lambda reader: reader.stack.append(value(reader))


def sized(form: str) -> Callable[[PickleReader], bytes]:
    """Return what reads bytes behind their length."""
    return lambda reader: reader.take(reader.number(form))


def texts(form: str) -> Step:
    """Return the step that puts a text on the stack."""
    return pushing(lambda reader: text(sized(form)(reader)))


STOP = ord(".")
#: What each opcode does, under the name that `pickletools` has for it.
STEPS: dict[int, Step] = {
    ord(code): step
    for code, step in {
        "\x80": PickleReader.protocol,  # PROTO
        "\x95": lambda reader: reader.take(8),  # FRAME
        "(": pushing(lambda reader: MARK),  # MARK
        "N": pushing(lambda reader: None),  # NONE
        "\x88": pushing(lambda reader: True),  # NEWTRUE
        "\x89": pushing(lambda reader: False),  # NEWFALSE
        "K": pushing(lambda reader: reader.number("<B")),  # BININT1
        "M": pushing(lambda reader: reader.number("<H")),  # BININT2
        "J": pushing(lambda reader: reader.number("<i")),  # BININT
        "\x8a": pushing(lambda reader: int.from_bytes(sized("<B")(reader), "little", signed=True)),  # LONG1
        "G": pushing(lambda reader: reader.number(">d")),  # BINFLOAT
        "U": texts("<B"),  # SHORT_BINSTRING
        "T": texts("<I"),  # BINSTRING
        "\x8c": texts("<B"),  # SHORT_BINUNICODE
        "X": texts("<I"),  # BINUNICODE
        "\x8d": texts("<Q"),  # BINUNICODE8
        "C": pushing(sized("<B")),  # SHORT_BINBYTES
        "B": pushing(sized("<I")),  # BINBYTES
        "}": pushing(lambda reader: Pairs()),  # EMPTY_DICT
        "]": pushing(lambda reader: []),  # EMPTY_LIST
        "\x8f": pushing(lambda reader: []),  # EMPTY_SET
        ")": pushing(lambda reader: ()),  # EMPTY_TUPLE
        "t": pushing(lambda reader: tuple(reader.above_mark())),  # TUPLE
        "\x91": pushing(lambda reader: tuple(reader.above_mark())),  # FROZENSET
        "\x85": lambda reader: reader.gather(1),  # TUPLE1
        "\x86": lambda reader: reader.gather(2),  # TUPLE2
        "\x87": lambda reader: reader.gather(3),  # TUPLE3
        "a": lambda reader: reader.add([reader.pop()]),  # APPEND
        "e": lambda reader: reader.add(reader.above_mark()),  # APPENDS
        "\x90": lambda reader: reader.add(reader.above_mark()),  # ADDITEMS
        "s": lambda reader: reader.set([reader.pop(), reader.pop()][::-1]),  # SETITEM
        "u": lambda reader: reader.set(reader.above_mark()),  # SETITEMS
        "q": lambda reader: reader.put(reader.number("<B")),  # BINPUT
        "r": lambda reader: reader.put(reader.number("<I")),  # LONG_BINPUT
        "\x94": lambda reader: reader.put(len(reader.memo)),  # MEMOIZE
        "h": lambda reader: reader.get(reader.number("<B")),  # BINGET
        "j": lambda reader: reader.get(reader.number("<I")),  # LONG_BINGET
        "c": lambda reader: reader.name(reader.line(), reader.line()),  # GLOBAL
        "\x93": PickleReader.named_above,  # STACK_GLOBAL
        "R": PickleReader.call,  # REDUCE
        "\x81": PickleReader.call,  # NEWOBJ
        "b": PickleReader.build,  # BUILD
        "Q": PickleReader.store,  # BINPERSID
    }.items()
}

#: The names of other opcodes, for the sentence that refuses them.
OTHERS = {
    **{0x69: "INST", 0x6F: "OBJ", 0x49: "INT", 0x46: "FLOAT", 0x4C: "LONG", 0x53: "STRING", 0x56: "UNICODE"},
    **{0x50: "PERSID", 0x64: "DICT", 0x6C: "LIST", 0x70: "PUT", 0x67: "GET", 0x30: "POP", 0x31: "POP_MARK"},
    **{0x32: "DUP", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4", 0x8B: "LONG4", 0x8E: "BINBYTES8"},
    **{0x92: "NEWOBJ_EX", 0x96: "BYTEARRAY8", 0x97: "NEXT_BUFFER", 0x98: "READONLY_BUFFER"},
}
