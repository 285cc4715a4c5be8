"""Training: the same bits at any number of threads, the original's numbers, nothing lost on failure."""

import itertools
import warnings

import numpy as np
import pytest

from helpers.samples import digits
from purecnn import (
    SGD,
    Adam,
    Callback,
    Convolutional,
    Dense,
    Dropout,
    Flatten,
    MaxPooling,
    Network,
    ReLU,
    ShapeError,
    Sigmoid,
    Softmax,
    predict,
    train,
)
from purecnn.errors import DivergedError
from purecnn.losses import binary_cross_entropy, binary_cross_entropy_prime, mse, mse_prime
from purecnn.training import host
from purecnn.training.host import LONG


def convolutional(seed=0, dropout=0.25, dtype=np.float32):
    """Return a small network with everything that draws, pools and rounds."""
    return Network(
        [
            Convolutional(kernel_size=3, depth=4),
            ReLU(),
            MaxPooling(2),
            Dropout(dropout),
            Flatten(),
            Dense(output_size=16),
            ReLU(),
            Dropout(0.5),
            Dense(output_size=4),
            Softmax(),
        ],
        seed=seed,
        dtype=dtype,
    )


@pytest.mark.parametrize("batch_size", [16, 32, 100, 256])
@pytest.mark.parametrize("optimizer", [SGD(0.05, 0.9), Adam()], ids=["momentum", "adam"])
def test_same_bits_at_any_number_of_threads(batch_size, optimizer):
    x, y = digits(300)  # the last batch is short for every batch size here
    found = []
    for threads in (1, 2, 4):
        network = convolutional()
        fresh = type(optimizer)(**optimizer.configuration())
        history = network.fit(x, y, epochs=2, batch_size=batch_size, optimizer=fresh, threads=threads)
        found.append((network.parameters.tobytes(), history.loss))
    assert found[0] == found[1] == found[2]


def test_same_bits_with_parameters_long_enough_to_be_updated_by_all_threads():
    x, y = digits(128, size=28)
    found = []
    for threads in (1, 2, 4):
        network = Network([Flatten(), Dense(output_size=200), ReLU(), Dense(output_size=4), Softmax()])
        network.fit(x, y, batch_size=128, threads=threads)
        assert network.parameters.size > LONG
        found.append(network.parameters.tobytes())
    assert found[0] == found[1] == found[2]


def test_the_seed_decides_everything():
    x, y = digits(200)
    runs = []
    for seed in (0, 0, 1):
        network = convolutional(seed)
        network.fit(x, y, epochs=2, batch_size=64)
        runs.append(network.parameters.copy())
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_dropout_masks_differ_from_step_to_step_and_from_shard_to_shard():
    seen = []

    class Spy(Dropout):
        def forward(self, input):
            output = super().forward(input)
            if self.training:
                seen.append(self.mask.tobytes())
            return output

    x, y = digits(64)
    Network([Flatten(), Spy(0.5), Dense(output_size=4), Softmax()]).fit(x, y, epochs=2, batch_size=32)
    assert len(seen) == 8  # two epochs of two batches of two shards
    assert len(set(seen)) == 8


def test_the_second_fit_goes_on_where_the_first_ended():
    x, y = digits(200)
    once, twice = convolutional(), convolutional()
    once.fit(x, y, epochs=2)
    twice.fit(x, y)
    twice.fit(x, y)
    assert once.epochs == twice.epochs == 2
    assert np.array_equal(once.parameters, twice.parameters)


def test_sharded_gradients_equal_those_of_one_whole_batch():
    x, y = digits(96)
    sharded, whole = (convolutional(dropout=0, dtype=np.float64) for _ in range(2))
    for layer in (*sharded, *whole):
        if isinstance(layer, Dropout):
            layer.rate = 0.0
    sharded.fit(x, y, batch_size=96, shuffle=False, optimizer=SGD(0.1))
    manual(whole, x, y, 0.1)
    np.testing.assert_allclose(sharded.parameters, whole.parameters, rtol=1e-10, atol=1e-13)


def manual(network, x, y, rate):
    """Take one step of plain gradient descent on all samples with the layers' own passes alone."""
    network.bind((1, *x.shape[1:]))
    values = np.moveaxis(x[:, None].astype(np.float64) / 255, 0, -1)
    for layer in network:
        values = layer.forward(values)
    gradient = -np.eye(values.shape[0])[:, y] / values / len(x)
    for layer in reversed(network.layers):
        gradient = layer.backward(gradient)
    for layer in network:
        for name, parameter in layer.parameters.items():
            parameter -= rate * layer.gradients[name]


