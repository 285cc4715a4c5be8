"""Synthetic sets: what is drawn where, that a seed gives the same, refusals."""

import numpy as np
import pytest

from purecnn.datasets import cluttered_digits, mnist, signals
from purecnn.datasets.synthetic import FAINT, INK, SHAPES


def test_digits_lie_where_their_masks_say():
    (digits, labels), _ = mnist.load_data()
    images, masks = cluttered_digits(digits, labels, 50, seed=3)
    assert images.dtype == masks.dtype == np.uint8
    assert images.shape == masks.shape == (50, 40, 40)
    inked = (masks > 0) & (masks < 255)
    assert images[inked].min() >= INK
    assert images[masks == 255].min() >= FAINT
    whole = [len(np.unique(mask[(mask > 0) & (mask < 255)])) for mask in masks]
    assert set(whole) == {1, 2}
    again = cluttered_digits(digits, labels, 50, seed=3)
    np.testing.assert_array_equal(again[0], images)
    assert not np.array_equal(cluttered_digits(digits, labels, 50, seed=4)[0], images)


def test_a_lone_digit_is_the_digit_that_was_given():
    digit = np.zeros((1, 28, 28), np.uint8)
    digit[0, 5:10, 6:20] = 200
    digit[0, 10, 6:20] = 60
    images, masks = cluttered_digits(digit, np.array([7]), 20, size=28, seed=0)
    for image, mask in zip(images, masks, strict=True):  # of the size of a digit, there is but one place
        np.testing.assert_array_equal(mask == 8, digit[0] == 200)
        np.testing.assert_array_equal(mask == 255, digit[0] == 60)
        assert (image[5:10, 6:20] == 200).all()


def test_signals_have_the_shapes_of_their_labels():
    x, y = signals(500, length=256, noise=0.0, seed=1)
    assert (x.dtype, x.shape, y.shape) == (np.float32, (500, 1, 256), (500,))
    for label, shape in enumerate(SHAPES):
        own = x[y == label, 0]
        assert len(own) == 100
        tops = own.max(axis=1, keepdims=True)
        assert 0.49 < tops.min() < tops.max() < 2.6
        if shape == "square":  # two values, as often
            assert (np.abs(own) == tops).all()
        if shape == "pulses":
            assert (np.abs(own / tops - np.where(own > 0, 1, -0.3 / 1.7)) < 1e-6).all()
        if shape == "sawtooth":  # equal steps but for the falls
            steps = np.diff(own, axis=1)
            assert (np.abs(np.median(steps, axis=1, keepdims=True) - steps) < 1e-5).mean() > 0.95
    crossings = (np.diff(np.sign(x[:, 0]), axis=1) != 0).sum(axis=1)
    assert 1.3 < crossings[y == 4].mean() / crossings[y == 0].mean() < 1.7  # 1.5 times as many turns
    noisy, _ = signals(500, length=256, noise=0.25, seed=1)
    assert abs((noisy - x).std() - 0.25) < 0.01


def test_refusals():
    with pytest.raises(ValueError, match="samples must be an integer of at least 1, got 0"):
        signals(0)
    with pytest.raises(ValueError, match="size must be at least that of a digit, 28, got 20"):
        cluttered_digits(np.zeros((1, 28, 28), np.uint8), np.zeros(1, int), 3, size=20)


@pytest.mark.parametrize(
    ("digits", "labels", "wanted"),
    [
        (np.zeros((2, 784), np.uint8), [0, 1], r"digits must be uint8 .* got uint8 of shape \(2, 784\)"),
        (np.zeros((2, 28, 28)), [0, 1], r"digits must be uint8 .* got float64 of shape \(2, 28, 28\)"),
        (np.zeros((2, 5, 28), np.uint8), [0, 1], r"at least 7 x 7 pixels, got uint8 of shape \(2, 5, 28\)"),
        (np.zeros((2, 28, 28), np.uint8), [0], r"labels must be 2 integers, .* got int64 of shape \(1,\)"),
        (np.zeros((2, 28, 28), np.uint8), [0, 0.5], "labels must be 2 integers, .* got float64"),
        (np.zeros((2, 28, 28), np.uint8), [0, 254], "labels must be from 0 to 253, got 0 to 254"),
        (np.zeros((2, 28, 28), np.uint8), [-1, 0], "labels must be from 0 to 253, got -1 to 0"),
    ],
)
def test_digits_that_are_none_are_refused(digits, labels, wanted):
    with pytest.raises(ValueError, match=wanted):
        cluttered_digits(digits, np.array(labels), 2)


@pytest.mark.parametrize("noise", [-1, np.nan, "much"])
def test_noise_that_is_none_is_refused(noise):
    with pytest.raises(ValueError, match=f"noise must be a number of at least 0, got {noise!r}"):
        signals(5, noise=noise)
