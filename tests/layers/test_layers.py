"""Layers against PyTorch's numbers, and what all of them promise: dtypes, shapes, copies, refusals."""

import copy
import platform

import numpy as np
import pytest

from helpers import plain_loops as loops
from helpers.every_layer import EVERY, made
from helpers.torch_numbers import cases, close, load, part
from purecnn import (
    ELU,
    GELU,
    SELU,
    SGD,
    AdaptiveAveragePooling,
    AdaptiveMaxPooling,
    AveragePooling,
    AveragePooling1D,
    BatchNormalization,
    Branches,
    ChannelShuffle,
    Convolutional,
    Convolutional1D,
    Cropping,
    Dense,
    DepthToSpace,
    DepthwiseConvolutional,
    DepthwiseConvolutional1D,
    Dropout,
    Flatten,
    GaussianNoise,
    GlobalAveragePooling,
    GlobalAveragePooling1D,
    GlobalMaxPooling,
    GlobalMaxPooling1D,
    GroupNormalization,
    HardSigmoid,
    HardSwish,
    Identity,
    LayerNormalization,
    LeakyReLU,
    LogSoftmax,
    MaxPooling,
    MaxPooling1D,
    Mish,
    Network,
    PReLU,
    ReflectionPadding,
    ReLU,
    ReLU6,
    ReplicationPadding,
    Reshape,
    Residual,
    SeparableConvolutional,
    ShapeError,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    SpatialDropout,
    StochasticDepth,
    Tanh,
    TransposedConvolutional,
    UpSampling,
    ZeroPadding,
    ZeroPadding1D,
)
from purecnn.backend.checks import pair, positive, within
from purecnn.backend.random import as_seed
from purecnn.layers.activations.elementwise import sigmoid
from purecnn.layers.initializers import draw
from purecnn.layers.registry import LAYERS
from purecnn.layers.shapes import as_dtype, sample_shape

# Against PyTorch ------------------------------------------------------------------------------------------


def given(layer, shape, **parameters):
    """Return a layer bound to a shape, with these parameters."""
    layer.bind(shape)
    layer.draw(np.random.default_rng(0), np.float64, "he")
    for name, array in parameters.items():
        layer.parameters[name][...] = array.reshape(layer.parameters[name].shape)
    return layer


@pytest.mark.parametrize("per_position", [False, True], ids=["shared", "per position"])
@pytest.mark.parametrize("case", cases("convolution"))
def test_convolution_is_pytorchs(case, per_position):
    data = part("convolution", case["name"])
    padding = case["padding"] if isinstance(case["padding"], str | int) else tuple(case["padding"])
    layer = Convolutional(
        kernel_size=data["kernels"].shape[2:],
        depth=len(data["kernels"]),
        stride=tuple(case["stride"]),
        padding=padding,
        per_position_bias=per_position,
    )
    biases, output, gradient = ("biases", "output", "dbiases")
    if per_position:
        biases, output, gradient = ("position_biases", "position_output", "dposition_biases")
    given(layer, data["input"].shape[:-1], kernels=data["kernels"], biases=data[biases])
    assert layer.border == tuple(map(tuple, case["pads"]))
    close(layer.forward(data["input"]), data[output])
    close(layer.backward(data["output_gradient"]), data["dinput"])
    close(layer.gradients["kernels"], data["dkernels"])
    close(layer.gradients["biases"], data[gradient])


@pytest.mark.parametrize("case", cases("pooling"))
@pytest.mark.parametrize(("kind", "name"), [(MaxPooling, "max"), (AveragePooling, "average")])
def test_pooling_is_pytorchs(kind, name, case):
    data = part("pooling", case["name"])
    layer = kind(tuple(case["size"]), stride=tuple(case["stride"]))
    close(layer.forward(data["input"]), data[f"{name}_output"])
    close(layer.backward(data["output_gradient"]), data[f"{name}_dinput"])


@pytest.mark.parametrize("name", cases("dense"))
def test_dense_is_pytorchs(name):
    data = part("dense", name)
    layer = Dense(output_size=len(data["weights"]))
    given(layer, data["input"].shape[:-1], weights=data["weights"], biases=data["biases"])
    close(layer.forward(data["input"]), data["output"])
    close(layer.backward(data["output_gradient"]), data["dinput"])
    close(layer.gradients["weights"], data["dweights"])
    close(layer.gradients["biases"], data["dbiases"][:, None])


