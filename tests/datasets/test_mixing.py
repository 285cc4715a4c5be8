"""Mixup, CutMix and colour jitter: formulas by hand, draws, answers mixed as images, bits, refusals."""

import colorsys
import re

import numpy as np
import pytest

from helpers.workers import COMPANIES, use
from purecnn import SGD, Augmentation, Convolutional, Dense, Flatten, Network, ReLU, ShapeError, Softmax
from purecnn.backend.memory import Workspace
from purecnn.datasets.colour import change_brightness, change_contrast, change_hue, change_saturation
from purecnn.datasets.mixing import Mixture, draw_mixture, next_ones


def pictures(samples=60, channels=3, side=8):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (samples, channels, side, side)).astype(np.uint8), np.arange(samples) % 4


def network(channels=3, side=8, classes=4):
    layers = [Convolutional(kernel_size=3, depth=4), ReLU(), Flatten(), Dense(output_size=classes), Softmax()]
    return Network(layers, input_shape=(channels, side, side), dtype=np.float64, seed=1)


# Mixing -----------------------------------------------------------------------------------------------------


def test_a_mean_by_hand():
    values = np.array([[1.0, 2.0, 10.0], [0.0, 4.0, 8.0]])
    Mixture(0.75).mix(values, next_ones([(0, 3)]))
    np.testing.assert_array_equal(values, [[1.25, 4.0, 7.75], [1.0, 5.0, 6.0]])


def test_a_box_by_hand():
    images = np.arange(18.0).reshape(1, 3, 3, 2)
    whole = images.copy()
    Mixture(7 / 9, (slice(0, 1), slice(1, 3))).mix_images(images, next_ones([(0, 2)]))
    np.testing.assert_array_equal(images[0, 0, 1:], whole[0, 0, 1:, ::-1])
    np.testing.assert_array_equal(images[0, 1:], whole[0, 1:])
    np.testing.assert_array_equal(images[0, 0, 0], whole[0, 0, 0])


def test_shares_are_beta_and_boxes_cover_what_they_say():
    shares = [draw_mixture(0.4, 0, (8, 8), 0, step).share for step in range(2000)]
    # Beta(a, a) has the mean 1/2 and the variance 1 / (4 (2 a + 1))
    assert abs(np.mean(shares) - 0.5) < 0.03
    assert abs(np.var(shares) - 1 / (4 * 1.8)) < 0.01
    for step in range(200):
        mixture = draw_mixture(0, 1.0, (6, 9), 0, step)
        covered = np.zeros((6, 9))
        covered[mixture.box] = 1
        assert mixture.share == 1 - covered.mean()
    kinds = [draw_mixture(0.2, 1.0, (8, 8), 0, step).box is None for step in range(400)]
    assert 150 < sum(kinds) < 250
    assert draw_mixture(0.2, 0, (8, 8), 0, 5) != draw_mixture(0.2, 0, (8, 8), 0, 5, batch=1)


@pytest.mark.parametrize("changes", [{"mixup": 0.4}, {"cutmix": 1.0}])
def test_a_step_is_that_on_images_and_answers_mixed_by_hand(changes):
    x, y = pictures(40)
    mixed, plain = network(), network()
    mixed.fit(
        x, y, batch_size=40, shards=2, shuffle=False, optimizer=SGD(0.1), augmentation=Augmentation(**changes)
    )
    mixture = draw_mixture(changes.get("mixup", 0), changes.get("cutmix", 0), (8, 8), mixed.seed, 1)
    images, answers = x / 255.0, np.eye(4)[y]
    partners = [1 + place if (1 + place) % 20 else place - 19 for place in range(40)]  # in shards of 20
    if mixture.box is None:
        images = mixture.share * images + (1 - mixture.share) * images[partners]
    else:
        cut = images.copy()
        cut[:, :, mixture.box[0], mixture.box[1]] = images[partners][:, :, mixture.box[0], mixture.box[1]]
        images = cut
    answers = mixture.share * answers + (1 - mixture.share) * answers[partners]
    plain.fit(images, answers, batch_size=40, shards=2, shuffle=False, optimizer=SGD(0.1))
    np.testing.assert_allclose(mixed.parameters, plain.parameters, rtol=1e-10, atol=1e-13)


def test_same_bits_with_any_workers(monkeypatch):
    x, y = pictures(100)
    changes = Augmentation(mixup=0.2, cutmix=1.0, brightness=0.3, saturation=0.5, hue=0.1, contrast=0.2)
    found = set()
    for kind, threads in COMPANIES:
        use(monkeypatch, kind)
        one = network()
        one.fit(x, y, epochs=2, batch_size=64, threads=threads, augmentation=changes)
        found.add(one.parameters.tobytes())
    assert len(found) == 1


