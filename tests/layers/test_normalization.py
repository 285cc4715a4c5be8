"""Batch normalization: PyTorch's numbers, statistics of the whole batch, and the same bits on any workers."""

import copy
import os
import tracemalloc

import numpy as np
import pytest

from helpers import plain_loops as loops
from helpers.samples import digits
from helpers.torch_numbers import cases, close, part
from helpers.workers import COMPANIES, KINDS, use
from purecnn import (
    SGD,
    BatchNormalization,
    Callback,
    Convolutional,
    Dense,
    Dropout,
    Flatten,
    MaxPooling,
    Network,
    ReLU,
    ShapeError,
    Softmax,
    Tanh,
    load,
    save,
)
from purecnn.backend.processes import can_fork
from purecnn.backend.sharding import shard_count
from purecnn.errors import DivergedError, WorkerError
from purecnn.kernels import normalization, reference
from purecnn.losses import as_loss
from purecnn.training.host import HostTrainer
from purecnn.training.settings import FitSettings

SHAPES = [(2, 3, 4, 5), (3, 7), (1, 1, 1, 2), (4, 2, 3, 2, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_readable_kernels_are_the_loops(shape):
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, *shape))
    gamma, beta = rng.standard_normal((2, shape[0]))
    wanted, mean, variance = loops.batch_norm_forward(x, gamma, beta, 1e-3)
    for found, expected in zip(
        reference.batch_norm_forward(x, gamma, beta, 1e-3), (wanted, mean, variance), strict=True
    ):
        close(found, expected)
    into = np.full((2, shape[0]), np.nan)
    dx, dgamma, dbeta = loops.batch_norm_backward(g, x, gamma, 1e-3)
    close(reference.batch_norm_backward(g, x, gamma, *into, 1e-3), dx, 1e-9, 1e-11)
    close(into, np.stack([dgamma, dbeta]))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_layer_is_the_loops(shape, dtype):
    rng = np.random.default_rng(1)
    x, g = rng.standard_normal((2, *shape)).astype(dtype)
    gamma, beta = rng.standard_normal((2, shape[0]))
    layer = trained(shape[:-1], dtype, gamma, beta, epsilon=1e-3)
    tolerance = 1e-10 if dtype == np.float64 else 2e-5
    close(layer.forward(x), loops.batch_norm_forward(x, gamma, beta, 1e-3)[0], tolerance, tolerance)
    dx, dgamma, dbeta = loops.batch_norm_backward(g, x, gamma, 1e-3)
    close(layer.backward(g), dx, 20 * tolerance, 20 * tolerance)
    close(layer.gradients["gamma"], dgamma, tolerance, tolerance)
    close(layer.gradients["beta"], dbeta, tolerance, tolerance)


def trained(shape, dtype=np.float64, gamma=None, beta=None, **options):
    """Return a layer in training, bound to a shape."""
    layer = BatchNormalization(**options)
    layer.bind(tuple(shape))
    layer.draw(np.random.default_rng(0), dtype, "he")
    layer.begin()
    if gamma is not None:
        layer.parameters["gamma"][...], layer.parameters["beta"][...] = gamma, beta
    layer.training = True
    return layer


def test_loops_by_hand():
    # mean 2 and variance 1 of 1 and 3: xhat is -1 and 1
    y, mean, variance = loops.batch_norm_forward(
        np.array([[1.0, 3.0]]), np.array([5.0]), np.array([7.0]), 0.0
    )
    assert y.tolist() == [[2, 12]]
    assert (mean.tolist(), variance.tolist()) == ([2], [1])
    # Of two values whatever comes back is taken off as mean and as slope: nothing is left.
    dx, dgamma, dbeta = loops.batch_norm_backward(
        np.array([[4.0, -1.0]]), np.array([[1.0, 3.0]]), np.array([5.0]), 0.0
    )
    assert dx.tolist() == [[0, 0]]
    assert (dgamma.tolist(), dbeta.tolist()) == ([-5], [3])


