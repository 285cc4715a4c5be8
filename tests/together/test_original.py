"""The original program's network, trained by its algorithm: sample by sample, against PyTorch's numbers."""

import copy
import json
import re
from pathlib import Path

import numpy as np
import pytest

from helpers.torch_numbers import close, load, part
from purecnn import (
    Convolutional,
    Dense,
    Layer,
    Network,
    Reshape,
    Residual,
    Sigmoid,
    check_gradients,
    fit,
    predict,
    train,
)
from purecnn.losses import binary_cross_entropy, binary_cross_entropy_prime, mse, mse_prime

PLACES = {"convolution": 0, "dense1": 3, "dense2": 5}


def made():
    """Return the layers of original.npz as the original's readme lists them, with their first parameters."""
    layers = [
        Convolutional((1, 6, 6), 3, 2, per_position_bias=True, rng=0, dtype=np.float64),
        Sigmoid(),
        Reshape((2, 4, 4), (2 * 4 * 4, 1)),
        Dense(2 * 4 * 4, 6, rng=0, dtype=np.float64),
        Sigmoid(),
        Dense(6, 2, rng=0, dtype=np.float64),
        Sigmoid(),
    ]
    for layer, parameter, array in arrays("parameters"):
        layers[layer].parameters[parameter] = array.reshape(layers[layer].parameters[parameter].shape)
    return layers


def arrays(prefix):
    """Yield (place, parameter, array) for the arrays under a prefix."""
    for name, array in part("original", prefix).items():
        layer, parameter = name.split(".")
        yield PLACES[layer], parameter, array


def samples():
    """Return images (5, 1, 6, 6) and one-hot columns (5, 2, 1), as the original has them."""
    data = load("original")
    return np.moveaxis(data["input"], -1, 0), data["targets"].T[:, :, None]


def run(layers, x, y, **options):
    rate = float(load("original")["learning_rate"])
    return train(layers, binary_cross_entropy, binary_cross_entropy_prime, x, y, 1, rate, False, **options)


def test_it_predicts_columns():
    layers, (x, _) = made(), samples()
    for sample, wanted in zip(x, load("original")["outputs"].T, strict=True):
        close(predict(layers, sample), wanted[:, None])


@pytest.mark.parametrize("steps", [1, 5])
def test_train_is_its_algorithm(steps):
    layers, (x, y) = made(), samples()
    losses = [error for n in range(steps) for error in run(layers, x[n : n + 1], y[n : n + 1])]
    close(losses, load("original")["losses"][:steps])
    for place, parameter, array in arrays(f"after_{steps}"):
        found = layers[place].parameters[parameter]
        close(found, array.reshape(found.shape))


def test_one_epoch_over_the_set_takes_the_same_steps():
    layers, (x, y) = made(), samples()
    close(run(layers, x, y), [load("original")["losses"].mean()])
    for place, parameter, array in arrays("after_5"):
        found = layers[place].parameters[parameter]
        close(found, array.reshape(found.shape))


# A layer as the original program's are ------------------------------------------------------------------


class Bare(Layer):
    """Without the base's constructor, its step taken by itself."""

    def __init__(self, inputs, outputs):
        self.weights = np.zeros((outputs, inputs))

    def forward(self, input):
        self.input = input
        return self.weights @ input

    def backward(self, output_gradient, learning_rate):
        gradient = self.weights.T @ output_gradient
        self.weights -= learning_rate * output_gradient @ self.input.T
        return gradient


class Rate(Bare):
    """With the base's constructor, and a rate."""

    def __init__(self, inputs, outputs):
        Layer.__init__(self)
        self.weights = np.zeros((outputs, inputs))


class Plain(Rate):
    """As a layer is here, but for its array, which is a plain attribute."""

    def backward(self, output_gradient):
        return self.weights.T @ output_gradient


X, Y = np.reshape([[0, 0], [0, 1], [1, 0], [1, 1]], (4, 2, 1)), np.reshape([[0], [1], [1], [0]], (4, 1, 1))


@pytest.mark.parametrize(
    "use",
    [
        lambda layer: Network([layer]),
        lambda layer: train([layer], mse, mse_prime, X, Y, epochs=1),
        lambda layer: predict([layer], X[0]),
        lambda layer: check_gradients(layer, (2,)),
        lambda layer: check_gradients([layer], (2,)),
    ],
)
def test_a_layer_in_the_originals_own_style_is_told_what_differs(use):
    both = (
        r"Bare is written as in the original program; here __init__ begins with super\(\).__init__\(\), and "
    )
    with pytest.raises(TypeError, match=both + "backward takes output_gradient alone, writes self.gradients"):
        use(Bare(2, 1))
    with pytest.raises(TypeError, match=r"Rate is written .*; here backward takes output_gradient alone"):
        use(Rate(2, 1))


def test_inside_of_another_layer_too():
    with pytest.raises(TypeError, match="Rate is written as in the original"):
        Network([Dense(2, 2), Residual([Rate(2, 2)])])
    with pytest.raises((AttributeError, TypeError), match=r"super\(\).__init__\(\)"):
        Residual([Bare(2, 2)])


def test_an_array_that_no_worker_has_is_named_with_the_remedy():
    with pytest.raises(AttributeError, match=r"'Plain' object has no attribute 'weights': workers, copies"):
        Network([Plain(2, 2), Dense(2, 1)]).predict(X[:, :, 0])
    with pytest.raises(AttributeError, match=r"'Bare' .* 'execution': its __init__ must begin with super"):
        Bare(2, 2).receive(np.zeros((2, 1)))
    with pytest.raises(AttributeError, match=r"^'Dense' object has no attribute 'weights'$"):
        _ = Dense(2, 2).weights
    assert type(copy.deepcopy(Plain(2, 2))) is Plain


def test_a_default_rate_and_any_options_are_fine():
    class Loose(Layer):
        def forward(self, input, *more, scale=1.0):
            return self.receive(input) * scale

        def backward(self, output_gradient, learning_rate=0.0, **options):
            return output_gradient

    assert Network([Dense(2, 2), Loose()]).predict(X[:, :, 0]).shape == (4, 2)


def test_no_epochs_train_nothing_as_in_the_original(capsys):
    layers = [Dense(2, 1, rng=0)]
    before = layers[0].parameters["weights"].copy()
    assert train(layers, mse, mse_prime, X, Y, epochs=0) == []
    history = fit(
        layers, X[:, :, 0], Y[:, :, 0], epochs=0, loss="mse", validation_data=(X[:, :, 0], Y[:, :, 0])
    )
    assert history.loss == history.validation_loss == []
    np.testing.assert_array_equal(layers[0].parameters["weights"], before)
    assert capsys.readouterr().out == ""


# The page that the original's readme links ---------------------------------------------------------------

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.skipif(not DOCS.is_dir(), reason="the documents do not lie beside the installed package")
def test_the_originals_page_lies_in_the_repository_with_what_draws_it():
    page = (DOCS / "plot.html").read_text(encoding="utf-8")
    assert len(page) < 400_000
    assert re.findall(r"(?:src|href)=\"([^\"]*)\"", page) == ["plotly.min.js"]
    assert b"plotly.js v" in (DOCS / "plotly.min.js").read_bytes()[:200]
    text = re.search(r'<script type="application/json" data-figure="figure">(.*?)</script>', page, re.S)
    figure = json.loads(text[1])
    assert len(figure["frames"]) > 5
    assert {trace["type"] for trace in figure["data"]} == {"surface", "scatter3d"}
