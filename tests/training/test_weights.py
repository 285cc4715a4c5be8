"""Weights of samples and classes: 2 counts as the sample twice, 0 as its absence, at any number of shards."""

import numpy as np
import pytest

from purecnn import SGD, Activation, Adam, Callback, Dense, Identity, Network, Sigmoid, Softmax, Tanh
from purecnn.losses import Loss, label_smoothing, mse, mse_prime
from purecnn.training.targets import Targets
from purecnn.training.weights import sample_weights


def data(samples=90, seed=0):
    """Return vectors, their labels and weights from 0 to 3."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((samples, 4))
    return x, rng.integers(0, 3, samples), rng.integers(0, 4, samples)


def network(last=Softmax, outputs=3, seed=0):
    """Return a small network in float64, the same for the same seed."""
    return Network([Dense(4, 6), Tanh(), Dense(6, outputs), last()], seed=seed, dtype=np.float64)


LAST = {
    "categorical_cross_entropy": (Softmax, 3),
    "kl_divergence": (Softmax, 3),
    "binary_cross_entropy": (Sigmoid, 3),
    "categorical_focal_cross_entropy": (Softmax, 3),
    "binary_focal_cross_entropy": (Sigmoid, 3),
    "softmax_cross_entropy": (Identity, 3),
    "mse": (Tanh, 3),
    "hinge": (Identity, 3),
}


@pytest.mark.parametrize("loss", LAST)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_weight_counts_as_so_many_samples_in_full_batches(loss, optimizer):
    x, y, times = data()
    options = {"epochs": 30, "batch_size": 1000, "loss": loss, "optimizer": optimizer, "learning_rate": 0.05}
    weighted, repeated = (network(*LAST[loss]) for _ in range(2))
    first = weighted.fit(x, y, sample_weight=times, **options)
    second = repeated.fit(np.repeat(x, times, axis=0), np.repeat(y, times), **options)
    np.testing.assert_allclose(first.loss, second.loss, rtol=1e-9)
    np.testing.assert_allclose(weighted.predict(x), repeated.predict(x), atol=1e-7)
    found = weighted.evaluate(x, y, loss=loss, sample_weight=times)
    wanted = repeated.evaluate(np.repeat(x, times, axis=0), np.repeat(y, times), loss=loss)
    assert found == pytest.approx(wanted, rel=1e-7)


def test_weights_of_one_change_nothing():
    x, y, _ = data()
    found = []
    for options in ({}, {"sample_weight": np.full(90, 2)}, {"class_weight": {0: 1.0}}):
        net = network()
        history = net.fit(x, y, batch_size=32, epochs=2, **options)
        found.append((net.parameters, history.loss))
    for parameters, loss in found[1:]:
        np.testing.assert_allclose(parameters, found[0][0], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(loss, found[0][1], rtol=1e-12)


@pytest.mark.parametrize("batch_size", [1, 7, 40, 90])
def test_a_batchs_loss_is_the_weighted_mean_over_the_batch_not_over_its_shards(batch_size):
    """Held to the loss of each batch by hand, from the outputs before each step."""
    x, y, weights = data()
    net = network()
    wanted, counts = [], []

    class Watch(Callback):
        def step(self, epoch, step, loss):
            seen.append(loss)
            measure(step)

    def measure(step):
        part = slice(step * batch_size, (step + 1) * batch_size)
        if step * batch_size < 90:
            w, p = weights[part], net.predict(x[part])
            each = -np.log(p[np.arange(len(p)), y[part]])
            wanted.append(np.sum(w * each) / w.sum() if w.any() else 0.0)
            counts.append(w.sum())

    seen = []
    measure(0)
    history = net.fit(
        x,
        y,
        sample_weight=weights,
        batch_size=batch_size,
        shuffle=False,
        optimizer=SGD(0.5),
        callbacks=[Watch()],
    )
    np.testing.assert_allclose(seen, wanted, rtol=1e-9)
    assert history.loss == [pytest.approx(np.average(wanted, weights=counts))]


@pytest.mark.parametrize("optimizer", [SGD(0.5), SGD(0.5, 0.9, weight_decay=0.1), Adam(0.1)])
@pytest.mark.parametrize("batch_size", [1, 8, 64])
def test_a_batch_without_weight_changes_nothing(optimizer, batch_size):
    x, y, _ = data(128)
    weights = np.ones(128)
    weights[64:] = 0
    options = optimizer.configuration()
    net, alone = network(), network()
    with np.errstate(all="raise"):
        net.fit(
            x,
            y,
            sample_weight=weights,
            batch_size=batch_size,
            shuffle=False,
            optimizer=type(optimizer)(**options),
            l2=0.01,
        )
    alone.fit(
        x[:64],
        y[:64],
        sample_weight=weights[:64],
        batch_size=batch_size,
        shuffle=False,
        optimizer=type(optimizer)(**options),
        l2=0.01,
    )
    assert net.parameters.tobytes() == alone.parameters.tobytes()
    assert net.updates == 2 * alone.updates  # a step it was all the same


def test_a_shard_without_weight_is_fine():
    x, y, _ = data(128)
    weights = np.ones(128)
    weights[:64] = 0  # the whole first shard of two
    net, alone = network(), network()
    with np.errstate(all="raise"):
        net.fit(x, y, sample_weight=weights, batch_size=128, shuffle=False, optimizer=SGD(0.1))
    alone.fit(x[64:], y[64:], batch_size=64, shuffle=False, optimizer=SGD(0.1))
    np.testing.assert_allclose(net.parameters, alone.parameters, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("last", [Softmax, lambda: Activation(np.tanh, lambda x: 1 - np.tanh(x) ** 2)])
def test_same_bits_at_any_number_of_workers(last):
    x, y, weights = data(300)
    found = []
    for threads in (1, 2, 4):
        net = network(last)
        options = {"loss": "softmax_cross_entropy"} if last is not Softmax else {}
        options |= {"sample_weight": weights, "class_weight": "balanced", "threads": threads}
        net.fit(x, y, batch_size=128, epochs=2, **options)
        found.append(net.parameters.tobytes())
    assert len(set(found)) == 1


# Classes --------------------------------------------------------------------------------------------------


def test_balanced_is_scikit_learns_formula():
    y = np.array([0, 0, 0, 0, 2, 2, 5, 0])
    found = sample_weights(Targets(y), 7, class_weight="balanced")
    np.testing.assert_allclose(found, 8 / (3 * np.array([5, 5, 5, 5, 2, 2, 1, 5])))
    weights = np.array([1, 0, 2, 1, 1, 1, 4, 0])
    found = sample_weights(Targets(y), 7, weights, "balanced")
    np.testing.assert_allclose(found, weights * 10 / (3 * np.array([4, 4, 4, 4, 2, 2, 4, 4])))
    assert [found[y == label].sum() for label in (0, 2, 5)] == pytest.approx([10 / 3] * 3)


def test_a_class_whose_samples_all_weigh_nothing_stays_so():
    found = sample_weights(Targets(np.array([0, 1, 1])), 2, [0, 1, 1], "balanced")
    assert found.tolist() == [0, 1, 1]


def test_classes_may_come_as_rows_and_as_a_lone_output():
    given = {1: 3.0}
    labels = np.array([0, 1, 1])
    assert sample_weights(Targets(labels), 2, class_weight=given).tolist() == [1, 3, 3]
    assert sample_weights(Targets(np.eye(2)[labels]), 2, class_weight=given).tolist() == [1, 3, 3]
    assert sample_weights(Targets(labels[:, None].astype(float)), 1, class_weight=given).tolist() == [1, 3, 3]


def test_class_weights_are_sample_weights():
    x, y, _ = data()
    each = {0: 0.5, 1: 2.0, 2: 1.0}
    by_class, by_sample = network(), network()
    by_class.fit(x, y, class_weight=each, batch_size=32)
    by_sample.fit(x, y, sample_weight=[each[label] for label in y], batch_size=32)
    assert by_class.parameters.tobytes() == by_sample.parameters.tobytes()


def test_a_rare_class_is_found_once_it_counts_as_much_as_the_others():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 4))
    y = (rng.random(400) < 0.08).astype(int)
    x[y == 1, 0] += 1.5
    recall = []
    for class_weight in (None, "balanced"):
        net = Network([Dense(4, 2), Softmax()])
        net.fit(x, y, epochs=60, batch_size=400, optimizer=Adam(0.1), class_weight=class_weight)
        recall.append(np.mean(net.predict(x[y == 1]).argmax(axis=1)))
    assert recall[1] > recall[0] + 0.2


# Losses of one's own --------------------------------------------------------------------------------------


def test_a_loss_of_ones_own_takes_weights_where_it_says_so():
    x, y, weights = data()
    y = y[:, None] / 2.0
    own, known = network(Tanh, 1), network(Tanh, 1)
    with pytest.raises(
        ValueError, match=r"want a loss that takes sample_weight: .* Loss\(function, prime, we"
    ):
        own.fit(x, y, loss=lambda a, b: mse(a, b), loss_prime=mse_prime, sample_weight=weights)
    with pytest.raises(ValueError, match="want a loss that takes sample_weight"):
        own.evaluate(x, y, loss=lambda a, b: mse(a, b), sample_weight=weights)
    mine = Loss(
        lambda a, b, sample_weight=None: mse(a, b, sample_weight=sample_weight),
        lambda a, b, sample_weight=None: mse_prime(a, b, sample_weight=sample_weight),
        weighted=True,
    )
    own.fit(x, y, loss=mine, sample_weight=weights)
    known.fit(x, y, loss=mse, sample_weight=weights)
    assert own.parameters.tobytes() == known.parameters.tobytes()
    assert known.evaluate(x, y, loss=mse, sample_weight=weights) == own.evaluate(
        x, y, loss=mine, sample_weight=weights
    )


def test_a_smoothed_loss_trains_towards_smooth_answers():
    x, y, weights = data()
    sure, smooth = network(), network()
    for net, loss in ((sure, None), (smooth, label_smoothing("categorical_cross_entropy", 0.3))):
        net.fit(x, y, epochs=200, batch_size=90, loss=loss, optimizer=Adam(0.05), sample_weight=weights)
    assert smooth.predict(x).max() < 0.95 < sure.predict(x).max()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"sample_weight": np.ones(89)}, ValueError, r"shape \(90,\), got \(89,\)"),
        ({"sample_weight": np.ones((90, 1))}, ValueError, r"shape \(90,\), got \(90, 1\)"),
        ({"sample_weight": -np.ones(90)}, ValueError, "sample_weight must be at least 0, got -1"),
        ({"sample_weight": np.full(90, np.nan)}, ValueError, "sample_weight must be finite, got nan"),
        ({"sample_weight": ["a"] * 90}, TypeError, "sample_weight must hold real numbers"),
        ({"sample_weight": np.zeros(90)}, ValueError, "must not all be 0"),
        ({"class_weight": {0: 0, 1: 0, 2: 0}}, ValueError, "must not all be 0"),
        (
            {"class_weight": [1, 2, 3]},
            TypeError,
            r'must be a dict of labels and weights or "balanced", got \[1',
        ),
        ({"class_weight": "even"}, TypeError, "or \"balanced\", got 'even'"),
        ({"class_weight": {3: 1}}, ValueError, "must name labels from 0 to 2, got 3"),
        ({"class_weight": {-1: 1}}, ValueError, "must name labels from 0 to 2, got -1"),
        ({"class_weight": {"a": 1}}, ValueError, "must name labels from 0 to 2, got 'a'"),
        ({"class_weight": {0: -1}}, ValueError, "must give numbers of at least 0, got -1 for 0"),
        ({"class_weight": {0: None}}, ValueError, "must give numbers of at least 0, got None for 0"),
    ],
)
def test_bad_weights_are_refused_in_one_sentence(options, error, words):
    x, y, _ = data()
    with pytest.raises(error, match=words) as caught:
        network().fit(x, y, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("y", [np.full((90, 3), 0.5), np.ones((90, 3)), np.linspace(0, 1, 90)[:, None]])
def test_class_weights_want_classes(y):
    x, _, _ = data()
    with pytest.raises(ValueError, match="class_weight wants classes as targets"):
        network(Identity, y.shape[1]).fit(x, y, loss="mse", class_weight="balanced")