@pytest.mark.parametrize("case", cases("normalization"))
def test_it_is_pytorchs_in_training_and_outside(case):
    data = part("normalization", case["name"])
    options = {name: case[name] for name in ("epsilon", "momentum", "affine")}
    layer = trained(data["input"].shape[1:-1], gamma=data.get("gamma"), beta=data.get("beta"), **options)
    names = ("gamma", "beta") if case["affine"] else ()
    for batch in range(2):
        close(layer.forward(data["input"][batch]), data["output"][batch], 1e-9, 1e-9)
        close(layer.backward(data["output_gradient"][batch]), data["dinput"][batch], 1e-9, 1e-9)
        for name in names:
            close(layer.gradients[name], data[f"d{name}"][batch], 1e-9, 1e-9)
        for name, buffer in layer.buffers.items():
            close(buffer, data[name][batch])
    layer.training, before = False, copy.deepcopy(layer.buffers)
    close(layer.forward(data["input"][1]), data["frozen_output"], 1e-9, 1e-9)
    close(layer.backward(data["output_gradient"][1]), data["frozen_dinput"], 1e-9, 1e-9)
    for name in names:
        close(layer.gradients[name], data[f"frozen_d{name}"], 1e-9, 1e-9)
    for name, buffer in layer.buffers.items():
        np.testing.assert_array_equal(buffer, before[name])
    layer.propagate = False
    assert layer.backward(data["output_gradient"][1]) is None


def test_a_mean_far_from_zero_costs_no_digits():
    x = (10_000 + np.random.default_rng(0).standard_normal((2, 5, 5, 16))).astype(np.float32)
    y = trained((2, 5, 5), np.float32).forward(x)
    exact = x.astype(np.float64)
    wanted = (exact - exact.mean((1, 2, 3), keepdims=True)) / exact.std((1, 2, 3), keepdims=True)
    assert abs(y - wanted).max() < 2e-3  # x itself has steps of 1e-3


@pytest.mark.parametrize("parts", [(5,), (1, 4), (2, 2, 1), (1, 1, 1, 1, 1)])
def test_moments_of_parts_are_those_of_the_whole(parts):
    values = np.add(np.random.default_rng(0).standard_normal((3, 5)), [[0.0], [5.0], [1e4]])
    cut = np.split(values, np.cumsum(parts)[:-1], axis=1)
    told = [normalization.moment_sums(p, np.empty_like(p)) for p in cut]
    mean, squares = normalization.add_moments(np.array(parts, float), *map(np.array, zip(*told, strict=True)))
    close(mean, values.mean(axis=1), 1e-13)
    close(squares / 5, values.var(axis=1), 1e-7)


# Across shards --------------------------------------------------------------------------------------------


def settings(batch_size, threads=1):
    """Return what a trainer is told."""
    loss = as_loss("categorical_cross_entropy")
    return FitSettings(loss=loss, optimizer=SGD(), batch_size=batch_size, threads=threads)


def small(dtype=np.float32, seed=0, dropout=0.0):
    """Return a network with statistics of images and of vectors, in and out of their input's place."""
    return Network(
        [
            BatchNormalization(),
            Convolutional(kernel_size=3, depth=4),
            BatchNormalization(),
            ReLU(),
            MaxPooling(2),
            Dropout(dropout),
            BatchNormalization(affine=False),
            Flatten(),
            Dense(output_size=6),
            BatchNormalization(momentum=0.5),
            Tanh(),
            Dense(output_size=4),
            Softmax(),
        ],
        seed=seed,
        dtype=dtype,
    )


def buffers(network):
    """Return the bytes of all running statistics."""
    return b"".join(buffer.tobytes() for layer in network for buffer in layer.buffers.values())


@pytest.mark.parametrize("optimizer", ["adam", SGD(0.05)], ids=["adam", "descent"])
@pytest.mark.parametrize(("batch_size", "samples"), [(20, 50), (32, 76), (100, 230), (256, 300)])
def test_same_bits_in_any_number_of_threads_and_processes(monkeypatch, batch_size, samples, optimizer):
    x, y = digits(samples, size=10)  # the last batch is short
    found = []
    for kind, threads in COMPANIES:
        use(monkeypatch, kind)
        network = small(dropout=0.2)
        fresh = optimizer if isinstance(optimizer, str) else SGD(0.05)
        history = network.fit(x, y, epochs=2, batch_size=batch_size, optimizer=fresh, threads=threads)
        found.append((network.parameters.tobytes(), buffers(network), history.loss))
    assert all(each == found[0] for each in found)


def whole(network, x, y, rate):
    """Take a step of gradient descent on all samples at once with the layers' own passes alone."""
    values = np.moveaxis(x[:, None].astype(np.float64) / 255, 0, -1)
    for layer in network:
        layer.training = True
        values = layer.forward(values)
    gradient = -np.eye(values.shape[0])[:, y] / values / len(x)
    for layer in reversed(network.layers):
        gradient = layer.backward(gradient)
    for layer in network:
        for name, parameter in layer.parameters.items():
            parameter -= rate * layer.gradients[name]


