"""Every layer, loss and optimizer, and whole trainings, on a device: the same as on the host.

By itself on the arrays of `helpers.strict_arrays`, which refuse what a device would; ``--device sycl`` and
``--device cuda`` run the same on dpnp and CuPy.
"""

import copy
import pickle

import numpy as np
import pytest

from helpers.every_layer import EVERY
from purecnn import (
    SGD,
    Activation,
    Adagrad,
    Adam,
    AdamW,
    Augmentation,
    BatchNormalization,
    Callback,
    Checkpoint,
    Convolutional,
    Convolutional1D,
    Dataset,
    Dense,
    Dropout,
    EarlyStopping,
    Flatten,
    GlobalAveragePooling,
    Identity,
    LearningRate,
    MaxPooling,
    Network,
    ReLU,
    Residual,
    RMSprop,
    Sigmoid,
    Softmax,
    SpatialDropout,
    Tanh,
    WeightAverage,
    check_gradients,
    export_onnx,
    load,
    load_state_dict,
    losses,
    save,
    save_state_dict,
    trace,
)
from purecnn.backend import as_device, module_of, to_device, to_host
from purecnn.errors import CheckpointWarning, DivergedError
from purecnn.losses import LOSSES, as_loss, label_smoothing
from purecnn.losses.base import columns
from purecnn.optimizers.schedules import OneCycle
from purecnn.training.device import DeviceTrainer
from purecnn.training.host import HostTrainer
from purecnn.training.runnable import DEVICE_CHUNK
from purecnn.training.settings import FitSettings
from purecnn.training.targets import Targets


@pytest.fixture(scope="module")
def device(request):
    name = request.config.getoption("--device")
    if name == "strict":
        import helpers.strict_arrays  # noqa: F401 (it registers itself)
    return as_device(name)


def close(found, wanted, dtype=np.float64):
    tolerance = 1e-9 if dtype == np.float64 else 3e-5
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


# Layers ---------------------------------------------------------------------------------------------------


def around(layer, shape):
    """Return a network whose first layer's biases have the layer's input gradient as theirs."""
    layer = copy.deepcopy(layer)
    shape = shape or layer.input_shape
    if len(shape) == 3:
        first = Convolutional(kernel_size=1, depth=shape[0], per_position_bias=True)
    elif len(shape) == 2:
        first = Convolutional1D(kernel_size=1, depth=shape[0])
    else:
        first = Dense(output_size=shape[0])
    return [first, layer, Flatten()], shape


def one_step(name, batch, dtype, device):
    """Return the loss and the parameters' gradients of a network around a layer of the table."""
    layers, shape = around(*EVERY[name])
    network = Network(layers, input_shape=shape, dtype=dtype)
    rng = np.random.default_rng(1)
    network.parameters = rng.standard_normal(network.parameters.shape) * 0.5
    x = rng.standard_normal((batch, *shape)).astype(dtype)
    y = rng.standard_normal((batch, *network.output_shape))
    network.to(device)
    kind = HostTrainer if network.device.is_host else DeviceTrainer
    rows = network.as_rows(x)
    # With a momentum the first step is the gradient, and what is left of it too.
    settings = FitSettings(loss=as_loss("mse"), optimizer=SGD(1.0, 0.5), batch_size=batch, threads=1)
    with kind(network, rows, Targets(y), settings) as trainer:
        loss = trainer.step(np.arange(batch))
        return loss, to_host(trainer.parameter_update.gradients[0]), to_host(network.parameters)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("name", [name for name in EVERY if name != "one's own"])
def test_every_layer_forward_and_back(name, batch, dtype, device):
    loss, gradient, parameters = one_step(name, batch, dtype, device)
    wanted_loss, wanted_gradient, wanted_parameters = one_step(name, batch, dtype, "cpu")
    assert np.abs(wanted_gradient).max() > 0
    assert loss == pytest.approx(wanted_loss, rel=1e-9 if dtype == np.float64 else 1e-5)
    close(gradient, wanted_gradient, dtype)
    close(parameters, wanted_parameters, dtype)


def test_a_window_too_large_to_be_unrolled_is_taken_cell_by_cell(device, monkeypatch):
    names = ["convolution", "convolution, same and stride", "convolution, groups", "convolution, dilation"]
    unrolled = [one_step(name, 3, np.float64, device) for name in names]
    monkeypatch.setattr("purecnn.kernels.device.ROOM", 0)
    for name, (loss, gradient, _) in zip(names, unrolled, strict=True):
        other_loss, other_gradient, _ = one_step(name, 3, np.float64, device)
        assert loss == pytest.approx(other_loss, rel=1e-12)
        close(other_gradient, gradient)


