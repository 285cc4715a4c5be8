"""Opening a device: what each thing that may be missing is called, on stand-ins for CuPy and dpnp."""

import importlib.machinery
import os
import re
import sys
import types
from importlib import import_module, metadata
from importlib.util import find_spec

import numpy as np
import pytest

from helpers import strict_arrays as strict
from purecnn import Dense, Network
from purecnn.backend import Device, arrays, as_device, sycl
from purecnn.backend import cuda as cuda_module
from purecnn.backend.arrays import CPU
from purecnn.backend.cuda import explain_cuda, open_cuda
from purecnn.backend.devices import explained
from purecnn.backend.sycl import explain_no_sycl, explain_sycl, open_sycl
from purecnn.errors import DeviceError, MissingExtraError


@pytest.fixture(autouse=True)
def nothing_opened(monkeypatch):
    """Forget which devices are open, and what the environment says of them."""
    monkeypatch.setattr(arrays, "_opened", {"cpu": CPU})
    monkeypatch.setattr(arrays, "_modules", dict(arrays._modules))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv(sycl.DRIVERS, raising=False)


class Runtime:
    """Stands for ``cupy.cuda.runtime``."""

    def __init__(self, error=None, driver=13020, built=13020):
        self.error, self.driver, self.built = error, driver, built

    def getDeviceCount(self):
        if self.error:
            raise self.error
        return 1

    def driverGetVersion(self):
        return self.driver

    def runtimeGetVersion(self):
        return self.built


class CUDARuntimeError(RuntimeError):
    """As CuPy's own: its name, a colon and CUDA's words."""


class OutOfMemoryError(MemoryError):
    """As ``cupy.cuda.memory.OutOfMemoryError``."""


def stand_in(monkeypatch, name, **attributes):
    """Put a module in the place of one that may not be installed."""
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    vars(module).update({"ones": np.ones, "zeros": np.zeros, **attributes})
    monkeypatch.setitem(sys.modules, name, module)
    return module


def cupy(monkeypatch, ones=np.ones, zeros=np.zeros, **runtime):
    cuda = types.SimpleNamespace(runtime=Runtime(**runtime))
    return stand_in(monkeypatch, "cupy", cuda=cuda, ones=ones, zeros=zeros)


def failing(error):
    def ones(*_, **__):
        raise error

    return ones