def test_a_lone_sample_is_mixed_with_itself():
    x, y = pictures(8)
    mixed, plain = network(), network()
    mixed.fit(x, y, batch_size=1, optimizer=SGD(0.1), augmentation=Augmentation(mixup=1.0))
    plain.fit(x, y, batch_size=1, optimizer=SGD(0.1))
    np.testing.assert_allclose(mixed.parameters, plain.parameters, rtol=1e-9)


def test_answers_that_can_not_be_mixed():
    x, y = pictures(8)
    with pytest.raises(ValueError, match="which the hinge does not know: train with a cross-entropy"):
        Network([Flatten(), Dense(output_size=4)]).fit(
            x, y, loss="hinge", augmentation=Augmentation(mixup=1.0)
        )
    images = Network([Convolutional(kernel_size=3, depth=4, padding=1), Softmax()])
    with pytest.raises(ShapeError, match=r"numbers in a row, got outputs that are images, \(4, 8, 8\)"):
        images.fit(x, np.zeros((8, 8, 8), int), augmentation=Augmentation(cutmix=1.0))
    for value in (-1, 1e308, float("inf")):
        refusal = f"mixup must be a number of at least 0 and below 1e+09, got {value!r}"
        with pytest.raises(ValueError, match=re.escape(refusal)):
            Augmentation(mixup=value)
    with pytest.raises(ValueError, match=r"hue must be a number from 0 to 0\.5, got 0\.6"):
        Augmentation(hue=0.6)


# Colours ----------------------------------------------------------------------------------------------------


def coloured(*rgb):
    """Return an image of two pixels, one of them grey, as (3, 1, 2, 1)."""
    return np.array([[[[value], [0.5]]] for value in rgb])


def test_colours_by_hand():
    image = coloured(0.8, 0.4, 0.2)
    change_brightness(image, np.array([0.5]))
    np.testing.assert_allclose(image[:, 0, :, 0], [[0.4, 0.25], [0.2, 0.25], [0.1, 0.25]])
    own = 0.299 * 0.8 + 0.587 * 0.4 + 0.114 * 0.2
    image = coloured(0.8, 0.4, 0.2)
    change_saturation(image, np.array([0.0]))
    np.testing.assert_allclose(image[:, 0, :, 0], [[own, 0.5]] * 3)
    image = coloured(0.8, 0.4, 0.2)
    change_contrast(image, np.array([0.0]))
    np.testing.assert_allclose(image, (own + 0.5) / 2)
    image = coloured(0.8, 0.4, 0.2)
    change_contrast(image, np.array([2.0]))
    np.testing.assert_allclose(image[0, 0, 0, 0], 2 * 0.8 - (own + 0.5) / 2)


def test_a_hue_is_turned_as_elsewhere_but_for_how_bright_it_is():
    for share, neighbour in ((1 / 3, 1 / 3), (-1 / 3, -1 / 3), (0.5, 0.5)):
        image = coloured(0.6, 0.5, 0.5)
        before = image.copy()
        change_hue(image, np.array([share]))
        grey = np.array([0.299, 0.587, 0.114])
        np.testing.assert_allclose(np.tensordot(grey, image, 1), np.tensordot(grey, before, 1))
        np.testing.assert_allclose(image[:, 0, 1, 0], 0.5)  # grey stays grey
        hue = colorsys.rgb_to_hsv(*image[:, 0, 0, 0])[0]
        assert abs((hue - neighbour + 0.5) % 1 - 0.5) < 0.09  # red is the hue 0
    image = coloured(0.6, 0.5, 0.4)
    change_hue(image, np.array([1.0]))
    np.testing.assert_allclose(image, coloured(0.6, 0.5, 0.4))


def test_bytes_stay_bytes_and_draws_are_each_sample_s_own():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 50)).astype(np.float64)
    changes = Augmentation(brightness=1.0, contrast=1.0)
    first, lone = images.copy(), images[..., 7:8].copy()
    changes.apply(first, np.arange(50), 0, 1, Workspace(), most=255.0)
    changes.apply(lone, np.array([7]), 0, 1, Workspace(), most=255.0)
    np.testing.assert_allclose(first[..., 7:8], lone)
    assert (first.min(), first.max()) == (0, 255)
    ones = np.ones((1, 1, 1, 4000))
    Augmentation(brightness=0.25).apply(ones, np.arange(4000), 0, 1, Workspace())
    assert 0.75 <= ones.min() < 0.755
    assert 1.245 < ones.max() <= 1.25
    assert abs(ones.mean() - 1) < 0.01


def test_what_has_no_colours():
    x, y = pictures(8, channels=1)
    with pytest.raises(ShapeError, match=r"red, green and blue, got samples of shape \(1, 8, 8\)"):
        network(1).fit(x, y, augmentation=Augmentation(hue=0.1))
    network(1).fit(x, y, augmentation=Augmentation(contrast=0.1, brightness=0.1))
