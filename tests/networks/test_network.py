"""Networks: shapes inferred, samples first outside, one flat vector of parameters, clear refusals."""

import copy
import pickle

import numpy as np
import pytest

from purecnn import (
    Adam,
    AveragePooling,
    Convolutional,
    Dense,
    Dropout,
    Flatten,
    MaxPooling,
    Network,
    Preprocessing,
    ReLU,
    Reshape,
    ShapeError,
    Sigmoid,
    Softmax,
    Tanh,
    fit,
    load,
    networks,
    predict,
    save,
    summary,
    trace,
    train,
)
from purecnn.losses import mse, mse_prime
from purecnn.training.fusion import PooledConvolutional, fuse


def images(samples=5, channels=1, size=8, seed=0):
    """Return float images, samples first."""
    return np.random.default_rng(seed).random((samples, channels, size, size)).astype(np.float32)


def network(**options):
    """Return a small network for (1, 8, 8) images."""
    layers = [Convolutional(kernel_size=3, depth=2), ReLU(), MaxPooling(2), Flatten(), Dense(output_size=3)]
    return Network(layers, input_shape=(1, 8, 8), **options)


# What predict takes and gives back -------------------------------------------------------------------------


def test_predict_on_a_list_takes_one_sample_and_gives_the_originals_column():
    assert predict(list(network()), images(1)[0]).shape == (3, 1)
    assert predict([Dense(2, 3)], np.zeros((2, 1))).shape == (3, 1)
    assert predict([Dense(2, 3)], [[0], [1]]).shape == (3, 1)
    assert predict([Dense(2, 3)], [0.0, 1.0]).shape == (3, 1)
    assert predict([Dense(output_size=3)], [[0], [1]]).shape == (3, 1)
    kept = [Convolutional(kernel_size=3, depth=2)]
    assert predict(kept, np.zeros((1, 8, 8))).shape == (2, 6, 6)
    with pytest.raises(
        ShapeError, match=r"one sample of shape \(1, 8, 8\), got \(5, 1, 8, 8\): Network.predict"
    ):
        predict(kept, images(5))


def test_the_first_axis_counts_the_samples_whatever_its_length():
    layers = [Flatten(), Dense(output_size=4)]
    net = Network(layers, input_shape=(1, 1, 6))
    x = np.random.default_rng(0).random((6, 6)).astype(np.float32)
    assert net.predict(x[:1]).shape == (1, 4)
    assert net.predict(x[np.newaxis, :1]).shape == (1, 4)
    pictures = images(7)[:, 0]
    net = network()
    for batch in (pictures[:1], pictures[:5], pictures[:1, np.newaxis], pictures[:1].reshape(1, -1)):
        np.testing.assert_allclose(net.predict(batch)[0], net.predict(pictures)[0], rtol=1e-5)
    truth = (net.predict(pictures[:1])[0].argmax() + 1) % 3
    assert net.evaluate(pictures[:1], [truth])["accuracy"] == 0
    grey = Network([Dense(1, 2)])
    assert grey.predict([[1.0], [2.0], [3.0]]).shape == (3, 2)
    assert grey.predict([[1.0]]).shape == (1, 2)
    for lone, of in ((np.zeros(6), Network([Dense(6, 2)])), (np.zeros((6, 1)), Network([Dense(6, 2)]))):
        with pytest.raises(ShapeError, match=r"the samples first, got .*: a lone sample is a batch of one"):
            of.predict(lone)
    with pytest.raises(ShapeError, match=r"x\[np.newaxis\]"):
        Network([Flatten(), Dense(output_size=2)], input_shape=(3, 4, 5)).predict(np.zeros((3, 4, 5)))


def test_a_network_on_one_picture_learns_and_answers_one_row():
    x = images(1)[:, 0]
    net = network()
    net.fit(x, [2], validation_data=(x, [2]))
    assert net.predict(x).shape == (1, 3)
    assert trace(net, x).output.shape == (1, 3)


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 1)])
def test_answers_are_sample_first_too(shape):
    net = Network([Dense(2, 3)])
    net.fit(np.ones((4, 2)), np.ones(shape), loss="mse")
    lone = Network([Dense(2, 1)])
    for form in [(4,), (4, 1), (4, 1, 1)]:
        lone.fit(np.ones((4, 2)), np.ones(form), loss="mse")
    with pytest.raises(ShapeError, match=r"or values of shape \(4, 1\), got .* \(4, 2\)"):
        lone.fit(np.ones((4, 2)), np.ones((4, 2)), loss="mse")


