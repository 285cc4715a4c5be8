"""Group and layer normalization: the plain loops, PyTorch's numbers, and the same bits on any workers."""

import copy
import json

import numpy as np
import pytest

from helpers import plain_loops as loops
from helpers.samples import digits
from helpers.torch_numbers import cases, close, part
from helpers.workers import COMPANIES, use
from purecnn import (
    SGD,
    Convolutional,
    Dense,
    Flatten,
    GroupNormalization,
    LayerNormalization,
    MaxPooling,
    Network,
    ReLU,
    ShapeError,
    Softmax,
    layers,
)
from purecnn.kernels import normalization, reference

# name: layer, sample, and what the loops are told
GEOMETRIES = {
    "groups": (GroupNormalization(2, epsilon=1e-3), (4, 3, 5), {"groups": 2}),
    "groups, small images": (GroupNormalization(4, epsilon=1e-3), (8, 1, 2), {"groups": 4}),
    "instances": (GroupNormalization(3, epsilon=1e-3), (3, 4, 2), {"groups": 3}),
    "one group": (GroupNormalization(1, epsilon=1e-3), (3, 2, 2), {}),
    "one of all": (GroupNormalization(1, epsilon=1e-3), (1, 1, 1), {}),
    "groups of vectors": (GroupNormalization(2, epsilon=1e-3), (6,), {"groups": 2}),
    "groups of signals": (GroupNormalization(2, epsilon=1e-3), (4, 7), {"groups": 2}),
    "groups of three axes": (GroupNormalization(2, epsilon=1e-3), (2, 3, 2, 2), {"groups": 2}),
    "channels": (LayerNormalization(epsilon=1e-3), (5, 3, 2), {"over": "channels"}),
    "channels of signals": (LayerNormalization(epsilon=1e-3), (5, 4), {"over": "channels"}),
    "vectors": (LayerNormalization(epsilon=1e-3), (7,), {"over": "channels"}),
    "sample": (LayerNormalization("sample", epsilon=1e-3), (3, 2, 3), {"over": "sample"}),
    "many rows": (GroupNormalization(2, epsilon=1e-3), (4, 19, 19), {"groups": 2}),
    "rows without a divisor": (LayerNormalization("sample", epsilon=1e-3), (1, 263), {"over": "sample"}),
}


def trained(layer, shape, dtype=np.float64, gamma=None, beta=None):
    """Return a copy of a layer in training, bound to a shape."""
    layer = copy.deepcopy(layer)
    layer.bind(tuple(shape))
    layer.draw(np.random.default_rng(0), dtype, "he")
    if gamma is not None:
        layer.parameters["gamma"][...], layer.parameters["beta"][...] = gamma, beta
    layer.training = True
    return layer


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_layers_and_readable_kernels_are_the_loops(name, dtype):
    layer, shape, told = GEOMETRIES[name]
    rng = np.random.default_rng(1)
    tolerance = 1e-10 if dtype == np.float64 else 2e-5
    own = shape if told.get("over") == "sample" else shape[:1]
    gamma, beta = rng.standard_normal((2, *own))
    made = trained(layer, shape, dtype, gamma, beta)
    gamma, beta = (made.parameters[each].astype(np.float64) for each in ("gamma", "beta"))
    for samples in (1, 2, 17) if np.prod(shape) < 100 else (2,):
        x, g = rng.standard_normal((2, *shape, samples)).astype(dtype)
        wanted = loops.sample_norm_forward(x, gamma, beta, 1e-3, **told)
        dx, dgamma, dbeta = loops.sample_norm_backward(g, x, gamma, 1e-3, **told)
        for _ in range(2):  # the second time in the same working memory
            close(made.forward(x), wanted, tolerance, tolerance)
            close(made.backward(g), dx, 40 * tolerance, 40 * tolerance)
            close(made.gradients["gamma"], dgamma, tolerance, 10 * tolerance)
            close(made.gradients["beta"], dbeta, tolerance, 10 * tolerance)
        if dtype == np.float64:
            options = {"groups": told.get("groups", 1)} if "over" not in told else {}
            kind = "layer" if "over" in told else "group"
            y = getattr(reference, f"{kind}_norm_forward")(x, gamma, beta, epsilon=1e-3, **options)
            close(y, wanted)
            into = np.full((2, *own), np.nan)
            back = getattr(reference, f"{kind}_norm_backward")
            close(back(g, x, gamma, *into, epsilon=1e-3, **options), dx, 1e-9, 1e-11)
            close(into, np.stack([dgamma, dbeta]), 1e-9, 1e-11)


