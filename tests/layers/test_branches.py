"""Branches: merges by hand and by finite differences, the engine beside the layers' own passes."""

import numpy as np
import pytest

from helpers.own_passes import hold_to_copies_and_files, hold_to_own_passes, hold_to_the_same_bits
from purecnn import (
    Adam,
    AveragePooling,
    BatchNormalization,
    Branches,
    Convolutional,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling,
    LeakyReLU,
    MaxPooling,
    Network,
    ReLU,
    Residual,
    ShapeError,
    Sigmoid,
    Softmax,
    Tanh,
    UpSampling,
    check_gradients,
    summary,
)

MERGES = ("add", "concatenate", "multiply", "maximum", "mean")


def conv(depth, kernel_size=3, **options):
    return Convolutional(kernel_size=kernel_size, depth=depth, **options)


# By hand --------------------------------------------------------------------------------------------------

ENDS = [
    np.array([[1.0, 5.0], [2.0, -1.0]]),
    np.array([[3.0, 5.0], [-2.0, 0.0]]),
    np.array([[2.0, 4.0], [2.0, 1.0]]),
]
G = np.array([[1.0, 10.0], [100.0, 1000.0]])


class Fixed(Tanh):
    """Give an array, whatever comes, and keep what comes back."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def forward(self, input):
        self.receive(input)
        return self.values.copy()

    def backward(self, output_gradient):
        self.returned = np.array(output_gradient)
        return output_gradient


@pytest.mark.parametrize(
    ("merge", "output", "shares"),
    [
        ("add", [[6, 14], [2, 0]], [G, G, G]),
        ("mean", [[2, 14 / 3], [2 / 3, 0]], [G / 3, G / 3, G / 3]),
        # a tie goes to the first: 5 and 5, 2 and 2
        ("maximum", [[3, 5], [2, 1]], [[[0, 10], [100, 0]], [[1, 0], [0, 0]], [[0, 0], [0, 1000]]]),
        (
            "multiply",
            [[6, 100], [-8, 0]],
            [[[6, 200], [-400, 0]], [[2, 200], [400, -1000]], [[3, 250], [-400, 0]]],
        ),
    ],
)
def test_a_merge_by_hand(merge, output, shares):
    paths = [Fixed(end) for end in ENDS]
    layer = Branches(*([path] for path in paths), merge=merge)
    np.testing.assert_allclose(layer.forward(np.zeros((2, 2))), output)
    layer.backward(G)
    for path, share in zip(paths, shares, strict=True):
        np.testing.assert_allclose(path.returned, share)


def test_concatenation_by_hand():
    path = Fixed(ENDS[0])
    layer = Branches([path], [])
    x = np.array([[7.0, 8.0], [9.0, 6.0]])
    np.testing.assert_array_equal(layer.forward(x), [*ENDS[0], *x])
    g = np.arange(8.0).reshape(4, 2)
    np.testing.assert_array_equal(layer.backward(g), g[:2] + g[2:])
    np.testing.assert_array_equal(path.returned, g[:2])


@pytest.mark.parametrize("image", [(4, 5), (1, 1)])
def test_a_vector_has_a_factor_for_each_channel(image):
    layer = Branches([], [GlobalAveragePooling()], merge="multiply")
    x = np.random.default_rng(0).standard_normal((3, *image, 2))
    means = x.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(layer.forward(x), x * means, rtol=1e-6)
    g = np.random.default_rng(1).standard_normal(x.shape)
    wanted = g * means + (g * x).sum(axis=(1, 2), keepdims=True) / np.prod(image)
    np.testing.assert_allclose(layer.backward(g), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("vector_first", [False, True])
def test_a_vector_stays_one_beside_an_image_of_one_pixel(vector_first):
    paths = [[], [GlobalAveragePooling()]]
    layer = Branches(*(paths[::-1] if vector_first else paths), merge="multiply")
    x = np.array([2.0, -3.0]).reshape(2, 1, 1, 1)
    np.testing.assert_array_equal(layer.forward(x), x * x)
    np.testing.assert_array_equal(layer.backward(np.ones_like(x)), 2 * x)


# What the engine makes of it ------------------------------------------------------------------------------

NESTED = {
    **{
        merge: lambda merge=merge: [
            conv(2),
            Branches([conv(3, padding=1), ReLU()], [conv(3, 1)], [conv(3, 1), Tanh()], merge=merge),
            Flatten(),
        ]
        for merge in MERGES
    },
    "an empty path first": lambda: [conv(2), ReLU(), Branches([], [conv(3, padding=1), ReLU()]), Flatten()],
    "an empty path last": lambda: [
        conv(2),
        ReLU(),
        Branches([conv(2, padding=1)], [], merge="add"),
        Flatten(),
    ],
    "several empty paths": lambda: [conv(2), Branches([], [], [Tanh()], merge="multiply"), Flatten()],
    "of one layer": lambda: [Branches([conv(2, 1)], [conv(1, 1)]), Flatten()],
    "dense": lambda: [Flatten(), Branches([Dense(output_size=4), ReLU()], [Dense(output_size=3)])],
    "squeeze and excitation": lambda: [
        conv(4),
        ReLU(),
        Branches(
            [],
            [GlobalAveragePooling(), Dense(output_size=2), ReLU(), Dense(output_size=4), Sigmoid()],
            merge="multiply",
        ),
        Flatten(),
    ],
    "three added": lambda: [
        conv(2),
        Branches([conv(2, 1)], [conv(2, 1)], [conv(2, 1)], merge="add"),
        ReLU(),
        Branches([conv(2, 1)], [], [], merge="add"),
        Flatten(),
    ],
    "inception": lambda: [
        conv(3),
        Branches(
            [conv(2, 1), ReLU()],
            [conv(2, 1), ReLU(), conv(3, 3, padding=1), ReLU()],
            [AveragePooling(1), conv(1, 1)],
        ),
        MaxPooling(2),
        Flatten(),
    ],
    "normalized": lambda: [
        Branches([conv(2, padding=1), BatchNormalization(), ReLU()], [BatchNormalization()]),
        BatchNormalization(),
        Branches([conv(3, padding=1), BatchNormalization()], [conv(3, 1)], merge="maximum"),
        MaxPooling(2),
        Flatten(),
    ],
    "a dense block": lambda: [
        conv(2),
        *(Branches([], [BatchNormalization(), ReLU(), conv(depth, padding=1)]) for depth in (3, 1, 2)),
        Branches([], [Tanh()], []),
        BatchNormalization(),
        conv(2, 1),
        Flatten(),
    ],
    "a dense block before a rectifier": lambda: [
        conv(2),
        Branches([], [LeakyReLU(), conv(2, padding=1)]),
        Branches([], [Branches([], [Sigmoid()], merge="multiply")], [conv(1, 1)]),
        ReLU(),
        conv(2, 1),
        Flatten(),
    ],
    "in each other": lambda: [
        conv(2),
        Branches([Branches([ReLU()], [conv(1, 1)]), conv(2, 1)], [Residual([Tanh()])], merge="mean"),
        Flatten(),
    ],
    "u": lambda: [
        conv(2, padding=1),
        Branches(
            [],
            [
                MaxPooling(2),
                conv(3, padding=1),
                Branches([], [MaxPooling(2), conv(2, 1), UpSampling(2)]),
                UpSampling(2),
            ],
        ),
        conv(1, 1),
        Flatten(),
    ],
}


def build(name, dtype=np.float64):
    return Network([*NESTED[name](), Dense(output_size=3), Softmax()], dtype=dtype, seed=3)


@pytest.mark.parametrize("name", NESTED)
def test_the_engine_is_the_layers_own_passes(name):
    hold_to_own_passes(lambda: build(name))


@pytest.mark.parametrize("name", NESTED)
def test_derivatives_are_finite_differences(name):
    report = check_gradients(build(name), (1, 8, 8), loss="categorical_cross_entropy", batch=4)
    assert report.raise_if_wrong().worst.error < 1e-6


@pytest.mark.parametrize("name", ["concatenate", "squeeze and excitation", "normalized", "u"])
def test_same_bits_in_any_number_of_threads_and_processes(monkeypatch, name):
    hold_to_the_same_bits(monkeypatch, lambda: build(name, np.float32))


def test_copies_and_files_bring_every_path(tmp_path):
    for name in NESTED:
        hold_to_copies_and_files(lambda name=name: build(name, np.float32), tmp_path)


def test_what_draws_on_paths_has_a_stream_of_its_own():
    network = Network([Branches([Dropout(0.5)], [Dropout(0.5)]), Dense(output_size=3)], input_shape=6)
    places = [part.position for layer in network for part in (layer, *layer.parts())]
    assert len(set(places)) == len(places)


def test_the_summary_shows_the_paths():
    network = Network([Branches([Dense(4, 4), Tanh()], []), Dense(8, 2)])
    assert str(summary(network)).splitlines()[3:7] == [
        "Branches (concatenate)  8                      0              0",
        "+- Dense                4                     20             16",
        "|  Tanh                 4                      0              0",
        "+- (input)              4                      0              0",
    ]


def test_a_dense_net_and_a_u_net_train():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 1, 8, 8)).astype(np.float32)
    y = (x[:, 0, :4].mean(axis=(1, 2)) > x[:, 0, 4:].mean(axis=(1, 2))).astype(int)

    def grown(growth):
        return Branches([], [BatchNormalization(), ReLU(), conv(growth, padding=1)])

    dense_net = Network(
        [
            conv(4, padding=1),
            grown(4),
            grown(4),
            grown(4),
            GlobalAveragePooling(),
            Dense(output_size=2),
            Softmax(),
        ],
        seed=0,
    )
    u_net = Network(
        [
            *(conv(4, padding=1), ReLU()),
            Branches([], [MaxPooling(2), conv(8, padding=1), ReLU(), UpSampling(2)]),
            *(conv(4, padding=1), ReLU(), Flatten(), Dense(output_size=2), Softmax()),
        ],
        seed=0,
    )
    for network in (dense_net, u_net):
        history = network.fit(x, y, epochs=60, batch_size=32, optimizer=Adam(0.01))
        assert history.loss[-1] < 0.4 * history.loss[0]
    assert dense_net[3].output_shape == (16, 8, 8)


# Refusals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (
            Branches([conv(2)], []),
            (1, 6, 6),
            r"merge='concatenate' of Branches wants arrays of one height and width; path 0 ends in "
            r"\(2, 4, 4\), path 1 ends in \(1, 6, 6\)",
        ),
        (
            Branches([conv(2, 1)], [conv(3, 1)], merge="add"),
            (1, 6, 6),
            r"merge='add' of Branches wants arrays of one shape; path 0 ends in \(2, 6, 6\), "
            r"path 1 ends in \(3, 6, 6\)",
        ),
        (
            Branches([GlobalAveragePooling()], [conv(3, 1)], merge="multiply"),
            (1, 6, 6),
            "one shape, or images and vectors with a number for each channel; path 0 ends in",
        ),
        (Branches([Flatten()], []), (1, 6, 6), "of one height and width; path 0 ends in"),
        (
            Branches([], [Tanh(), Dense(5, 5)]),
            (4,),
            r"^path 1 layer 1 of Branches: Dense\(.* wants 5 inputs, got 4",
        ),
    ],
)
def test_paths_that_do_not_fit(layer, shape, words):
    with pytest.raises(ShapeError, match=words):
        layer.bind(shape)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Branches(), ValueError, "Branches must have at least two paths, got 0"),
        (lambda: Branches([Tanh()]), ValueError, "Branches must have at least two paths, got 1"),
        (
            lambda: Branches([], []),
            ValueError,
            "Branches must have at least one layer on its paths, got none",
        ),
        (
            lambda: Branches([Tanh()], Tanh()),
            TypeError,
            "path 1 of Branches must be a list of layers, got Tanh",
        ),
        (
            lambda: Branches([Tanh()], [3]),
            TypeError,
            r"path 1 of Branches must be a list of layers, got \[3\]",
        ),
        (lambda: Branches([Tanh()], [], merge="sum"), ValueError, "merge must be"),
    ],
)
def test_what_is_no_list_of_paths(make, error, words):
    with pytest.raises(error, match=words):
        make()