ACTIVATIONS = {
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "softplus": Softplus,
    "gelu": GELU,
    "gelu_tanh": lambda: GELU("tanh"),
    "silu": SiLU,
    "relu6": ReLU6,
    "selu": SELU,
    "hard_sigmoid": HardSigmoid,
    "softsign": Softsign,
    "mish": Mish,
    "hard_swish": HardSwish,
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", cases("activations"))
def test_activations_are_pytorchs_and_overflow_nowhere(case, dtype):
    data, x = part("activations", case["name"]), load("activations")["input"].astype(dtype)[:, None]
    layer = ACTIVATIONS[case["function"]](**case["options"])
    rtol, atol = (1e-9, 1e-12) if dtype == np.float64 else (2e-5, 1e-5)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        output, slope = layer.forward(x), layer.backward(np.ones_like(x))
    assert output.dtype == slope.dtype == dtype
    close(output[:, 0], data["output"], rtol, atol)
    close(slope[:, 0], data["derivative"], rtol, atol)


#: Where PyTorch's numbers are no more than what its way of computing comes to: x / (1 + |x|)^2 and x (x + 3)
#: overflow before they are divided, the tanh's slope is 0 times infinity.
ARTEFACTS = {("softsign", "derivative"), ("hard_swish", "output"), ("gelu_tanh", "derivative")}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", cases("activations"))
def test_activations_at_the_edge_of_their_numbers_are_pytorchs(case, dtype):
    """At +-0, subnormal numbers, 1e38, infinities and NaN: the value, and of a zero its sign."""
    x = load("edges")[f"{dtype}/input"]
    layer = ACTIVATIONS[case["function"]](**case["options"])
    with np.errstate(all="ignore"):
        found = {"output": layer.forward(x[:, None])[:, 0].copy()}
        found["derivative"] = layer.backward(np.ones_like(x)[:, None])[:, 0]
    rtol, near = (1e-9, 1e-12) if dtype == "float64" else (2e-5, 1e-5)
    for name, values in found.items():
        wanted = load("edges")[f"{dtype}/{case['name']}/{name}"]
        kept = np.ones(len(x), bool)
        if name == "derivative":
            kept &= ~np.isnan(x)  # PyTorch's is that of the side on which its comparison puts a NaN
        if (case["function"], name) in ARTEFACTS:
            kept &= np.isfinite(wanted)
        # A subnormal number may be flushed to zero, and has few digits.
        least = 2 * float(np.finfo(dtype).tiny) if name == "output" else near
        np.testing.assert_allclose(values[kept], wanted[kept], rtol, least, err_msg=name)
    if case["function"] != "gelu":  # of which PyTorch's has another sign in each dtype
        zero = (x == 0) & (platform.machine() in ("x86_64", "AMD64"))  # others have -0 below 0 in a maximum
        assert (np.signbit(found["output"][zero]) == np.signbit(x[zero])).all() or case["function"] in (
            "sigmoid",
            "softplus",
            "hard_sigmoid",
        )


@pytest.mark.parametrize("length", [1, 3, 8, 17, 1000])
def test_a_negative_zero_stays_one_at_any_length(length):
    for kind in (ReLU, ELU, SELU) if platform.machine() in ("x86_64", "AMD64") else ():
        for dtype in (np.float32, np.float64):
            assert np.signbit(kind().forward(np.full((length, 1), -0.0, dtype))).all()
            assert not np.signbit(kind().forward(np.zeros((length, 1), dtype))).any()


def test_a_saturated_sigmoid_is_exact_beside_any_other_number():
    x = np.array([-1000.0, -750.0, -100.0, 3.0, np.nan, np.inf, -np.inf])
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        found = Sigmoid().forward(x[:, None])[:, 0]
        again = sigmoid(x.copy(), (out := x.copy()))
        alone = sigmoid(out2 := x.copy(), out2)
    wanted = np.array([0, 0, np.exp(-100), 1 / (1 + np.exp(-3.0)), np.nan, 1, 0])
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-320)
    assert again is out
    np.testing.assert_array_equal(alone, again)


def test_softmax_is_pytorchs():
    data, layer = part("activations", "softmax"), Softmax()
    close(layer.forward(data["input"]), data["output"])
    close(layer.backward(data["output_gradient"]), data["dinput"])


def test_log_softmax_is_pytorchs_and_the_loops():
    file, layer = part("activations", "log_softmax"), LogSoftmax()
    x, g = (part("activations", "softmax")[name] for name in ("input", "output_gradient"))
    close(layer.forward(x), file["output"])
    close(layer.backward(g), file["dinput"])
    for dtype in (np.float32, np.float64):
        for samples in (1, 2, 17):
            x, g = np.random.default_rng(samples).standard_normal((2, 3, samples)).astype(dtype)
            tolerance = 1e-12 if dtype == np.float64 else 1e-5
            for _ in range(2):
                close(layer.forward(x), loops.log_softmax_forward(x), tolerance, tolerance)
                close(layer.backward(g), loops.log_softmax_backward(g, x), tolerance, tolerance)


def test_cross_entropy_behind_a_log_softmax_is_that_of_the_scores():
    x, y = np.random.default_rng(0).standard_normal((40, 5)), np.arange(40) % 3
    found = []
    for behind in ([], [LogSoftmax()]):
        network = Network([Dense(5, 3), *behind], dtype=np.float64)
        history = network.fit(x, y, epochs=3, optimizer=SGD(0.5))  # the loss is left out
        found.append((network.parameters, history.loss))
    close(found[0][0], found[1][0])
    close(found[0][1], found[1][1])
    np.testing.assert_allclose(np.exp(network.predict(x)).sum(axis=1), 1)


@pytest.mark.parametrize("name", ["prelu", "prelu_channels"])
def test_prelu_is_pytorchs(name):
    data = part("activations", name)
    layer = PReLU(per_channel=len(data["slopes"]) > 1)
    given(layer, data["input"].shape[:-1], slopes=data["slopes"])
    close(layer.forward(data["input"]), data["output"])
    close(layer.backward(data["output_gradient"]), data["dinput"])
    close(layer.gradients["slopes"][:, 0], data["dslopes"])


