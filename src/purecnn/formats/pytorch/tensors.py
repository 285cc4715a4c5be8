"""PyTorch's tensors: views of storages, checked against what a file holds of these."""

from __future__ import annotations

import math
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError
from purecnn.formats.pytorch.pickle_reader import ORDERED, Call, Name, Pairs, Stored

#: Classes of storages, and the dtypes that stand beside storages without a class.
STORAGES = {
    **{"Half": "f2", "Float": "f4", "Double": "f8", "BFloat16": "bfloat16", "Bool": "?", "Byte": "u1"},
    **{"Char": "i1", "Short": "i2", "Int": "i4", "Long": "i8", "ComplexFloat": "c8", "ComplexDouble": "c16"},
}
DTYPES = {
    **{"float16": "f2", "float32": "f4", "float64": "f8", "bfloat16": "bfloat16", "bool": "?", "uint8": "u1"},
    **{"int8": "i1", "int16": "i2", "int32": "i4", "int64": "i8", "complex64": "c8", "complex128": "c16"},
    **{"uint16": "u2", "uint32": "u4", "uint64": "u8"},
}
#: Dtypes that NumPy lacks; a tensor of another kind may lie beside those that are wanted.
LACKING = (
    *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"),
    *("complex32", "float4_e2m1fn_x2", "quint8", "qint8", "qint32"),
)
UNTYPED = ("torch.storage.UntypedStorage", "torch.UntypedStorage", "torch.storage._UntypedStorage")
#: What a tensor is rebuilt by, and how many arguments that takes at least.
TENSOR, PARAMETER = "torch._utils._rebuild_tensor", "torch._utils._rebuild_parameter"
TENSORS = {TENSOR: 4, f"{TENSOR}_v2": 6, f"{TENSOR}_v3": 7}
PARAMETERS = (PARAMETER, f"{PARAMETER}_with_state")
#: What checkpoints hold beside their tensors; no more than its name is kept of it.
BESIDE = (
    "set",
    "frozenset",
    "list",
    "dict",
    "bytearray",
    "complex",
    "slice",
    "range",
    "int",
    "float",
    "object",
)
NAMES = frozenset(
    (
        *(ORDERED, *TENSORS, *PARAMETERS, *UNTYPED),
        *(f"torch.{front}{kind}Storage" for kind in STORAGES for front in ("", "cuda.")),
        *(f"torch.{kind}" for kind in (*DTYPES, *LACKING)),
        *(f"{module}.{kind}" for module in ("builtins", "__builtin__") for kind in BESIDE),
        *(
            "torch.Size",
            "torch.device",
            "collections.Counter",
            "collections.defaultdict",
            "collections.deque",
        ),
        *("argparse.Namespace", "_codecs.encode", "numpy.dtype", "numpy.ndarray", "copyreg._reconstructor"),
        *(f"numpy.{core}.multiarray.{f}" for core in ("core", "_core") for f in ("scalar", "_reconstruct")),
        *("pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath"),
    )
)
MAX_AXES = 64  # NumPy's
#: Bytes that all tensors may have together, as many times as the file has, and besides.
TIMES, SPARE = 4, 1 << 20


def is_tensor(value: Any) -> bool:
    """Return whether a pickle describes a tensor there."""
    return isinstance(value, Call) and value.name in (*TENSORS, *PARAMETERS)


@dataclass(frozen=True)
class Storage:
    """What a pickle says of one storage: its key, the dtype of its elements and how many it has.

    The dtype is "" where a tensor says it, and the elements are bytes.
    """

    key: str
    dtype: str
    count: int

    @staticmethod
    def of(stored: Stored) -> Storage:
        """Return a storage, of what its pickle says of it."""
        said = stored.id
        if not isinstance(said, tuple) or len(said) not in (5, 6) or said[0] != "storage":
            raise FileFormatError("the pickle describes a storage otherwise than PyTorch does")
        kind, key, count = said[1], said[2], said[4]
        if not isinstance(kind, Name) or not isinstance(key, str) or type(count) is not int or count < 0:
            raise FileFormatError("the pickle describes a storage without its class, key and size")
        if len(said) == 6 and said[5] is not None:
            raise FileFormatError(f"storage {key[:60]!r} is a view of another, as PyTorch had before 0.4")
        name = kind.text.rpartition(".")[2].removesuffix("Storage")
        if kind.text not in UNTYPED and name not in STORAGES:
            raise FileFormatError(f"storage {key[:60]!r} is a {kind.text}, wanted a class of storages")
        return Storage(key, STORAGES.get(name, ""), count)

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self.count * itemsize(self.dtype)


def itemsize(dtype: str) -> int:
    """Return the bytes of an element."""
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize if dtype else 1


def is_empty(value: Any) -> bool:
    """Return whether a pickle describes a dict without keys there."""
    return isinstance(value, Pairs) and not value


