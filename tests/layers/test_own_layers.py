"""Layers, losses and optimizers of one's own: saved without code, read with their classes, resumed."""

import functools
import json

import numpy as np
import pytest

from purecnn import (
    Activation,
    Checkpoint,
    Convolutional,
    Dense,
    DepthwiseConvolutional,
    Flatten,
    Layer,
    MaxPooling,
    Network,
    Optimizer,
    ReLU,
    Residual,
    Softmax,
    check_gradients,
    load,
    load_state_dict,
    save,
    save_state_dict,
    trace,
)
from purecnn.errors import CheckpointError, FileFormatError
from purecnn.formats import read_safetensors, write_safetensors
from purecnn.interop.torch.weights import state_dict
from purecnn.layers.base import rule_for
from purecnn.layers.registry import LAYERS
from purecnn.losses import huber, huber_prime


class Repeated(Layer):
    """Repeat each pixel, and scale each channel by a number that is learnt; count the steps."""

    sample_axes = 3

    def __init__(self, factor=2):
        super().__init__()
        self.factor = factor

    def infer(self, input_shape):
        channels, height, width = input_shape
        return channels, height * self.factor, width * self.factor

    def parameter_shapes(self):
        return {"scales": (self.input_shape[0] if self.input_shape else 0, 1)}

    def begin(self):
        self.buffers.setdefault("offsets", np.full((self.input_shape[0],), 0.5, np.float32))

    def buffer_shapes(self):
        return {"offsets": (self.input_shape[0],)}

    def column(self, array):
        return array.reshape(-1, 1, 1, 1)

    def forward(self, input):
        self.input = self.receive(input)
        large = self.input.repeat(self.factor, axis=1).repeat(self.factor, axis=2)
        return self.column(self.parameters["scales"]) * large + self.column(self.buffers["offsets"])

    def backward(self, output_gradient):
        g = self.receive_gradient(output_gradient)
        c, h, w, n = self.input.shape
        g = g.reshape(c, h, self.factor, w, self.factor, n).sum(axis=(2, 4))
        self.gradients["scales"][:, 0] = (g * self.input).reshape(c, -1).sum(axis=1)
        return self.column(self.parameters["scales"]) * g

    def configuration(self):
        return {"factor": self.factor}


class Sine(Activation):
    """An activation of one's own that a file can name."""

    def __init__(self):
        super().__init__(np.sin, np.cos)

    def configuration(self):
        return {}


OWN = {"Repeated": Repeated, "Sine": Sine}
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 1, 4, 4)), RNG.integers(0, 3, 40)


def network(seed=0):
    return Network(
        [
            Convolutional(kernel_size=3, depth=2, padding=1),
            Repeated(3),
            Residual([Sine()]),
            Flatten(),
            Dense(output_size=3),
            Softmax(),
        ],
        input_shape=(1, 4, 4),
        seed=seed,
    )


def test_the_layers_here_are_right():
    check_gradients(Repeated(3), (2, 2, 3)).raise_if_wrong()


def test_a_layer_of_ones_own_is_saved_and_read_with_its_class(tmp_path):
    net = network()
    net.fit(X, Y, epochs=2)
    net[1].buffers["offsets"][:] = [0.25, -3]
    save(net, tmp_path / "model")
    again = load(tmp_path / "model", layers=OWN)
    np.testing.assert_array_equal(again.predict(X), net.predict(X))
    assert (type(again[1]), again[1].factor, type(again[2].layers[0])) == (Repeated, 3, Sine)
    assert again[1].buffers["offsets"].dtype == np.float32
    for one in (net, again):
        one.fit(X, Y, epochs=1, optimizer="sgd")
    np.testing.assert_array_equal(again.parameters, net.parameters)
    renamed = type("Larger", (Repeated,), {})
    assert type(load(tmp_path / "model", layers=OWN | {"Repeated": renamed})[1]) is renamed


