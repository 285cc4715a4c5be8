"""Mistakes that a user's type checker must tell: mypy fails where one of these comments is not needed."""

import numpy as np

from purecnn import Convolutional, Dense, Layer, Network, fit, load, metrics

layers: list[Layer] = [Dense(2, 3)]
network = Network(layers)
x, y = np.zeros((4, 2)), np.zeros((4, 3))


def mistakes() -> None:
    network.fit(x, y, epoch=3)  # type: ignore[call-arg]
    network.fit(x, y, epochs="3")  # type: ignore[arg-type]
    network.fit(x, y, callbacks=[print, "log.csv"])  # type: ignore[list-item]
    network.fit(object(), y)  # type: ignore[arg-type]
    fit(layers, x, y, epoch=3)  # type: ignore[call-arg]
    fit(layers, x, y, batch_size=2.5)  # type: ignore[arg-type]
    network.predict(None)  # type: ignore[arg-type]
    network.evaluate(x, y)["accuracy"].upper()  # type: ignore[attr-defined]
    metrics.f1([0], [1]).sum()  # type: ignore[attr-defined]
    metrics.f1([0], [1], average="mean")  # type: ignore[call-overload]
    load(3)  # type: ignore[arg-type]
    Network(Dense(2, 3))  # type: ignore[arg-type]
    Convolutional(kernel_size="5")  # type: ignore[arg-type]
    print(network.layer)  # type: ignore[attr-defined]