def test_prelu_starts_at_its_initial_slopes_and_skips_an_input_gradient_nobody_wants():
    layer = given(PReLU(per_channel=True, initial=-0.5), (3, 2, 2))
    np.testing.assert_array_equal(layer.parameters["slopes"], np.full((3, 1), -0.5))
    assert given(PReLU(), (3,)).parameters["slopes"].tolist() == [[0.25]]
    layer.propagate = False
    layer.forward(np.full((3, 2, 2, 5), -2.0))
    assert layer.backward(np.ones((3, 2, 2, 5))) is None
    np.testing.assert_array_equal(layer.gradients["slopes"], np.full((3, 1), -40.0))


@pytest.mark.parametrize(
    "kind", [ReLU6, SELU, HardSigmoid, Softsign, HardSwish, Mish, PReLU, SiLU, GELU, ELU]
)
def test_what_says_it_never_decreases_does_not_and_the_others_do(kind):
    layer = given(kind(), (1,))
    if kind is PReLU:
        layer.parameters["slopes"].fill(-0.1)
    falls = bool((np.diff(layer.forward(np.linspace(-9, 9, 999)[None])[0]) < 0).any())
    assert falls != layer.non_decreasing


# What all layers promise ----------------------------------------------------------------------------------


def run(layer, x, g=None):
    """Run both passes; return output, input gradient and a copy of the parameters' gradients."""
    layer.random = np.random.Generator(np.random.Philox(0))
    output = layer.forward(x)
    back = layer.backward(np.ones_like(output) if g is None else g)
    return output, back, {name: gradient.copy() for name, gradient in layer.gradients.items()}


def test_the_table_holds_every_layer():
    missing = {*LAYERS, "Activation"} - {type(layer).__name__ for layer, _ in EVERY.values()}
    assert not missing, f"add {missing} to EVERY in tests/helpers/every_layer.py, over odd geometries"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", EVERY)
def test_everything_has_the_parameters_dtype(name, dtype):
    layer, shape = made(name, dtype)
    for given in (np.float32, np.float64, np.uint8):
        if not layer.parameters:  # then the input decides; whole numbers become float32
            dtype = np.float32 if given is np.uint8 else given
        output, back, gradients = run(layer, np.ones((*shape, 3), given))
        assert {output.dtype, back.dtype, *(g.dtype for g in gradients.values())} == {np.dtype(dtype)}


def test_half_precision_is_computed_in_single():
    assert ReLU().forward(np.ones((2, 1), np.float16)).dtype == np.float32


@pytest.mark.parametrize("name", EVERY)
def test_the_next_call_leaves_what_a_lone_layer_returned(name):
    layer, shape = made(name)
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, *shape, 3)).astype(np.float32)
    x = first.copy()
    output, back, _ = run(layer, x)
    kept = output.copy(), back.copy()
    run(layer, second)
    np.testing.assert_array_equal(output, kept[0])
    np.testing.assert_array_equal(back, kept[1])
    np.testing.assert_array_equal(x, first)  # nor was the input written to


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("name", EVERY)
def test_a_copy_has_parameters_of_its_own_and_nothing_of_the_last_call(name, copied):
    layer, shape = made(name)
    x = np.random.default_rng(0).standard_normal((*shape, 3)).astype(np.float32)
    output, *_ = run(layer, x)
    twin = copied(layer)
    assert not any(isinstance(value, np.ndarray) for value in vars(twin).values())
    assert not vars(twin.workspace)["_buffers"]
    assert twin.random is None
    assert repr(twin.configuration()) == repr(layer.configuration())
    assert list(twin.parameters) == list(layer.parameters)
    for parameter in layer.parameters.values():
        parameter += 1
    np.testing.assert_array_equal(run(twin, x)[0], output)


@pytest.mark.parametrize("name", EVERY)
def test_a_layer_is_made_from_what_it_says_it_is(name):
    layer, shape = made(name)
    again = type(layer).from_configuration(layer.configuration())
    assert again.configuration() == layer.configuration()
    assert again.bind(shape) == layer.bind(shape)
    assert str(again) == str(layer)
    assert str(layer).startswith(f"{type(layer).__name__}(")


@pytest.mark.parametrize(
    "name", ["convolution", "convolution, groups", "batch normalization", "dense", "residual"]
)
def test_the_first_layer_returns_no_input_gradient_but_writes_the_others(name):
    layer, shape = made(name)
    x = np.random.default_rng(0).standard_normal((*shape, 3)).astype(np.float32)
    _, _, wanted = run(layer, x)
    layer.propagate = False
    _, back, found = run(layer, x)
    assert back is None
    for name, gradient in wanted.items():
        np.testing.assert_array_equal(found[name], gradient)