def test_without_its_class_the_file_is_refused_by_name_and_with_the_remedy(tmp_path):
    save(network(), tmp_path / "model")
    message = r"layer 1 is of type 'Repeated', wanted .*; load\(path, layers=\{'Repeated': Repeated\}\)"
    with pytest.raises(FileFormatError, match=message):
        load(tmp_path / "model")
    with pytest.raises(FileFormatError, match="layer 2 is of type 'Sine'"):
        load(tmp_path / "model", layers={"Repeated": Repeated})
    with pytest.raises(TypeError, match="layers must be a dict of names to classes, got"):
        load(tmp_path / "model", layers=[Repeated])
    with pytest.raises(TypeError, match="to classes of layers, got 'Repeated': 3"):
        load(tmp_path / "model", layers={"Repeated": 3})
    with pytest.raises(ValueError, match="names of their own, got 'Dense', a layer of this package"):
        load(tmp_path / "model", layers={"Dense": Repeated})


def test_what_a_file_says_of_such_a_layer_is_checked(tmp_path):
    save(network(), tmp_path / "model")
    tensors, texts = read_safetensors(tmp_path / "model")
    for entry, message in (
        ({"factor": 3, "code": "import os"}, "has an argument 'code', wanted factor"),
        ({"factor": "many"}, "layer 1|can't be built"),
        ({"factor": 2}, "shape"),
    ):
        layers = json.loads(texts["architecture"])
        layers[1] = {"type": "Repeated", **entry}
        write_safetensors(tmp_path / "other", tensors, texts | {"architecture": json.dumps(layers)})
        with pytest.raises(FileFormatError, match=message):
            load(tmp_path / "other", layers=OWN)


def own(name, **members):
    return type(name, (Layer,), {"forward": Repeated.forward, "backward": Repeated.backward, **members})


class Forgetful(Sine):
    def __init__(self, slope=1.0):
        super().__init__()


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [Activation(np.sin, np.cos)],
            r"layer 1, Activation, can't be saved: its configuration\(\) must",
        ),
        ([Forgetful()], r"layer 1, Forgetful, can't be saved: .* of its constructor, slope, got none"),
        (
            [type("Softmax", (Sine,), {})()],
            "layer 1, Softmax, can't be saved: another class has",
        ),
        (
            [Sine(), type("Sine", (Sine,), {})()],
            "layer 2, Sine, can't be saved: another class has",
        ),
    ],
)
def test_what_a_file_could_not_say_is_refused_before_it_is_written(tmp_path, layers, message):
    net = Network([Dense(2, 2), *layers])
    with pytest.raises(TypeError, match=message):
        save(net, tmp_path / "model")
    with pytest.raises(TypeError, match=message):
        net.fit([[0.0, 1.0]], [[0.0, 1.0]], loss="mse", callbacks=[Checkpoint(tmp_path / "run")])
    assert not list(tmp_path.iterdir())


def test_a_run_with_such_layers_is_resumed_to_the_same_bits(tmp_path):
    whole, half, resumed = network(), network(), network()
    whole.fit(X, Y, epochs=4, batch_size=16)
    half.fit(X, Y, epochs=2, batch_size=16, callbacks=[Checkpoint(tmp_path / "run")])
    resumed.fit(X, Y, epochs=4, batch_size=16, resume=tmp_path / "run")
    np.testing.assert_array_equal(resumed.parameters, whole.parameters)
    assert load(tmp_path / "run", layers=OWN).updates == half.updates
    other = Network([Flatten(), Dense(output_size=3), Softmax()], input_shape=(1, 4, 4))
    with pytest.raises((CheckpointError, FileFormatError), match="Repeated"):
        other.fit(X, Y, epochs=4, batch_size=16, resume=tmp_path / "run")


def test_weights_alone_go_to_pytorch_and_back(tmp_path):
    net, other = network(), network(seed=5)
    code = save_state_dict(net, tmp_path / "weights")
    assert "Repeated(factor=3)," in code
    assert "# Repeated is a layer of your own: import an nn.Module of that name, its tensors" in code
    assert "its tensors scales (2, 1), offsets (2,)" in code
    compile(code, "code", "exec")
    assert state_dict(net)["1.scales"].shape == (2, 1)
    load_state_dict(other, tmp_path / "weights")
    np.testing.assert_array_equal(other.predict(X), net.predict(X))