class Original:
    """The original program's algorithm in plain NumPy loops: one sample, one layer after another, float64."""

    def __init__(self, layers):
        self.parameters = [
            {name: p.astype(np.float64).copy() for name, p in layer.parameters.items()} for layer in layers
        ]

    def step(self, x, y, rate):
        """Take one step on a sample (1, H, W) with target (2, 1); return its loss before."""
        convolution, _, _, first, _, second, _ = self.parameters
        kernels, biases = convolution["kernels"], convolution["biases"]
        maps, size = kernels.shape[0], kernels.shape[2]
        rows = x.shape[1] - size + 1
        z = biases.copy()
        for m, i, j in itertools.product(range(maps), range(rows), range(rows)):
            z[m, i, j] += np.sum(kernels[m] * x[:, i : i + size, j : j + size])
        a = 1 / (1 + np.exp(-z))
        flat = a.reshape(-1, 1)
        h = 1 / (1 + np.exp(-(first["weights"] @ flat + first["biases"])))
        self.output = p = 1 / (1 + np.exp(-(second["weights"] @ h + second["biases"])))
        loss = np.mean(-y * np.log(p) - (1 - y) * np.log(1 - p))
        g = ((1 - y) / (1 - p) - y / p) / y.size * p * (1 - p)
        gh = (second["weights"].T @ g) * h * (1 - h)
        gz = ((first["weights"].T @ gh) * flat * (1 - flat)).reshape(a.shape)
        second["weights"] -= rate * g @ h.T
        second["biases"] -= rate * g
        first["weights"] -= rate * gh @ flat.T
        first["biases"] -= rate * gh
        for m, i, j in itertools.product(range(maps), range(size), range(size)):
            kernels[m, 0, i, j] -= rate * np.sum(gz[m] * x[0, i : i + rows, j : j + rows])
        biases -= rate * gz
        return loss

    def outputs(self, x):
        """Return the outputs (2, 1) for a sample: those of a step that changes nothing."""
        self.step(x, np.zeros((2, 1)), 0.0)
        return self.output


@pytest.mark.parametrize(
    ("initialization", "epochs", "samples", "seed", "tolerance"),
    [("normal", 1, 50, 1, 1e-9), *(("auto", 3, 50, seed, 1e-12) for seed in range(1, 6))],
)
def test_train_gives_the_original_programs_numbers(initialization, epochs, samples, seed, tolerance):
    rng = np.random.default_rng(seed - 1)
    x = rng.random((samples, 1, 8, 8))
    y = np.eye(2)[rng.integers(0, 2, samples)][:, :, None]
    layers = [
        Convolutional(
            (1, 8, 8), 3, 2, per_position_bias=True, initialization=initialization, rng=seed, dtype=np.float64
        ),
        Sigmoid(),
        Flatten(),
        Dense(2 * 6 * 6, 10, initialization=initialization, rng=seed + 1, dtype=np.float64),
        Sigmoid(),
        Dense(10, 2, initialization=initialization, rng=seed + 2, dtype=np.float64),
        Sigmoid(),
    ]
    original = Original(layers)
    losses = [np.mean([original.step(a, b, 0.1) for a, b in zip(x, y, strict=True)]) for _ in range(epochs)]
    found = train(layers, binary_cross_entropy, binary_cross_entropy_prime, x, y, epochs, 0.1, verbose=False)
    np.testing.assert_allclose(found, losses, rtol=tolerance)
    for layer, wanted in zip(layers, original.parameters, strict=True):
        for name, parameter in layer.parameters.items():
            np.testing.assert_allclose(parameter, wanted[name], rtol=tolerance, atol=tolerance)
    for sample in x[:5]:
        np.testing.assert_allclose(predict(layers, sample), original.outputs(sample), rtol=10 * tolerance)


