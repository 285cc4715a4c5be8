"""One process that loads a saved network and asks it about one image: what a program's first answer takes.

    python -m benchmarks.cold_start PROGRAM make|ask FOLDER

Run by `benchmarks.footprint` in each program's own environment, so nothing is imported at the top that is not
in all of them. `make` turns the numbers of FOLDER/network.json into the file that the program itself saves;
`ask` loads that file, and prints the probabilities, the seconds inside Python and the peak memory as JSON.
The image is FOLDER/image.bin, 28 x 28 bytes. The network is LeNet 8-16: convolution 5 x 5 x 8, ReLU, max
pooling, convolution 5 x 5 x 16, ReLU, max pooling, dense 10, softmax. scikit-learn has no convolutions: there
it is an `MLPClassifier` with its 100 hidden neurons, fitted to noise.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.harness.memory import peak_memory

#: The probabilities of the ten classes.
Numbers = list[float]


def network(folder: Path) -> dict[str, Any]:
    """The kernels (out, in, 5, 5), weights (10, 256) and biases of the network, as lists."""
    found: dict[str, Any] = json.loads((folder / "network.json").read_text(encoding="utf-8"))
    return found


def make_purecnn(folder: Path) -> None:
    import numpy as np

    import purecnn
    from purecnn import Convolutional, Dense, Flatten, MaxPooling, Network, Preprocessing, ReLU, Softmax

    layers = [
        *(Convolutional(kernel_size=5, depth=8), ReLU(), MaxPooling(2)),
        *(Convolutional(kernel_size=5, depth=16), ReLU(), MaxPooling(2)),
        *(Flatten(), Dense(output_size=10), Softmax()),
    ]
    made = Network(layers, input_shape=(1, 28, 28), preprocessing=Preprocessing(scale=1 / 255, kind="bytes"))
    given = network(folder)
    for place, number in ((0, 1), (3, 2), (7, 3)):
        for array, name in zip(made[place].parameters.values(), (f"w{number}", f"b{number}"), strict=True):
            array[...] = np.reshape(given[name], array.shape)
    purecnn.save(made, folder / "purecnn.formats.safetensors")


def ask_purecnn(folder: Path) -> Numbers:
    import numpy as np

    import purecnn

    image = np.fromfile(folder / "image.bin", np.uint8).reshape(1, 1, 28, 28)
    answers: Numbers = purecnn.load(folder / "purecnn.formats.safetensors").predict(image)[0].tolist()
    return answers


def torch_network() -> Any:
    from torch import nn

    return nn.Sequential(
        *(nn.Conv2d(1, 8, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(256, 10), nn.Softmax(1)),
    )


def make_torch(folder: Path) -> None:
    import torch

    names = zip(torch_network().state_dict(), ("w1", "b1", "w2", "b2", "w3", "b3"), strict=True)
    given = network(folder)
    torch.save({name: torch.tensor(given[key]) for name, key in names}, folder / "torch.pt")


def ask_torch(folder: Path) -> Numbers:
    import torch

    made = torch_network()
    made.load_state_dict(torch.load(folder / "torch.pt", weights_only=True))
    octets = torch.frombuffer(bytearray((folder / "image.bin").read_bytes()), dtype=torch.uint8)
    with torch.inference_mode():
        answers: Numbers = made(octets.float().reshape(1, 1, 28, 28) / 255)[0].tolist()
    return answers


def make_keras(folder: Path) -> None:
    import keras
    import numpy as np
    from keras import layers

    made = keras.Sequential(
        [
            *(keras.Input((28, 28, 1)), layers.Conv2D(8, 5, activation="relu"), layers.MaxPooling2D(2)),
            *(layers.Conv2D(16, 5, activation="relu"), layers.MaxPooling2D(2)),
            *(layers.Flatten(), layers.Dense(10, activation="softmax")),
        ]
    )
    given = {name: np.array(values, np.float32) for name, values in network(folder).items()}
    for name in ("w1", "w2"):
        given[name] = given[name].transpose(2, 3, 1, 0)
    # the channels are last there, so what is flattened is in another order
    given["w3"] = given["w3"].reshape(10, 16, 4, 4).transpose(2, 3, 1, 0).reshape(256, 10)
    made.set_weights([given[name] for name in ("w1", "b1", "w2", "b2", "w3", "b3")])
    made.save(folder / "network.keras")


def ask_keras(folder: Path) -> Numbers:
    import keras
    import numpy as np

    made = keras.models.load_model(folder / "network.keras")
    image = np.fromfile(folder / "image.bin", np.uint8).reshape(1, 28, 28, 1) / np.float32(255)
    answers: Numbers = np.asarray(made(image))[0].tolist()
    return answers


def make_onnxruntime(folder: Path) -> None:
    """Needs the package onnx, which the measured environment has not."""
    import numpy as np

    from benchmarks.harness.networks import BENCHES
    from benchmarks.peers.onnx_program import graph

    given = network(folder)
    arrays = [np.array(given[name], np.float32) for name in ("w1", "b1", "w2", "b2", "w3", "b3")]
    (folder / "network.onnx").write_bytes(graph(BENCHES["lenet"], arrays).SerializeToString())


def ask_onnxruntime(folder: Path) -> Numbers:
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "network.onnx", providers=["CPUExecutionProvider"])
    image = np.fromfile(folder / "image.bin", np.uint8).reshape(1, 1, 28, 28) / np.float32(255)
    answers: Numbers = session.run(None, {"x": image})[0][0].tolist()
    return answers


def make_sklearn(folder: Path) -> None:
    import pickle

    import numpy as np
    from sklearn.neural_network import MLPClassifier

    rng = np.random.default_rng(0)
    made = MLPClassifier(max_iter=20, random_state=0, tol=10.0)  # it has "converged" before it can warn
    made.fit(rng.random((200, 784), np.float32), np.arange(200) % 10)
    (folder / "sklearn.pickle").write_bytes(pickle.dumps(made))


def ask_sklearn(folder: Path) -> Numbers:
    import pickle

    import numpy as np

    made = pickle.loads((folder / "sklearn.pickle").read_bytes())
    image = np.fromfile(folder / "image.bin", np.uint8).reshape(1, 784) / np.float32(255)
    answers: Numbers = made.predict_proba(image)[0].tolist()
    return answers


def main() -> None:
    start = time.perf_counter()
    program, what, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    answers = globals()[f"{what}_{program}"](folder)
    if what == "ask":
        seconds = time.perf_counter() - start
        print(json.dumps({"answers": answers, "seconds": seconds, "megabytes": peak_memory()}))


if __name__ == "__main__":
    main()
