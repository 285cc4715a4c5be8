"""Everything that training can do, at once: the same bits at any number of threads, and after a kill."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.interruptions import Kill, Killed
from helpers.workers import KINDS, use
from purecnn import (
    AdamW,
    Augmentation,
    BatchNormalization,
    Callback,
    Checkpoint,
    Convolutional,
    Dataset,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling,
    History,
    LearningRate,
    MaxPooling,
    Network,
    ReLU,
    Residual,
    Softmax,
    SpatialDropout,
    load,
)
from purecnn.kernels.winograd import Winograd
from purecnn.losses import label_smoothing
from purecnn.optimizers.schedules import OneCycle

RANDOM = np.random.default_rng(5)
LABELS = RANDOM.integers(0, 3, 150)
IMAGES = (RANDOM.integers(0, 120, (150, 1, 8, 8)) + 40 * LABELS[:, None, None, None]).astype(np.uint8)


class OnDisk:
    """The images as what is larger than memory looks like."""

    labels = LABELS

    def __len__(self) -> int:
        return len(IMAGES)

    def batch(self, rows: Any) -> Any:
        return IMAGES[rows]


def network() -> Network:
    """Return a network with one layer of each kind that has to do with the whole batch or with chance."""
    return Network(
        [
            Convolutional(kernel_size=3, depth=8, padding="same"),
            BatchNormalization(),
            ReLU(),
            Residual(
                [
                    Convolutional(kernel_size=3, depth=8, padding=1, groups=2),
                    BatchNormalization(),
                    SpatialDropout(0.1),
                ]
            ),
            MaxPooling(2),
            Convolutional(kernel_size=3, depth=8),
            GlobalAveragePooling(),
            Dropout(0.2),
            Dense(output_size=3),
            Softmax(),
        ],
        input_shape=(1, 8, 8),
        seed=11,
    )


def arguments() -> dict[str, Any]:
    """Return all that `fit` can be told."""
    return {
        "epochs": 3,
        "batch_size": 64,
        "loss": label_smoothing("categorical_cross_entropy", 0.1),
        "optimizer": AdamW(0.01, weight_decay=0.01, clip_norm=1.0, decay_biases=False),
        "class_weight": "balanced",
        "l1": 1e-5,
        "l2": 1e-4,
        "augmentation": Augmentation(shift=1, rotate=10, scale=0.1, erase=2),
        "validation_split": 0.2,
        "metrics": ["f1", "confusion_matrix"],
    }


def fit(made: Network, x: Any, threads: int, *callbacks: Callback, **options: Any) -> History:
    """Train with all of that, and a schedule."""
    given = arguments()
    schedule = LearningRate(given["optimizer"], OneCycle(0.01))
    y = LABELS if x is IMAGES else None
    return made.fit(x, y, **given, threads=threads, callbacks=[schedule, *callbacks], **options)


def found(made: Network, history: History) -> list[Any]:
    """Return all bits that a run decides."""
    buffers = [part.buffers for layer in made for part in (layer, *layer.parts())]
    assert made.optimizer is not None
    return [
        made.parameters.tobytes(),
        [array.tobytes() for held in buffers for array in held.values()],
        [array.tobytes() for array in made.optimizer.state.values()],
        history.loss,
        history.validation_loss,
        history.metrics["f1"],
        np.array(history.validation_metrics["confusion_matrix"]).tobytes(),
    ]


@pytest.fixture(scope="module")
def whole() -> list[Any]:
    """Return the bits of a run on one thread that nothing interrupts."""
    made = network()
    return found(made, fit(made, IMAGES, 1))


def test_it_learns() -> None:
    made = network()
    history = fit(made, IMAGES, 2)
    assert history.loss[-1] < history.loss[0]
    assert np.isfinite(made.parameters).all()


@pytest.mark.parametrize("threads", [2, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bits_at_any_number_of_workers(
    whole: list[Any], threads: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, kind)
    made = network()
    assert found(made, fit(made, IMAGES, threads)) == whole


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bits_from_what_is_larger_than_memory(
    whole: list[Any], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, kind)
    assert isinstance(OnDisk(), Dataset)
    made = network()
    assert found(made, fit(made, OnDisk(), 2)) == whole


@pytest.mark.parametrize("at", [1, 2, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_killed_and_resumed_at_another_number_of_workers(
    whole: list[Any], tmp_path: Path, at: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, kind)
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Killed):
        fit(network(), IMAGES, 2, Checkpoint(path, every=1), Kill(at))
    made = network()
    assert found(made, fit(made, IMAGES, 1, Checkpoint(path, every=1), resume=path)) == whole
    np.testing.assert_array_equal(load(path).predict(IMAGES), made.predict(IMAGES))


def test_another_smoothing_or_augmentation_is_another_run(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Killed):
        fit(network(), IMAGES, 1, Checkpoint(path, every=1), Kill(1))
    others = {"loss": label_smoothing("categorical_cross_entropy", 0.2), "augmentation": None, "l1": 0.0}
    for name, value in others.items():
        with pytest.raises(ValueError, match=f"its run's {name} was"):
            network().fit(IMAGES, LABELS, **{**arguments(), name: value}, resume=path)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_frozen_batch_normalization_keeps_its_statistics_and_uses_them(threads: int) -> None:
    made = network()
    fit(made, IMAGES, 1)
    made[1].trainable = made[3].trainable = False
    inside = made[3].parts()
    assert not any(part.trainable for part in inside)
    before = {name: array.copy() for name, array in (made[1].buffers | made[1].parameters).items()}
    inner = {name: np.copy(array) for name, array in dict(made[3].buffers).items()}
    made.fit(IMAGES, LABELS, epochs=1, batch_size=64, threads=threads)
    for name, array in before.items():
        np.testing.assert_array_equal((made[1].buffers | made[1].parameters)[name], array)
    for name, array in inner.items():
        np.testing.assert_array_equal(made[3].buffers[name], array)


@pytest.mark.parametrize("kind", KINDS)
def test_tiles_give_the_same_bits_on_any_workers(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    laid_out = []
    plain = Winograd.__init__

    def counted(self: Winograd, *rest: Any) -> None:
        laid_out.append(self)
        plain(self, *rest)

    monkeypatch.setattr(Winograd, "__init__", counted)

    def trained(threads: int) -> tuple[bytes, list[float]]:
        made = Network(
            [
                Convolutional(kernel_size=3, depth=8, padding="same"),
                ReLU(),
                Convolutional(kernel_size=5, depth=16, padding="same"),
                MaxPooling(2),
                Dropout(0.2),
                Flatten(),
                Dense(output_size=3),
                Softmax(),
            ],
            input_shape=(1, 8, 8),
        )
        history = made.fit(IMAGES, LABELS, epochs=2, batch_size=70, threads=threads)
        return made.parameters.tobytes(), history.loss

    alone = trained(1)
    assert laid_out
    use(monkeypatch, kind)
    assert all(trained(threads) == alone for threads in (2, 4))
