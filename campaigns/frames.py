"""Print the calls between `Network.fit` and the first kernel of a convolution, one a line.

    python -m campaigns.frames [--most 9]

A run of LeNet on one thread. Whoever looks for what a step of training does follows these calls; more of them
than `--most` end the program with 1.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import numpy as np

import purecnn
from purecnn import Network
from purecnn.kernels import cpu
from purecnn.networks import lenet

PACKAGE = Path(purecnn.__file__).parent
#: The most frames that a step may have.
MOST = 9


class Reached(Exception):
    """The kernel is reached."""


def where(frame: FrameType) -> str:
    """Return a frame's module, line and function."""
    path = Path(frame.f_code.co_filename).relative_to(PACKAGE)
    return f"{path}:{frame.f_lineno} {frame.f_code.co_qualname}"


def frames() -> list[str]:
    """Return the frames from `Network.fit` to the kernel, itself included."""
    found: list[str] = []
    kernel = cpu.conv2d_max_pool_forward

    def reached(*_given: Any) -> None:
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            found.append(where(frame))
            if frame.f_code is Network.fit.__wrapped__.__code__:  # type: ignore[attr-defined]
                break
            frame = frame.f_back
        raise Reached

    images, labels = np.zeros((256, 28, 28), np.uint8), np.arange(256) % 10
    with mock.patch.object(cpu, "conv2d_max_pool_forward", reached), suppress(Reached):
        lenet().fit(images, labels, batch_size=128, threads=1)
    return [*reversed(found), f"kernels/cpu.py:{kernel.__code__.co_firstlineno} {kernel.__qualname__}"]


def main() -> None:
    """Print the frames."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", metavar="N", type=int, default=MOST, help="how many there may be")
    most = parser.parse_args().most
    found = frames()
    for number, frame in enumerate(found, 1):
        print(f"{number:2} {frame}")
    if len(found) > most:
        raise SystemExit(f"{len(found)} frames, wanted at most {most}")


if __name__ == "__main__":
    main()
