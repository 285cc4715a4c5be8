"""An array module for the tests that computes with NumPy, and is as strict as any device's module may be.

What CuPy or dpnp would do behind the caller's back, slowly, or would refuse, it refuses: conversions that
wait for the device, operands of the host beside those of the device, functions and arguments that one of the
two lacks. Allowed of what waits is `asnumpy`, from `arrays.to_host`, and of what crosses the other way
`asarray` of NumPy's arrays, from `arrays.to_device`. Numbers, NumPy's scalars too, may stand beside arrays:
they are arguments, and wait for nothing.
"""

import json
import numbers
import sys
from pathlib import Path

import numpy as np

from purecnn.backend import arrays as arrays_module

#: What both packages have, by name: the parameters of functions that say theirs, and the methods of arrays.
MODULES = [
    json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parents[1] / "fixtures" / "array_modules").glob("*.json"))
]
#: What dpnp does not compute into the memory of an input.
NOT_IN_PLACE = {"maximum", "minimum", "copysign"}


class Refused(TypeError):
    """What a device's module would not do, or not at once."""


def refuse(what):
    def method(self, *_, **__):
        raise Refused(f"{what}: it waits for the device; `to_host` says so")

    return method


def plain(value, where):
    """Return NumPy's array of a strict one, and scalars as they are."""
    if isinstance(value, StrictArray):
        return value.held
    if isinstance(value, np.ndarray):
        raise Refused(f"{where}: an array of the host, of shape {value.shape}, beside those of the device")
    if value is None or isinstance(value, bool | numbers.Number | np.generic):
        return value
    raise Refused(f"{where}: {type(value).__name__} is no operand")


def index(key):
    """Return an index that all modules take: numbers, slices, new axes and their own arrays of integers."""
    if isinstance(key, tuple):
        return tuple(map(index, key))
    if isinstance(key, StrictArray):
        if key.held.dtype.kind != "i":
            raise Refused(f"an index by {key.held.dtype}: its length is not known before it is computed")
        return key.held
    if key is None or key is Ellipsis or isinstance(key, slice | numbers.Integral):
        return key
    raise Refused(f"an index by {type(key).__name__}")


def operator(name):
    def method(self, other):
        return StrictArray(getattr(self.held, name)(plain(other, name)))

    return method


def in_place(name):
    def method(self, other):
        getattr(self.held, name)(plain(other, name))
        return self

    return method


class StrictArray:
    """An array that lies on a device, as far as anyone can tell."""

    __array_ufunc__ = None  # NumPy's functions and operators refuse it, or leave it to the methods below

    def __init__(self, held):
        self.held = np.asarray(held)

    shape = property(lambda self: self.held.shape)
    dtype = property(lambda self: self.held.dtype)
    ndim = property(lambda self: self.held.ndim)
    size = property(lambda self: self.held.size)
    strides = property(lambda self: self.held.strides)
    nbytes = property(lambda self: self.held.nbytes)
    T = property(lambda self: StrictArray(self.held.T))

    @property
    def flags(self):
        return type("Flags", (), {"c_contiguous": self.held.flags.c_contiguous})

    def __array__(self, *_, **__):
        raise Refused("an implicit conversion to NumPy's array: `to_host` is the one that is meant")

    for name in ("float", "int", "bool", "index", "complex"):
        locals()[f"__{name}__"] = refuse(f"{name}(array)")
    item, tolist = refuse("array.item()"), refuse("array.tolist()")
    __contains__ = refuse("value in array")
    __deepcopy__ = __reduce_ex__ = refuse("a copy or a pickle of an array of the device")
    __hash__ = None

    for name in ("add", "sub", "mul", "truediv", "matmul", "pow"):
        locals()[f"__{name}__"] = operator(f"__{name}__")
        locals()[f"__r{name}__"] = operator(f"__r{name}__")
        if name != "matmul":
            locals()[f"__i{name}__"] = in_place(f"__i{name}__")
    for name in ("lt", "le", "gt", "ge", "eq", "ne", "and", "or"):
        locals()[f"__{name}__"] = operator(f"__{name}__")
    del name

    def __neg__(self):
        return StrictArray(-self.held)

    def __abs__(self):
        return StrictArray(abs(self.held))

    def __len__(self):
        return len(self.held)

    def __iter__(self):
        return (StrictArray(part) for part in self.held)

    def __getitem__(self, key):
        return StrictArray(self.held[index(key)])

    def __setitem__(self, key, value):
        self.held[index(key)] = plain(value, "an assignment")

    def __repr__(self):
        return f"<{self.dtype} of shape {self.shape}, on the strict device>"

    def reshape(self, *shape):
        return StrictArray(self.held.reshape(*shape))

    def transpose(self, *axes):
        return StrictArray(self.held.transpose(*axes))

    def ravel(self):
        return StrictArray(self.held.ravel())

    def copy(self):
        return StrictArray(self.held.copy())

    def fill(self, value):
        self.held.fill(plain(value, "fill"))

    def astype(self, dtype, copy=True):
        return StrictArray(self.held.astype(dtype, copy=copy))

    def sum(self, axis=None, dtype=None, keepdims=False):
        return StrictArray(self.held.sum(axis=axis, dtype=dtype, keepdims=keepdims))

    def mean(self, axis=None, keepdims=False):
        return StrictArray(self.held.mean(axis=axis, keepdims=keepdims))

    def var(self, axis=None):
        return StrictArray(self.held.var(axis=axis))

    def max(self, axis=None):
        return StrictArray(self.held.max(axis=axis))

    def min(self, axis=None):
        return StrictArray(self.held.min(axis=axis))

    def all(self, axis=None):
        return StrictArray(self.held.all(axis=axis))


