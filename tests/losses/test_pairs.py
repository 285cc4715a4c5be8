"""Loss and last layer: what does not go together is refused before training, and what does is named."""

import warnings

import numpy as np
import pytest

from helpers.every_layer import EVERY
from purecnn import (
    Activation,
    AveragePooling,
    BatchNormalization,
    Convolutional,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    GlobalAveragePooling,
    GroupNormalization,
    Layer,
    LayerNormalization,
    LeakyReLU,
    LogSoftmax,
    MaxPooling,
    Network,
    PReLU,
    ReLU,
    ReLU6,
    Reshape,
    Residual,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    SpatialDropout,
    StochasticDepth,
    Tanh,
    UpSampling,
    ZeroPadding,
    check_gradients,
    losses,
    trace,
    train,
)
from purecnn.layers.base import rule_for
from purecnn.layers.ranges import RULES, ends_in_probabilities, output_range
from purecnn.layers.registry import LAYERS
from purecnn.losses import LOSSES, Loss, label_smoothing
from purecnn.losses.pairs import check_pair, suitable_loss

ENDS = {
    "none": [],
    "Softmax": [Softmax()],
    "Sigmoid": [Sigmoid()],
    "LogSoftmax": [LogSoftmax()],
    "HardSigmoid": [LAYERS["HardSigmoid"]()],
    "Tanh": [Tanh()],
    "Softsign": [Softsign()],
    "ReLU": [ReLU()],
    "ReLU6": [ReLU6()],
    "Softplus": [Softplus()],
    "LeakyReLU": [LeakyReLU()],
    "SiLU": [SiLU()],
    "PReLU": [PReLU()],
    "BatchNormalization": [BatchNormalization()],
    "GroupNormalization": [GroupNormalization(1)],
    "LayerNormalization": [LayerNormalization()],
}
ALL = set(ENDS)
NORMALIZED = {"BatchNormalization", "GroupNormalization", "LayerNormalization"}
BOTH_SIDES = {"LogSoftmax", "none", "Tanh", "Softsign", "LeakyReLU", "SiLU", "PReLU", *NORMALIZED}
RIGHT = {
    "mse": ALL,
    "mean_absolute_error": ALL,
    "huber": ALL,
    "log_cosh": ALL,
    "hinge": BOTH_SIDES,
    "categorical_cross_entropy": {"Softmax"},
    "kl_divergence": {"Softmax"},
    "binary_cross_entropy": {"Softmax", "Sigmoid", "HardSigmoid"},
    "binary_focal_cross_entropy": {"Softmax", "Sigmoid", "HardSigmoid"},
    "categorical_focal_cross_entropy": {"Softmax"},
    "dice": {"Softmax", "Sigmoid", "HardSigmoid"},
    "softmax_cross_entropy": ALL - {"Softmax", "Sigmoid", "HardSigmoid"},
    "sigmoid_binary_cross_entropy": BOTH_SIDES,
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", LOSSES)
def test_every_pair(name, end):
    layers = [Dense(4, 3), *ENDS[end]]
    variants = [LOSSES[name]] + ([label_smoothing(name, 0.1)] if LOSSES[name].targets != "values" else [])
    for loss in variants:
        if end in RIGHT[name]:
            check_pair(loss, layers)
        else:
            with pytest.raises(
                ValueError, match=rf"^{name} wants .*, which {type(layers[-1]).__name__} gives"
            ):
                check_pair(loss, layers)


X = np.random.default_rng(0).normal(size=(6, 4))
Y = np.array([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize(
    "use",
    [
        lambda layers, loss: Network(layers).fit(X, Y, loss=loss),
        lambda layers, loss: Network(layers).evaluate(X, Y, loss=loss),
        lambda layers, loss: trace(Network(layers), X, Y, loss=loss),
        lambda layers, loss: check_gradients(layers, loss=loss),
        lambda layers, loss: train(
            layers, getattr(losses, loss), getattr(losses, f"{loss}_prime"), X, np.eye(3)[Y], epochs=1
        ),
    ],
)
@pytest.mark.parametrize(
    ("last", "loss", "message"),
    [
        (
            Softmax,
            "softmax_cross_entropy",
            r"^softmax_cross_entropy wants scores, got probabilities that sum to 1, which Softmax gives: "
            r'end the network in Softmax with "categorical_cross_entropy", or in no activation with '
            r'"softmax_cross_entropy"$',
        ),
        (
            Tanh,
            "binary_cross_entropy",
            r"^binary_cross_entropy wants numbers from 0 to 1, got numbers from -1 to 1, which Tanh gives"
            r': end the network in Sigmoid with "binary_cross_entropy", or in no activation with '
            r'"sigmoid_binary_cross_entropy"$',
        ),
        (
            ReLU,
            "kl_divergence",
            r'^kl_.* up, which ReLU gives: .* Softmax with "kl_divergence", or in no act',
        ),
    ],
)
def test_wherever_they_meet(use, last, loss, message):
    with pytest.raises(ValueError, match=message):
        use([Dense(4, 3), last()], loss)


def test_layers_that_only_move_or_choose_do_not_hide_the_last_activation():
    image = [Convolutional((1, 4, 4), 3, 2), Softmax()]  # (2, 2, 2)
    pooled = Network([*image, GlobalAveragePooling()], input_shape=(1, 4, 4))
    check_pair(LOSSES["categorical_cross_entropy"], pooled.layers)
    flat = Network([Convolutional((1, 4, 4), 3, 2), Softmax(), Flatten()], input_shape=(1, 4, 4))
    with pytest.raises(ValueError, match=r"got numbers from 0 to 1 that need not sum to 1, which Softmax"):
        check_pair(LOSSES["categorical_cross_entropy"], flat.layers)
    one = Network([Convolutional((1, 3, 3), 3, 2), Softmax(), Flatten()], input_shape=(1, 3, 3))
    assert suitable_loss(one.layers, "classes") == "categorical_cross_entropy"
    behind = [[Flatten()], [Reshape((3,), (3, 1))], [Flatten(), LAYERS["Identity"](), ReLU()]]
    for layers in behind:
        assert ends_in_probabilities([Dense(4, 3), Sigmoid(), *layers])
        with pytest.raises(ValueError, match=r"which Sigmoid gives"):
            check_pair(LOSSES["sigmoid_binary_cross_entropy"], [Dense(4, 3), Sigmoid(), *layers])
    larger = [Convolutional((1, 4, 4), 3, 2), Softmax(), UpSampling(2, "bilinear"), GlobalAveragePooling()]
    large = Network(larger, input_shape=(1, 4, 4))
    check_pair(LOSSES["categorical_cross_entropy"], large.layers)
    for layer in (MaxPooling(2), AveragePooling(2), ZeroPadding(1), UpSampling(2)):
        assert output_range([Convolutional((1, 4, 4), 3, 2), Tanh(), layer]).low == -1


def test_dropout_behind_probabilities_makes_other_numbers_of_them():
    for layer in (Dropout(0.5), SpatialDropout(0.5), StochasticDepth(0.5)):
        with pytest.raises(ValueError, match=rf"got numbers from 0 to 2, which {type(layer).__name__} gives"):
            check_pair(LOSSES["binary_cross_entropy"], [Dense(4, 3), Sigmoid(), layer])
        for last in (Softmax, Sigmoid):
            with pytest.raises(
                ValueError, match=rf"^softmax_cross_entropy wants .*, which {last.__name__} gives"
            ):
                check_pair(LOSSES["softmax_cross_entropy"], [Dense(4, 3), last(), layer])
        check_pair(LOSSES["softmax_cross_entropy"], [Dense(4, 3), ReLU(), layer])
        check_pair(LOSSES["softmax_cross_entropy"], [Dense(4, 3), Softmax(), layer, Dense(3, 3)])
    check_pair(LOSSES["binary_cross_entropy"], [Dense(4, 3), Sigmoid(), Dropout(0.0), GaussianNoise(0)])
    with pytest.raises(ValueError, match="got any numbers, which GaussianNoise gives"):
        check_pair(LOSSES["binary_cross_entropy"], [Dense(4, 3), Sigmoid(), GaussianNoise(0.1)])
    for loss in (None, "softmax_cross_entropy"):
        with pytest.raises(ValueError, match=r"got probabilities that sum to 1, which Softmax gives"):
            Network([Dense(4, 3), Softmax(), Dropout(0.5)]).fit(X, Y, loss=loss)


def test_a_residual_gives_the_sum_of_both_ways():
    found = output_range([Dense(3, 3), Tanh(), Residual([Dense(3, 3), Sigmoid()])])
    assert (found.low, found.high) == (-1, 2)
    with pytest.raises(ValueError, match=r"which Residual gives"):
        check_pair(LOSSES["binary_cross_entropy"], [Dense(3, 3), Sigmoid(), Residual([Dense(3, 3), ReLU()])])
    assert output_range([Residual([Dense(3, 3)])]) is None  # of what comes in nothing is known


def test_every_layer_says_what_it_can_give():
    lacking = {type(layer).__name__ for layer, _ in EVERY.values() if rule_for(RULES, layer) is None}
    assert lacking == {"Activation"}  # two functions of one's own


class Tempered(Layer):
    """A user's own softmax, of the package's name."""

    gain = "glorot"

    def __init__(self, temperature=2.0):
        super().__init__()
        self.temperature = temperature

    def forward(self, input):
        x = self.receive(input) / self.temperature
        e = np.exp(x - x.max(axis=0))
        self.output = e / e.sum(axis=0)
        return self.output

    def backward(self, output_gradient):
        g, y = self.receive_gradient(output_gradient), self.output
        return y * (g - (g * y).sum(axis=0)) / self.temperature


class Derived(Softmax):
    """A user's class that derives from the package's Softmax."""

    def forward(self, input):
        return super().forward(self.receive(input) / 2)

    def backward(self, output_gradient):
        return super().backward(output_gradient) / 2


Tempered.__name__ = "Softmax"


@pytest.mark.parametrize("kind", [Tempered, Derived])
def test_a_softmax_of_ones_own_trains_and_is_measured_as_what_it_is(kind):
    """By hand: one step of gradient descent through softmax(z / 2) and the cross-entropy."""
    network = Network([Dense(4, 3), kind()], dtype="float64", seed=3)
    w = network[0].parameters["weights"].copy()
    z = w @ X.T / 2
    p = np.exp(z) / np.exp(z).sum(axis=0)
    truth = np.eye(3)[:, Y]
    options = {"loss": "categorical_cross_entropy", "threads": 1}
    loss = network.evaluate(X, Y, loss="categorical_cross_entropy")["loss"]
    assert loss == pytest.approx(-np.log((p * truth).sum(axis=0)).mean(), rel=1e-12)
    found = trace(network, X, Y, loss="categorical_cross_entropy")
    np.testing.assert_allclose(found[0].output_gradient, ((p - truth) / 2 / 6).T, rtol=1e-9, atol=1e-15)
    network.fit(X, Y, optimizer="sgd", learning_rate=1.0, shuffle=False, **options)
    step = (p - truth) / 2 / 6 @ X
    np.testing.assert_allclose(network[0].parameters["weights"], w - step, rtol=1e-9)
    seen = trace(network, X, outputs=Y)
    assert np.abs(seen[0].output_gradient).max() < 0.5  # of the output itself, not of its score


def test_what_a_class_derived_without_a_forward_gives_is_known():
    class Named(Softmax):
        pass

    with pytest.raises(ValueError, match="softmax_cross_entropy wants scores, got probabilities"):
        check_pair(LOSSES["softmax_cross_entropy"], [Dense(4, 3), Named()])


def test_own_last_layers_go_with_every_loss_and_must_be_given_one_for_labels():
    own = Activation(np.tanh, lambda x: 1 - np.tanh(x) ** 2)
    for loss in LOSSES.values():
        check_pair(loss, [Dense(4, 3), own])
        check_pair(loss, [Dense(4, 3), Derived()])
    assert suitable_loss([Dense(4, 3), Derived()], "classes") == "categorical_cross_entropy"
    for last in (own, Tempered()):
        with pytest.raises(ValueError, match="loss must be given, since what the last layers give"):
            Network([Dense(4, 3), last]).fit(X, Y)
        assert suitable_loss([Dense(4, 3), last], "values") == "mse"


def test_the_default_loss_goes_with_the_outputs():
    assert suitable_loss([Dense(4, 3), LAYERS["HardSigmoid"]()], "classes") == "binary_cross_entropy"
    assert suitable_loss([Dense(4, 3), Softmax(), Flatten()], "classes") == "categorical_cross_entropy"
    assert suitable_loss([Dense(4, 3), Tanh()], "classes") == "softmax_cross_entropy"


def test_a_class_is_wanted_as_activation_not_its_name():
    with pytest.raises(
        TypeError, match="activation must be a class of layers, such as Softmax, got 'Softmax'"
    ):
        Loss(losses.mse, losses.mse_prime, "Softmax")


def test_the_originals_pairs_go_on():
    for last, loss in ((Tanh, "mse"), (Softmax, "mse"), (Sigmoid, "binary_cross_entropy")):
        pair = getattr(losses, loss), getattr(losses, f"{loss}_prime")
        errors = train([Dense(4, 3), last()], *pair, X, np.eye(3)[Y], epochs=2, verbose=False)
        assert errors[1] < errors[0]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_loss_is_ever_negative(name, dtype):
    rng, loss = np.random.default_rng(1), LOSSES[name]
    for scale in (1e-9, 1e-4, 1.0):
        z = (rng.normal(size=(5, 300)) * scale).astype(dtype)
        p = np.exp(z) / np.exp(z).sum(axis=0, dtype=dtype)
        given, target = (p, p) if loss.predictions == "probabilities" else (z, z)
        target = target if loss.targets == "values" else p
        for sample in range(z.shape[1]):
            one = slice(sample, sample + 1)
            assert loss.function(target[:, one], given[:, one]) >= 0
            assert loss.joint is None or loss.joint(target[:, one], z[:, one])[0] >= 0
    assert str(loss.function(np.eye(3, dtype=dtype), np.eye(3, dtype=dtype)))[0] != "-"


@pytest.mark.parametrize(
    "name", ["binary_cross_entropy", "categorical_cross_entropy", "dice", "kl_divergence"]
)
@pytest.mark.parametrize("value", [1.5, -0.25])
def test_predictions_that_are_no_probabilities_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"a loss of probabilities wants them from 0 to 1, got {value}"):
        LOSSES[name].function(np.array([[1.0], [0.0]]), np.array([[value], [0.5]]))
    doubled = Activation(lambda x: 0 * x + value, lambda x: 0 * x)
    with warnings.catch_warnings(), pytest.raises(ValueError, match=rf"from 0 to 1, got {value}"):
        Network([Dense(4, 3), doubled]).fit(X, np.eye(3)[Y], loss=name)
    for function in (LOSSES[name].function, LOSSES[name].prime):
        assert np.isnan(function(np.ones((1, 1)), np.full((1, 1), np.nan))).all()