@pytest.mark.parametrize("shape", [(5, 1, 8, 8), (5, 8, 8), (5, 64)])
def test_predict_takes_batches_in_every_form_a_user_has(shape):
    net, x = network(), images()
    found = net.predict(x.reshape(shape))
    assert found.shape == (5, 3)
    np.testing.assert_allclose(found[2], net.predict(x[2:3])[0], rtol=1e-5)


def test_columns_and_rows_are_batches_of_vectors():
    net = Network([Dense(2, 3)])
    assert net.predict(np.zeros((7, 2))).shape == (7, 3)
    assert net.predict(np.zeros((7, 2, 1))).shape == (7, 3)


def test_predict_of_many_equals_predict_in_parts():
    net, x = network(), images(300)
    np.testing.assert_allclose(
        net.predict(x), np.concatenate([net.predict(x[:200]), net.predict(x[200:])]), rtol=1e-5
    )


def test_what_predict_returned_is_not_overwritten_by_the_next():
    net = network()
    first = net.predict(images())
    kept = first.copy()
    net.predict(images(seed=1))
    assert np.array_equal(first, kept)


def test_predict_is_the_layers_own_forward_passes():
    net, x = network(), images()
    values = np.moveaxis(x, 0, -1)
    for layer in net:
        values = layer.forward(values)
    np.testing.assert_allclose(net.predict(x), values.T, rtol=1e-5)


@pytest.mark.parametrize("shape", [(5, 2, 8, 8), (5, 7, 7), (3,), (5, 63)])
def test_a_wrong_shape_is_one_sentence_with_both_shapes(shape):
    with pytest.raises(ShapeError) as error:
        network().predict(np.zeros(shape))
    assert str(error.value) == (
        f"x must have shape (n, 1, 8, 8), (n, 8, 8) or (n, 64), the samples first, got {shape}"
    )


@pytest.mark.parametrize(
    ("x", "kind", "words"),
    [
        (np.full((2, 1, 8, 8), np.nan), ValueError, r"x must be finite, got nan at \(0, 0, 0, 0\)"),
        (np.zeros((0, 1, 8, 8)), ValueError, "at least one sample"),
        (np.array([["a"]]), TypeError, "x must hold real numbers, got dtype <U1"),
        ([[1.0], [1.0, 2.0]], ValueError, "ragged"),
        (np.zeros((2, 1, 8, 8), complex), TypeError, "complex128"),
        (None, TypeError, "object"),
    ],
)
def test_bad_input_is_one_sentence(x, kind, words):
    with pytest.raises(kind, match=words):
        network().predict(x)


# Shapes ----------------------------------------------------------------------------------------------------


def test_shapes_are_inferred_from_the_first_data():
    net = Network(
        [
            Convolutional(kernel_size=3, depth=2, padding="same"),
            Tanh(),
            AveragePooling(2),
            Flatten(),
            Dropout(0.1),
            Dense(output_size=3),
        ]
    )
    assert net.input_shape is None
    assert net.output_shape is None
    net.predict(images())
    assert [layer.output_shape for layer in net] == [(2, 8, 8), (2, 8, 8), (2, 4, 4), (32,), (32,), (3,)]
    assert net.output_shape == (3,)


def test_images_without_a_channel_axis_get_one_and_flat_rows_are_refused():
    layers = [Convolutional(kernel_size=3, depth=2), Flatten(), Dense(output_size=3)]
    net = Network(layers)
    net.predict(images()[:, 0])
    assert net.input_shape == (1, 8, 8)
    with pytest.raises(ShapeError, match="give the network its input_shape"):
        Network([Convolutional(kernel_size=3, depth=2)]).predict(np.zeros((5, 64)))
    with pytest.raises(
        ShapeError, match=r"channels first.*got \(5, 8, 8, 3\): x.transpose\(0, 3, 1, 2\) moves"
    ):
        Network([Convolutional(kernel_size=3, depth=2)]).predict(np.zeros((5, 8, 8, 3)))
    with pytest.raises(ShapeError, match="samples on the first axis"):
        Network([ReLU()]).predict(np.zeros(5))


def convolutions():
    return [Convolutional(kernel_size=3, depth=2, padding="same"), Flatten(), Dense(output_size=3)]


