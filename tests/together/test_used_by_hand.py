"""What people do by hand: lone layers, parameters put into them, layers that move to another network."""

import copy
import pickle

import numpy as np
import pytest

from purecnn import (
    ELU,
    GELU,
    SGD,
    Activation,
    AveragePooling,
    Callback,
    Convolutional,
    Dense,
    Dropout,
    Flatten,
    Identity,
    LeakyReLU,
    MaxPooling,
    Network,
    ReLU,
    Reshape,
    ShapeError,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
    summary,
)

IMAGE, VECTOR = (1, 8, 8), (4,)
LAYERS = [
    (lambda: Convolutional(IMAGE, 3, 2, rng=0), IMAGE),
    (lambda: Dense(4, 3, rng=0), VECTOR),
    (lambda: Reshape((4, 2), (8,)), (4, 2)),
    (Flatten, IMAGE),
    (MaxPooling, IMAGE),
    (AveragePooling, IMAGE),
    (Dropout, VECTOR),
    (lambda: Activation(np.sin, np.cos), VECTOR),
    *(
        (kind, VECTOR)
        for kind in (ELU, GELU, Identity, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh)
    ),
]
each_layer = pytest.mark.parametrize(
    ("make", "shape"), LAYERS, ids=[type(make()).__name__ for make, _ in LAYERS]
)


def samples(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@each_layer
def test_backward_before_forward_is_one_sentence(make, shape):
    layer = make()
    with pytest.raises(ValueError, match="wants a forward pass before its backward pass, got none"):
        layer.backward(np.zeros((3, 3)))
    layer.forward(samples(*shape, 3))
    with pytest.raises(ValueError, match="wants a forward pass"):  # a copy has not run
        copy.deepcopy(layer).backward(np.zeros((3, 3)))


@each_layer
def test_a_gradient_of_another_shape_is_one_sentence(make, shape):
    layer = make()
    output = layer.forward(samples(*shape, 3))
    for wrong in ((7, 5), (*output.shape[:-1], 1), (*output.shape[:-1], 4), ()):
        with pytest.raises(ShapeError, match=r"wants an output gradient of shape \(.*, 3\), like its last"):
            layer.backward(np.zeros(wrong))


@each_layer
def test_a_gradient_follows_the_inputs_dtype(make, shape):
    layer = make()
    output = layer.forward(samples(*shape, 3).astype(np.float32))
    g = samples(*output.shape, seed=1)
    assert layer.backward(g).dtype == np.float32
    assert layer.backward(g.tolist()).dtype == np.float32
    assert layer.backward(g).shape == (*shape, 3)


@each_layer
def test_a_batch_of_none_and_words_are_refused(make, shape):
    with pytest.raises(ShapeError, match="the batch last; got"):
        make().forward(np.zeros((*shape, 0)))
    for dtype in (complex, str):
        with pytest.raises(TypeError, match="wants an array of real numbers, got dtype"):
            make().forward(np.zeros((*shape, 2), dtype))


def test_a_lone_layer_whose_parameters_were_put_in():
    layer = Dense(2, 1)
    layer.parameters = {"biases": [[0.5]], "weights": [[1.0, 2.0]]}
    assert layer.forward([[3.0], [4.0]]).tolist() == [[11.5]]
    assert layer.backward([[1.0]]).tolist() == [[1.0], [2.0]]
    assert layer.gradients["weights"].tolist() == [[3.0, 4.0]]
    layer.parameters["weights"] = np.zeros((9, 9))
    with pytest.raises(ShapeError, match=r"weights of Dense.* must have shape \(1, 2\), got \(9, 9\)"):
        layer.forward([[3.0], [4.0]])


def small(**options):
    return Network([Dense(2, 3), Tanh(), Dense(3, 2)], input_shape=2, **options)


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (np.zeros((3, 9)), ShapeError, r"weights of Dense.* must have shape \(3, 2\), got \(3, 9\)"),
        (np.zeros((2, 3)), ShapeError, r"must have shape \(3, 2\), got \(2, 3\)"),
        (np.full((3, 2), "a"), TypeError, "must hold real numbers, got dtype <U1"),
        (np.full((3, 2), 1j), TypeError, "must hold real numbers, got dtype complex128"),
    ],
)
def test_a_wrong_array_put_into_a_network(value, error, words):
    network = small()
    network[0].parameters["weights"] = value
    with pytest.raises(error, match=words):
        network.predict(samples(4, 2))


def test_parameters_that_are_missing_or_too_many():
    network = small()
    del network[0].parameters["weights"]
    with pytest.raises(ValueError, match="wants the parameters weights, biases, got biases"):
        network.predict(samples(4, 2))
    network = small()
    network[1].parameters["slope"] = np.zeros(1)
    with pytest.raises(ValueError, match="wants the parameters of no name, got slope"):
        network.predict(samples(4, 2))


def test_parameters_put_in_as_lists_and_in_another_order():
    network, other = small(), small(seed=1)
    held = network[0].parameters
    network[0].parameters = {name: other[0].parameters[name].tolist() for name in ("biases", "weights")}
    network[2].parameters.update({name: p.copy() for name, p in other[2].parameters.items()})
    assert np.array_equal(network.predict(samples(4, 2)), other.predict(samples(4, 2)))
    assert np.array_equal(network.parameters, other.parameters)
    assert list(network[0].parameters) == list(held)