# Classes derived from this package's ----------------------------------------------------------------------


class Leaky(ReLU):
    """A ReLU's heir that is none: it falls, so no maximum may run before it."""

    def forward(self, input):
        self.input = self.receive(input)
        return -self.input

    def backward(self, output_gradient):
        return -self.receive_gradient(output_gradient)


@pytest.mark.parametrize("promise", ["non_decreasing", "output_is_free", "overwrites"])
def test_no_layer_loses_a_promise_that_stands_in_a_base_without_passes(promise):
    for kind in LAYERS.values():
        for base in kind.__mro__[:-1]:
            if vars(base).get(promise):
                assert getattr(kind, promise), (kind, base)


def test_what_a_class_promises_is_not_inherited_by_other_passes():
    assert ReLU.non_decreasing
    assert not Leaky.non_decreasing
    assert not Leaky.overwrites
    layers = [Convolutional(kernel_size=3, depth=2), Leaky(), MaxPooling(2), Flatten(), Dense(output_size=1)]
    net = Network(layers, input_shape=(1, 6, 6), dtype="float64")
    x = RNG.normal(size=(5, 1, 6, 6))
    np.testing.assert_allclose(net.predict(x), trace(net, x).output, rtol=1e-12)


def test_a_rule_for_a_class_is_not_taken_for_another_forward():
    class Doubled(Dense):
        def forward(self, input):
            return 2 * super().forward(input)

    class Named(Dense):
        pass

    net = Network([Doubled(3, 2), Named(2, 2)])
    cells = [layer.cell(0) for layer in trace(net, np.ones((1, 3)))]
    assert cells[0].weights is None  # that it is a weighted sum would be wrong
    assert cells[1].total == pytest.approx(cells[1].output)
    assert list(state_dict(net)) == ["0.weights", "0.biases", "1.weight", "1.bias"]


@pytest.mark.parametrize("parent", [Dense, DepthwiseConvolutional, Residual])
def test_a_forward_that_the_parent_inherits_itself_is_another_too(parent):
    class Other(parent):
        def forward(self, input):
            return -super().forward(input)

    class Named(parent):
        pass

    def ruled(kind):
        return rule_for({parent: "the parent's", object: "none"}, object.__new__(kind))

    assert ruled(parent) == ruled(Named) == "the parent's"
    assert ruled(Other) == "none"


# Other things of one's own in a checkpoint ----------------------------------------------------------------


class Signs(Optimizer):
    """An optimizer with a state and an argument."""

    states = ("mean",)

    def __init__(self, learning_rate=0.01, momentum=0.5):
        super().__init__(learning_rate)
        self.momentum = momentum

    def change(self, parameters, gradient, mean):
        mean *= self.momentum
        mean += gradient
        parameters -= self.learning_rate * np.sign(mean)

    def configuration(self):
        return super().configuration() | {"momentum": self.momentum}


def test_an_optimizer_and_a_loss_of_ones_own_are_resumed(tmp_path):
    x, y = RNG.normal(size=(32, 2)), RNG.normal(size=(32, 1))

    def run(epochs, delta=0.5, kind=Signs, **options):
        net = Network([Dense(2, 1)])
        pair = functools.partial(huber, delta=delta), functools.partial(huber_prime, delta=delta)
        given = {"loss": pair[0], "loss_prime": pair[1], "optimizer": kind()}
        net.fit(x, y, epochs=epochs, batch_size=8, **given, **options)
        return net.parameters

    whole = run(4)
    run(2, callbacks=[Checkpoint(tmp_path / "run")])
    np.testing.assert_array_equal(run(4, resume=tmp_path / "run"), whole)
    with pytest.raises(CheckpointError, match="loss"):
        run(4, delta=0.25, resume=tmp_path / "run")
    with pytest.raises(CheckpointError, match="optimizer"):
        run(4, kind=type("Signs", (Signs,), {"__qualname__": "Others.Signs"}), resume=tmp_path / "run")
