"""Single steps on batches at hand: the bits of `fit`, again and again, whatever changes between two calls."""

import copy
import pickle
import threading
from typing import Any

import numpy as np
import pytest

from purecnn import (
    SGD,
    Adam,
    Augmentation,
    BatchNormalization,
    Convolutional,
    Dense,
    Dropout,
    Flatten,
    MaxPooling,
    Network,
    ReLU,
    Softmax,
)
from purecnn.datasets.dataset import Subset
from purecnn.errors import DivergedError, ShapeError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (100, 8, 8), dtype=np.uint8)
LABELS = RANDOM.integers(0, 3, 100)
WEIGHTS = RANDOM.random(100)


def network(**options: Any) -> Network:
    layers = [Convolutional(kernel_size=3, depth=4), BatchNormalization(), ReLU(), MaxPooling(2), Flatten()]
    return Network([*layers, Dropout(0.3), Dense(output_size=3), Softmax()], seed=3, **options)


def bits(made: Network) -> tuple[Any, ...]:
    assert made.optimizer is not None
    arrays = [b for layer in made for b in layer.buffers.values()] + [*made.optimizer.state.values()]
    return made.parameters.tobytes(), [a.tobytes() for a in arrays], made.updates, made.optimizer.steps


OPTIONS: list[dict[str, Any]] = [
    {},
    {"optimizer": SGD(0.1)},
    {"optimizer": Adam(0.01, clip_norm=0.1), "l1": 1e-3, "l2": 1e-3},
    {"augmentation": Augmentation(shift=1, rotate=10)},
    {"class_weight": "balanced", "sample_weight": WEIGHTS},
    {"loss": "mse", "optimizer": "sgd", "learning_rate": 0.1},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("threads", [1, 2])
def test_steps_have_the_bits_of_a_fit_without_shuffling(options: dict[str, Any], threads: int) -> None:
    one, other = (copy.deepcopy(options) for _ in range(2))
    stepping, fitted = network(), network()
    losses = [stepping.train_on_batch(IMAGES, LABELS, **one, threads=threads, shards=4) for _ in range(3)]
    history = fitted.fit(
        IMAGES, LABELS, **other, batch_size=100, shuffle=False, epochs=3, threads=1, shards=4
    )
    assert bits(stepping) == bits(fitted)
    assert losses == history.loss
    assert (stepping.epochs, stepping.history) == (0, None)


def test_without_shards_they_are_those_of_a_fit_too() -> None:
    stepping, fitted = network(), network()
    stepping.train_on_batch(IMAGES, LABELS)
    fitted.fit(IMAGES, LABELS, batch_size=100, shuffle=False)
    assert bits(stepping) == bits(fitted)


def test_batches_of_other_sizes_and_single_samples() -> None:
    stepping, fitted = network(), network()
    for _ in range(2):
        for first in range(0, 100, 32):
            stepping.train_on_batch(IMAGES[first : first + 32], LABELS[first : first + 32], shards=1)
    fitted.fit(IMAGES, LABELS, batch_size=32, shuffle=False, epochs=2, shards=1)
    assert bits(stepping) == bits(fitted)
    plain = [Network([Flatten(), Dense(output_size=3), Softmax()], input_shape=(1, 8, 8)) for _ in range(2)]
    for image, label in zip(IMAGES[:5], LABELS[:5], strict=True):
        plain[0].train_on_batch(image[np.newaxis], [label], optimizer="sgd", learning_rate=0.1)
    plain[1].fit(IMAGES[:5], LABELS[:5], batch_size=1, shuffle=False, optimizer="sgd", learning_rate=0.1)
    assert bits(plain[0]) == bits(plain[1])


def test_label_maps_and_steps_of_several_batches_of_them() -> None:
    """The pixels to ignore differ from batch to batch, so that batches weigh otherwise than by samples."""
    maps = RANDOM.integers(0, 3, (24, 8, 8)).astype(np.uint8)
    maps[:10, :5] = 255
    options: dict[str, Any] = {"ignore_label": 255, "class_weight": {1: 2.0}, "optimizer": SGD(0.1)}

    def pixels() -> Network:
        layers = [
            Convolutional(kernel_size=3, depth=4, padding=1),
            ReLU(),
            Convolutional(kernel_size=1, depth=3),
        ]
        return Network(layers, dtype=np.float64)

    stepping, fitted, several = pixels(), pixels(), pixels()
    loss = stepping.train_on_batch(IMAGES[:24], maps, shards=2, **copy.deepcopy(options))
    history = fitted.fit(IMAGES[:24], maps, batch_size=24, shuffle=False, shards=2, **copy.deepcopy(options))
    assert bits(stepping) == bits(fitted)
    assert [loss] == history.loss
    several.fit(IMAGES[:24], maps, batch_size=8, accumulate=3, shuffle=False, **copy.deepcopy(options))
    np.testing.assert_allclose(several.parameters, fitted.parameters, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("kind", ["pixels", "samples"])
def test_a_batch_in_which_nothing_counts_changes_nothing_and_such_a_set_is_refused(kind: str) -> None:
    """The second batch is one: steps at hand do what `fit` does on the way."""
    maps, weights, options = RANDOM.integers(0, 3, (24, 8, 8)), np.ones(24), {"l2": 1e-3, "shards": 2}
    maps[8:16], weights[8:16] = 255, 0
    y = maps if kind == "pixels" else LABELS[:24]

    def counts(some: slice) -> dict[str, Any]:
        return {"ignore_label": 255} if kind == "pixels" else {"sample_weight": weights[some]}

    def made() -> Network:
        last = [] if kind == "pixels" else [Flatten(), Dense(output_size=3), Softmax()]
        return Network([Convolutional(kernel_size=3, depth=3, padding=1), BatchNormalization(), *last])

    stepping, fitted = made(), made()
    for first in (0, 8, 16):
        some = slice(first, first + 8)
        before = stepping.optimizer and bits(stepping)[:2]
        loss = stepping.train_on_batch(IMAGES[some], y[some], **counts(some), **options)
        assert (loss == 0) == (bits(stepping)[:2] == before) == (first == 8)
    fitted.fit(IMAGES[:24], y, batch_size=8, shuffle=False, **counts(slice(24)), **options)
    assert bits(stepping) == bits(fitted)
    nothing = slice(8, 16)
    for refused in (stepping.evaluate, stepping.fit):
        with pytest.raises(ValueError, match=f"the weights of the {kind} of a set must not all be 0: there"):
            refused(IMAGES[nothing], y[nothing], **counts(nothing))
    assert made().train_on_batch(IMAGES[nothing], y[nothing], class_weight="balanced", **counts(nothing)) == 0


def freeze(made: Network) -> None:
    made[0].trainable = False


def slow(made: Network) -> None:
    made[-2].learning_rate_factor = 0.1


def fit(made: Network) -> None:
    made.fit(IMAGES, LABELS, shards=2, shuffle=False, optimizer=made.optimizer or "adam")


def replace(made: Network) -> None:
    made.layers[-2:] = [Dense(output_size=3), Softmax()]


def widen(made: Network) -> None:
    made.layers[-2:] = [Dense(output_size=5), Softmax()]


def put(made: Network) -> None:
    made[0].parameters["kernels"] = made[0].parameters["kernels"] * 2


def scale(made: Network) -> None:
    made.preprocessing.scale *= 2


def prefer(made: Network) -> None:
    made.preprocessing = copy.copy(made.preprocessing)
    made.preprocessing.scale *= 2


def rate(made: Network) -> None:
    assert made.optimizer is not None
    made.optimizer.learning_rate = 0.05


def forget(made: Network) -> None:
    made.release()


@pytest.mark.parametrize("change", [freeze, slow, fit, replace, widen, put, scale, prefer, rate, forget])
def test_what_changes_between_two_steps_is_heeded(change: Any) -> None:
    """Against a network that has never kept anything."""
    stepping, fitted, optimizers = network(), network(), [Adam(0.01), Adam(0.01)]
    for made, optimizer in zip((stepping, fitted), optimizers, strict=True):
        for turn in range(4):
            if turn == 2:
                change(made)
            if made is stepping:
                made.train_on_batch(IMAGES, LABELS, optimizer=optimizer, shards=2)
            else:
                made.fit(IMAGES, LABELS, batch_size=100, shuffle=False, optimizer=optimizer, shards=2)
    assert bits(stepping) == bits(fitted)


def test_the_trainers_are_kept_and_let_go() -> None:
    made, optimizer = network(), SGD(0.1)

    def step(samples: int = 100, **options: Any) -> Any:
        made.train_on_batch(IMAGES[:samples], LABELS[:samples], optimizer=optimizer, **options)
        return made._kept_trainers[0].trainer

    first, threads = step(), threading.active_count()
    assert step() is first
    short = step(40)
    assert step() is first
    assert step(40) is short
    assert step(l2=0.1) is not short
    assert len(made._kept_trainers) == 2
    step(threads=2)
    assert threading.active_count() == threads
    assert copy.deepcopy(made)._kept_trainers == pickle.loads(pickle.dumps(made))._kept_trainers == ()
    made.release()
    assert made._kept_trainers == ()


def test_one_optimizer_by_name_goes_on_and_another_begins_anew() -> None:
    made = network()
    for _ in range(2):
        made.train_on_batch(IMAGES, LABELS)
    held = made.optimizer
    assert held is not None
    assert held.steps == 2
    made.train_on_batch(IMAGES, LABELS, learning_rate=0.01)
    assert made.optimizer is not held
    assert made.optimizer is not None
    assert made.optimizer.steps == 1


def test_a_step_that_diverges_changes_no_parameter() -> None:
    made = Network([Dense(1, 1)])
    made.train_on_batch([[1.0]], [[2.5]], loss="mse")
    before = made.parameters.copy()
    with pytest.raises(DivergedError, match="the loss became inf at step 2"):
        made.train_on_batch([[1e30]], [[-1e30]], loss="mse")
    np.testing.assert_array_equal(made.parameters, before)


def test_refusals() -> None:
    made = network()
    with pytest.raises(
        TypeError, match=r"x must be an array of the samples of one batch, got .*; fit reads it"
    ):
        made.train_on_batch(Subset(IMAGES[:, None], np.arange(100), LABELS), LABELS)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shards must be an integer of at least 1, got 0"):
        made.train_on_batch(IMAGES, LABELS, shards=0)
    with pytest.raises(ValueError, match="more than one value a channel"):
        Network([BatchNormalization(), Dense(output_size=1)]).train_on_batch([[1.0, 2.0]], [[1.0]])
    with pytest.raises((ShapeError, ValueError), match="100"):
        made.train_on_batch(IMAGES, LABELS[:50])
    with pytest.raises(ValueError, match="no parameters to train"):
        Network([Flatten(), Softmax()]).train_on_batch(IMAGES[:, :1, :3], LABELS)
    assert made.updates == 0
