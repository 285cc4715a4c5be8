"""The PyTorch program of "time to 99 %": reads raw MNIST, trains two epochs, prints its test accuracy.

    python -m benchmarks.peers.torch_99 FOLDER [--seed 0] [--threads 2]

FOLDER holds the four raw IDX files. The seconds it prints run from the start of its main module; whoever
compares takes the time of the whole process. Network: conv 5x5x8, pool, ReLU, conv 3x3x24, pool, ReLU, dense
64, ReLU, dense 10; batch 256; Adam with betas 0.7 and 0.9; one-cycle to 0.015.
"""

from __future__ import annotations

import time

START = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

BATCH, EPOCHS, PEAK = 256, 2, 0.015


def images(folder: Path, prefix: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Scaled images (n, 28, 28, 1) and labels (n,) of "train" or "t10k"."""
    x = np.fromfile(folder / f"{prefix}-images-idx3-ubyte", np.uint8, offset=16).reshape(-1, 28, 28, 1)
    y = np.fromfile(folder / f"{prefix}-labels-idx1-ubyte", np.uint8, offset=8)
    return torch.from_numpy(x).to(torch.float32).div_(255), torch.from_numpy(y.astype(np.int64))


def network() -> nn.Sequential:
    """The network in the layout channels_last."""
    model = nn.Sequential(
        *(nn.Conv2d(1, 8, 5), nn.MaxPool2d(2), nn.ReLU(inplace=True)),
        *(nn.Conv2d(8, 24, 3), nn.MaxPool2d(2), nn.ReLU(inplace=True)),
        *(nn.Flatten(), nn.Linear(600, 64), nn.ReLU(inplace=True), nn.Linear(64, 10)),
    )
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def run(folder: Path, seed: int, threads: int) -> float:
    """Train on the 60,000 images; returns the accuracy on the 10,000 test images."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    x, y = images(folder, "train")
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.7, 0.9), fused=True)
    steps = EPOCHS * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=steps, cycle_momentum=False)
    loss = nn.CrossEntropyLoss()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            loss(model(x[rows].permute(0, 3, 1, 2)), y[rows]).backward()
            optimizer.step()
            schedule.step()
    x, y = images(folder, "t10k")
    model.eval()
    with torch.inference_mode():
        right = [
            model(part.permute(0, 3, 1, 2)).argmax(1) == labels
            for part, labels in zip(x.split(1000), y.split(1000), strict=True)
        ]
    return float(torch.cat(right).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    accuracy = run(given.folder, given.seed, given.threads)
    seconds = round(time.perf_counter() - START, 2)
    print(json.dumps({"accuracy": accuracy, "seconds": seconds, "seed": given.seed}))


if __name__ == "__main__":
    main()
