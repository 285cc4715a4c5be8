"""dpnp, the array module of Intel's GPUs and of OpenCL: how it is opened, and its errors in plain words."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from purecnn.backend.arrays import Device
from purecnn.backend.cuda import first_line, load
from purecnn.errors import DeviceError

#: Where dpnp's OpenCL finds the drivers of its devices.
DRIVERS = "OCL_ICD_FILENAMES"


# SYCL -------------------------------------------------------------------------------------------------------


def open_sycl() -> Device:
    """Return dpnp's default device: an Intel GPU, or a processor by OpenCL.

    Raises
    ------
    MissingExtraError
        If dpnp is not installed.
    DeviceError
        If it finds no device.
    """
    found = cpu_driver()
    if DRIVERS not in os.environ and found is not None and "dpnp" not in sys.modules:
        # OpenCL looks for drivers in the system's own folders alone, and reads this before the import.
        os.environ[DRIVERS] = str(found)
    xp = load("dpnp", "sycl")
    try:
        xp.ones(2, dtype="float32").sum().item()
    except Exception as error:
        raise DeviceError(explain_no_sycl(error)) from error
    return Device("sycl", xp, explain_sycl)


def cpu_driver() -> Path | None:
    """Return OpenCL's driver for processors, where pip has put it into this environment."""
    path = Path(sys.prefix, "lib", "libintelocl.so")
    return path if path.exists() else None


def explain_no_sycl(error: BaseException) -> str:
    """Return why dpnp has no device here, and what to do."""
    return (
        f"device='sycl': dpnp finds no device ({first_line(error)}): install the driver of the Intel GPU, or "
        f"for a processor pip install intel-opencl-rt, and set {DRIVERS} to that environment's "
        f"lib/libintelocl.so before Python starts; here it is {os.environ.get(DRIVERS) or 'not set'}"
    )


def explain_sycl(error: BaseException) -> str:
    """Return what an exception of dpnp's means, "" if it is none of those known."""
    words = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or "MemoryAllocation" in words or "USMAllocationError" in words:
        return f"device='sycl': the device's memory is full ({first_line(error)}): take a smaller batch_size"
    if "fp64" in words or ("double" in words.lower() and "support" in words.lower()):
        return (
            f"device='sycl': this device has no float64 ({first_line(error)}), which batch normalization and "
            f"dtype float64 want: device='cpu' has it"
        )
    return ""