class Storages:
    """The storages of a file, each read once, and the tensors that are views of them.

    Parameters
    ----------
    order : str
        "little" or "big", the file's order of bytes.
    size : int
        Bytes of the file.
    part : callable
        Returns the bytes of a storage; it is asked once for each.
    """

    def __init__(self, order: str, size: int, part: Callable[[Storage], bytearray]) -> None:
        self.order, self.part = order, part
        self.room, self.size = TIMES * size + SPARE, size
        self.read: dict[str, bytearray] = {}
        self.held: dict[tuple[str, str], Array] = {}

    def arrays(self, tensors: Pairs) -> OrderedDict[str, Array]:
        """Return all tensors by their names."""
        found: OrderedDict[str, Array] = OrderedDict()
        for name, tensor in tensors:
            if name in found:
                raise FileFormatError(f"the file has two tensors {name[:60]!r}")
            try:
                found[name] = self.array(tensor)
            except FileFormatError as error:
                raise FileFormatError(f"tensor {name[:60]!r}: {error}") from None
        return found

    def array(self, tensor: Call) -> Array:
        """Return a tensor, checked against its storage."""
        while tensor.name in PARAMETERS:
            inner = tensor.arguments[0] if tensor.arguments else None
            if not isinstance(inner, Call) or not is_tensor(inner):
                raise FileFormatError("it is a parameter of no tensor")
            tensor = inner
        kind, said = tensor.name, tensor.arguments
        least = TENSORS[kind]
        if not least <= len(said) <= least + (kind != TENSOR) or not isinstance(said[0], Stored):
            raise FileFormatError("the pickle describes it otherwise than PyTorch does")
        if any(more is not None and not is_empty(more) for more in said[least:]):
            raise FileFormatError("it is negated or conjugated as it is read, wanted plain numbers")
        storage = Storage.of(said[0])
        dtype = storage.dtype
        if least == 7:
            named = said[6].text if isinstance(said[6], Name) else "not said"
            dtype = DTYPES.get(named.removeprefix("torch."), "")
            if not dtype:
                raise FileFormatError(f"its dtype is {named}, wanted one of {', '.join(DTYPES)}")
        elif not dtype:
            raise FileFormatError("its storage has no dtype")
        flat = self.flat(storage, dtype)
        offset, shape, strides = said[1], said[2], said[3]
        for what in (shape, strides):
            if not isinstance(what, tuple) or any(type(n) is not int or n < 0 for n in what):
                raise FileFormatError("its sizes and strides are not all whole numbers from 0 up")
        if len(shape) != len(strides) or len(shape) > MAX_AXES:
            raise FileFormatError(
                f"it has {len(shape)} sizes and {len(strides)} strides, wanted as many, at most {MAX_AXES}"
            )
        if type(offset) is not int or offset < 0:
            raise FileFormatError("it begins at no element of its storage")
        return self.view(flat, offset, shape, strides)

    def view(self, flat: Array, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
        """Return part of a storage, contiguous."""
        bytes_of = math.prod(max(1, n) for n in shape) * flat.itemsize
        self.room -= bytes_of
        if self.room < 0:
            raise FileFormatError(
                f"it has {bytes_of} bytes; all tensors of a file of {self.size} bytes may have {TIMES} times "
                f"as many"
            )
        if 0 in shape:
            return np.empty(shape, flat.dtype)
        last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        if last >= flat.size:
            raise FileFormatError(f"it reaches to element {last} of a storage of {flat.size}")
        steps = [stride * flat.itemsize if n > 1 else 0 for n, stride in zip(shape, strides, strict=True)]
        return np.require(
            np.ndarray(shape, flat.dtype, flat, offset * flat.itemsize, steps), requirements=["C", "W"]
        )

    def flat(self, storage: Storage, dtype: str) -> Array:
        """Return all numbers of a storage."""
        key = storage.key, dtype
        if key in self.held:
            found = self.held[key]
        else:
            if storage.key not in self.read:
                self.read[storage.key] = self.part(storage)
            found = self.held[key] = numbers(self.read[storage.key], dtype, self.order)
        if found.size * itemsize(dtype) != storage.size:
            raise FileFormatError(
                f"its storage has {found.size * itemsize(dtype)} bytes, the pickle says {storage.size}"
            )
        return found


def numbers(data: bytearray, dtype: str, order: str) -> Array:
    """Return the numbers that bytes stand for, in the machine's own order."""
    kind = np.dtype("u2" if dtype == "bfloat16" else dtype).newbyteorder("<" if order == "little" else ">")
    if len(data) % kind.itemsize:
        raise FileFormatError(f"its storage has {len(data)} bytes, no multiple of {kind.itemsize}")
    found = np.frombuffer(data, kind) if data else np.empty(0, kind)
    if dtype == "?" and found.size and (most := int(found.view(np.uint8).max())) > 1:
        raise FileFormatError(f"it is of truth values with a byte {most}, wanted 0 or 1")
    if dtype == "bfloat16":
        return (found.astype(np.uint32) << 16).view(np.float32)
    return found.astype(kind.newbyteorder("="), copy=order != sys.byteorder)