def test_an_extra_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(cuda_module, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setitem(sys.modules, "dpnp", None)
    with pytest.raises(
        MissingExtraError, match=r"^device='cuda' needs cupy: .*pip install \"cupy-cuda13x\[ctk\][<>=,\d]+\"$"
    ):
        as_device("cuda")
    with pytest.raises(
        MissingExtraError, match=r"^device='sycl' needs dpnp: .*pip install \"dpnp[<>=,.\d]+\" "
    ):
        Network([Dense(2, 1)], device="sycl")


@pytest.mark.parametrize("wrong", ["gpu", "cuda:0", None, 0, np])
def test_what_is_no_device_is_refused(wrong):
    with pytest.raises(ValueError, match="device must be one of cpu, cuda, sycl, got "):
        Network([Dense(2, 1)], device=wrong)


def test_a_package_that_can_not_be_loaded_is_to_be_installed_anew(monkeypatch, tmp_path):
    words = "\n=====\nFailed to import CuPy.\n\nOriginal error:\n  ImportError: libcudart.so.13: none\n====="
    (tmp_path / "cupy.py").write_text(f"raise ImportError({words!r})")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    with pytest.raises(
        DeviceError,
        match=r"cupy is installed and can't be loaded \(ImportError: libcudart.so.13: none\): install it "
        r"anew with .*pip install --force-reinstall \"cupy-cuda13x\[ctk\]",
    ):
        as_device("cuda")


OLD = "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"


@pytest.mark.parametrize(
    ("runtime", "sentence"),
    [
        (
            {"driver": 0, "error": CUDARuntimeError(OLD)},
            "no NVIDIA driver was found, so no GPU: .*device='cpu'",
        ),
        (
            {"driver": 12040, "error": CUDARuntimeError(OLD)},
            r"the NVIDIA driver knows CUDA up to 12\.4, this CuPy is built for CUDA 13: update the "
            r"driver, or .*pip uninstall cupy-cuda13x; pip install 'cupy-cuda12x\[ctk\]'",
        ),
        (
            {"error": CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")},
            r"the NVIDIA driver is there and shows no GPU: .*CUDA_VISIBLE_DEVICES is not set",
        ),
    ],
    ids=["no driver", "old driver", "no GPU"],
)
def test_no_gpu_no_driver_and_an_old_one_are_told_apart(runtime, sentence, monkeypatch):
    cupy(monkeypatch, **runtime)
    with pytest.raises(DeviceError, match=f"^device='cuda': {sentence}"):
        as_device("cuda")


def test_a_gpu_that_is_hidden_is_said_to_be(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    cupy(monkeypatch, error=CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected"))
    with pytest.raises(DeviceError, match="CUDA_VISIBLE_DEVICES is ''"):
        as_device("cuda")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            CUDARuntimeError("cudaErrorNoKernelImageForDevice: no kernel image is available for execution"),
            "this CuPy has no code for this GPU",
        ),
        (
            ImportError(
                'Failure finding "libcublasLt.so.13 or libcublasLt.so.12": No such file: libcublasLt.so.13'
            ),
            r"a part of CUDA that CuPy needs is missing \(Failure finding .*"
            r".*pip install \"cupy-cuda13x\[ctk\].*\" brings",
        ),
        (
            OutOfMemoryError("Out of memory allocating 512 bytes (allocated so far: 0 bytes)."),
            r"the GPU's memory is full \(Out of memory allocating 512 bytes .*take a smaller batch_size",
        ),
        (
            ValueError("what nobody has seen yet"),
            "CuPy can't compute here: what nobody has seen yet: .*show_config",
        ),
    ],
    ids=["wrong wheel", "no cuBLAS", "no memory", "unknown"],
)
def test_what_fails_in_a_first_computation_is_explained(error, sentence, monkeypatch):
    cupy(monkeypatch, ones=failing(error))
    with pytest.raises(DeviceError, match=f"^device='cuda': {sentence}"):
        open_cuda()


def test_a_gpu_that_is_there_is_opened_once(monkeypatch):
    class There(np.ndarray):
        pass

    module = cupy(monkeypatch, zeros=lambda shape, dtype: np.zeros(shape, dtype).view(There))
    found = as_device("cuda")
    assert (found.name, found.xp, str(found)) == ("cuda", module, "cuda")
    assert as_device("cuda") is found
    assert arrays.module_of(np.zeros(2).view(There)) is module
    assert not found.is_host


def test_memory_that_runs_out_in_a_step_is_explained_and_the_network_is_as_it_was(monkeypatch):
    monkeypatch.setitem(arrays._modules, strict.StrictArray, strict.strict)
    network = Network([Dense(3, 2)], device=Device("strict", strict.strict, explain_cuda))
    before = arrays.to_host(network.parameters)
    full = failing(OutOfMemoryError("Out of memory allocating 1,024 bytes (allocated so far: 9 bytes)."))
    with monkeypatch.context() as short:
        short.setattr(strict.Module, "__getattr__", lambda self, name: full)
        for ask in (
            lambda: network.fit(np.ones((4, 3)), np.ones((4, 2)), loss="mse"),
            lambda: network.predict(np.ones((4, 3))),
        ):
            with pytest.raises(DeviceError, match=r"the GPU's memory is full .*batch_size") as caught:
                ask()
            assert isinstance(caught.value.__cause__, MemoryError)
    assert (arrays.to_host(network.parameters) == before).all()


def test_what_is_not_the_devices_fault_stays_what_it_is():
    assert explain_cuda(ValueError("x")) == explain_sycl(ValueError("x")) == ""
    with pytest.raises(ValueError, match=r"^mine$"), explained(Device("cuda", np, explain_cuda)):
        raise ValueError("mine")
    with pytest.raises(KeyError), explained(CPU):
        raise KeyError(1)


# SYCL -----------------------------------------------------------------------------------------------------


class Named:
    """Stands for dpctl's exceptions, whose names say what they are."""

    @staticmethod
    def error(name, words):
        return type(name, (Exception,), {})(words)


def test_the_driver_that_pip_brought_is_named_before_the_import(monkeypatch, tmp_path):
    driver = tmp_path / "lib" / "libintelocl.so"
    driver.parent.mkdir()
    driver.touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.delitem(sys.modules, "dpnp", raising=False)

    def load(module, extra):
        assert os.environ[sycl.DRIVERS] == str(driver)
        return stand_in(monkeypatch, module)

    monkeypatch.setattr(sycl, "load", load)
    assert open_sycl().name == "sycl"


def test_what_the_user_has_set_stays(monkeypatch, tmp_path):
    monkeypatch.setenv(sycl.DRIVERS, "mine")
    stand_in(monkeypatch, "dpnp")
    open_sycl()
    assert os.environ[sycl.DRIVERS] == "mine"


def test_no_device_at_all_says_what_to_install(monkeypatch):
    error = Named.error("SyclDeviceCreationError", "Default device is unavailable.")
    stand_in(monkeypatch, "dpnp", ones=failing(error))
    with pytest.raises(
        DeviceError,
        match=r"^device='sycl': dpnp finds no device \(Default device is unavailable\.\): .*"
        r"pip install intel-opencl-rt, and set OCL_ICD_FILENAMES .*here it is not set$",
    ):
        as_device("sycl")
    monkeypatch.setenv(sycl.DRIVERS, "/none.so")
    assert explain_no_sycl(error).endswith("here it is /none.so")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            Named.error("USMAllocationError", "USM allocation failed"),
            "the device's memory is full .*batch_size",
        ),
        (
            RuntimeError("Required aspect fp64 is not supported on the device"),
            "this device has no float64 .*batch normalization",
        ),
    ],
)
def test_what_dpnp_raises_is_explained(error, sentence):
    assert re.match(f"device='sycl': {sentence}", explain_sycl(error))