def test_loops_by_hand():
    # Two samples: of 1 and 3 the mean is 2 and the variance 1, of 0 and 8 they are 4 and 16.
    x = np.array([[1.0, 0.0], [3.0, 8.0]])
    gamma, beta = np.array([5.0, 2.0]), np.array([7.0, 0.0])
    assert loops.sample_norm_forward(x, gamma, beta, 0.0).tolist() == [[2, 2], [2, 2]]
    g = np.array([[4.0, 1.0], [-1.0, 1.0]])
    dx, dgamma, dbeta = loops.sample_norm_backward(g, x, gamma, 0.0)
    # Of two values whatever comes back is taken off as mean and as slope: nothing is left.
    assert dx.tolist() == [[0, 0], [0, 0]]
    assert (dgamma.tolist(), dbeta.tolist()) == ([-5, 0], [5, 0])
    # Of three, -1, 0 and 1 times the deviation: g less its mean of 1, less xhat times the mean of g xhat.
    x, g = np.array([[-3.0], [0.0], [3.0]]), np.array([[0.0], [3.0], [0.0]])
    dx, _, _ = loops.sample_norm_backward(g, x, np.ones(3), 0.0)
    close(dx, np.array([[-1.0], [2.0], [-1.0]]) / np.sqrt(6))


@pytest.mark.parametrize("case", cases("group_normalization"))
def test_layers_and_loops_are_pytorchs(case):
    data = part("group_normalization", case["name"])
    layer = getattr(layers, case["layer"])(**case["arguments"])
    made = trained(layer, data["input"].shape[:-1], gamma=data.get("gamma"), beta=data.get("beta"))
    close(made.forward(data["input"]), data["output"], 1e-9, 1e-9)
    close(made.backward(data["output_gradient"]), data["dinput"], 1e-9, 1e-9)
    own = data["input"].shape[: 1 if case["name"] != "sample" else 3]
    gamma, beta = data.get("gamma", np.ones(own)), data.get("beta", np.zeros(own))
    told = {key: case["arguments"][key] for key in ("groups", "over") if key in case["arguments"]}
    epsilon = made.epsilon
    close(loops.sample_norm_forward(data["input"], gamma, beta, epsilon, **told), data["output"], 1e-9, 1e-9)
    found = loops.sample_norm_backward(data["output_gradient"], data["input"], gamma, epsilon, **told)
    close(found[0], data["dinput"], 1e-9, 1e-9)
    if made.affine:
        for place, name in enumerate(("gamma", "beta"), 1):
            close(made.gradients[name], data[f"d{name}"], 1e-9, 1e-9)
            close(found[place], data[f"d{name}"], 1e-9, 1e-9)


def test_a_mean_far_from_zero_costs_no_digits():
    x = (10_000 + np.random.default_rng(0).standard_normal((4, 8, 8, 3))).astype(np.float32)
    exact = x.astype(np.float64)
    for layer, axes in ((GroupNormalization(1), (0, 1, 2)), (LayerNormalization(), 0)):
        y = trained(layer, (4, 8, 8), np.float32).forward(x)
        wanted = (exact - exact.mean(axes, keepdims=True)) / np.sqrt(exact.var(axes, keepdims=True) + 1e-5)
        assert abs(y - wanted).max() < 2e-2  # x itself has steps of 1e-3, and four channels may lie close


def test_an_answer_does_not_depend_on_the_batch_or_on_training():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 5, 3, 9))
    for layer in (GroupNormalization(2), LayerNormalization(), LayerNormalization("sample")):
        made = trained(layer, (4, 5, 3))
        whole = made.forward(x)
        made.training = False
        close(made.forward(x), whole)
        for sample in range(9):
            close(made.forward(x[..., sample : sample + 1]), whole[..., sample : sample + 1], 1e-12)


