"""A user's program: load, train, measure, ask, keep."""

import tempfile
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

import purecnn
from purecnn import (
    Adam,
    Augmentation,
    BatchNormalization,
    BestModel,
    Checkpoint,
    Convolutional,
    CSVLog,
    Dense,
    Dropout,
    EarlyStopping,
    Flatten,
    History,
    Layer,
    LearningRate,
    MaxPooling,
    Network,
    Preprocessing,
    ReduceOnPlateau,
    ReLU,
    Residual,
    Softmax,
    WeightAverage,
    datasets,
    fit,
    load,
    metrics,
    predict,
    save,
    stratified_split,
    summary,
    train,
)
from purecnn.datasets import mnist
from purecnn.inspection import find_learning_rate
from purecnn.layers import Summary
from purecnn.losses import mse, mse_prime
from purecnn.optimizers.schedules import Cosine, WarmUp


def layers() -> list[Layer]:
    return [
        *(Convolutional(kernel_size=3, depth=4, stride=2, padding="same"), BatchNormalization(), ReLU()),
        Residual([Convolutional(kernel_size=3, depth=4, padding="same"), ReLU()]),
        *(MaxPooling(2), Flatten(), Dropout(0.1), Dense(output_size=10), Softmax()),
    ]


def accuracy(network: Network, x: npt.NDArray[np.uint8], y: npt.NDArray[np.uint8]) -> float:
    found = network.evaluate(x, y)
    assert_type(found, dict[str, float])
    return found["accuracy"]


def main(folder: Path) -> None:
    (x, y), (x_test, y_test) = mnist.load_data()
    assert_type(x, npt.NDArray[np.uint8])
    x, y, x_test, y_test = x[:500], y[:500], x_test[:100], y_test[:100]
    sets = datasets.load("mnist")
    assert_type(sets.classes, tuple[str, ...])
    (_, labels), _ = sets
    assert len(labels) == 60000

    network = Network(layers(), seed=1, preprocessing=Preprocessing(scale=1 / 255, kind="bytes"))
    optimizer = Adam(0.01, weight_decay=1e-4, clip_norm=1.0)
    history = network.fit(
        x,
        y,
        epochs=2,
        batch_size=64,
        optimizer=optimizer,
        validation_data=(x_test, y_test),
        augmentation=Augmentation(shift=1, rotate=5),
        metrics=["f1", "top_3_accuracy"],
        callbacks=[
            LearningRate(optimizer, WarmUp(Cosine(0.01))),
            EarlyStopping(patience=1),
            Checkpoint(folder / "run"),
            CSVLog(folder / "log.csv"),
        ],
        class_weight={0: 2.0},
    )
    assert_type(history, History)
    assert_type(history.loss, list[float])
    assert_type(history.values("validation_accuracy"), list[float])
    again = network.fit(x, y.tolist(), sample_weight=np.ones(500), validation_split=0.2)
    assert_type(again.images_per_second, list[float])

    network[0].learning_rate_factor = 0.1
    average = WeightAverage("equal", start=1)
    callbacks = [ReduceOnPlateau("loss", patience=1), BestModel(folder / "best", "loss"), average]
    network.fit(x, y, batch_size=32, accumulate=2, optimizer=optimizer, callbacks=callbacks)
    assert_type(average.count, int)
    assert_type(network.train_on_batch(x[:32], y[:32], optimizer=optimizer), float)
    assert_type(find_learning_rate(network, x, y, steps=10).suggestion, float | None)

    print(accuracy(network, x_test, y_test))
    assert_type(network.evaluate(x_test, y_test, metrics=["confusion_matrix"]), dict[str, Any])
    answers = network.predict(x_test)
    assert_type(answers, npt.NDArray[Any])
    assert_type(metrics.accuracy(y_test, answers), float)
    assert_type(metrics.f1(y_test, answers), float)
    assert_type(metrics.recall(y_test, answers, average=None), npt.NDArray[np.float64])
    assert_type(metrics.precision(y_test, answers, average="weighted", classes=10), float)
    assert_type(metrics.confusion_matrix(y_test, answers), npt.NDArray[Any])
    print(purecnn.metrics.class_table(y_test, answers, names=[str(digit) for digit in range(10)]))

    save(network, folder / "digits.safetensors")
    loaded = load(folder / "digits.safetensors")
    assert_type(loaded, Network)
    assert_type(loaded.parameters, npt.NDArray[Any])
    for layer in loaded:
        assert_type(layer, Layer)
        assert_type(layer.parameters, dict[str, npt.NDArray[Any]])
        layer.trainable = False
    assert_type(loaded[0], Layer)
    assert_type(loaded.summary(), Summary)
    assert_type(summary(loaded).parameters, int)

    kept, held = stratified_split(y, 0.1)
    assert len(kept) + len(held) == 500

    plain = [Dense(2, 3), Dense(3, 1)]
    assert_type(fit(plain, [[0.0, 1.0]], [[1.0]], epochs=1, loss="mse"), History)
    assert_type(train(plain, mse, mse_prime, [[[0], [1]]], [[[1]]], epochs=1, verbose=False), list[float])
    assert_type(predict(plain, [[0], [1]]), npt.NDArray[Any])
    assert_type(mse(np.zeros((1, 2)), np.ones((1, 2))), float)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