def test_an_activation_of_ones_own_takes_the_module_from_its_array(device):
    def sine(x):
        return module_of(x).sin(x)

    def cosine(x):
        return module_of(x).cos(x)

    x, y = np.linspace(-1, 1, 12).reshape(4, 3), np.zeros((4, 2))

    def trained(where):
        layers = [Dense(3, 4), Activation(sine, cosine), Dense(4, 2)]
        network = Network(layers, dtype=np.float64, device=where)
        return network.fit(x, y, epochs=3, loss="mse", optimizer="sgd").loss

    assert trained(device) == pytest.approx(trained("cpu"), rel=1e-12)


# Losses ---------------------------------------------------------------------------------------------------


def targets_of(name, rng, shape):
    """Return the kinds of targets that a loss takes: values, or distributions and labels."""
    kind = LOSSES[name].targets
    if kind == "values":
        return [rng.standard_normal(shape)]
    if kind == "shares":
        return [rng.uniform(size=shape)]
    shares = rng.uniform(size=shape)
    return [shares / shares.sum(axis=0), rng.integers(0, shape[0], shape[1])]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_its_derivative_and_its_joint_form(name, weighted, dtype, device):
    rng, loss, xp = np.random.default_rng(0), LOSSES[name], device.xp
    prediction = rng.uniform(0.05, 0.95, (4, 6)).astype(dtype)
    scores = rng.standard_normal((4, 6)).astype(dtype)
    weights = {"sample_weight": rng.uniform(size=6)} if weighted else {}
    sent = {key: to_device(value, xp) for key, value in weights.items()}
    for y in targets_of(name, rng, (4, 6)):
        y = y.astype(dtype) if y.dtype.kind == "f" else y
        rows, there = columns(y, prediction), to_device(columns(y, prediction), xp)
        found = loss.function(there, to_device(prediction, xp), **sent)
        assert found == pytest.approx(loss.function(rows, prediction, **weights), rel=1e-6, abs=1e-6)
        found = loss.prime(there, to_device(prediction, xp), **sent)
        close(to_host(found), loss.prime(rows, prediction, **weights), dtype)
        if loss.joint is None:
            continue
        for known in (loss, label_smoothing(name, 0.1)):
            found, slope = known.joint(to_device(y, xp), to_device(scores, xp), **sent)
            wanted, wanted_slope = known.joint(y, scores, **weights)
            assert found == pytest.approx(wanted, rel=1e-6, abs=1e-6)
            close(to_host(slope), wanted_slope, dtype)


def test_a_label_that_is_none_is_refused_there_too(device):
    with pytest.raises(ValueError, match="labels must be from 0 to 3, got 4"):
        columns(to_device(np.array([0, 4]), device.xp), to_device(np.zeros((4, 2)), device.xp))


# Training -------------------------------------------------------------------------------------------------


def data(samples=100, size=8, classes=3):
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, samples)
    x = rng.integers(0, 60, (samples, size, size))
    for image, label in zip(x, y, strict=True):
        image[2 * label : 2 * label + 3] += 150
    return x.astype(np.uint8), y


def whole(dtype=np.float64, device="cpu"):
    """Return a network with something of everything: 100 samples at 64 are two shards on the host."""
    return Network(
        [
            Convolutional(kernel_size=3, depth=4, padding="same"),
            BatchNormalization(),
            ReLU(),
            MaxPooling(2),
            SpatialDropout(0.2),
            Residual([Convolutional(kernel_size=3, depth=4, padding=1), Tanh(), Dropout(0.2)]),
            Convolutional(kernel_size=1, depth=6),
            ReLU(),
            GlobalAveragePooling(),
            Dense(output_size=8),
            Dropout(0.3),
            Tanh(),
            Dense(output_size=3),
            Softmax(),
        ],
        input_shape=(1, 8, 8),
        dtype=dtype,
        device=device,
    )


OPTIMIZERS = {
    "plain": lambda: SGD(0.1),
    "momentum": lambda: SGD(0.1, 0.9, weight_decay=0.01, decay_biases=False),
    "nesterov": lambda: SGD(0.1, 0.9, nesterov=True, clip_norm=0.1),
    "adagrad": lambda: Adagrad(0.02, 0.1),
    "rmsprop": lambda: RMSprop(0.005, epsilon=1e-3),
    "rmsprop, all of it": lambda: RMSprop(0.005, momentum=0.5, centered=True, epsilon=1e-3, clip_norm=1.0),
    "adam": lambda: Adam(0.01, epsilon=1e-3),
    "adamw": lambda: AdamW(0.01, epsilon=1e-3, decay_biases=False, clip_norm=0.5),
}


