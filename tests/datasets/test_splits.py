"""Validation splits: every class has its share, to the sample, and `fit` never trains on it."""

import numpy as np
import pytest

from purecnn import Dense, Flatten, Network, ShapeError, Softmax, stratified_split
from purecnn.training.targets import Targets, strata

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("sizes", "fraction", "wanted"),
    [
        # shares 1.5, 1.5, 2: five in all, so the first of the two halves is rounded up
        ((3, 3, 4), 0.5, (2, 1, 2)),
        # shares 0.6, 0.3, 0.1: one in all
        ((6, 3, 1), 0.1, (1, 0, 0)),
        # shares 3.48, 2.9, 1.45: 8 in all; after 3 + 2 + 1 the remainders 0.9 and 0.48 get one each
        ((12, 10, 5), 0.29, (4, 3, 1)),
        # shares 0.28 and 2.28, of which the second is a hair larger in binary: equal, so the first gets it
        ((7, 57), 0.04, (1, 2)),
        # 0.29 of 100 is 28.999999999999996 in binary
        ((100, 100), 0.29, (29, 29)),
        ((10,), 0.25, (3,)),
    ],
)
def test_counts_by_the_largest_remainder(sizes, fraction, wanted):
    y = np.repeat(np.arange(len(sizes)), sizes)
    order = RNG.permutation(len(y))
    kept, aside = stratified_split(y[order], fraction)
    assert np.bincount(y[order][aside], minlength=len(sizes)).tolist() == list(wanted)
    assert sorted([*kept, *aside]) == list(range(len(y)))
    assert (np.diff(kept) > 0).all()
    assert (np.diff(aside) > 0).all()


def test_against_scikit_learn_s_rule_no_class_is_off_by_a_sample():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, rng.integers(2, 9), rng.integers(20, 300))
        fraction = rng.uniform(0.05, 0.95)
        _, aside = stratified_split(y, fraction, seed)
        assert len(aside) == np.floor(len(y) * fraction + 0.5)
        counts = np.bincount(y)
        off = np.bincount(y[aside], minlength=len(counts)) - counts * fraction
        assert np.abs(off).max() < 1


def test_the_seed_decides_which_and_labels_may_be_words():
    y = np.array(["cat", "dog"] * 50)
    first, again, other = (stratified_split(y, 0.2, seed)[1] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (y[first] == "cat").sum() == (y[other] == "dog").sum() == 10


@pytest.mark.parametrize(
    ("y", "fraction", "error", "words"),
    [
        ([0, 1], 0, ValueError, "fraction must be a number above 0 and below 1, got 0"),
        ([0, 1], 1.0, ValueError, "fraction must be a number above 0 and below 1, got 1.0"),
        ([0, 1], "half", ValueError, "fraction must be a number above 0 and below 1, got 'half'"),
        (
            [0, 1, 2],
            0.1,
            ValueError,
            "fraction must leave samples on both sides, got 0.1 of 3: 0 set aside",
        ),
        (
            [0, 1, 2],
            0.9,
            ValueError,
            "fraction must leave samples on both sides, got 0.9 of 3: 3 set aside",
        ),
        ([[0], [1]], 0.5, ShapeError, "y must have shape (n,), one label for each sample, got (2, 1)"),
    ],
)
def test_refusals(y, fraction, error, words):
    with pytest.raises(error) as caught:
        stratified_split(y, fraction)
    assert str(caught.value) == words


def test_strata_of_labels_of_columns_and_of_values():
    assert strata(Targets(np.array([2, 0]))).tolist() == [2, 0]
    assert strata(Targets(np.eye(3)[[2, 0]])).tolist() == [2, 0]
    assert strata(Targets(np.array([[0.3], [7.0]]))).tolist() == [0, 0]


def test_fit_trains_on_none_of_what_is_set_aside():
    x = np.arange(200, dtype=np.float32).reshape(200, 1)
    y = np.arange(200) % 2
    seen = []

    class Spy(Flatten):
        def forward(self, input):
            if self.training:
                seen.extend(input.ravel().astype(int))
            return super().forward(input)

    network = Network([Spy(), Dense(output_size=2), Softmax()], input_shape=(1,), seed=5)
    history = network.fit(x, y, epochs=2, batch_size=32, validation_split=0.15, learning_rate=1e-9)
    kept, aside = stratified_split(y, 0.15, 5)
    assert sorted(seen) == sorted([*kept, *kept])
    assert len(aside) == 30
    found = network.evaluate(x[aside], y[aside])
    assert history.validation_loss[-1] == pytest.approx(found["loss"], rel=1e-6)
    assert history.validation_accuracy[-1] == found["accuracy"]
    assert history.loss[-1] == pytest.approx(network.evaluate(x[kept], y[kept])["loss"], rel=1e-3)
    assert len(history.validation_loss) == 2


def test_fit_takes_one_validation_set():
    network, x, y = Network([Dense(1, 2), Softmax()]), np.zeros((4, 1)), np.array([0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"^validation_split and validation_data both name the validation"):
        network.fit(x, y, validation_split=0.5, validation_data=(x, y))
    with pytest.raises(ValueError, match=r"^validation_split must be .* above 0 and below 1, got 2$"):
        network.fit(x, y, validation_split=2)
