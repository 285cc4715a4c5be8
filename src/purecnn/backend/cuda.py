"""CuPy, the array module of NVIDIA's GPUs: how it is opened, and its errors in plain words."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from purecnn.backend.arrays import Device
from purecnn.errors import DeviceError
from purecnn.messages.extras import install_command, require_extra


def load(module: str, extra: str) -> Any:
    """Import an array module; say what is wrong where it is there and can't be loaded."""
    if find_spec(module) is None:
        return require_extra(module, extra, f"device={extra!r}")
    try:
        return import_module(module)
    except Exception as error:
        raise DeviceError(
            f"device={extra!r}: {module} is installed and can't be loaded ({first_line(error)}): install it "
            f"anew with {install_command(extra, module, '--force-reinstall')}"
        ) from error


def first_line(error: BaseException) -> str:
    """Return the first line of what an exception says, at most 200 characters."""
    lines = [line.strip() for line in str(error).splitlines() if any(map(str.isalpha, line))]
    if any(line.startswith("Original error") for line in lines[:-1]):  # CuPy frames what went wrong in advice
        lines = lines[-1:]
    return (lines or [type(error).__name__])[0][:200]


# CUDA -------------------------------------------------------------------------------------------------------


def open_cuda() -> Device:
    """Return the first NVIDIA GPU, by CuPy.

    Raises
    ------
    MissingExtraError
        If CuPy is not installed.
    DeviceError
        If there is no GPU, no driver, an old one, or a part of CUDA is missing.
    """
    xp = load("cupy", "cuda")
    try:
        xp.cuda.runtime.getDeviceCount()
        ones = xp.ones((2, 2), dtype="float32")
        (ones @ ones + 1).sum().item()  # compiles a kernel and calls cuBLAS: both must be there
    except Exception as error:
        raise DeviceError(explain_opening(xp, error)) from error
    return Device("cuda", xp, explain_cuda)


def explain_opening(xp: Any, error: BaseException) -> str:
    """Return why CuPy can't compute here, and what to do."""
    words = str(error)
    if "InsufficientDriver" in words or "NoDevice" in words or "UnknownError" in words:
        return explain_no_gpu(xp, words)
    return explain_cuda(error) or (
        f"device='cuda': CuPy can't compute here: {first_line(error)}: `python -c 'import cupy; "
        f"cupy.show_config()'` tells what it found"
    )


def explain_no_gpu(xp: Any, words: str) -> str:
    """Return which is missing: the driver, a newer one, or the GPU. CuPy calls all three the driver's age."""
    built, known = xp.cuda.runtime.runtimeGetVersion(), xp.cuda.runtime.driverGetVersion()
    if known == 0:
        return (
            "device='cuda': no NVIDIA driver was found, so no GPU: on a machine that has one, install "
            "NVIDIA's driver (`nvidia-smi` must list the GPU); anywhere else, device='cpu'"
        )
    if "InsufficientDriver" in words:
        major = known // 1000
        return (
            f"device='cuda': the NVIDIA driver knows CUDA up to {major}.{known % 1000 // 10}, this CuPy is "
            f"built for CUDA {built // 1000}: update the driver, or replace CuPy by the wheel for its CUDA: "
            f"pip uninstall cupy-cuda{built // 1000}x; pip install 'cupy-cuda{major}x[ctk]'"
        )
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    return (
        "device='cuda': the NVIDIA driver is there and shows no GPU: `nvidia-smi` must list one that this "
        f"program may use (CUDA_VISIBLE_DEVICES is {'not set' if hidden is None else repr(hidden)}); "
        "else device='cpu'"
    )


def explain_cuda(error: BaseException) -> str:
    """Return what an exception of CuPy's means, "" if it is none of those known."""
    words = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or "cudaErrorMemoryAllocation" in words:
        return (
            f"device='cuda': the GPU's memory is full ({first_line(error)}): take a smaller batch_size, or "
            f"end the other programs that `nvidia-smi` lists"
        )
    if "NoKernelImageForDevice" in words or "NO_BINARY_FOR_GPU" in words or "InvalidDeviceFunction" in words:
        return (
            "device='cuda': this CuPy has no code for this GPU, which is older or newer than what its CUDA "
            "knows: install the wheel of another CUDA, such as pip install 'cupy-cuda12x[ctk]' in place of "
            "cupy-cuda13x"
        )
    if any(
        part in words for part in ("failed to load", "Failure finding", "CUDA_PATH", "DynamicLibNotFound")
    ):
        return (
            f"device='cuda': a part of CUDA that CuPy needs is missing ({first_line(error)}): "
            f"{install_command('cuda', 'cupy')} brings all of them"
        )
    return ""