@pytest.mark.parametrize(
    "enter",
    [
        lambda shape, x: Network(convolutions(), input_shape=shape),
        lambda shape, x: Network(convolutions()).bind(shape),
        lambda shape, x: Network([Convolutional(shape, 1, 2), Flatten()]),
        lambda shape, x: Network([Flatten(), Dense(output_size=3)], input_shape=shape),
        lambda shape, x: Network(convolutions()).fit(x, [0, 1]),
        lambda shape, x: Network(convolutions()).predict(x),
        lambda shape, x: Network([Flatten(), Dense(output_size=3)]).predict(x),
        lambda shape, x: Network(convolutions(), input_shape=(1, 28, 28)).predict(x),
        lambda shape, x: Network(convolutions()).summary(shape),
        lambda shape, x: summary(convolutions(), shape),
        lambda shape, x: predict(convolutions(), x[0]),
        lambda shape, x: fit(convolutions(), x, [0, 1]),
        lambda shape, x: trace(convolutions(), x),
        lambda shape, x: networks.lenet(shape),
        lambda shape, x: networks.suited(shape),
        lambda shape, x: Reshape((784,), shape),
    ],
)
def test_channels_last_are_refused_on_every_way_in(enter):
    with pytest.raises(ShapeError, match=r"channels first.*28, 28, 1|28, 28, 1.*channels are last"):
        enter((28, 28, 1), np.zeros((2, 28, 28, 1), np.float32))