def test_train_prints_as_the_original_does(capsys):
    train([Dense(2, 1)], mse, mse_prime, [[0, 1], [1, 0]], [[0], [1]], epochs=2, learning_rate=0.1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1/2, error=")
    assert lines[1].startswith("2/2, error=")


def test_a_loss_that_turns_nan_stops_and_keeps_the_parameters_before_that_step():
    x, y = np.array([[1e3]]), np.array([[1.0]])
    network = Network([Dense(1, 1, rng=0), Dense(1, 1, rng=1)])
    # warnings are errors in the tests: NumPy says nothing beside it
    with pytest.raises(DivergedError, match=r"became (inf|nan) at step \d+.*smaller .*1e\+08"):
        network.fit(x, y, epochs=50, loss="mse", optimizer=SGD(1e8))
    assert np.isfinite(network.parameters).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_fit_that_diverges_raises_and_warns_of_nothing_else_at_any_number_of_threads(threads):
    x = np.full((256, 4), 100.0)
    network = Network([Dense(4, 8), Dense(8, 1)])
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        with pytest.raises(DivergedError):
            network.fit(x, x[:, :1], epochs=50, loss="mse", optimizer=SGD(10.0), threads=threads)
    assert [str(warning.message) for warning in found] == []


def test_a_fit_that_overflows_heeds_who_asked_numpy_to_raise():
    network = Network([Dense(1, 1, rng=0), Dense(1, 1, rng=1)])
    with np.errstate(over="raise", invalid="raise"), pytest.raises(FloatingPointError):
        network.fit([[1e3]], [[1.0]], epochs=50, loss="mse", optimizer=SGD(1e8))


def test_an_interrupted_fit_keeps_what_was_trained():
    class Interrupt(Callback):
        def step(self, epoch, step, loss):
            if step == 2:
                raise KeyboardInterrupt

    x, y = digits(128)
    network, other = convolutional(), convolutional()
    with pytest.raises(KeyboardInterrupt):
        network.fit(x, y, batch_size=32, shuffle=False, callbacks=[Interrupt()])
    other.fit(x[:64], y[:64], batch_size=32, shuffle=False)
    assert np.array_equal(network.parameters, other.parameters)


def test_training_leaves_the_callers_arrays_alone():
    x, y = digits(64)
    kept = x.copy(), y.copy()
    convolutional().fit(x, y)
    assert np.array_equal(x, kept[0])
    assert np.array_equal(y, kept[1])


def test_borders_and_strides_survive_batches_of_changing_size():
    def build():
        return Network(
            [
                Convolutional(kernel_size=3, depth=3, padding="same"),
                ReLU(),
                Convolutional(kernel_size=3, depth=4, stride=2, padding=1),
                ReLU(),
                Convolutional(kernel_size=2, depth=4, padding=1),
                ReLU(),
                MaxPooling(3),
                Flatten(),
                Dense(output_size=4),
                Softmax(),
            ],
            dtype=np.float64,
        )

    x, y = digits(24)
    engine, readable = build(), build()
    engine.fit(x, y, epochs=2, batch_size=10, shuffle=False, optimizer=SGD(0.1), threads=1)
    for _ in range(2):
        for start in range(0, 24, 10):  # 10, 10, then 4 samples
            manual(readable, x[start : start + 10], y[start : start + 10], 0.1)
    np.testing.assert_allclose(engine.parameters, readable.parameters, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("loss", "prime", "kind", "words"),
    [
        (lambda y, p: None, lambda y, p: p, TypeError, "loss must return a number, got NoneType None"),
        (lambda y, p: p, lambda y, p: p, TypeError, "loss must return a number, got ndarray"),
        (lambda y, p: 0.0, lambda y, p: p[:1], ShapeError, r"like the prediction, \(2, 3\), got \(1, 3\)"),
        (lambda y, p: 0.0, lambda y, p: None, ShapeError, r"\(2, 3\), got \(\)"),
        (lambda y, p: 0.0, lambda y, p: p * np.nan, DivergedError, "loss_prime returned a NaN .* at step 1"),
    ],
)
def test_a_loss_of_ones_own_that_returns_nonsense_is_one_sentence(loss, prime, kind, words):
    network = Network([Dense(2, 2)])
    before = network.predict(np.ones((3, 2)))
    with pytest.raises(kind, match=words):
        network.fit(np.ones((3, 2)), np.ones((3, 2)), loss=loss, loss_prime=prime)
    assert np.array_equal(network.predict(np.ones((3, 2))), before)


def test_where_no_process_is_to_be_had_threads_give_the_same_bits(monkeypatch):
    def refuse(*_):
        raise BlockingIOError("no process")

    x, y = digits(64)
    found = []
    for crew in (host.ProcessPool, refuse):
        monkeypatch.setattr(host, "ProcessPool", crew)
        network = convolutional()
        network.fit(x, y, batch_size=64, threads=2)
        found.append(network.parameters.tobytes())
    assert found[0] == found[1]