def alike(found, wanted, tolerance=1e-9):
    """Hold two trained networks and their histories to each other."""
    network, history = found
    host, host_history = wanted
    np.testing.assert_allclose(to_host(network.parameters), host.parameters, rtol=tolerance, atol=tolerance)
    for layer, other in zip(network, host, strict=True):
        for name, buffer in layer.buffers.items():
            np.testing.assert_allclose(to_host(buffer), other.buffers[name], rtol=tolerance, atol=tolerance)
    for name, values in host_history.lists().items():
        if name != "seconds":
            np.testing.assert_allclose(history.lists()[name], values, rtol=tolerance, atol=tolerance)


def trained(device, dtype=np.float64, network=None, **options):
    x, y = data()
    network = (network or whole)(dtype, device)
    return network, network.fit(x, y, **{"epochs": 2, "batch_size": 64, **options})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_and_what_it_is_told(name, device):
    alike(
        trained(device, optimizer=OPTIMIZERS[name]()), trained("cpu", optimizer=OPTIMIZERS[name](), threads=2)
    )


@pytest.mark.parametrize(
    "options",
    [
        {"l1": 0.001, "l2": 0.01},
        {"class_weight": {0: 2.0, 2: 0.5}, "sample_weight": np.linspace(0, 1, 100)},
        {"augmentation": Augmentation(shift=1, rotate=10, flip=True, erase=2)},
        {"loss": label_smoothing("categorical_cross_entropy", 0.1), "shuffle": False},
        {"loss": "mse"},
        {"validation_split": 0.2, "metrics": ["f1_macro", "confusion_matrix", "top_2_accuracy"]},
        {"batch_size": 7},
        {"batch_size": 16, "accumulate": 3, "l2": 0.01, "sample_weight": np.linspace(0, 1, 100)},
        {"optimizer": "sgd", "learning_rate": 0.05, "batch_size": 1, "epochs": 1},
    ],
    ids=lambda options: ", ".join(options),
)
def test_every_way_of_training(options, device):
    options = {"optimizer": SGD(0.1, 0.9), **options}
    network = small if options.get("batch_size") == 1 else None
    alike(
        trained(device, network=network, **copy.deepcopy(options)),
        trained("cpu", network=network, **copy.deepcopy(options)),
    )


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint64])
def test_labels_of_every_kind_of_integer(kind, device):
    x, y = data()
    wanted = small().fit(x, y, optimizer=SGD(0.1)).loss
    assert small(device=device).fit(x, y.astype(kind), optimizer=SGD(0.1)).loss == pytest.approx(wanted)


def small(dtype=np.float64, device="cpu"):
    """Return a network that learns sample by sample."""
    layers = [Flatten(), Dense(output_size=6), Sigmoid(), Dense(output_size=3), Softmax()]
    return Network(layers, input_shape=(1, 8, 8), dtype=dtype, device=device)


def test_single_precision_has_the_same_loss_to_five_digits(device):
    found = trained(device, np.float32, optimizer=SGD(0.05, 0.9), epochs=3)[1]
    wanted = trained("cpu", np.float32, optimizer=SGD(0.05, 0.9), epochs=3)[1]
    assert found.loss == pytest.approx(wanted.loss, rel=1e-5)


def test_scores_and_a_lone_output(device):
    x, y = data(classes=2)

    def run(where):
        layers = [Flatten(), Dense(output_size=5), ReLU(), Dense(output_size=1), Identity()]
        network = Network(layers, input_shape=(1, 8, 8), dtype=np.float64, device=where)
        history = network.fit(
            x, y[:, None], loss="sigmoid_binary_cross_entropy", validation_data=(x, y[:, None]), epochs=2
        )
        return network, history

    alike(run(device), run("cpu"))


@pytest.mark.parametrize("loss", ["categorical_cross_entropy", "dice", "mse"])
def test_label_maps_with_pixels_to_ignore(loss, device):
    x, _ = data()
    y = (x.reshape(-1, 8, 8) > 100) + (x.reshape(-1, 8, 8) > 180)
    y = np.where(x.reshape(-1, 8, 8) % 7 == 0, 255, y)

    def run(where):
        layers = [Convolutional(kernel_size=3, depth=3, padding=1), Softmax()]
        network = Network(layers, input_shape=(1, 8, 8), dtype=np.float64, device=where)
        history = network.fit(
            x,
            y,
            loss=loss,
            epochs=2,
            shards=1,
            ignore_label=255,
            class_weight={0: 0.5},
            augmentation=Augmentation(shift=1, rotate=10),
            validation_data=(x, y),
        )
        assert network.task == "segmentation"
        return network, history

    alike(run(device), run("cpu"))


