"""Networks whose outputs are images: label maps and images as targets, to the same bits on any workers."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.interruptions import Kill, Killed
from helpers.torch_numbers import close, load
from helpers.workers import COMPANIES, use
from purecnn import (
    SGD,
    Augmentation,
    BatchNormalization,
    Branches,
    Checkpoint,
    Convolutional,
    Dense,
    Flatten,
    Layer,
    MaxPooling,
    Network,
    Preprocessing,
    ReLU,
    Reshape,
    ShapeError,
    Sigmoid,
    Softmax,
    Tanh,
    UpSampling,
    save,
)
from purecnn import load as load_network
from purecnn.backend.digests import digest
from purecnn.metrics import intersection_over_union, pixel_accuracy
from purecnn.training.targets import Targets

RANDOM = np.random.default_rng(2)
MAPS = np.zeros((40, 6, 8), np.uint8)
for one in MAPS:
    top, left = RANDOM.integers(0, 3), RANDOM.integers(0, 4)
    one[top : top + 3, left : left + 4] = 1
    one[top + 1, left : left + 2] = 2
IMAGES = (RANDOM.normal(0, 0.3, MAPS.shape) + MAPS)[:, None].astype(np.float32)
#: With pixels to ignore: more in some samples than in others, so that the shards count unlike.
IGNORED = MAPS.copy()
IGNORED[::2, :3] = 255
IGNORED[4:8] = 255


def network(*last: Layer, classes: int = 3, **options: Any) -> Network:
    """Return a small U-Net."""
    inner = [MaxPooling(2), Convolutional(kernel_size=3, depth=6, padding=1), ReLU(), UpSampling(2)]
    return Network(
        [
            Convolutional(kernel_size=3, depth=4, padding=1),
            BatchNormalization(),
            ReLU(),
            Branches([], inner, merge="concatenate"),
            Convolutional(kernel_size=1, depth=classes),
            *last,
        ],
        input_shape=(1, 6, 8),
        **{"seed": 3, **options},
    )


def test_training_is_pytorchs_with_weights_and_labels_to_ignore() -> None:
    data, found = load("segmentation"), None
    for shards in (1, 3):
        made = Network(
            [
                Convolutional(kernel_size=3, depth=4, padding=1),
                Tanh(),
                Convolutional(kernel_size=1, depth=3),
                Softmax(),
            ],
            input_shape=(2, 5, 4),
            dtype=np.float64,
        )
        first, second = made.layers[0].parameters, made.layers[2].parameters
        for number, parameters in ((1, first), (2, second)):
            for name in ("kernels", "biases"):
                parameters[name][...] = data[f"before/{name}{number}"].reshape(parameters[name].shape)
        history = made.fit(
            np.moveaxis(data["input"], -1, 0),
            np.moveaxis(data["labels"], -1, 0),
            epochs=3,
            batch_size=6,
            optimizer="sgd",
            learning_rate=0.5,
            ignore_label=255,
            class_weight=dict(enumerate(data["class_weight"])),
            shards=shards,
        )
        close(history.loss, data["losses"])
        for number, parameters in ((1, first), (2, second)):
            for name in ("kernels", "biases"):
                close(parameters[name], data[f"after/{name}{number}"].reshape(parameters[name].shape), 1e-9)
        found = found or history
    assert found is not None


def test_the_same_bits_on_any_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = None
    for kind, threads in COMPANIES:
        use(monkeypatch, kind)
        made = network(Softmax())
        history = made.fit(
            IMAGES,
            IGNORED,
            epochs=2,
            batch_size=16,
            shards=4,
            ignore_label=255,
            class_weight="balanced",
            augmentation=Augmentation(shift=1, rotate=20, flip=True, erase=2),
            sample_weight=np.arange(40) + 1,
            validation_split=0.2,
            metrics=["mean_dice", "iou_per_class"],
            threads=threads,
        )
        bits = made.parameters.tobytes(), history.loss, history.validation_loss, str(history.metrics)
        wanted = wanted or bits
        assert bits == wanted, (kind, threads)


def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path) -> None:
    given: Any = {"epochs": 3, "batch_size": 16, "ignore_label": 255, "class_weight": {0: 0.5}, "shards": 2}
    given["augmentation"] = Augmentation(shift=1)
    whole = network(Softmax())
    history = whole.fit(IMAGES, IGNORED, **given)
    path = tmp_path / "checkpoint"
    with pytest.raises(Killed):
        network(Softmax()).fit(IMAGES, IGNORED, callbacks=[Checkpoint(path, every=1), Kill(4)], **given)
    resumed = network(Softmax())
    assert resumed.fit(IMAGES, IGNORED, resume=path, **given).loss == history.loss
    assert resumed.parameters.tobytes() == whole.parameters.tobytes()
    for changed in ({"class_weight": {0: 0.25}}, {"class_weight": None}):
        with pytest.raises(ValueError, match="weights"):
            network(Softmax()).fit(IMAGES, IGNORED, resume=path, **{**given, **changed})
    other = np.where(IGNORED == 255, 254, IGNORED)
    with pytest.raises(ValueError, match="data"):
        network(Softmax()).fit(IMAGES, other, resume=path, **{**given, "ignore_label": 254})


def test_single_samples_take_the_same_steps() -> None:
    bits = []
    for momentum in (0.0, 1e-30):  # which takes the trainer of single samples away
        layers = [Convolutional(kernel_size=3, depth=3, padding=1), Softmax()]
        made = Network(layers, input_shape=(1, 6, 8))
        made.fit(IMAGES, IGNORED, batch_size=1, ignore_label=255, optimizer=SGD(0.1, momentum=momentum))
        bits.append(made.parameters.copy())
    np.testing.assert_allclose(bits[0], bits[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("last", "classes", "y"),
    [
        ([Softmax()], 3, MAPS),
        ([], 3, MAPS),
        ([Sigmoid()], 1, MAPS == 1),
        ([], 1, (MAPS == 1).astype(np.float32)[:, None]),
        ([Softmax()], 3, np.moveaxis(np.eye(3)[MAPS], -1, 1)),
        ([Sigmoid()], 3, MAPS),
    ],
)
def test_every_form_of_label_maps_is_learnt(last: list[Layer], classes: int, y: Any) -> None:
    made = network(*last, classes=classes)
    history = made.fit(IMAGES, y, epochs=12, batch_size=8, learning_rate=0.02, validation_data=(IMAGES, y))
    assert made.task == "segmentation"
    assert history.loss[-1] < 0.5 * history.loss[0]
    found, truth = made.evaluate(IMAGES, y), MAPS if classes == 3 else MAPS == 1
    outputs = made.predict(IMAGES)
    outputs = outputs if last or classes == 3 else 1 / (1 + np.exp(-outputs))
    assert list(found) == ["loss", "pixel_accuracy", "mean_iou"]
    assert found["pixel_accuracy"] == pixel_accuracy(truth, outputs) > 0.85
    assert found["mean_iou"] == intersection_over_union(truth, outputs)
    assert history.validation_metrics["mean_iou"][-1] == found["mean_iou"]


@pytest.mark.parametrize(("last", "classes"), [(Softmax(), 3), (Sigmoid(), 1)])
def test_dice_is_learnt_to_the_same_bits(last: Layer, classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    y, bits = IGNORED if classes == 3 else np.where(IGNORED == 255, 255, IGNORED == 1), []
    for kind, threads in COMPANIES[:3]:
        use(monkeypatch, kind)
        made = network(copy.deepcopy(last), classes=classes)
        history = made.fit(
            IMAGES,
            y,
            loss="dice",
            epochs=8,
            batch_size=16,
            ignore_label=255,
            learning_rate=0.02,
            threads=threads,
            shards=4,
        )
        bits.append(made.parameters.tobytes())
        assert history.loss[-1] < 0.8 * history.loss[0]
    assert bits[0] == bits[1] == bits[2]


def test_what_is_ignored_changes_nothing() -> None:
    made = [network(Softmax()) for _ in range(2)]
    for one, ignored in zip(made, (IGNORED, np.where(IGNORED == 255, -7, IGNORED.astype(int))), strict=True):
        one.fit(IMAGES, ignored, ignore_label=int(ignored.max() if ignored.min() == 0 else -7), epochs=2)
    assert np.array_equal(made[0].parameters, made[1].parameters)
    found = made[0].evaluate(IMAGES, IGNORED, ignore_label=255, sample_weight=np.arange(40))
    kept = IGNORED != 255
    p = made[0].predict(IMAGES).astype(np.float64)
    chosen = np.take_along_axis(p, np.where(kept, IGNORED, 0)[:, None].astype(int), 1)[:, 0]
    w = np.broadcast_to(np.arange(40)[:, None, None], kept.shape)[kept]
    assert found["loss"] == pytest.approx((w * -np.log(chosen[kept])).sum() / w.sum(), rel=1e-6)
    right = p.argmax(axis=1)[kept] == IGNORED[kept]
    assert found["pixel_accuracy"] == pytest.approx((w * right).sum() / w.sum())
    seen: list[Any] = []

    def own(y_true: Any, y_pred: Any) -> float:
        seen.append((y_true.shape, y_true.max(), y_pred.shape))
        return 0.0

    made[0].evaluate(IMAGES, IGNORED, ignore_label=255, metrics=own)
    assert seen == [((40, 6, 8), 255, (40, 3, 6, 8))]


def test_balanced_weights_are_those_of_pixels() -> None:
    made = network(Softmax())
    y = IGNORED[:4]
    pixels = made.targets(y, 4, class_weight="balanced", ignore_label=255).pixels
    counts = np.bincount(y[y != 255], minlength=3)
    assert pixels is not None
    close(pixels.by_label, counts.sum() / (3 * counts))
    found = made.targets(y, 4, sample_weight=[1, 2, 3, 0], class_weight={1: 2}, ignore_label=255)
    each = np.where(y == 255, 0, np.array([1, 2, 1])[y % 255]).sum(axis=(1, 2)) * [1, 2, 3, 0]
    close(found.weights, each)


def test_a_sample_of_weight_2_counts_as_the_sample_twice() -> None:
    weights = np.arange(40) % 4
    rows, found = np.repeat(np.arange(40), weights), []
    for x, y, given in (
        (IMAGES, IGNORED, {"sample_weight": weights, "shards": 3}),
        (IMAGES[rows], IGNORED[rows], {"shards": 1}),
    ):
        layers = [Convolutional(kernel_size=3, depth=3, padding=1), Softmax()]
        made = Network(layers, input_shape=(1, 6, 8), dtype=np.float64)
        options: Any = {"optimizer": "sgd", "learning_rate": 0.5, "batch_size": 100, "ignore_label": 255}
        history = made.fit(x, y, epochs=3, class_weight={1: 3}, **options, **given)
        found.append([*made.parameters, *history.loss])
    close(found[0], found[1], 1e-9)


def test_weights_of_classes_decide_even_where_all_samples_weigh_alike() -> None:
    halves, made = np.repeat([[[0, 1]]], 3, axis=0).repeat(4, axis=2).repeat(6, axis=1), network(Softmax())
    one, other = (made.targets(halves, 3, class_weight=weights) for weights in ({0: 1, 1: 3}, {0: 3, 1: 1}))
    assert one.weights is not None
    assert other.weights is not None
    assert np.array_equal(one.weights, other.weights)
    assert digest(*one.decisive()) != digest(*other.decisive())


def test_a_network_of_label_maps_is_saved_with_its_task(tmp_path: Path) -> None:
    made = network(Softmax())
    made.fit(IMAGES, MAPS)
    save(made, tmp_path / "model")
    again = load_network(tmp_path / "model")
    assert again.task == "segmentation"
    assert again.evaluate(IMAGES, MAPS) == made.evaluate(IMAGES, MAPS)
    with pytest.raises(ValueError, match="segmentation wants label maps as y, got values"):
        again.fit(IMAGES, np.zeros((40, 3, 6, 8)) + 0.3, loss="mse")


@pytest.mark.parametrize(
    ("last", "classes", "given", "error", "words"),
    [
        ([Softmax()], 3, {"y": MAPS + 1}, ValueError, "whole numbers from 0 to 2, got 3"),
        (
            [Softmax()],
            3,
            {"y": MAPS - 1.0 * (MAPS > 5)},
            ShapeError,
            "must be integer label maps of shape .* got float64",
        ),
        ([Softmax()], 3, {"y": IGNORED}, ValueError, "got 255: ignore_label=255 leaves those pixels out"),
        ([Softmax()], 3, {"y": IGNORED, "ignore_label": 254}, ValueError, "or 254, to be ignored, got 255"),
        ([Softmax()], 3, {"y": MAPS, "ignore_label": 2}, ValueError, "none of the classes, 0 to 2, got 2"),
        ([Softmax()], 3, {"y": MAPS, "ignore_label": 1.5}, ValueError, "an integer of 32 bits, got 1.5"),
        ([Softmax()], 3, {"y": MAPS[:, :5]}, ShapeError, "height and width of the outputs, 6 x 8, got 5 x 8"),
        ([Softmax()], 3, {"y": MAPS[:, 0, 0]}, ShapeError, r"put Flatten\(\) before the last layers"),
        ([Softmax()], 3, {"y": IMAGES.repeat(3, 1)}, ShapeError, "or give label maps"),
        ([Softmax()], 1, {"y": MAPS > 0}, ValueError, "a Softmax over 1 channel is always 1"),
        (
            [],
            1,
            {"y": MAPS > 0, "loss": "softmax_cross_entropy"},
            ShapeError,
            "a channel for each class, got 1",
        ),
        (
            [Sigmoid()],
            1,
            {"y": MAPS, "ignore_label": 255},
            ValueError,
            "from 0 to 1, or 255, to be ignored, got 2",
        ),
        (
            [Softmax()],
            3,
            {"y": np.full_like(MAPS, 255), "ignore_label": 255},
            ValueError,
            "must not all be 0",
        ),
        ([Softmax()], 3, {"y": MAPS, "class_weight": {3: 1}}, ValueError, "labels from 0 to 2, got 3"),
        ([Sigmoid()], 1, {"y": 200 * MAPS[:, None], "loss": "mse"}, ValueError, "y / 255 is wanted"),
        (
            [Sigmoid()],
            1,
            {"y": 200 * MAPS},
            ValueError,
            "got 200: pixels of images want y / 255|got 144: pixels",
        ),
        ([], 1, {"y": IMAGES, "ignore_label": 255}, ValueError, "or 255, to be ignored"),
    ],
)
def test_what_no_network_can_learn_is_refused(
    last: list[Layer], classes: int, given: Any, error: Any, words: str
) -> None:
    with pytest.raises(error, match=words):
        network(*last, classes=classes).fit(IMAGES, **given)


def test_a_label_to_ignore_wants_label_maps() -> None:
    made = Network([Flatten(), Dense(output_size=3), Softmax()], input_shape=(1, 6, 8))
    with pytest.raises(ValueError, match="ignore_label wants label maps as y"):
        made.fit(IMAGES, np.arange(40) % 3, ignore_label=255)
    with pytest.raises(ValueError, match="one for each of 3 channels, got 2"):
        network(Softmax(), preprocessing=Preprocessing(classes=["a", "b"])).fit(IMAGES, MAPS)


def autoencoder(*last: Layer, **options: Any) -> Network:
    """Return a small autoencoder of images."""
    layers = [
        Convolutional(kernel_size=3, depth=4, padding=1),
        Tanh(),
        MaxPooling(2),
        UpSampling(2),
        Convolutional(kernel_size=3, depth=1, padding=1),
        *last,
    ]
    return Network(layers, input_shape=(1, 6, 8), **options)


@pytest.mark.parametrize("name", ["mse", "mean_absolute_error", "huber", "log_cosh", "binary_cross_entropy"])
@pytest.mark.parametrize("form", ["channels", "no channels", "flat", "bytes"])
def test_images_are_learnt_as_values(name: str, form: str) -> None:
    pixels = (100 * np.clip(IMAGES, 0, 2)).astype(np.uint8)
    y = pixels / np.float32(255)
    given = {"channels": y, "no channels": y[:, 0], "flat": y.reshape(40, -1), "bytes": y.astype(np.float16)}
    made, bits = autoencoder(Sigmoid()), []
    for threads in (1, 2):
        made = autoencoder(Sigmoid())
        history = made.fit(
            pixels,
            given[form],
            loss=name,
            epochs=3,
            learning_rate=0.05,
            batch_size=16,
            threads=threads,
            shards=2,
        )
        bits.append(made.parameters.tobytes())
    assert made.task == "regression"
    assert history.loss[-1] < history.loss[0]
    assert bits[0] == bits[1]
    found = made.evaluate(pixels, given[form], metrics="mean_squared_error")
    outputs = made.predict(pixels)
    assert outputs.shape == (40, 1, 6, 8)
    error = float(((outputs - given[form].reshape(outputs.shape).astype(float)) ** 2).mean())
    assert found["mean_squared_error"] == pytest.approx(error, rel=1e-5)


def test_zeros_and_ones_are_values_where_the_task_says_so() -> None:
    y = (MAPS > 0).astype(np.float32)[:, None]
    made = autoencoder(Sigmoid(), task="regression")
    made.fit(IMAGES, y, loss="binary_cross_entropy")
    assert made.task == "regression"
    assert "mean_absolute_error" in made.evaluate(IMAGES, y)
    layers = [Flatten(), Dense(48, 48), Sigmoid(), Reshape((48,), (1, 6, 8))]
    made = Network(layers, input_shape=(1, 6, 8))
    made.fit(IMAGES, y)
    assert made.task == "segmentation"


def test_maps_are_kept_as_small_as_they_are() -> None:
    assert Targets.check(MAPS.astype(np.int64), 40, (3, 6, 8)).values.dtype == np.uint8
    assert Targets.check(MAPS, 40, (300, 6, 8)).values.dtype == np.int32
    assert Targets.check(MAPS, 40, (3, 6, 8), ignore_label=-100).values.dtype == np.int32
