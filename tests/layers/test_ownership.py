"""A layer, an optimizer and a callback serve one network at a time; copies may serve others."""

import copy
import pickle

import numpy as np
import pytest

from purecnn import (
    SGD,
    Adam,
    Callback,
    CNNClassifier,
    Dense,
    EarlyStopping,
    Network,
    Preprocessing,
    ReLU,
    Residual,
    Softmax,
    Tanh,
    fit,
    predict,
    summary,
    train,
)
from purecnn.losses import mse, mse_prime

X = np.random.default_rng(0).normal(size=(12, 3))
Y = np.arange(12) % 2


def layers():
    return [Dense(3, 4), Tanh(), Residual([Dense(4, 4)]), Dense(4, 2)]


@pytest.mark.parametrize("bound", [True, False])
def test_layers_of_another_network_are_refused(bound):
    shared = layers() if bound else [Dense(output_size=2), Softmax()]
    first = Network(shared)
    with pytest.raises(ValueError, match=r"^layer 0, Dense\(.*\), is part of another .* copy.deepcopy"):
        Network(shared, seed=5)
    del first  # its parameters are still there, and the seed would still say nothing
    with pytest.raises(ValueError, match="is part of another network"):
        Network(shared, seed=5)


def test_a_copy_keeps_its_parameters_and_new_layers_obey_the_seed():
    first = Network(layers(), seed=1)
    twin, other = Network(copy.deepcopy(first.layers), seed=2), Network(layers(), seed=2)
    np.testing.assert_array_equal(twin.parameters, first.parameters)
    assert (other.parameters != first.parameters).any()
    before = first.parameters.copy()
    twin.fit(X, Y, epochs=1)
    assert (twin.parameters != before).any()
    np.testing.assert_array_equal(first.parameters, before)


def test_layers_inside_others_and_those_put_in_later_belong_too():
    inner = [Dense(4, 4), ReLU()]
    Network([Dense(3, 4), Residual(inner)])
    with pytest.raises(ValueError, match=r"layer 1, Dense\(.*\), is part of another network"):
        Network([Dense(3, 4), Residual([inner[0]])])
    taken, own = Network([Dense(4, 2)]), Network(layers())
    own.layers[-1:] = [*copy.deepcopy(taken.layers)]
    assert own.predict(X).shape == (12, 2)
    own.layers[-1] = taken[0]
    with pytest.raises(ValueError, match="layer 3, Dense"):
        own.predict(X)


def test_what_fails_to_become_a_network_takes_no_layers():
    shared = layers()
    for wrong in ({"device": "tpu"}, {"task": "clustering"}, {"preprocessing": 3}, {"input_shape": (7,)}):
        with pytest.raises((TypeError, ValueError)):
            Network(shared, **wrong)
    Network(shared)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_a_copy_of_a_network_shares_nothing(how):
    network = Network(layers())
    network.fit(X, Y, epochs=1)
    twin = how(network)
    before = network.parameters.copy()
    twin.fit(X, Y, epochs=1)
    np.testing.assert_array_equal(network.parameters, before)
    assert twin.optimizer is not network.optimizer
    with pytest.raises(ValueError, match="is part of another network"):
        Network(twin.layers)


def test_plain_lists_keep_their_layers_parameters_as_in_the_original():
    shared = layers()
    train(shared, mse, mse_prime, X, np.eye(2)[Y], epochs=1, verbose=False)
    before = predict(shared, X[0])
    shared.append(Tanh())
    np.testing.assert_allclose(predict(shared, X[0]), np.tanh(before), rtol=1e-6)
    assert predict(shared[:1], X[0]).shape == (4, 1)
    with pytest.raises(ValueError, match="is part of another network"):
        Network(shared, seed=3)  # which would say nothing
    before = predict(shared, X[0])
    np.testing.assert_array_equal(Network(shared).predict(X[:1]).T, before)
    network = Network(layers())
    np.testing.assert_array_equal(predict(network.layers, X[0]), network.predict(X[:1]).T)
    with pytest.raises(ValueError, match="is part of another network"):
        predict(network.layers[:2], X[0])


def test_a_summary_draws_nothing_for_the_network_to_come():
    shared = layers()
    summary(shared)
    found = Network(shared, seed=7)
    np.testing.assert_array_equal(found.parameters, Network(layers(), seed=7).parameters)
    assert summary(found.layers).parameters == found.parameters.size


def test_an_estimator_copies_what_it_is_given():
    network = Network(layers())
    before = network.parameters.copy()
    for _ in range(2):
        CNNClassifier(network, epochs=1).fit(X, Y)
        CNNClassifier(lambda shape, outputs, seed: network, epochs=1).fit(X, Y)
    np.testing.assert_array_equal(network.parameters, before)


def test_what_a_network_learns_of_its_samples_is_its_own():
    given = Preprocessing()
    first, second = (Network(layers(), preprocessing=given) for _ in range(2))
    first.fit(X, Y)
    second.fit((X > 0).astype(np.uint8) * 255, Y)
    assert second.preprocessing.kind != first.preprocessing.kind
    assert given == Preprocessing()


def test_an_optimizer_with_a_state_serves_one_network():
    optimizer = Adam(0.01)
    first = Network(layers())
    first.fit(X, Y, optimizer=optimizer)
    first.fit(X, Y, optimizer=optimizer)
    with pytest.raises(ValueError, match="Adam has a state from 2 steps of another network"):
        Network(layers()).fit(X, Y, optimizer=optimizer)
    Network(layers()).fit(X, Y, optimizer=copy.deepcopy(optimizer))
    twin = copy.deepcopy(first)
    twin.fit(X, Y, optimizer=twin.optimizer)
    with pytest.raises(ValueError, match="of another network"):
        first.fit(X, Y, optimizer=twin.optimizer)
    plain = SGD(0.1)  # remembers nothing
    for _ in range(2):
        Network(layers()).fit(X, Y, optimizer=plain)


def test_a_callback_begins_anew_in_each_fit_and_is_in_one_at_a_time():
    stopping = EarlyStopping("loss", patience=1, min_delta=100.0)
    for _ in range(2):
        fit(layers(), X, Y, epochs=5, callbacks=[stopping])
        assert (stopping.best_epoch, stopping.waited) == (1, 1)
    with pytest.raises(ValueError, match="callbacks must be different objects, got one of them twice"):
        fit(layers(), X, Y, callbacks=[stopping, stopping])

    class Nested(Callback):
        def epoch(self, epoch, history):
            fit(layers(), X, Y, callbacks=[stopping])

    with pytest.raises(ValueError, match="EarlyStopping looks on at a fit that still runs"):
        fit(layers(), X, Y, callbacks=[stopping, Nested()])
    fit(layers(), X, Y, callbacks=[stopping])