def test_many_channels_are_taken_where_they_are_named(tmp_path):
    shape, named = (28, 28, 1), {"channels": 28, "height": 28, "width": 1}
    x = np.random.default_rng(0).random((4, *shape)).astype(np.float32)
    net = Network(convolutions(), input_shape=named)
    assert net.input_shape == shape
    wanted = net.predict(x)
    save(net, tmp_path / "model")
    for again in (load(tmp_path / "model"), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert np.array_equal(again.predict(x), wanted)
        again.sync()
        assert Network(copy.deepcopy(again.layers)).input_shape == shape
    assert predict(net, x[0]).shape == (3, 1)
    assert summary(convolutions(), named).input_shape == shape
    assert networks.suited(named).input_shape == shape
    for layer in (Reshape((784,), named), Convolutional(named, 3, 2, padding="same")):
        assert type(layer)(**layer.configuration()).configuration() == layer.configuration()
        save(Network([layer, Flatten()]), tmp_path / "layer")
        assert load(tmp_path / "layer")[0].output_shape == layer.output_shape
    with pytest.raises(ShapeError, match="a shape by names must have channels, height, width"):
        Network(convolutions(), input_shape={"channels": 3, "height": 8})
    for few in [
        (16, 4, 4),
        (16, 1, 1),
        (3, 28, 1),
        (1, 28, 28),
        (8, 8, 2),
        (2, 5, 4),
    ]:  # nobody means the channels
        assert Network([Flatten()], input_shape=few).input_shape == few


def test_a_layer_that_does_not_fit_is_named_by_its_place():
    with pytest.raises(ShapeError, match=r"layer 1: Dense\(.*wants vectors.*put Flatten\(\) before it"):
        Network([Convolutional((1, 8, 8), 3, 2), Dense(output_size=3)])
    with pytest.raises(ShapeError, match=r"layer 1: .*wants 5 inputs, got 3"):
        Network([Dense(2, 3), Dense(5, 1)])


def test_a_network_needs_layers_each_once():
    layer = ReLU()
    with pytest.raises(ValueError, match="at least one layer, got none"):
        Network([])
    with pytest.raises(TypeError, match="layer 1 must be a Layer, got 'relu'"):
        Network([Dense(1, 1), "relu"])
    with pytest.raises(ValueError, match="stands in this network twice"):
        Network([layer, Dense(1, 1), layer])
    with pytest.raises(ValueError, match="has no input shape yet"):
        Network([ReLU()]).replica([], training=False)
    with pytest.raises(ValueError, match="no parameters to train"):
        Network([ReLU()]).fit(np.zeros((2, 3)), np.zeros((2, 3)), loss="mse")


def test_a_network_is_a_list_of_layers():
    net = network()
    assert len(net) == 5
    assert isinstance(net[0], Convolutional)
    assert net[1:3] == net.layers[1:3]
    assert list(net) == net.layers
    assert repr(net).startswith("Network([Convolutional(")


# Parameters ------------------------------------------------------------------------------------------------


def test_every_parameter_is_a_view_of_one_flat_vector():
    net = network()
    assert net.parameters.size == sum(p.size for layer in net for p in layer.parameters.values())
    net.parameters.fill(0)
    assert not any(p.any() for layer in net for p in layer.parameters.values())


def test_parameters_put_in_by_hand_are_taken_in():
    net, other, x = network(), network(seed=1), images()
    wanted = other.predict(x)
    for layer, source in zip(net, other, strict=True):
        layer.parameters = {name: p.astype(np.float64) for name, p in source.parameters.items()}
    assert np.array_equal(net.predict(x), wanted)
    assert net[0].parameters["kernels"].base is net.parameters


def test_parameters_come_from_the_seed_by_position():
    assert np.array_equal(network(seed=3).parameters, network(seed=3).parameters)
    assert not np.array_equal(network(seed=3).parameters, network(seed=4).parameters)
    drawn = Network([Dense(4, 4), Dense(4, 4)])
    assert not np.array_equal(drawn[0].parameters["weights"], drawn[1].parameters["weights"])


def test_a_seed_of_none_is_new_each_time_and_kept():
    first, second = network(seed=None), network(seed=None)
    assert first.seed != second.seed
    assert np.array_equal(network(seed=first.seed).parameters, first.parameters)


@pytest.mark.parametrize(
    ("seed", "kind"), [(-1, ValueError), (2**64, ValueError), (1.5, TypeError), (True, TypeError)]
)
def test_a_wrong_seed_is_one_sentence(seed, kind):
    with pytest.raises(kind, match="seed must be"):
        network(seed=seed)


def test_the_scale_of_first_weights_follows_the_activation_behind_them():
    wide = [Dense(400, 400), ReLU(), Dense(400, 400), Dropout(0.5), Tanh(), Dense(400, 400)]
    net = Network(wide)
    spread = [net[i].parameters["weights"].std() for i in (0, 2, 5)]
    np.testing.assert_allclose(spread, np.sqrt([2 / 400, 2 / 800, 2 / 800]), rtol=0.02)


def test_float64_on_request_and_float32_otherwise():
    x = images()
    assert network().predict(x.astype(np.float64)).dtype == np.float32
    net = network(dtype=np.float64)
    assert net.predict(x).dtype == np.float64
    net.fit(x, [0, 1, 2, 0, 1])
    assert net.parameters.dtype == np.float64
    with pytest.raises(TypeError, match="float32 or float64, got float16"):
        network(dtype=np.float16)


def test_a_float64_target_does_not_turn_float32_training_around():
    net = Network([Dense(2, 3), Sigmoid(), Dense(3, 1)])
    seen = []

    def spy(y_true, y_pred):
        seen.append((y_true.dtype, y_pred.dtype))
        return mse_prime(y_true.astype(np.float64), y_pred)

    net.fit(np.zeros((4, 2)), np.zeros((4, 1)), loss=mse, loss_prime=spy)
    assert set(seen) == {(np.dtype(np.float32), np.dtype(np.float32))}
    assert net.parameters.dtype == np.float32


def test_the_same_list_is_the_same_network():
    layers = [Dense(2, 3), Tanh(), Dense(3, 1)]
    before = predict(layers, [[0], [1]])
    train(layers, mse, mse_prime, [[0, 1]], [[1]], epochs=3, learning_rate=0.1, verbose=False)
    assert not np.array_equal(before, predict(layers, [[0], [1]]))
    fit(layers, [[0, 1]], [[1]], loss="mse")
    head = [*layers[:2], Dense(3, 2)]
    assert predict(head, [[0], [1]]).shape == (2, 1)
    assert predict(layers, [[0], [1]]).shape == (1, 1)


def test_copies_carry_the_parameters_and_nothing_of_the_work():
    net, x = network(), images()
    net.fit(x, [0, 1, 2, 0, 1])
    wanted = net.predict(x)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert np.array_equal(twin.predict(x), wanted)
        twin.parameters.fill(0)
        twin.sync()
        assert np.array_equal(net.predict(x), wanted)
    assert len(pickle.dumps(net)) < 20_000


# Preprocessing ---------------------------------------------------------------------------------------------


def test_bytes_are_scaled_by_the_network_and_the_model_knows_it():
    x = (images(40) * 255).astype(np.uint8)
    y = np.arange(40) % 3
    scaled, raw = network(), network()
    raw.fit(x, y)
    scaled.fit(x.astype(np.float32) * np.float32(1 / 255), y)
    assert raw.preprocessing == Preprocessing(scale=1 / 255, kind="bytes")
    assert np.array_equal(raw.parameters, scaled.parameters)


def test_a_network_asked_about_another_kind_of_values_refuses():
    x = (images(4) * 255).astype(np.uint8)
    net, other = network(), network()
    net.fit(x, [0, 1, 2, 0])
    with pytest.raises(TypeError, match=r"knows bytes .* got float64: give it the uint8 images"):
        net.predict(x / 255)
    other.fit(x / 255, [0, 1, 2, 0])
    with pytest.raises(TypeError, match="knows numbers, not bytes; got uint8"):
        other.predict(x)


def test_scale_and_shift_of_ones_own():
    net = Network([Dense(2, 1)], preprocessing=Preprocessing(scale=0.5, shift=-1.0))
    plain = Network([Dense(2, 1)])
    x = np.array([[2, 4], [6, 8]])
    assert np.array_equal(net.predict(x), plain.predict(x * 0.5 - 1))
    with pytest.raises(ValueError, match="scale must be a finite number other than 0"):
        Preprocessing(scale=0)
    with pytest.raises(ValueError, match="kind must be one of any, bytes, numbers, got 'floats'"):
        Preprocessing(kind="floats")


# Targets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "kind", "words"),
    [
        ([0, 1, 2, 3, 0], ValueError, "labels must be from 0 to 2, .* got 3"),
        ([0, 1, -1, 0, 0], ValueError, "got -1"),
        ([0, 1], ValueError, r"as many samples, got 5 in x and y of shape \(2,\)"),
        (3, ValueError, "as many samples"),
        (np.zeros((5, 4)), ShapeError, r"shape \(5, 3\), got float64 of shape \(5, 4\)"),
        ([0.0, np.nan, 1, 1, 1], ValueError, "y must be finite"),
        (["a"] * 5, TypeError, "y must hold real numbers"),
        ([], ValueError, "at least one sample"),
    ],
)
def test_bad_targets_are_one_sentence(y, kind, words):
    with pytest.raises(kind, match=words):
        network().fit(images(), y)


