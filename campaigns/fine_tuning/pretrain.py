"""Train torchvision's ResNet-18 on MNIST's digits from 0 to 4, and export it by PyTorch.

    python -m campaigns.fine_tuning.pretrain FOLDER [--epochs 1]

Into FOLDER it writes ``trained.onnx``, with its batch normalizations; ``folded.onnx``, the same network as
PyTorch exports it if nothing else is said, these folded into the convolutions; and ``random.onnx``, whose
parameters are those that torchvision draws.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch.nn import functional

from purecnn.datasets import mnist

#: Height and width of the pictures.
SIZE = 32
#: torchvision's means and deviations of red, green and blue.
MEANS, DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BATCH = 128


def pictures(images: np.ndarray) -> torch.Tensor:
    """Return grey bytes ``(n, 28, 28)`` as torchvision's models take them, ``(n, 3, 32, 32)``."""
    grey = torch.from_numpy(images[:, None] / np.float32(255))
    colours = functional.interpolate(grey, SIZE, mode="bilinear").expand(-1, 3, -1, -1)
    means, deviations = (torch.tensor(numbers).reshape(1, 3, 1, 1) for numbers in (MEANS, DEVIATIONS))
    return (colours - means) / deviations


def resnet18() -> torch.nn.Module:
    """Return a ResNet-18 with parameters as torchvision draws them, always the same."""
    torch.manual_seed(0)
    return torchvision.models.resnet18(num_classes=5)


def export(model: torch.nn.Module, path: Path, **how: object) -> None:
    """Write a model as an ONNX file."""
    example = torch.zeros(1, 3, SIZE, SIZE)
    torch.onnx.export(model.eval(), (example,), path, external_data=False, verbose=False, **how)


def main() -> None:
    """Train and export."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=1)
    asked = parser.parse_args()
    (x, y), (x_test, y_test) = mnist.load_data()
    x, y, x_test, y_test = x[y < 5], y[y < 5], x_test[y_test < 5], y_test[y_test < 5]
    asked.folder.mkdir(parents=True, exist_ok=True)
    model = resnet18()
    export(model, asked.folder / "random.onnx", optimize=False)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    steps = asked.epochs * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    for _ in range(asked.epochs):
        order = torch.randperm(len(x)).numpy()
        model.train()
        for first in range(0, len(x) // BATCH * BATCH, BATCH):
            rows = order[first : first + BATCH]
            loss = functional.cross_entropy(model(pictures(x[rows])), torch.from_numpy(y[rows]).long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.no_grad():
        parts = range(0, len(x_test), 500)
        found = np.concatenate([model(pictures(x_test[n : n + 500])).argmax(1).numpy() for n in parts])
    print(f"accuracy on the digits from 0 to 4: {(found == y_test).mean():.1%}")
    export(model, asked.folder / "trained.onnx", optimize=False)
    export(model, asked.folder / "folded.onnx")


if __name__ == "__main__":
    main()
