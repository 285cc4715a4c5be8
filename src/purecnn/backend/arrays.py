"""Array modules and devices: which module an array belongs to, and where host and device meet.

Where a network computes: which array module its arrays belong to, and the two places where they cross.

Code that runs on any device never asks which one it is. It takes the module from an array that it was given,
``xp = module_of(x)``, or from its layer, ``self.xp``, and calls what it would call of NumPy. Host and device
meet in `to_device` and `to_host`, nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from purecnn.backend.types import Array


@dataclass(frozen=True)
class Device:
    """A place to compute, and the module whose arrays lie there.

    Parameters
    ----------
    name : str
        As users write it: "cpu", "cuda" or "sycl".
    xp : module
        NumPy, or one that has its functions, and `asnumpy`.
    explain : callable, optional
        From an exception of that module to the sentence that a user can act on; "" where it has none.
    """

    name: str
    xp: Any
    explain: Callable[[BaseException], str] | None = None

    @property
    def is_host(self) -> bool:
        """Whether arrays are NumPy's own: then there are shards, and the kernels are `kernels.cpu`."""
        return self.xp is np

    def zeros(self, shape: int | tuple[int, ...], dtype: Any) -> Array:
        """Return zeros that lie there."""
        found: Array = self.xp.zeros(shape, dtype=dtype)
        return found

    def __str__(self) -> str:
        return self.name


#: The host: every network begins there, and every copy and file of one lies there.
CPU = Device("cpu", np)


#: The array modules of the devices that were opened, by the type of their arrays; all else is NumPy's.
_modules: dict[type, Any] = {}
_opened: dict[str, Device] = {"cpu": CPU}


def module_of(array: Any) -> Any:
    """Return the array module that `array` belongs to: NumPy, unless it lies on a device.

    Examples
    --------
    >>> module_of(np.zeros(3)) is np
    True
    """
    return _modules.get(type(array), np)


def to_device(array: Any, xp: Any) -> Any:
    """Return `array` where the arrays of the module `xp` lie: itself, if it is one of them.

    Examples
    --------
    >>> host = np.zeros(3)
    >>> to_device(host, np) is host
    True
    """
    if _modules.get(type(array), np) is xp:
        return array
    return to_host(array) if xp is np else xp.asarray(to_host(array))


def to_host(array: Any) -> Any:
    """Return `array` as NumPy's: itself, if it lies there; else this waits until the device has computed it.

    Examples
    --------
    >>> host = np.zeros(3)
    >>> to_host(host) is host
    True
    """
    held = _modules.get(type(array))
    return array if held is None else held.asnumpy(array)


def register(device: Device) -> Device:
    """Make a device known by its name and by the type of its arrays; return it."""
    _modules[type(device.xp.zeros(1, dtype=np.float32))] = device.xp
    _opened[device.name] = device
    return device