def test_labels_and_one_hot_rows_and_columns_train_alike():
    x, y = images(), np.array([0, 1, 2, 0, 1])
    hot = np.eye(3)[y]
    nets = [network() for _ in range(3)]
    for net, target in zip(nets, (y, hot, hot[:, :, None]), strict=True):
        net.layers.append(Softmax())
        net.bind((1, 8, 8))
        net.fit(x, target)
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-5, atol=1e-7)
    assert np.array_equal(nets[1].parameters, nets[2].parameters)


def test_a_lone_output_takes_zeros_and_ones():
    x = np.random.default_rng(0).random((64, 2))
    y = (x[:, 0] > x[:, 1]).astype(int)
    net = Network([Dense(2, 1), Sigmoid()])
    net.fit(x, y, epochs=200, loss="binary_cross_entropy", learning_rate=0.1)
    assert net.evaluate(x, y, loss="binary_cross_entropy")["accuracy"] > 0.95


def test_labels_with_a_loss_of_columns():
    x, y = images(), np.array([0, 1, 2, 0, 1])
    first, second = network(), network()
    first.fit(x, y, loss="mse")
    second.fit(x, np.eye(3)[y], loss="mse")
    assert np.array_equal(first.parameters, second.parameters)


# fit and evaluate ------------------------------------------------------------------------------------------


def test_fit_learns_and_tells_its_history(capsys):
    x = np.random.default_rng(0).random((200, 2))
    y = (x[:, 0] > x[:, 1]).astype(int)
    net = Network([Dense(2, 16), Tanh(), Dense(16, 2), Softmax()])
    history = net.fit(
        x, y, epochs=40, batch_size=20, learning_rate=0.03, validation_data=(x, y), verbose=True
    )
    assert history.loss[-1] < history.loss[0] / 4
    assert history.validation_accuracy[-1] > 0.95
    assert history.validation_loss[-1] == pytest.approx(net.evaluate(x, y)["loss"])
    assert len(history.seconds) == 40
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("epoch 1/40: loss ")
    assert "validation accuracy" in lines[-1]


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"epochs": -1}, ValueError, "epochs must be an integer of at least 0, got -1"),
        ({"batch_size": 2.5}, TypeError, "batch_size must be an integer of at least 1, got 2.5"),
        ({"threads": -1}, ValueError, "threads"),
        ({"optimizer": "sdg"}, ValueError, "optimizer must be one of sgd, rms.*got 'sdg'"),
        ({"optimizer": Adam}, ValueError, r"or an object such as Adam\(\), got <class"),
        ({"loss": "mes"}, ValueError, "loss must be one of mse, .*got 'mes'"),
        ({"loss": lambda y, p: 0.0}, ValueError, "give its derivative too"),
        ({"learning_rate": -1}, ValueError, "learning_rate must be a number above 0, got -1"),
        ({"learning_rate": np.nan}, ValueError, "learning_rate must be a number above 0, got nan"),
    ],
)
def test_bad_options_are_one_sentence(options, kind, words):
    with pytest.raises(kind, match=words):
        network().fit(images(), [0, 1, 2, 0, 1], **options)


