"""PyTorch's side of the benchmark of architectures: a network by name, eager, in either layout."""

from __future__ import annotations

import argparse
from typing import Any

import torch
from torch import nn

from benchmarks.harness.setup import patterns
from benchmarks.harness.worker import StepByStep, serve
from benchmarks.peers.torch_architectures import ARCHITECTURES


class Architecture(StepByStep):
    """A network of that name, which trains on batch after batch of the same images, gathered by index."""

    def __init__(self, name: str, threads: int, layout: str, batch: int) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        x, y = patterns((3, 32, 32), 4 * batch)
        self.x, self.y = torch.from_numpy(x).to(torch.float32).div_(255), torch.from_numpy(y)
        self.model, self.batch, self.at = ARCHITECTURES[name](3, 10).train(), batch, 0
        if layout == "channels_last":
            self.model = self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.x = self.x.to(memory_format=torch.channels_last)
        self.loss, self.order = nn.CrossEntropyLoss(), torch.randperm(len(x))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, fused=True)

    def train_step(self) -> torch.Tensor:
        rows = self.order[self.at : self.at + self.batch]
        self.at = (self.at + self.batch) % len(self.order)
        self.optimizer.zero_grad(set_to_none=True)
        loss: torch.Tensor = self.loss(self.model(self.x[rows]), self.y[rows])
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss

    def describe(self) -> dict[str, Any]:
        return {"torch": torch.__version__, "threads": torch.get_num_threads()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=list(ARCHITECTURES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--layout", choices=["contiguous", "channels_last"], default="contiguous")
    parser.add_argument("--batch", type=int, default=64)
    given = parser.parse_args()
    serve(Architecture(given.name, given.threads, given.layout, given.batch))


if __name__ == "__main__":
    main()
