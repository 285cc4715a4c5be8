"""Training on a device beside PyTorch on the same one: images a second, at several batch sizes.

    python -m benchmarks.cuda [--device cuda] [--seconds 5] [--alone] [--only lenet]

Both programs start from the same parameters, so that their first losses must agree, and train on the same
images in float32, without TF32. PyTorch has all images on the GPU and asks for no loss between its steps;
ours sends each batch as bytes and brings each step's loss back, as `fit` does. --alone leaves PyTorch out,
and --device sycl or cpu shows that the program works where there is no GPU.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.harness import machine
from benchmarks.harness.networks import BENCHES, Bench, initial_parameters
from benchmarks.harness.setup import mnist
from benchmarks.peers.purecnn_program import build, set_parameters
from purecnn import Adam, Network
from purecnn.backend import as_device
from purecnn.errors import DeviceError, MissingExtraError

NETWORKS, BATCHES = ("lenet", "keras", "cifar", "normalized"), (128, 1024)
#: Batches in an epoch.
STEPS = 20


def data(bench: Bench, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """MNIST, or bytes drawn at random where the network takes other images."""
    if bench.data == "mnist":
        x, y = mnist()[0]
        return x[:samples], y[:samples]
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (samples, *bench.input_shape), dtype=np.uint8), rng.integers(0, 10, samples)


def timed(epoch: Callable[[], None], samples: int, seconds: float) -> float:
    """Images a second of whole epochs, for so long at least."""
    begin, epochs = time.perf_counter(), 0
    while (spent := time.perf_counter() - begin) < seconds:
        epoch()
        epochs += 1
    return samples * epochs / spent


def ours(bench: Bench, batch: int, device: str, seconds: float) -> tuple[float, float]:
    """First loss and images a second of purecnn."""
    x, y = data(bench, STEPS * batch)
    layers = [layer for layer in build(bench) if type(layer).__name__ != "Dropout"]
    network = Network(layers, input_shape=bench.input_shape)
    set_parameters(list(network), initial_parameters(bench))
    network.to(device)
    optimizer = Adam(bench.rate)

    def epoch() -> float:
        history = network.fit(x, y, batch_size=batch, optimizer=optimizer, shuffle=False)
        return history.loss[0]

    first = network.fit(x[:batch], y[:batch], batch_size=batch, optimizer=optimizer, shuffle=False).loss[0]
    epoch()  # compiles what is left to compile
    return first, timed(lambda: (epoch(), None)[1], len(x), seconds)


def torchs(bench: Bench, batch: int, device: str, seconds: float) -> tuple[float, float]:
    """First loss and images a second of PyTorch: eager, its optimizer fused, the data on the device."""
    import torch

    from benchmarks.peers import torch_program

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    x, y = data(bench, STEPS * batch)
    modules = [module for module in torch_program.build(bench) if not isinstance(module, torch.nn.Dropout)]
    model = torch.nn.Sequential(*modules)
    with torch.no_grad():
        for parameter, array in zip(model.parameters(), initial_parameters(bench), strict=True):
            parameter.copy_(torch.from_numpy(array).reshape(parameter.shape))
    where = torch.device(device)
    model = model.to(where).train()
    images = torch.from_numpy(x.reshape(len(x), *bench.input_shape)).to(where, torch.float32).div_(255)
    labels = torch.from_numpy(y.astype(np.int64)).to(where)
    loss, optimizer = (
        torch.nn.CrossEntropyLoss(),
        torch.optim.Adam(model.parameters(), bench.rate, fused=True),
    )

    def step(first: int) -> Any:
        optimizer.zero_grad(set_to_none=True)
        found = loss(model(images[first : first + batch]), labels[first : first + batch])
        found.backward()
        optimizer.step()
        return found

    def epoch() -> None:
        for first in range(0, len(images), batch):
            step(first)
        if where.type == "cuda":
            torch.cuda.synchronize()

    first = float(step(0))
    epoch()
    return first, timed(epoch, len(x), seconds)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda", choices=["cuda", "sycl", "cpu"])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--only", choices=NETWORKS)
    given = parser.parse_args()
    try:
        as_device(given.device)
    except (DeviceError, MissingExtraError) as error:
        raise SystemExit(str(error)) from None
    print(f"commit {machine.commit()}, device {given.device}, {described(given.device)}\n")
    print("| network | batch | purecnn, images/s | PyTorch, images/s | ratio |\n|---|---|---|---|---|")
    for name in [given.only] if given.only else NETWORKS:
        for batch in BATCHES:
            first, found = ours(BENCHES[name], batch, given.device, given.seconds)
            peer = ""
            if not given.alone:
                other, speed = torchs(BENCHES[name], batch, given.device, given.seconds)
                if abs(first - other) > 1e-4 * other:
                    raise SystemExit(f"{name}: the first losses differ, ours {first}, PyTorch's {other}")
                peer = f"{speed:,.0f} | {found / speed:.2f}"
            print(f"| {name} | {batch} | {found:,.0f} | {peer or ' | '} |", flush=True)


def described(device: str) -> str:
    """What the device is, and the versions."""
    if device == "cuda":
        import cupy

        name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
        return f"{name}, CuPy {cupy.__version__}, CUDA {cupy.cuda.runtime.runtimeGetVersion()}"
    if device == "sycl":
        import dpnp

        return f"{dpnp.ones(1).sycl_device.name}, dpnp {dpnp.__version__}"
    return f"NumPy {np.__version__}"


if __name__ == "__main__":
    main()
