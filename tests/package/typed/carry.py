"""A user's program that looks inside a network and takes it to other frameworks."""

import tempfile
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

from purecnn import (
    Dense,
    Network,
    PureCNNError,
    Softmax,
    Tanh,
    export_onnx,
    load_state_dict,
    save_state_dict,
    torch_code,
    trace,
)
from purecnn.errors import FileFormatError
from purecnn.formats import read_idx, read_npz
from purecnn.inspection import Trace


def main(folder: Path) -> None:
    network = Network([Dense(2, 3), Tanh(), Dense(3, 2), Softmax()])
    export_onnx(network, folder / "network.onnx")
    assert_type(save_state_dict(network, folder / "weights.safetensors"), str)
    load_state_dict(network, folder / "weights.safetensors")
    assert_type(torch_code(network), str)

    seen = trace(network, [[0.0, 1.0]], [1])
    assert_type(seen, Trace)
    assert_type(seen.output, npt.NDArray[Any])
    assert_type(seen.loss, float | None)
    print(seen.cell(0, 1))

    try:
        read_idx(folder / "network.onnx")
    except FileFormatError as error:
        told: PureCNNError = error
        print(told)
    np.savez(folder / "some.npz", x=np.zeros((3, 2)), y=np.arange(3))
    (x, y), test = read_npz(folder / "some.npz")
    assert_type(x, npt.NDArray[Any])
    assert test is None
    print(x.shape, y.shape)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
