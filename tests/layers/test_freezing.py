"""Transfer: frozen layers keep parameters and optimizer state to the bit, heads change, files remember."""

import json

import numpy as np
import pytest

from helpers.samples import digits
from purecnn import (
    SGD,
    Adam,
    Checkpoint,
    Convolutional,
    Dense,
    Dropout,
    Flatten,
    MaxPooling,
    Network,
    ReLU,
    Softmax,
    load,
    save,
)
from purecnn.errors import CheckpointError, FileFormatError
from purecnn.formats import read_safetensors, write_safetensors
from purecnn.layers.stack import trained_spans
from purecnn.losses import LOSSES
from purecnn.training.host import LONG, HostTrainer
from purecnn.training.settings import FitSettings
from purecnn.training.targets import Targets


def network(frozen=(), seed=0):
    """Return a network whose layers 0, 3, 6 and 8 have parameters; `frozen` names some of them."""
    layers = [
        Convolutional(kernel_size=3, depth=4),
        ReLU(),
        MaxPooling(2),
        Convolutional(kernel_size=3, depth=3),
        ReLU(),
        Flatten(),
        Dense(output_size=8),
        ReLU(),
        Dense(output_size=4),
        Softmax(),
    ]
    for place in frozen:
        layers[place].trainable = False
    return Network(layers, input_shape=(1, 12, 12), seed=seed)


def by_layer(net, flat=None):
    """Return a copy of each layer's stretch of the parameters, or of another flat vector."""
    views = net.views(net.parameters if flat is None else flat)
    return [b"".join(array.tobytes() for array in of_layer.values()) for of_layer in views]


OPTIMIZERS = [
    pytest.param(lambda: SGD(0.1), id="descent"),
    pytest.param(lambda: SGD(0.1, 0.9), id="momentum"),
    pytest.param(lambda: Adam(0.01), id="adam"),
]
FROZEN = [(0,), (0, 3), (3,), (6, 8), (0, 6), (3, 8), (8,)]


@pytest.mark.parametrize("batch_size", [1, 20, 50])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("frozen", FROZEN)
def test_one_step_changes_what_is_not_frozen_as_if_nothing_were(frozen, optimizer, batch_size):
    x, y = digits(batch_size)
    free, held = network(), network(frozen)
    before = by_layer(held)
    free.fit(x, y, batch_size=batch_size, optimizer=optimizer(), threads=1)
    held.fit(x, y, batch_size=batch_size, optimizer=optimizer(), threads=1)
    for place, (start, whole, found) in enumerate(zip(before, by_layer(free), by_layer(held), strict=True)):
        assert found == (start if place in frozen else whole)
        if start:
            assert whole != start


@pytest.mark.parametrize("optimizer", OPTIMIZERS[1:])
@pytest.mark.parametrize("frozen", FROZEN)
def test_a_frozen_layer_keeps_the_optimizers_state_too(frozen, optimizer):
    x, y = digits(100)
    net, used = network(), optimizer()
    net.fit(x, y, optimizer=used)  # now there is a velocity that would carry on
    for place in frozen:
        net[place].trainable = False
    before = by_layer(net), {name: by_layer(net, state) for name, state in used.state.items()}
    net.fit(x, y, epochs=2, optimizer=used)
    after = by_layer(net), {name: by_layer(net, state) for name, state in used.state.items()}
    for place in (0, 3, 6, 8):
        assert (before[0][place] == after[0][place]) == (place in frozen)
        for name in used.states:
            assert (before[1][name][place] == after[1][name][place]) == (place in frozen)


@pytest.mark.parametrize("batch_size", [16, 100])
@pytest.mark.parametrize("frozen", [(0,), (0, 3), (3, 8)])
def test_the_same_bits_at_any_number_of_threads(frozen, batch_size):
    x, y = digits(230)
    found = []
    for threads in (1, 2, 4):
        net = network(frozen)
        history = net.fit(x, y, epochs=2, batch_size=batch_size, threads=threads)
        found.append((net.parameters.tobytes(), history.loss))
    assert found[0] == found[1] == found[2]


def test_the_same_bits_where_all_threads_update_what_is_long():
    x, y = digits(128, size=28)
    found = []
    for threads in (1, 2, 4):
        net = Network(
            [
                Flatten(),
                Dense(output_size=200),
                ReLU(),
                Dense(output_size=30),
                Dense(output_size=4),
                Softmax(),
            ],
            input_shape=(1, 28, 28),
        )
        net[3].trainable = False
        before = by_layer(net)
        net.fit(x, y, batch_size=128, threads=threads)
        assert net.parameters.size > LONG
        assert by_layer(net)[3] == before[3]
        assert by_layer(net)[1] != before[1]
        found.append(net.parameters.tobytes())
    assert found[0] == found[1] == found[2]


def test_the_backward_pass_stops_at_the_first_layer_that_is_trained():
    went = []

    class Spy(Dense):
        def backward(self, output_gradient):
            found = super().backward(output_gradient)
            went.append((self.position, self.propagate, found is None))
            return found

    x, y = digits(16)
    layers = [Flatten(), Spy(output_size=6), Spy(output_size=5), Spy(output_size=5), Spy(output_size=4)]
    net = Network([*layers, Softmax()])
    for place in (1, 3):
        net[place].trainable = False
    net.fit(x, y, batch_size=16)
    assert went == [(4, True, False), (3, True, False), (2, False, True)]