@pytest.mark.parametrize("samples", [8, 200, 300])
def test_shards_are_as_one_whole_batch(samples):
    x, y = digits(samples, size=10)
    sharded, alone = small(np.float64), small(np.float64)
    alone.bind((1, 10, 10))
    for _ in range(3):
        sharded.fit(x, y, batch_size=samples, shuffle=False, optimizer=SGD(0.1), threads=2)
        whole(alone, x, y, 0.1)
    assert shard_count(samples) == (1 if samples < 32 else 2 if samples < 256 else 4)
    np.testing.assert_allclose(sharded.parameters, alone.parameters, rtol=1e-8, atol=1e-11)
    for one, other in zip(sharded, alone, strict=True):
        for name, buffer in one.buffers.items():
            np.testing.assert_allclose(buffer, other.buffers[name], rtol=1e-10, atol=1e-13)


def test_single_images_are_trained_too():
    x, y = digits(5, size=10)
    layers = [Convolutional(kernel_size=3, depth=2), BatchNormalization(), Flatten()]
    sharded, alone = (
        Network([*copy.deepcopy(layers), Dense(output_size=4), Softmax()], dtype=np.float64) for _ in range(2)
    )
    alone.bind((1, 10, 10))
    sharded.fit(x, y, batch_size=1, shuffle=False, optimizer=SGD(0.1))
    for one in range(5):
        whole(alone, x[one : one + 1], y[one : one + 1], 0.1)
    np.testing.assert_allclose(sharded.parameters, alone.parameters, rtol=1e-8, atol=1e-11)


def test_a_copy_belongs_to_no_shard():
    layer = trained((3,))
    layer.forward(np.ones((3, 2)))
    layer.join(layer.place(2, np.zeros), 1)
    for twin in (copy.deepcopy(layer), layer.replica()):
        assert (twin.exchange, twin.shard, twin.is_alone) == (None, 0, True)


def test_statistics_are_of_the_batch_not_of_the_shard():
    # The first half of the batch is all 0, the second all 1: a shard alone would see no variance.
    x = np.repeat([0.0, 1.0], 32)[:, None]
    network = Network([BatchNormalization(momentum=1.0), Dense(output_size=2), Softmax()], dtype=np.float64)
    network.fit(x, np.repeat([0, 1], 32), batch_size=64, shuffle=False)
    assert shard_count(64) == 2
    assert network[0].buffers["running_mean"] == 0.5
    assert network[0].buffers["running_variance"] == pytest.approx(0.25 * 64 / 63)


def test_running_statistics_move_once_a_batch():
    x, y = digits(96, size=10)
    once, often = (
        Network([Flatten(), BatchNormalization(), Dense(output_size=4), Softmax()]) for _ in range(2)
    )
    once.fit(x, y, batch_size=96, optimizer=SGD(1e-9))
    often.fit(x, y, batch_size=32, optimizer=SGD(1e-9), shuffle=False)
    flat = x.reshape(96, -1) / 255
    close(once[1].buffers["running_mean"], 0.1 * flat.mean(axis=0), 1e-5)
    close(once[1].buffers["running_variance"], 0.9 + 0.1 * flat.var(axis=0, ddof=1), 1e-5)
    mean = np.zeros(100)
    for batch in np.split(flat, 3):
        mean = 0.9 * mean + 0.1 * batch.mean(axis=0)
    close(often[1].buffers["running_mean"], mean, 1e-5)