def test_layers_that_swap_or_share_their_arrays_train_each_its_own():
    network = Network([Dense(2, 2), Dense(2, 2)], input_shape=2, dtype=np.float64)
    twin = copy.deepcopy(network)
    first, second = (layer.parameters["weights"] for layer in network)
    network[0].parameters["weights"], network[1].parameters["weights"] = second, first
    for layer, source in zip(twin, (second.copy(), first.copy()), strict=True):
        layer.parameters["weights"][...] = source
    x, y = samples(8, 2), samples(8, 2, seed=1)
    for one in (network, twin):
        one.fit(x, y, loss="mse", optimizer=SGD(0.1), epochs=3)
    assert np.array_equal(network.parameters, twin.parameters)
    network[0].parameters["weights"] = network[1].parameters["weights"]
    network.predict(x)
    assert not np.shares_memory(network[0].parameters["weights"], network[1].parameters["weights"])


def test_setting_the_flat_vector_sets_the_layers():
    network = small()
    network.parameters = np.arange(17)
    assert network[0].parameters["weights"].tolist() == [[0, 1], [2, 3], [4, 5]]
    network.parameters *= 2
    assert network[0].parameters["weights"].tolist() == [[0, 2], [4, 6], [8, 10]]
    with pytest.raises(ShapeError, match=r"parameters must have shape \(17,\), got \(3,\)"):
        network.parameters = np.zeros(3)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])
def test_a_copys_vector_is_its_layers(copied):
    network = small()
    twin = copied(network)
    twin.parameters[:] = 0
    assert not twin.predict(samples(4, 2)).any()
    assert network.predict(samples(4, 2)).any()


@pytest.mark.parametrize("threads", [1, 2])
def test_an_array_put_in_by_a_callback_is_trained_on(threads):
    class Reset(Callback):
        def step(self, epoch, step, loss):
            if step == 1:
                network[0].parameters["kernels"] = np.full((2, 1, 3, 3), 0.1)

    class Write(Callback):
        def step(self, epoch, step, loss):
            if step == 1:
                other[0].parameters["kernels"][...] = 0.1

    network, other = (
        Network(
            [Convolutional(kernel_size=3, depth=2), ReLU(), MaxPooling(), Flatten(), Dense(output_size=3)]
        )
        for _ in range(2)
    )
    x, y = samples(128, *IMAGE), np.arange(128) % 3
    for one, callback in ((network, Reset()), (other, Write())):
        one.fit(x, y, batch_size=32, shuffle=False, callbacks=[callback], threads=threads)
    assert np.array_equal(network.parameters, other.parameters)
    assert np.array_equal(network[0].parameters["kernels"], other[0].parameters["kernels"])


def test_layers_appended_and_replaced():
    network = small()
    before = network.predict(samples(4, 2))
    network.layers.append(Sigmoid())
    assert np.allclose(network.predict(samples(4, 2)), 1 / (1 + np.exp(-before)))
    network.layers[2:] = [Dense(3, 5)]
    assert network.predict(samples(4, 2)).shape == (4, 5)
    assert network.parameters.size == 9 + 20
    network.layers.append(Dense(5, 1))
    assert summary(network).parameters == 9 + 20 + 6
    network.layers.append("softmax")
    with pytest.raises(TypeError, match="layer 4 must be a Layer, got 'softmax'"):
        network.predict(samples(4, 2))


def test_a_layer_used_by_hand_does_not_disturb_its_network():
    network = Network([Dense(2, 3), Softmax()], input_shape=2)
    before = network.predict(samples(4, 2))
    network[-1].forward(np.zeros((7, 1)))
    assert np.array_equal(network.predict(samples(4, 2)), before)


def test_layers_copied_into_a_network_of_another_size():
    body = [Convolutional(kernel_size=3, depth=2, stride=2, padding="same"), ReLU()]
    network = Network([*body, Flatten(), Dense(output_size=3)], input_shape=(1, 8, 8))
    with pytest.raises(ValueError, match=r"layer 1, Convolutional\(.* is part of another network"):
        Network([Dropout(0.5), *body, Flatten(), Dense(output_size=5)], input_shape=(1, 9, 9))
    x, y = samples(64, 1, 8, 8), np.arange(64) % 3
    network.fit(x, y, batch_size=64)
    before = network.predict(x)
    copied = copy.deepcopy(body)
    other = Network([Dropout(0.5), *copied, Flatten(), Dense(output_size=5)], input_shape=(1, 9, 9))
    assert np.array_equal(network[0].parameters["kernels"], other[1].parameters["kernels"])
    assert other.predict(samples(2, 1, 9, 9)).shape == (2, 5)
    assert np.array_equal(network.predict(x), before)
    other.fit(samples(64, 1, 9, 9), np.arange(64) % 5)
    assert np.array_equal(network.predict(x), before)
    assert not np.array_equal(network[0].parameters["kernels"], other[1].parameters["kernels"])


@each_layer
def test_an_output_stays_what_it_was_after_the_backward_pass(make, shape):
    layer = make()
    output = layer.forward(samples(*shape, 3))
    kept = output.copy()
    layer.backward(samples(*output.shape, seed=1))
    assert np.array_equal(output, kept)