# Fusing is invisible ---------------------------------------------------------------------------------------


def test_a_convolution_takes_the_pooling_behind_it_in_unless_something_stands_between():
    def names(*layers):
        return [type(layer).__name__ for layer in fuse(layers)]

    convolution = Convolutional((1, 8, 8), 3, 2)
    assert names(convolution, ReLU(), MaxPooling(2), Flatten()) == [
        "PooledConvolutional",
        "ReLU",
        "Flatten",
    ]
    assert names(convolution, MaxPooling(2), ReLU()) == ["PooledConvolutional", "ReLU"]
    assert names(convolution, ReLU(), Dropout(), MaxPooling(2))[0] == "Convolutional"
    assert names(convolution, ReLU(), MaxPooling(2, 1))[0] == "Convolutional"
    assert names(convolution, ReLU(), AveragePooling(2))[0] == "Convolutional"
    assert names(Convolutional((1, 8, 8), 3, 2, per_position_bias=True), MaxPooling(2))[0] == "Convolutional"
    assert names(convolution, ReLU()) == ["Convolutional", "ReLU"]
    assert names(convolution) == ["Convolutional"]


@pytest.mark.parametrize("pool", [2, 3, (1, 2), (2, 1), (3, 2)])
@pytest.mark.parametrize("options", [{}, {"padding": "same"}, {"stride": 2, "padding": 1}, {"bias": False}])
@pytest.mark.parametrize("samples", [1, 3])
def test_fused_steps_compute_what_the_layers_do(pool, options, samples):
    net = Network(
        [
            Convolutional(kernel_size=3, depth=2),
            Convolutional(kernel_size=(3, 2), depth=3, **options),
            Tanh(),
            MaxPooling(pool),
            Flatten(),
        ],
        input_shape=(2, 13, 14),
        dtype=np.float64,
    )
    assert any(isinstance(step, PooledConvolutional) for step in net.steps())
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 13, 14, samples))
    replica = net.replica(net.steps(), training=True)
    output = replica.forward(x)
    g = rng.standard_normal(output.shape)
    plain = x
    for layer in net:
        plain = layer.forward(plain)
    np.testing.assert_allclose(output, plain, rtol=1e-12, atol=1e-12)
    engine, readable = g, g
    for step in replica.layers[::-1]:
        engine = step.backward(engine)
    for layer in net.layers[::-1]:
        readable = layer.backward(readable)
    np.testing.assert_allclose(engine, readable, rtol=1e-10, atol=1e-12)
    steps = [step for step in replica.layers if step.parameters]
    for step, layer in zip(steps, [layer for layer in net if layer.parameters], strict=True):
        for name, gradient in layer.gradients.items():
            np.testing.assert_allclose(step.gradients[name], gradient, rtol=1e-10, atol=1e-12)


def test_ties_go_to_the_first_cell_in_the_fused_step_too():
    net = Network([Convolutional((1, 4, 4), 1, 1), MaxPooling(2)], dtype=np.float64)
    net[0].parameters["kernels"][...] = 1
    replica = net.replica(net.steps(), training=True)
    replica.forward(np.zeros((1, 4, 4, 1)))
    dx = replica.layers[0].backward(np.array([[[[1.0], [2.0]], [[3.0], [4.0]]]]))
    assert dx[0, :, :, 0].tolist() == [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]


def test_reshape_between_images_and_vectors():
    net = Network([Reshape((64, 1), (1, 8, 8)), Convolutional(kernel_size=3, depth=2), Flatten()])
    assert net.predict(np.zeros((5, 64))).shape == (5, 72)


def test_an_untrained_network_learns_the_kind_of_values_anew():
    x = (images(4) * 255).astype(np.uint8)
    net, fresh = network(), network()
    net.predict(x / 255)
    with pytest.raises(ValueError, match="labels must be from 0 to 2"):
        net.fit(x / 255, [0, 1, 2, 7])
    net.fit(x, [0, 1, 2, 0])
    fresh.fit(x, [0, 1, 2, 0])
    assert net.preprocessing == fresh.preprocessing
    assert np.array_equal(net.parameters, fresh.parameters)
