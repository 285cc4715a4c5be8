"""Optimizers against PyTorch's numbers: alone, by blocks, and inside a network."""

import itertools

import numpy as np
import pytest

from purecnn import (
    SGD,
    Adam,
    AveragePooling,
    Convolutional,
    Dense,
    Flatten,
    Identity,
    MaxPooling,
    Network,
    ReLU,
    Softmax,
    Tanh,
    optimizers,
)
from purecnn.optimizers import OPTIMIZERS, as_optimizer
from reference import close, listed, load, part


def made(setting):
    return OPTIMIZERS[setting["function"]](**setting["options"])


@pytest.mark.parametrize(("name", "setting"), listed("optimizers").items())
def test_ten_steps_are_pytorchs(name, setting):
    data = load("optimizers")
    parameters, optimizer = data["parameters"].copy(), made(setting)
    optimizer.begin(parameters)
    for gradient, expected in zip(data["gradients"], data[f"{name}/parameters"], strict=True):
        optimizer.advance()
        optimizer.update(parameters, gradient.copy(), 0, len(parameters))
        close(parameters, expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "setting"), listed("optimizers").items())
def test_stretches_and_blocks_give_the_same_bits_as_the_whole(name, setting, dtype, monkeypatch):
    rng = np.random.default_rng(0)
    start, gradients = rng.standard_normal(101).astype(dtype), rng.standard_normal((5, 101)).astype(dtype)
    found = []
    for block, edges in ((1 << 14, (0, 101)), (1 << 14, (0, 50, 101)), (7, (0, 3, 3, 64, 101))):
        monkeypatch.setattr(optimizers, "BLOCK", block)
        parameters, optimizer = start.copy(), made(setting)
        optimizer.begin(parameters)
        for gradient in gradients.copy():
            optimizer.advance()
            for first, last in itertools.pairwise(edges):
                optimizer.update(parameters, gradient, first, last)
        assert parameters.dtype == dtype
        assert all(state.dtype == dtype for state in optimizer.state.values())
        found.append(parameters.tobytes())
    assert len(set(found)) == 1


def test_the_state_stays_for_the_same_parameters_and_begins_anew_for_others():
    optimizer, parameters = Adam(), np.ones(3)
    optimizer.begin(parameters)
    optimizer.advance()
    optimizer.update(parameters, np.ones(3), 0, 3)
    optimizer.begin(parameters)
    assert optimizer.steps == 1
    assert optimizer.state["mean"].any()
    for other in (np.ones(4), np.ones(3, np.float32)):
        optimizer.begin(other)
        assert optimizer.steps == 0
        assert not optimizer.state["mean"].any()
        assert optimizer.state["mean"].dtype == other.dtype


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SGD(0), ValueError, "learning_rate must be a number above 0, got 0"),
        (lambda: SGD(float("nan")), ValueError, "learning_rate must be a number above 0, got nan"),
        (lambda: SGD(float("inf")), ValueError, "learning_rate must be a number above 0, got inf"),
        (lambda: SGD("fast"), TypeError, "learning_rate must be a finite number above 0, got 'fast'"),
        (lambda: SGD(True), TypeError, "learning_rate must be a finite number above 0, got True"),
        (lambda: SGD(0.1, 1), ValueError, "momentum must be a number at least 0 and below 1, got 1"),
        (lambda: Adam(beta1=-0.1), ValueError, "beta1 must be .* at least 0 and below 1, got -0.1"),
        (lambda: Adam(beta2=1.0), ValueError, "beta2 must be .* at least 0 and below 1, got 1"),
        (lambda: Adam(epsilon=0), ValueError, "epsilon must be a number above 0, got 0"),
        (lambda: as_optimizer("adma"), ValueError, "optimizer must be one of sgd, adam, got 'adma'"),
        (lambda: as_optimizer(SGD(), 0.1), ValueError, r"learning_rate belongs to SGD\("),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_an_optimizer_is_made_from_what_it_says_it_is():
    for optimizer in (SGD(0.1, momentum=0.5), Adam(0.01, beta1=0.7, beta2=0.8, epsilon=1e-5)):
        assert type(optimizer)(**optimizer.configuration()).configuration() == optimizer.configuration()
        assert eval(repr(optimizer)).configuration() == optimizer.configuration()


# In a network ---------------------------------------------------------------------------------------------

PLACES = {"convolution1": 0, "convolution2": 3, "dense": 7}


def network(last=Identity):
    """Return the network of network.npz with its first parameters."""
    layers = [
        Convolutional(kernel_size=3, depth=4, padding=1),
        ReLU(),
        MaxPooling(2),
        Convolutional(kernel_size=3, depth=5),
        Tanh(),
        AveragePooling(2),
        Flatten(),
        Dense(output_size=3),
        last(),
    ]
    made = Network(layers, input_shape=(2, 12, 12), dtype=np.float64)
    for name, array in part("network", "parameters").items():
        layer, parameter = name.split(".")
        place = made[PLACES[layer]].parameters[parameter]
        place[...] = array.reshape(place.shape)
    return made


def hold(found, prefix, rtol=1e-9):
    """Hold a network's parameters to those under a prefix of network.npz."""
    for name, array in part("network", prefix).items():
        layer, parameter = name.split(".")
        place = found[PLACES[layer]].parameters[parameter]
        close(place, array.reshape(place.shape), rtol=rtol, atol=1e-11)


@pytest.mark.parametrize(
    ("last", "loss"), [(Identity, "softmax_cross_entropy"), (Softmax, "categorical_cross_entropy")]
)
@pytest.mark.parametrize(("name", "setting"), listed("network", "settings").items())
def test_a_network_trains_as_pytorchs(name, setting, last, loss):
    data, trained, optimizer = load("network"), network(last), made(setting)
    x, options = np.moveaxis(data["input"], -1, 0), {"batch_size": 6, "shuffle": False, "loss": loss}
    if last is Identity:
        close(trained.predict(x), data["logits"].T)
    first = trained.fit(x, data["labels"], optimizer=optimizer, epochs=1, **options)
    hold(trained, f"{name}/1")
    rest = trained.fit(x, data["labels"], optimizer=optimizer, epochs=9, **options)
    hold(trained, f"{name}/10")
    after = trained.evaluate(x, data["labels"], loss=loss)["loss"]
    close([*first.loss, *rest.loss, after], data[f"{name}/losses"], rtol=1e-9)


def test_a_network_in_float32_trains_nearly_as_pytorchs_in_float64():
    data, exact = load("network"), network()
    trained = Network(list(exact), dtype=np.float32)
    x, setting = np.moveaxis(data["input"], -1, 0), listed("network", "settings")["momentum"]
    trained.fit(
        x,
        data["labels"],
        optimizer=made(setting),
        epochs=10,
        batch_size=6,
        shuffle=False,
        loss="softmax_cross_entropy",
    )
    assert trained.parameters.dtype == np.float32
    for name, array in part("network", "momentum/10").items():
        layer, parameter = name.split(".")
        place = trained[PLACES[layer]].parameters[parameter]
        close(place, array.reshape(place.shape), rtol=1e-4, atol=1e-5)