def test_a_layer_made_of_others_is_frozen_whole_or_in_parts():
    class Addition(Flatten):
        def __init__(self, *layers):
            super().__init__()
            self.layers = layers

        def inside(self):
            return dict(enumerate(self.layers))

    both = Addition(Dense(2, 3, rng=0), ReLU(), Addition(Dense(1, 1, rng=0), Dense(3, 1, rng=0)))
    layers = [Dense(1, 1, rng=0), both, Dense(4, 1, rng=0)]
    assert trained_spans(layers) == [(0, 2 + 9 + 2 + 4 + 5)]
    both.layers[0].trainable = False
    assert trained_spans(layers) == [(0, 2), (11, 22)]
    both.layers[2].trainable = False
    assert trained_spans(layers) == [(0, 2), (17, 22)]
    both.layers[0].trainable = True
    assert trained_spans(layers) == [(0, 11), (17, 22)]
    both.trainable = False
    assert trained_spans(layers) == [(0, 2), (17, 22)]


def test_the_gradient_of_what_is_frozen_is_zero():
    x, y = digits(100)
    net = network((0, 6))
    targets = Targets.check(y, 100, (4,))
    settings = FitSettings(
        loss=LOSSES["categorical_cross_entropy"], optimizer=SGD(0.1), batch_size=100, threads=1
    )
    with HostTrainer(net, x.reshape(100, -1), targets, settings) as at:
        at.step(np.arange(100))
        for gradient in at.parameter_update.gradients:
            zero = [not any(stretch) for stretch in by_layer(net, gradient)]
            assert [zero[place] for place in (0, 3, 6, 8)] == [True, False, True, False]


def test_freezing_changes_no_prediction():
    x, _ = digits(10)
    assert np.array_equal(network().predict(x), network((0, 3)).predict(x))


def test_a_network_that_is_frozen_all_through_is_refused():
    x, y = digits(10)
    with pytest.raises(ValueError, match="no parameters to train: its layers are all frozen"):
        network((0, 3, 6, 8)).fit(x, y)
    with pytest.raises(ValueError, match=r"no parameters to train$"):
        Network([Flatten(), Softmax()]).fit(np.ones((3, 2, 2)), [0, 1, 2])


def test_a_file_remembers_what_is_frozen(tmp_path):
    path = tmp_path / "model.safetensors"
    save(network((0, 6)), path)
    found = load(path)
    assert [place for place, layer in enumerate(found) if not layer.trainable] == [0, 6]
    x, y = digits(40)
    before = by_layer(found)
    found.fit(x, y)
    assert [before[place] == by_layer(found)[place] for place in (0, 3, 6, 8)] == [True, False, True, False]
    save(network(), path)
    assert "trainable" not in read_safetensors(path)[1]["architecture"]


@pytest.mark.parametrize("value", [0, "no", None])
def test_a_file_that_says_otherwise_is_refused(tmp_path, value):
    path = tmp_path / "model.safetensors"
    save(network(), path)
    tensors, texts = read_safetensors(path)
    architecture = json.loads(texts["architecture"])
    architecture[3]["trainable"] = value
    write_safetensors(path, tensors, texts | {"architecture": json.dumps(architecture)})
    with pytest.raises(FileFormatError, match=r"layer 3 has trainable .*, wanted true or false"):
        load(path)


def test_a_frozen_run_is_resumed_to_the_same_bits(tmp_path):
    x, y = digits(60)
    whole, half, resumed = (network((0, 6)) for _ in range(3))
    options = {"batch_size": 20, "callbacks": [Checkpoint(tmp_path / "run.safetensors")]}
    whole.fit(x, y, epochs=3, batch_size=20)
    half.fit(x, y, epochs=2, **options)
    resumed.fit(x, y, epochs=3, batch_size=20, resume=tmp_path / "run.safetensors")
    assert np.array_equal(whole.parameters, resumed.parameters)
    with pytest.raises(CheckpointError, match="architecture"):
        network().fit(x, y, epochs=3, batch_size=20, resume=tmp_path / "run.safetensors")


def test_a_head_is_replaced_and_the_rest_stays():
    x, y = digits(120)
    net = network()
    net.fit(x, y, epochs=20, learning_rate=0.01)
    before = by_layer(net)
    net.layers[-2:] = [Dropout(0.1), Dense(output_size=2), Softmax()]
    for layer in net.layers[:-3]:
        layer.trainable = False
    history = net.fit(x, y % 2, epochs=20, batch_size=30, learning_rate=0.02)
    assert net.output_shape == (2,)
    assert by_layer(net)[:8] == before[:8]
    assert history.loss[-1] < history.loss[0]
    for layer in net.layers:
        layer.trainable = True
    net.fit(x, y % 2, learning_rate=1e-4)
    assert all(new != old for new, old in zip(by_layer(net), before[:8], strict=False) if old)