def test_float64_targets_and_inputs_leave_float32_training_in_float32():
    seen = []

    class Spy(Identity):
        def forward(self, input):
            seen.append(input.dtype)
            return super().forward(input)

        def backward(self, output_gradient):
            seen.append(output_gradient.dtype)
            return super().backward(output_gradient)

    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 3)), rng.standard_normal((8, 2))
    for dtype in (np.float32, np.float64):
        seen.clear()
        for loss in ("mse", "huber", "mean_absolute_error", "softmax_cross_entropy"):
            network = Network([Dense(3, 4), Spy(), Tanh(), Spy(), Dense(4, 2), Spy()], dtype=dtype)
            network.fit(x, np.eye(2)[[0, 1] * 4] if loss.startswith("softmax") else y, loss=loss, threads=1)
        assert network.parameters.dtype == dtype
        assert set(seen) == {np.dtype(dtype)}
        assert network.predict(x).dtype == dtype


def test_dropout_hides_its_rate_and_keeps_the_mean():
    layer, x = Dropout(0.25), np.ones((100, 200), np.float32)
    np.testing.assert_array_equal(layer.forward(x), x)  # outside training nothing happens
    np.testing.assert_array_equal(layer.backward(x), x)
    layer.training = True
    output, back, _ = run(layer, x)
    assert set(np.unique(output)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs(np.mean(output == 0) - 0.25) < 0.01
    np.testing.assert_array_equal(back, output)  # the same mask
    again, *_ = run(layer, x)
    np.testing.assert_array_equal(again, output)  # from the same stream


@pytest.mark.parametrize("rate", [0, 1e-9, 1 - 1e-9])
def test_dropout_at_the_ends_of_its_range(rate):
    layer = Dropout(rate)
    layer.training = True
    output, *_ = run(layer, np.ones((50, 50), np.float32))
    assert np.isfinite(output).all()
    assert (output == 1).all() or rate > 0.5


def test_stochastic_depth_hides_whole_samples():
    layer, x = StochasticDepth(0.25), np.arange(1, 3 * 4 * 400 + 1, dtype=np.float32).reshape(3, 4, 400)
    np.testing.assert_array_equal(layer.forward(x), x)
    np.testing.assert_array_equal(layer.backward(x), x)
    layer.training = True
    output, back, _ = run(layer, x)
    kept = output[0, 0] > 0
    np.testing.assert_allclose(output, np.where(kept, x * (4 / 3), 0), rtol=1e-6)
    assert abs(kept.mean() - 0.75) < 0.06
    np.testing.assert_array_equal(back == 0, output == 0)


def test_gaussian_noise_has_its_deviation_and_the_same_numbers_again():
    layer, x = GaussianNoise(0.5), np.full((100, 200), 3, np.float32)
    np.testing.assert_array_equal(layer.forward(x), x)
    layer.training = True
    output, back, _ = run(layer, x)
    assert output.dtype == np.float32
    assert abs(output.mean() - 3) < 0.02
    assert abs(output.std() - 0.5) < 0.02
    assert (back == 1).all()
    np.testing.assert_array_equal(run(layer, x)[0], output)
    close(run(layer, x.astype(np.float64))[0], output, 1e-6)
    layer = GaussianNoise(0)
    layer.training = True
    assert (layer.forward(x) == x).all()  # nothing is drawn


# First parameters -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "gain", "shape", "variance"),
    [
        ("he", "glorot", (64, 32, 3, 3), 2 / (32 * 9)),
        ("glorot", "he", (64, 32, 3, 3), 2 / ((32 + 64) * 9)),
        ("auto", "he", (64, 32, 3, 3), 2 / (32 * 9)),
        ("auto", "glorot", (64, 32, 3, 3), 2 / ((32 + 64) * 9)),
        ("normal", "he", (64, 32, 3, 3), 1),
        ("he", "he", (300, 100), 2 / 100),
        ("glorot", "he", (300, 100), 2 / 400),
        ("lecun", "he", (64, 32, 3, 3), 1 / (32 * 9)),
        ("he_uniform", "glorot", (64, 32, 3, 3), 2 / (32 * 9)),
        ("glorot_uniform", "he", (300, 100), 2 / 400),
        ("lecun_uniform", "he", (300, 100), 1 / 100),
    ],
)
def test_first_weights_have_the_schemes_variance(scheme, gain, shape, variance):
    weights = draw("weights", shape, scheme, gain, np.random.default_rng(7), np.float64)
    deviation = np.sqrt(variance / weights.size)
    assert abs(weights.mean()) < 4 * deviation
    assert weights.var() == pytest.approx(variance, rel=4 * np.sqrt(2 / weights.size))


@pytest.mark.parametrize(("scheme", "limit"), [("he", 6 / 50), ("glorot", 6 / 90), ("lecun", 3 / 50)])
def test_uniform_weights_fill_their_range(scheme, limit):
    weights = draw("weights", (40, 50), f"{scheme}_uniform", "he", np.random.default_rng(0), np.float64)
    assert 0.99 < abs(weights).max() / np.sqrt(limit) < 1
    inside = np.histogram(weights, 4, (-np.sqrt(limit), np.sqrt(limit)))[0]
    assert abs(inside - 500).max() < 100


@pytest.mark.parametrize("shape", [(6, 4, 3, 3), (40, 2, 3, 3), (5, 5), (1, 3), (4, 1)])
def test_orthogonal_rows_or_columns_are_orthonormal(shape):
    drawn = draw("weights", shape, "orthogonal", "he", np.random.default_rng(0), np.float64).reshape(
        shape[0], -1
    )
    square = drawn @ drawn.T if drawn.shape[0] <= drawn.shape[1] else drawn.T @ drawn
    close(square, np.eye(len(square)), 1e-12, 1e-12)
    other = draw("weights", shape, "orthogonal", "he", np.random.default_rng(1), np.float64)
    assert (drawn != other.reshape(drawn.shape)).any()


