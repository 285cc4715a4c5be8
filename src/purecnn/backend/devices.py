"""Devices by name: ``as_device("cuda")`` opens one, or says why it can't be had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from purecnn.backend import arrays
from purecnn.backend.arrays import Device, register
from purecnn.backend.checks import choice
from purecnn.errors import DeviceError


def as_device(device: str | Device) -> Device:
    """Return a device by its name, opened at its first use.

    Raises
    ------
    ValueError
        If there is none of that name.
    MissingExtraError
        If its array module is not installed.
    DeviceError
        If the module or the machine can't be used; the message says what is missing and what to do.

    Examples
    --------
    >>> import numpy as np
    >>> as_device("cpu").xp is np
    True
    >>> as_device("gpu")
    Traceback (most recent call last):
    ValueError: device must be one of cpu, cuda, sycl, got 'gpu'
    """
    if isinstance(device, Device):
        return device
    if isinstance(device, str) and device in arrays._opened:
        return arrays._opened[device]
    from purecnn.backend.cuda import open_cuda  # here, since most programs stay on the host
    from purecnn.backend.sycl import open_sycl

    openers: dict[str, Callable[[], Device]] = {"cuda": open_cuda, "sycl": open_sycl}
    name = choice("device", device, ("cpu", *openers))
    return arrays._opened[name] if name in arrays._opened else register(openers[name]())


@contextmanager
def explained(device: Device) -> Iterator[None]:
    """Turn what the device's module raises into a sentence that says what to do.

    Raises
    ------
    DeviceError
        In place of an exception that `Device.explain` knows.
    """
    try:
        yield
    except Exception as error:
        sentence = device.explain(error) if device.explain else ""
        if not sentence:
            raise
        raise DeviceError(sentence) from error