def test_frozen_layers_stay_where_they_are(device):
    def run(where):
        network = whole(device=where)
        network[0].trainable = network[1].trainable = network[9].trainable = False
        before = to_host(network.parameters).copy()
        x, y = data()
        history = network.fit(x, y, epochs=2, batch_size=64, optimizer=SGD(0.1, 0.9))
        still = to_host(network.parameters) == before
        assert still[: 4 * 9 + 4 + 8].all()
        assert not still.all()
        return network, history

    alike(run(device), run("cpu"))


def test_data_outside_of_memory_is_read_ahead(device):
    x, y = data()

    class Set(Dataset):
        labels, classes = y, ()

        def __len__(self):
            return len(x)

        def batch(self, rows):
            return x[rows]

    def run(where):
        network = whole(device=where)
        return network, network.fit(Set(), epochs=2, batch_size=64, optimizer=SGD(0.1, 0.9), metrics=["f1"])

    alike(run(device), run("cpu"))


class Halve(Callback):
    """Puts an array into a layer, and writes to another, in the middle of training."""

    def step(self, epoch, step, loss):
        layer = self.fit.network[-2]
        layer.parameters["biases"] = to_host(layer.parameters["biases"]) / 2
        layer.parameters["weights"] *= 0.9


def test_callbacks_see_the_network_where_it_lies_and_may_change_it(device):
    def run(where):
        stopping = EarlyStopping("loss", patience=1, min_delta=10.0)
        optimizer = SGD(0.1)
        watchers = [LearningRate(optimizer, OneCycle(0.2)), Halve(), stopping]
        return trained(where, optimizer=optimizer, epochs=5, callbacks=watchers)

    found, wanted = run(device), run("cpu")
    assert len(found[1].loss) == 2
    alike(found, wanted)


def test_single_steps_are_those_of_the_host(device):
    (x, y), networks = data(), (whole(device=device), whole())
    for rows in (slice(64), slice(64, 100), slice(64)):
        found, wanted = (network.train_on_batch(x[rows], y[rows]) for network in networks)
        assert found == pytest.approx(wanted, rel=1e-9)
    np.testing.assert_allclose(to_host(networks[0].parameters), networks[1].parameters, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["exponential", "equal"])
def test_weights_are_averaged_and_statistics_measured_anew(device, kind):
    found, wanted = (trained(where, callbacks=[WeightAverage(kind)]) for where in (device, "cpu"))
    alike(found, wanted)


@pytest.mark.filterwarnings("ignore:.*may not end in the bits.*device is:purecnn.errors.CheckpointWarning")
def test_an_interrupted_run_goes_on_here_or_there(device, tmp_path):
    x, y = data()

    class Stop(Callback):
        def step(self, epoch, step, loss):
            if (epoch, step) == (2, 1):
                self.fit.stop("enough")

    def run(where, name, resume=None, callbacks=()):
        network = whole(device=where)
        stopping = EarlyStopping("loss", patience=9)
        path = tmp_path / f"{name}.safetensors"
        history = network.fit(
            x,
            y,
            epochs=3,
            batch_size=64,
            optimizer=SGD(0.1, 0.9),
            callbacks=[stopping, *callbacks, Checkpoint(path)],
            resume=resume,
        )
        return network, history, path

    *wanted, _ = run("cpu", "whole")
    *_, path = run(device, "part", callbacks=[Stop()])
    alike(run(device, "rest", resume=path)[:2], wanted)
    with pytest.warns(CheckpointWarning, match=f"device is cpu, was {device}: "):
        alike(run("cpu", "other", resume=path)[:2], wanted)
    *_, path = run("cpu", "host", callbacks=[Stop()])
    alike(run(device, "back", resume=path)[:2], wanted)


def test_a_loss_that_is_no_longer_finite_leaves_everything_as_it_was(device):
    network = whole(device=device)
    x, y = data()
    network.fit(x, y, batch_size=64, optimizer=SGD(0.1))
    network[-2].parameters["weights"][...] = 1e308
    kept = to_host(network.parameters).copy(), to_host(network[1].buffers["running_mean"]).copy()
    with np.errstate(all="ignore"), pytest.raises(DivergedError, match="the loss became nan at step 3"):
        network.fit(x, y, batch_size=64, optimizer=SGD(0.1))
    assert (to_host(network.parameters) == kept[0]).all()
    assert (to_host(network[1].buffers["running_mean"]) == kept[1]).all()