def test_orthogonal_weights_lean_to_no_side():
    signs = [
        draw("w", (3, 3), "orthogonal", "he", np.random.default_rng(n), np.float64) > 0 for n in range(400)
    ]
    assert abs(np.mean(signs, axis=0) - 0.5).max() < 0.1


@pytest.mark.parametrize(
    "made",
    [
        lambda: Dense(4, 3, initialization="zeros", rng=0),
        lambda: Convolutional((2, 4, 4), 3, 3, initialization="zeros", rng=0),
        lambda: DepthwiseConvolutional((2, 4, 4), 3, initialization="zeros", rng=0),
    ],
)
def test_zeros(made):
    layer = made()
    assert not any(parameter.any() for parameter in layer.parameters.values())
    assert type(layer).from_configuration(layer.configuration()).initialization == "zeros"


def test_a_residual_begins_as_its_shortcut_where_its_last_normalization_begins_at_zero():
    x = np.random.default_rng(0).standard_normal((2, 4, 4, 3)).astype(np.float32)
    for last in (
        BatchNormalization(initial_gamma=0),
        GroupNormalization(1, initial_gamma=0),
        LayerNormalization(initial_gamma=0),
    ):
        network = Network(
            [Residual([Convolutional(kernel_size=3, depth=2, padding=1), last])], input_shape=(2, 4, 4)
        )
        np.testing.assert_array_equal(network[0].forward(x), x)
        assert type(last).from_configuration(last.configuration()).initial_gamma == 0


def test_first_biases_are_zero_except_from_a_normal_distribution():
    rng = np.random.default_rng(0)
    for scheme in ("auto", "he", "glorot", "lecun_uniform", "orthogonal", "zeros"):
        assert not draw("biases", (40,), scheme, "he", rng, np.float32).any()
    assert 0.5 < draw("biases", (400,), "normal", "he", rng, np.float32).var() < 1.5


def test_both_dtypes_begin_with_the_same_numbers():
    layers = [Dense(5, 4, rng=3, dtype=dtype).parameters["weights"] for dtype in (np.float32, np.float64)]
    np.testing.assert_array_equal(layers[0], layers[1].astype(np.float32))


@pytest.mark.parametrize(
    ("follower", "variance"), [(ReLU(), 2 / 300), (Tanh(), 2 / 700), (Sigmoid(), 2 / 700), (GELU(), 2 / 300)]
)
def test_the_activation_that_follows_decides_the_scale(follower, variance):
    network = Network([Dense(300, 400), follower])
    assert network[0].parameters["weights"].var() == pytest.approx(variance, rel=0.03)


def test_what_stands_between_a_layer_and_its_activation_does_not_hide_it():
    network = Network(
        [Convolutional((8, 9, 9), 3, 64), MaxPooling(2), ReLU(), Flatten(), Dense(output_size=2)]
    )
    assert network[0].parameters["kernels"].var() == pytest.approx(2 / 72, rel=0.1)