def check_call(name, positional, keywords):
    """Refuse a call that one of the packages would not take."""
    for module in MODULES:
        title = f"{module['module']}.{name}"
        if name not in module["functions"]:
            raise AttributeError(f"{title}: {module['module']} {module['version']} has none")
        names = module["functions"][name]
        if names is None:  # a ufunc, or a function that takes any operands
            names = [None] * positional + ["*", "out", *(["axes"] if name == "einsum" else [])]
        by_keyword = names.index("*") if "*" in names else len([n for n in names if n != "**"])
        if positional > by_keyword:
            raise Refused(f"{title} takes {by_keyword} arguments by position, got {positional}")
        if unknown := set(keywords) - set(names):
            raise Refused(f"{title} has no argument {', '.join(unknown)}")
    if name != "copyto" and keywords.get("where") is not None:
        raise Refused(f"{name}(where=...): dpnp has it not implemented")


class Module:
    """The functions of the module, each checked, then NumPy's own."""

    __name__, __version__ = "strict", "1"

    def __init__(self):
        self.used = set()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        check_call(name, 0, {})

        def call(*arguments, **keywords):
            self.used.add(name)
            check_call(name, len(arguments), keywords)
            out = keywords.pop("out", None)
            where = f"{name}, on the strict device"
            if name == "copyto":  # into its first argument
                target, *arguments = arguments
                mask = keywords.pop("where", True)
                np.copyto(
                    plain(target, where),
                    plain(arguments[0], where),
                    where=plain(mask, where),
                    **keywords,
                )
                return None
            shapes = ("zeros", "empty", "full", "arange", "einsum", "pad")
            values = [a if name in shapes and not is_array(a) else plain(a, where) for a in arguments]
            found = getattr(np, name)(*values, **keywords)
            if out is None:
                return StrictArray(found)
            target = plain(out, where)
            if found.dtype != target.dtype or found.shape != target.shape:
                raise Refused(
                    f"{where}: out is {target.dtype} of shape {target.shape}, the result {found.dtype} of "
                    f"{found.shape}"
                )
            overlapping = any(isinstance(v, np.ndarray) and np.may_share_memory(v, target) for v in values)
            if name in NOT_IN_PLACE and overlapping:
                raise Refused(f"{where}: dpnp does not compute it in place")
            target[...] = found
            return out

        return call

    def asarray(self, values, dtype=None):
        """Take an array of the host, from the seam alone; one of the device is only cast."""
        self.used.add("asarray")
        if isinstance(values, StrictArray):
            return values if dtype is None else values.astype(dtype, copy=False)
        if sys._getframe(1).f_code is not arrays_module.to_device.__code__:
            raise Refused("asarray of an array of the host, not from `to_device`")
        return StrictArray(np.array(values))

    def array(self, values, dtype=None):
        self.used.add("array")
        return StrictArray(np.array(plain(values, "array"), dtype))

    def asnumpy(self, values):
        """Give an array to the host, to the seam alone."""
        self.used.add("asnumpy")
        if sys._getframe(1).f_code is not arrays_module.to_host.__code__:
            raise Refused("asnumpy, not from `to_host`")
        return values.held.copy()


def is_array(value):
    return isinstance(value, StrictArray | np.ndarray)


strict = Module()
STRICT = arrays_module.register(arrays_module.Device("strict", strict))