def test_the_state_of_an_optimizer_goes_along(device):
    x, y = data()

    def run(places):
        network, optimizer = whole(), SGD(0.1, 0.9)
        for place in places:
            history = network.to(place).fit(x, y, batch_size=64, optimizer=optimizer)
        return network, history

    alike(run([device, "cpu", device]), run(["cpu"] * 3))


# The network ----------------------------------------------------------------------------------------------


def test_what_comes_out_is_the_hosts_and_the_same(device):
    x, _ = data(DEVICE_CHUNK + 100)
    host, network = whole(), whole(device=device)
    for asked in (x, x[:3], x[:1]):
        found, wanted = network.predict(asked), host.predict(asked)
        assert type(found) is np.ndarray
        close(found, wanted)
    assert network.evaluate(x, np.zeros(len(x), int)) == pytest.approx(
        host.evaluate(x, np.zeros(len(x), int)), rel=1e-9
    )


def test_there_and_back_are_the_same_bits(device):
    network = whole()
    network.predict(data()[0][:4])
    before, buffers = network.parameters.copy(), dict(network[1].buffers)
    assert network.to(device) is network
    assert network.device is device
    assert type(network[0].parameters["kernels"]) is type(network.parameters) is not np.ndarray
    network.to("cpu")
    assert (network.parameters == before).all()
    assert network.parameters.flags.owndata or network.parameters.base is not None
    for name, buffer in buffers.items():
        assert type(network[1].buffers[name]) is np.ndarray
        assert (network[1].buffers[name] == buffer).all()


def test_a_network_that_is_not_bound_yet_is_bound_where_it_lies(device):
    x, y = data()
    network = Network([Flatten(), Dense(output_size=3), BatchNormalization(), Softmax()], device=device)
    network.fit(x, y)
    assert type(network.parameters) is type(network[2].buffers["running_mean"]) is not np.ndarray


def test_processes_that_train_together_do_so_on_the_host(device):
    with pytest.raises(ValueError, match=f"on the processor: device must be 'cpu', got '{device}'"):
        trained(device, ranks=object())


def test_copies_and_files_lie_on_the_host(device, tmp_path):
    network, _ = trained(device, optimizer=SGD(0.1, 0.9, weight_decay=0.1, decay_biases=False))
    x, _ = data()
    save(network, tmp_path / "model.safetensors")
    found = [
        load(tmp_path / "model.safetensors"),
        copy.deepcopy(network),
        pickle.loads(pickle.dumps(network)),
    ]
    for other in found:
        assert str(other.device) == "cpu"
        assert type(other.parameters) is np.ndarray
        assert (other.parameters == to_host(network.parameters)).all()
        close(other.predict(x), network.predict(x))
    assert network.device is device


def test_parameters_can_be_set_from_here_and_there(device):
    network = whole(device=device)
    network.parameters = np.arange(network.parameters.size)
    assert to_host(network.parameters)[7] == 7
    network.parameters = network.parameters * 2
    assert to_host(network[0].parameters["kernels"]).ravel()[7] == 14


def test_what_reads_and_writes_numbers_finds_them_on_the_host(device, tmp_path):
    def layers():
        return [Convolutional((1, 6, 6), 3, 2), BatchNormalization(), Flatten(), Dense(output_size=3)]

    x = np.random.default_rng(0).standard_normal((4, 1, 6, 6))
    network = Network(layers(), dtype=np.float64, device=device)
    network.fit(x, np.arange(4) % 3)
    seen = trace(network, x)
    close(seen.layers[-1].output, network.predict(x))
    check_gradients(network).raise_if_wrong()
    export_onnx(network, tmp_path / "model.onnx")
    save_state_dict(network, tmp_path / "model.safetensors")
    other = Network(layers(), dtype=np.float64, seed=1, device=device)
    load_state_dict(other, tmp_path / "model.safetensors")
    assert other.device is network.device is device
    np.testing.assert_allclose(other.predict(x), network.predict(x), rtol=1e-5, atol=1e-5)


def test_a_summary_needs_no_numbers(device):
    assert whole(device=device).summary().parameters == whole().summary().parameters
    assert str(whole(device=device)) == str(whole())


def test_the_losses_of_the_package_are_the_ones_tested():
    assert set(LOSSES) == set(losses.LOSSES)