def test_a_seed_decides_the_parameters():
    same = [Dense(3, 2, rng=5).parameters["weights"] for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert (same[0] != Dense(3, 2, rng=6).parameters["weights"]).any()


# Shapes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "shape", "wanted"),
    [
        (Convolutional(kernel_size=3, depth=5), (1, 28, 28), (5, 26, 26)),
        (Convolutional(kernel_size=(3, 2), depth=5, stride=(2, 3), padding=(1, 0)), (1, 6, 8), (5, 3, 3)),
        (Convolutional(kernel_size=4, depth=5, stride=3, padding="same"), (1, 7, 9), (5, 3, 3)),
        (Convolutional(kernel_size=1, depth=5, stride=2, padding="same"), (1, 7, 8), (5, 4, 4)),
        (MaxPooling(), (3, 7, 8), (3, 3, 4)),
        (MaxPooling(3, stride=2), (3, 7, 8), (3, 3, 3)),
        (AveragePooling((7, 8)), (3, 7, 8), (3, 1, 1)),
        (Convolutional(kernel_size=3, depth=4, dilation=2, groups=2), (2, 7, 9), (4, 3, 5)),
        (Convolutional(kernel_size=3, depth=4, dilation=(2, 3), padding="same"), (2, 7, 9), (4, 7, 9)),
        (DepthwiseConvolutional(kernel_size=3, depth_multiplier=2, stride=2), (3, 7, 8), (6, 3, 3)),
        (TransposedConvolutional(kernel_size=4, depth=2, stride=2, padding=1), (3, 7, 8), (2, 14, 16)),
        (TransposedConvolutional(kernel_size=(3, 2), depth=2, dilation=(1, 3)), (3, 7, 8), (2, 9, 11)),
        (
            TransposedConvolutional(kernel_size=(3, 1), depth=2, stride=2, padding="same"),
            (3, 7, 8),
            (2, 14, 16),
        ),
        (
            TransposedConvolutional(
                kernel_size=3, depth=2, stride=2, padding=((1, 0), (0, 2)), output_padding=1
            ),
            (3, 7, 8),
            (2, 15, 16),
        ),
        (SeparableConvolutional(kernel_size=3, depth=5, stride=2), (3, 7, 8), (5, 3, 3)),
        (GlobalAveragePooling(), (3, 7, 8), (3,)),
        (GlobalMaxPooling(), (3, 7, 8), (3,)),
        (AdaptiveAveragePooling((2, 9)), (3, 7, 8), (3, 2, 9)),
        (AdaptiveMaxPooling(3), (3, 7, 8), (3, 3, 3)),
        (ZeroPadding((1, 2)), (3, 7, 8), (3, 9, 12)),
        (ZeroPadding(((1, 0), (0, 2))), (3, 7, 8), (3, 8, 10)),
        (ZeroPadding(0, channels=(0, 3)), (3, 7, 8), (6, 7, 8)),
        (ReflectionPadding((1, 2)), (3, 7, 8), (3, 9, 12)),
        (ReplicationPadding(((1, 0), (0, 20))), (3, 7, 8), (3, 8, 28)),
        (Cropping(((1, 0), (0, 2))), (3, 7, 8), (3, 6, 6)),
        (ChannelShuffle(2), (4, 7, 8), (4, 7, 8)),
        (UpSampling((2, 3)), (3, 7, 8), (3, 14, 24)),
        (DepthToSpace(2), (8, 7, 5), (2, 14, 10)),
        (Convolutional1D(kernel_size=3, depth=5, stride=2, padding=1), (2, 9), (5, 5)),
        (Convolutional1D(kernel_size=4, depth=5, stride=3, padding="same"), (2, 8), (5, 3)),
        (DepthwiseConvolutional1D(kernel_size=3, depth_multiplier=2, dilation=3), (3, 9), (6, 3)),
        (MaxPooling1D(3, stride=2), (3, 8), (3, 3)),
        (AveragePooling1D(), (3, 7), (3, 3)),
        (GlobalAveragePooling1D(), (3, 7), (3,)),
        (GlobalMaxPooling1D(), (3, 1), (3,)),
        (ZeroPadding1D((1, 2)), (3, 7), (3, 10)),
        (BatchNormalization(), (3, 7, 8), (3, 7, 8)),
        (GroupNormalization(3), (3, 7, 8), (3, 7, 8)),
        (LayerNormalization("sample"), (3, 7, 8), (3, 7, 8)),
        (SpatialDropout(), (3, 7, 8), (3, 7, 8)),
        (StochasticDepth(), (3, 7), (3, 7)),
        (GaussianNoise(1), (3, 7), (3, 7)),
        (LogSoftmax(), (3,), (3,)),
        (Residual([Dense(output_size=5)], [Dense(output_size=5)]), (3,), (5,)),
        (Dense(output_size=4), (9,), (4,)),
        (Flatten(), (3, 7, 8), (168,)),
        (Reshape((3, 8), (2, 3, 4)), (3, 8), (2, 3, 4)),
        (Reshape((3, 8), (24, 1)), (3, 8), (24,)),
    ],
)
def test_inferred_shapes_are_those_of_the_outputs(layer, shape, wanted):
    assert layer.bind(shape) == wanted == layer.output_shape
    layer.draw(np.random.default_rng(0), np.float32, "he")
    assert layer.forward(np.zeros((*shape, 2))).shape == (*wanted, 2)


def test_multiply_adds_count_the_products_of_one_sample():
    assert Convolutional((2, 6, 5), (3, 2), 7).multiply_adds() == 7 * 4 * 4 * 2 * 3 * 2
    assert Dense(9, 4).multiply_adds() == 36
    assert Convolutional(kernel_size=3, depth=2).multiply_adds() == 0
    assert Convolutional((4, 6, 5), 3, 6, groups=2, dilation=2).multiply_adds() == 6 * 2 * 1 * 2 * 9
    assert DepthwiseConvolutional((4, 6, 5), 3, depth_multiplier=2).multiply_adds() == 8 * 4 * 3 * 9
    separable = SeparableConvolutional((4, 6, 5), 3, 7, depth_multiplier=2)
    assert separable.multiply_adds() == 8 * 4 * 3 * 9 + 7 * 4 * 3 * 8
    transposed = TransposedConvolutional((4, 6, 5), (3, 2), 6, groups=2, stride=2)
    assert transposed.multiply_adds() == 4 * 6 * 5 * 3 * 3 * 2
    assert TransposedConvolutional(kernel_size=3, depth=2).multiply_adds() == 0
    assert Convolutional1D((4, 9), 3, 6, groups=2, stride=2).multiply_adds() == 6 * 4 * 2 * 3
    normalization = BatchNormalization()
    assert normalization.multiply_adds() == 0
    normalization.bind((4, 6, 5))
    assert normalization.multiply_adds() == 120
    for layer in (GroupNormalization(2), LayerNormalization()):
        assert layer.multiply_adds() == 0
        layer.bind((4, 6, 5))
        assert layer.multiply_adds() == 120
    assert Residual([Dense(9, 4)], [Dense(9, 4)]).multiply_adds() == 72
    assert ReLU().multiply_adds() == 0
    upsampling = UpSampling((2, 3), "bilinear")
    assert upsampling.multiply_adds() == 0
    upsampling.bind((4, 6, 5))
    assert upsampling.multiply_adds() == 4 * 12 * 5 * 2 + 4 * 12 * 15 * 2
    assert DepthToSpace().multiply_adds() == 0