@pytest.mark.parametrize("layer", [GroupNormalization(2), LayerNormalization(), LayerNormalization("sample")])
def test_any_order_in_memory_gives_the_same(layer):
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, 4, 5, 3, 6))
    made = trained(layer, (4, 5, 3))
    wanted = made.forward(x), made.backward(g)
    apart = (np.ascontiguousarray(array.transpose(1, 0, 2, 3)).transpose(1, 0, 2, 3) for array in (x, g))
    x, g = apart
    before = x.copy(), g.copy()
    found = made.forward(x), made.backward(g)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal((x, g), before)
    made.propagate = False
    assert made.backward(g) is None


def small(seed=0):
    """Return a network with all of them, in and out of their input's place."""
    return Network(
        [
            GroupNormalization(1),
            Convolutional(kernel_size=3, depth=4),
            GroupNormalization(2),
            ReLU(),
            MaxPooling(2),
            LayerNormalization(),
            Convolutional(kernel_size=1, depth=3),
            LayerNormalization("sample"),
            Flatten(),
            Dense(output_size=6),
            LayerNormalization(),
            Dense(output_size=4),
            Softmax(),
        ],
        seed=seed,
    )


@pytest.mark.parametrize(("batch_size", "samples"), [(32, 76), (100, 230)])
def test_same_bits_in_any_number_of_threads_and_processes(monkeypatch, batch_size, samples):
    x, y = digits(samples, size=10)  # the last batch is short
    found = []
    for kind, threads in COMPANIES:
        use(monkeypatch, kind)
        network = small()
        history = network.fit(x, y, epochs=2, batch_size=batch_size, threads=threads, shards=4)
        found.append((network.parameters.tobytes(), history.loss))
    assert all(each == found[0] for each in found)


def test_the_engine_takes_the_layers_own_steps():
    x, y = digits(40, size=10)
    network, alone = small(), small()
    alone.bind((1, 10, 10))
    network.fit(x, y, batch_size=40, shuffle=False, optimizer=SGD(0.1))
    values = np.moveaxis(x[:, None].astype(np.float32) / 255, 0, -1)
    for layer in alone:
        layer.training = True
        values = layer.forward(values)
    gradient = -np.eye(4, dtype=np.float32)[:, y] / values / len(x)
    for layer in reversed(alone.layers):
        gradient = layer.backward(gradient)
    for layer in alone:
        for name, parameter in layer.parameters.items():
            parameter -= 0.1 * layer.gradients[name]
    np.testing.assert_allclose(network.parameters, alone.parameters, rtol=1e-3, atol=1e-5)


def test_sums_that_overflow_do_not_warn():
    x = np.full((2, 40, 2), 3e38, np.float32)
    with np.errstate(over="warn", invalid="warn"):
        GroupNormalization(1).forward(x)
    assert normalization.divisor(7, 2, 5) == 1


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: GroupNormalization(0), ValueError, "groups must be an integer of at least 1, got 0"),
        (lambda: GroupNormalization(1.5), TypeError, r"groups must be an integer of at least 1, got 1\.5"),
        (lambda: GroupNormalization(1, epsilon=0), ValueError, "epsilon must be a number above 0, got 0"),
        (lambda: LayerNormalization("rows"), ValueError, "over must be one of channels, sample, got 'rows'"),
        (lambda: LayerNormalization(epsilon=-1), ValueError, "epsilon must be a number above 0, got -1"),
        (
            lambda: GroupNormalization(3).bind((4, 2, 2)),
            ShapeError,
            r"^GroupNormalization\(groups=3.* that its groups divide, got samples of \(4, 2, 2\)",
        ),
        (lambda: LayerNormalization().bind(()), ShapeError, r"at least one axis, got samples of \(\)"),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_configurations_are_plain():
    for layer in (GroupNormalization(2, affine=False), LayerNormalization("sample", epsilon=0.5)):
        told = json.loads(json.dumps(layer.configuration()))
        assert type(layer).from_configuration(told).configuration() == layer.configuration()