def test_predictions_use_the_running_statistics_whatever_the_chunk():
    x, y = digits(300, size=10)
    network = small()
    network.fit(x, y, epochs=2)
    answers = network.predict(x)
    np.testing.assert_allclose(network.predict(x[:7]), answers[:7], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(network.predict(x[:1])[0], answers[0], rtol=1e-4, atol=1e-6)
    before = network[0].buffers["running_mean"]
    before += 1  # what is put into a buffer is used
    assert abs(network.predict(x) - answers).max() > 1e-3


def test_fused_or_layer_by_layer_gives_the_same():
    x, y = digits(100, size=10)
    network = small(np.float64)
    network.fit(x, y)
    values = np.moveaxis(x[:, None] / 255, 0, -1)
    for layer in network:
        values = layer.forward(values)
    np.testing.assert_allclose(network.predict(x), values.T, rtol=1e-9)
    unfused = network.replica(network.layers, training=False)
    np.testing.assert_allclose(
        unfused.forward(unfused.take(x.reshape(100, -1), slice(None))), values, rtol=1e-9
    )


def test_copies_and_files_carry_the_statistics(tmp_path):
    x, y = digits(100, size=10)
    network = small()
    network.fit(x, y)
    save(network, tmp_path / "model.safetensors")
    for twin in (copy.deepcopy(network), load(tmp_path / "model.safetensors")):
        assert buffers(twin) == buffers(network)
        assert twin.predict(x).tobytes() == network.predict(x).tobytes()
        twin.fit(x, y, optimizer=SGD(0.1))
        assert buffers(twin) != buffers(network)
    goes_on = load(tmp_path / "model.safetensors")
    goes_on.fit(x, y, optimizer=SGD(0.1))
    network.fit(x, y, optimizer=SGD(0.1))
    assert goes_on.parameters.tobytes() == network.parameters.tobytes()
    assert buffers(goes_on) == buffers(network)


def test_a_lone_layer_starts_by_itself():
    layer = BatchNormalization()
    x = np.arange(6.0).reshape(2, 3)
    close(layer.forward(x), x / np.sqrt(1 + 1e-5))
    assert layer.parameters["gamma"].dtype == np.float64
    assert BatchNormalization().forward(x.astype(np.uint8)).dtype == np.float32
    with pytest.raises(ShapeError, match=r"wants an array of shape"):
        BatchNormalization().forward(np.float32(3))


# Faults ---------------------------------------------------------------------------------------------------


def test_a_batch_of_one_value_is_refused_before_anything_is_trained():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((33, 3)), rng.integers(0, 2, 33)
    network = Network([Dense(3, 4), BatchNormalization(), ReLU(), Dense(4, 2), Softmax()])
    words = r"BatchNormalization\(.*wants more than one value a channel .*got 1: choose a batch_size"
    for batch_size in (1, 16, 32):
        with pytest.raises(ValueError, match=words):
            network.fit(x, y, batch_size=batch_size)
    assert network.updates == 0
    network.fit(x, y, batch_size=11)
    network.predict(x[:1])  # outside training one sample will do
    trainer = HostTrainer(network, x.astype(np.float32), network.targets(y, 33), settings(11))
    with trainer, pytest.raises(ValueError, match=words):
        trainer.step([0])
    layer = trained((3,))
    with pytest.raises(ValueError, match=words):
        layer.forward(np.ones((3, 1)))
    trained((3, 1, 2)).forward(np.ones((3, 1, 2, 1)))  # two pixels are two values


def test_a_step_that_diverges_leaves_the_running_statistics_alone():
    x, y = digits(64, size=10)
    network = small()
    network.fit(x, y, batch_size=64, threads=2)
    before = buffers(network), network.parameters.tobytes()
    network[-2].parameters["weights"][0, 0] = np.nan
    with np.errstate(invalid="ignore"), pytest.raises(DivergedError):
        network.fit(x, y, batch_size=64, threads=2)
    network[-2].parameters["weights"][0, 0] = np.frombuffer(before[1], np.float32)[-28]
    assert (buffers(network), network.parameters.tobytes()) == before


class Fails(BatchNormalization):
    """Fails where it is told to, in one shard."""

    where, shard_of_failure, left = "survey", 1, 1

    def fail(self, where):
        if where == self.where and self.shard == self.shard_of_failure:
            raise MemoryError(f"no memory in {where}")

    def measure(self, input):
        self.fail("survey")
        super().measure(input)

    def measure_back(self, output_gradient):
        self.fail("survey_back")
        super().measure_back(output_gradient)

    def backward(self, output_gradient):
        self.fail("backward")
        return super().backward(output_gradient)


Fails.__module__ = "purecnn.layers.normalization.batch"  # so that it runs in processes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["survey", "survey_back", "backward"])
def test_a_shard_that_fails_between_meetings_says_so(monkeypatch, where, kind):
    use(monkeypatch, kind)
    monkeypatch.setattr(Fails, "where", where)
    x, y = digits(64, size=10)
    network = Network(
        [
            Convolutional(kernel_size=3, depth=2),
            BatchNormalization(),
            Fails(),
            Flatten(),
            Dense(output_size=4),
        ]
    )
    with pytest.raises(MemoryError, match=f"no memory in {where}"):
        network.fit(x, y, batch_size=64, threads=2, loss="softmax_cross_entropy")
    monkeypatch.setattr(Fails, "where", "nowhere")
    network.fit(x, y, batch_size=64, threads=2, loss="softmax_cross_entropy")


@pytest.mark.skipif(not can_fork(), reason="worker processes are forked on Linux alone")
def test_a_shard_that_fails_in_its_worker_alone_is_told_apart(monkeypatch):
    use(monkeypatch, "fork")
    parent = os.getpid()
    monkeypatch.setattr(
        Fails, "fail", lambda self, where: where == "survey_back" and os.getpid() != parent and 1 / 0
    )
    x, y = digits(64, size=10)
    network = Network([Convolutional(kernel_size=3, depth=2), Fails(), Flatten(), Dense(output_size=4)])
    with pytest.raises(WorkerError, match="failed where its caller does not: ZeroDivisionError"):
        network.fit(x, y, batch_size=64, threads=2, loss="softmax_cross_entropy")


def test_a_shard_is_done_again_from_its_first_layer_where_nothing_of_it_is_left():
    x, y = digits(64, size=10)
    network, batch = small(dropout=0.2), np.arange(64)
    rows, targets = network.as_rows(x), network.targets(y, 64)
    with HostTrainer(network, rows, targets, settings(64)) as trainer:
        trainer.parameter_update.begin_batch(0, 1, targets.weight(batch))
        trainer.run_shards(trainer.begin_batch(batch, batch))
        shards, found = trainer.shards, trainer.parameter_update.gradients[1]
        assert (shards.last_back, shards.last) == (1, 4)
        wanted = found.copy()
        for segment in range(1, 5):
            found[:], shards.passing[1], shards.replicas[1] = 0, None, None
            again = shards.forward if segment == shards.last else shards.backward
            again(segment, 0, trainer.shard(1, 64))
            assert np.array_equal(found, wanted) == (segment == shards.last_back)


def test_an_interrupted_step_is_not_mixed_with_the_next():
    class Interrupt(Callback):
        def step(self, epoch, step, loss):
            if step == 2:
                raise KeyboardInterrupt

    x, y = digits(128, size=10)
    network, other = small(), small()
    with pytest.raises(KeyboardInterrupt):
        network.fit(x, y, batch_size=32, shuffle=False, threads=2, callbacks=[Interrupt()])
    other.fit(x[:64], y[:64], batch_size=32, shuffle=False, threads=2)
    assert network.parameters.tobytes() == other.parameters.tobytes()
    assert buffers(network) == buffers(other)


def test_networks_without_a_barrier_keep_one_session_a_worker():
    x, y = digits(256, size=10)
    for network, replicas in ((small(), 4), (Network([Flatten(), Dense(output_size=4), Softmax()]), 2)):
        rows = network.as_rows(x)
        targets = network.targets(y, 256)
        with HostTrainer(network, rows, targets, settings(256, threads=2)) as trainer:
            trainer.step(range(256))
            assert len(trainer.shards.replicas) == replicas


def test_an_overflow_of_its_sums_is_infinite_and_no_warning():
    layer = BatchNormalization()
    layer.training = True
    with np.errstate(over="warn"):
        layer.forward(np.array([[1e25, -1e25, 1, 2] * 16], np.float32))
    assert layer.buffers["running_variance"][0] == np.inf


def test_a_step_allocates_little():
    x, y = digits(128, size=28)
    network = small()
    rows = network.as_rows(x)
    targets = network.targets(y, 128)
    with HostTrainer(network, rows, targets, settings(128)) as trainer:
        for _ in range(3):
            trainer.step(range(128))
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            trainer.step(range(128))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak - before < 300_000  # a shard's first activations alone are 700 kB


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"epsilon": 0}, ValueError, "epsilon must be a number above 0, got 0"),
        ({"momentum": 1.5}, ValueError, r"momentum must be a number from 0 to 1, got 1\.5"),
        ({"momentum": None}, ValueError, "momentum must be a number from 0 to 1, got None"),
    ],
)
def test_refusals(options, error, words):
    with pytest.raises(error, match=words):
        BatchNormalization(**options)


def test_a_buffer_of_another_shape_is_refused():
    layer = trained((3,))
    layer.buffers["running_mean"] = [0.0, 1.0]
    layer.training = False
    with pytest.raises(ShapeError, match=r"running_mean of .* must have shape \(3,\), got \(2,\)"):
        layer.forward(np.ones((3, 2)))
    layer.buffers["running_mean"] = [0.0, 1.0, 2.0]
    layer.buffers["running_variance"][1] = -0.5
    with pytest.raises(ValueError, match=r"running_variance of .* must be at least 0, got -0\.5"):
        layer.forward(np.ones((3, 2)))
    layer.buffers["running_variance"][1] = 1
    close(layer.forward(np.ones((3, 1)))[:, 0], np.array([1, 0, -1]) / np.sqrt(1 + 1e-5))