# The real packages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("recorded", strict.MODULES, ids=lambda recorded: recorded["module"])
def test_the_lists_of_the_strict_arrays_are_of_a_version_that_is_asked_for(recorded):
    name, version = recorded["module"], recorded["version"]
    asked = [
        line
        for line in metadata.distribution("purecnn").metadata.get_all("Requires-Dist")
        if line.startswith(name)
    ]
    least, below = re.search(r">=([\d.]+)", asked[0])[1], re.search(r"<([\d.]+)", asked[0])[1]

    def numbers(text):
        return [int(part) for part in re.findall(r"\d+", text)]

    assert numbers(least) <= numbers(version) < numbers(below)
    if find_spec(name) is not None:  # as in `make test-sycl` and `make test-cuda`, also without a GPU
        module = import_module(name)
        functions = [part for part in recorded["functions"] if not hasattr(module, part)]
        methods = [part for part in recorded["array"] if not hasattr(module.ndarray, part)]
        assert (functions, methods) == ([], [])


# A real GPU -----------------------------------------------------------------------------------------------


def gpu():
    """Return why there is no GPU to test, "" if there is one."""
    try:
        as_device("cuda")
    except (DeviceError, MissingExtraError) as error:
        return str(error)
    return ""


@pytest.mark.cuda
def test_a_network_learns_on_a_gpu_what_it_learns_here():
    if missing := gpu():
        pytest.skip(f"no NVIDIA GPU to test: {missing}")
    x, y = np.random.default_rng(0).standard_normal((64, 3)), np.arange(64) % 2
    losses = []
    for where in ("cpu", "cuda"):
        network = Network([Dense(3, 2)], dtype=np.float64, device=where)
        losses.append(network.fit(x, y, epochs=2, optimizer="sgd").loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)