def test_a_refused_shape_leaves_the_layer_as_it_was():
    layer = Convolutional(kernel_size=3, depth=2, stride=2, padding="same")
    given(layer, (1, 5, 5))
    x = np.random.default_rng(0).standard_normal((1, 5, 5, 2))
    before = layer.forward(x)
    with pytest.raises(ShapeError, match=r"kernels of shape \(2, 1, 3, 3\) .* wants \(2, 3, 3, 3\)"):
        layer.bind((3, 6, 6))
    assert (layer.input_shape, layer.output_shape, layer.border) == ((1, 5, 5), (2, 3, 3), ((1, 1), (1, 1)))
    np.testing.assert_array_equal(layer.forward(x), before)


# Refusals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Dense(input_size=3), TypeError, "Dense needs output_size, .* got none"),
        (lambda: Dense(3, 0), ValueError, "output_size must be an integer of at least 1, got 0"),
        (lambda: Dense(3, 2.0), TypeError, "output_size must be an integer of at least 1, got 2.0"),
        (lambda: Dense(True, 2), TypeError, "input_size must be an integer of at least 1, got True"),
        (
            lambda: Dense(3, 2, initialization="xavier"),
            ValueError,
            "auto, he, .*, normal, got 'xavier': it is called glorot here",
        ),
        (lambda: Dense(3, 2, initialization="kaiming_uniform_"), ValueError, "it is called he_uniform here"),
        (lambda: Dense(3, 2, initialization="he_normal"), ValueError, "it is called he here"),
        (lambda: Dense(3, 2, initialization="LecunNormal"), ValueError, "it is called lecun here"),
        (lambda: Dense(3, 2, initialization="orthogonal_"), ValueError, "it is called orthogonal here"),
        (
            lambda: BatchNormalization(initial_gamma="0"),
            ValueError,
            "initial_gamma must be a finite",
        ),
        (
            lambda: LayerNormalization(affine=False, initial_gamma=0),
            ValueError,
            "initial_gamma is where gamma begins, with affine=False there is none, got 0",
        ),
        (lambda: Dense(output_size=2, rng=0), ValueError, "if its input shape is given too"),
        (lambda: Dense(3, 2, rng=-1), ValueError, "seed must be from 0 .* got -1"),
        (lambda: Dense(3, 2, rng="x"), TypeError, "seed must be an integer or None, got 'x' of type str"),
        (lambda: Dense(3, 2, rng=0, dtype=int), TypeError, "dtype must be float32 or float64, got int64"),
        (
            lambda: Dense(3, 2, rng=0).forward(np.ones((4, 1))),
            ShapeError,
            r"shape \(3, N\).*; got \(4, 1\)",
        ),
        (lambda: Dense(3, 2, rng=0).forward(7), ShapeError, r"shape \(3, N\).*; got \(\)"),
        (lambda: Dense(3, 2).forward(np.ones((3, 1))), ValueError, "has no weights yet: give it rng"),
        (lambda: Dense(output_size=2).forward(np.ones((3, 1))), ValueError, "has no weights yet"),
        (lambda: Dense(3, 2).bind((4,)), ShapeError, "wants 3 inputs, got 4"),
        (
            lambda: Network([Branches([], [Dense(output_size=10**30)])], input_shape=3),
            ShapeError,
            r"would have outputs of shape \(10{30},\) for an input of \(3,\), wanted at most 1e\+18 numbers",
        ),
        (
            lambda: Convolutional(kernel_size=3, depth=10**18, padding=1).bind((1, 1, 1)),
            ShapeError,
            r"would have kernels of shape \(10{18}, 1, 3, 3\) for an input of \(1, 1, 1\), wanted at most",
        ),
        (lambda: ZeroPadding(10**10).bind((1, 1, 1)), ShapeError, "would have outputs of shape"),
        (
            lambda: Dense(3, 2).bind((1, 2, 3)),
            ShapeError,
            r"of shape \(1, 2, 3\): put Flatten\(\)",
        ),
        (lambda: Convolutional((1, 5, 5), 3), TypeError, "needs kernel_size and depth; got .*depth=None"),
        (lambda: Convolutional((1, 5, 5), 6, 2), ShapeError, r"window of \(6, 6\), larger than .* \(5, 5\)"),
        (
            lambda: Convolutional((5, 5), 3, 2),
            ShapeError,
            r"height, width\), got samples of \(5, 5\)",
        ),
        (lambda: Convolutional((1, 5, 0), 3, 2), ShapeError, r"made of positive integers, got \(1, 5, 0\)"),
        (lambda: Convolutional((1, 5, 5.0), 3, 2), ShapeError, r"positive integers, got \(1, 5, 5.0\)"),
        (lambda: Convolutional(2.5, 3, 2), ShapeError, "positive integers, got 2.5"),
        (lambda: Convolutional((), 3, 2), ShapeError, r"positive integers, got \(\)"),
        (lambda: Convolutional("155", 3, 2), ShapeError, "positive integers, got '155'"),
        (lambda: Convolutional((1, 5, 5), 3, 2).bind((1, 6, 6)), ShapeError, r"\(1, 5, 5\), got \(1, 6, 6\)"),
        (lambda: Convolutional(None, (3, 3, 3), 2), TypeError, r"kernel_size must be .* got \(3, 3, 3\)"),
        (
            lambda: Convolutional(None, True, 2),
            TypeError,
            "kernel_size must be an integer .* got True",
        ),
        (
            lambda: Convolutional(None, "33", 2),
            TypeError,
            "kernel_size must be an integer .* got '33'",
        ),
        (lambda: Convolutional(None, 0, 2), ValueError, "kernel_size must be at least 1, got 0"),
        (lambda: Convolutional(None, 3, 2.0), TypeError, "depth must be an integer of at least 1, got 2.0"),
        (lambda: Convolutional(None, 3, 2, stride=0), ValueError, "stride must be at least 1, got 0"),
        (lambda: Convolutional(None, 3, 2, padding=-1), ValueError, "padding must be at least 0, got -1"),
        (lambda: Convolutional(None, 3, 2, padding=0.5), TypeError, "padding must be an integer .* got 0.5"),
        (lambda: Convolutional(None, 3, 2, padding="valid"), ValueError, "or \"same\", got 'valid'"),
        (lambda: MaxPooling(0), ValueError, "pool_size must be at least 1, got 0"),
        (lambda: MaxPooling(2, stride=(1, 0)), ValueError, r"stride must be at least 1, got \(1, 0\)"),
        (lambda: MaxPooling(4).bind((1, 3, 9)), ShapeError, r"window larger than the image, \(3, 9\)"),
        (lambda: AveragePooling(2).bind((9,)), ShapeError, r"got samples of \(9,\)"),
        (lambda: Dropout(1), ValueError, "rate must be a number at least 0 and below 1, got 1"),
        (lambda: Dropout(float("nan")), ValueError, "rate must be a number at least 0 and below 1, got nan"),
        (lambda: StochasticDepth(1), ValueError, "rate must be a number at least 0 and below 1, got 1"),
        (lambda: GaussianNoise(-1), ValueError, "stddev must be a number .*at least 0.*, got -1"),
        (lambda: GaussianNoise("1"), TypeError, "stddev must be a finite number .* got '1'"),
        (
            lambda: run_untold(GaussianNoise(1)),
            ValueError,
            r"GaussianNoise\(.* in training needs a gen",
        ),
        (lambda: Dropout("half"), TypeError, "rate must be a finite number .* got 'half'"),
        (lambda: Dropout(False), TypeError, "rate must be a finite number .* got False"),
        (lambda: run_untold(), ValueError, r"Dropout\(rate=0.5\) in training needs a generator"),
        (lambda: LeakyReLU(1), ValueError, "slope must be a number at least 0 and below 1, got 1"),
        (lambda: PReLU(per_channel=1), TypeError, "per_channel must be True or False, got 1"),
        (lambda: BatchNormalization(affine=None), TypeError, "affine must be True or False, got None"),
        (lambda: LayerNormalization(affine=[1, 2]), TypeError, r"affine must be True or False, got \[1, 2\]"),
        (
            lambda: Convolutional(kernel_size=3, depth=2, per_position_bias=1),
            TypeError,
            "per_position_bias must be True or False, got 1",
        ),
        (lambda: PReLU(initial=np.nan), ValueError, "initial must be a finite number, got nan"),
        (lambda: ELU(0), ValueError, "alpha must be a number above 0, got 0"),
        (lambda: GELU("fast"), ValueError, "approximate must be one of none, tanh, got 'fast'"),
        (lambda: Reshape((2, 3), (7,)), ShapeError, r"\(2, 3\) has 6, \(7,\) has 7"),
        (lambda: Reshape((2, 3), (6,)).bind((3, 2)), ShapeError, r"of shape \(2, 3\), got \(3, 2\)"),
        (lambda: Reshape((2, 3), (6,)).forward(np.ones((6, 1))), ShapeError, r"\(2, 3\), got \(6,\)"),
        (lambda: positive("epochs", np.float64(3)), TypeError, "epochs must be an integer of at least 1"),
        (lambda: within("rate", np.inf, 0), ValueError, "rate must be a number at least 0, got inf"),
        (lambda: pair("stride", np.array([1, 2])), TypeError, "stride must be an integer or a pair"),
        (lambda: as_seed(1.5), TypeError, "seed must be an integer or None, got 1.5 of type float"),
        (lambda: as_seed(2**64), ValueError, r"seed must be from 0 to 2\*\*64 - 1, got 18446744073709551616"),
        (lambda: as_dtype(np.float16), TypeError, "dtype must be float32 or float64, got float16"),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def run_untold(layer=None):
    layer = layer or Dropout()
    layer.training = True
    layer.forward(np.ones((2, 1)))


def test_numpy_integers_are_integers():
    assert Dense(np.int64(3), np.uint8(2)).parameter_shapes()["weights"] == (2, 3)
    assert pair("stride", np.int32(2)) == (2, 2)
    assert sample_shape([np.int64(4), 1]) == (4,)
    assert sample_shape(np.int64(4)) == (4,)
