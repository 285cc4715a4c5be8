"""Wrong arguments of `fit`, `evaluate`, losses and files: each is one sentence, and nothing is guessed."""

import errno
import os

import numpy as np
import pytest

from purecnn import (
    SGD,
    Callback,
    Checkpoint,
    Convolutional,
    Dense,
    Flatten,
    Network,
    Preprocessing,
    ShapeError,
    Sigmoid,
    Softmax,
    export_onnx,
    load,
    load_onnx,
    predict,
    save,
    save_state_dict,
    train,
)
from purecnn.backend import files
from purecnn.backend.processes import ProcessPool, can_fork
from purecnn.backend.sharding import shard_count
from purecnn.datasets import ImageFolder
from purecnn.losses import (
    binary_cross_entropy,
    categorical_cross_entropy,
    categorical_cross_entropy_prime,
    huber,
    mean_absolute_error_prime,
    mse,
    mse_prime,
    softmax_cross_entropy,
)
from purecnn.training.host import HostTrainer

X = np.random.default_rng(0).standard_normal((40, 4))
Y = np.arange(40) % 3


def classifier(**options):
    return Network([Dense(4, 3), Softmax()], **options)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (
            {"callbacks": [3]},
            TypeError,
            r"callbacks must be a Callback, a function or a list of them, got \[3\]",
        ),
        ({"callbacks": [Callback]}, TypeError, "callbacks must be a Callback, a function or a list"),
        ({"callbacks": 3}, TypeError, "callbacks must be a Callback, a function or a list of them, got 3"),
        ({"validation_data": X}, TypeError, r"validation_data must be a pair \(x, y\), got ndarray"),
        ({"validation_data": (X, Y, Y)}, TypeError, r"must be a pair \(x, y\), got tuple of 3"),
        ({"validation_data": (X, Y[:3])}, ValueError, "as many samples"),
        ({"loss": 3}, TypeError, "loss must be one of mse, .* or a function, got 3"),
        ({"loss_prime": mse_prime}, ValueError, "loss_prime was given without loss: give both"),
        ({"loss": "mse", "loss_prime": mse_prime}, ValueError, "'mse' has its derivative already"),
        ({"optimizer": []}, ValueError, r"optimizer must be one of sgd, .*, got \[\]"),
    ],
)
def test_arguments_of_fit(options, error, words):
    network = classifier()
    with pytest.raises(error, match=words):
        network.fit(X, Y, **options)
    assert network.updates == 0


@pytest.mark.parametrize("wrong", [None, 3, Dense(2, 3)])
def test_what_is_no_list_of_layers(wrong):
    for use in (Network, lambda layers: predict(layers, [0, 1])):
        with pytest.raises(TypeError, match="a network is made of a list of layers, got"):
            use(wrong)


def test_arguments_of_a_network():
    with pytest.raises(TypeError, match="dtype must be float32 or float64, got 'quux'"):
        classifier(dtype="quux")
    with pytest.raises(TypeError, match=r"preprocessing must be a Preprocessing, got \{\}"):
        classifier(preprocessing={})
    network = classifier(preprocessing=Preprocessing(classes=("a", "b")))
    with pytest.raises(ValueError, match="one for each of 3 outputs, got 2"):
        network.fit(X, Y)


def test_numbers_too_large_for_the_network():
    words = r"x must hold numbers within float32's range, at most 3.4e\+38 in size; got -1e\+300"
    for use in (lambda x: classifier().predict(x), lambda x: classifier().fit(x, Y)):
        with pytest.raises(ValueError, match=words):
            use(np.where(X[0, 0] == X, -1e300, X))
    assert np.isfinite(classifier(dtype=np.float64).predict(X * 1e300)).all()
    words = r"y must hold numbers within float32's range, at most 3.4e\+38 in size; got 1e\+300"
    with pytest.raises(ValueError, match=words):
        Network([Dense(4, 1)]).fit(X, np.where(Y == 2, 1e300, 1.0))


@pytest.mark.parametrize("call", [save, load_onnx, export_onnx, save_state_dict, Checkpoint, ImageFolder])
@pytest.mark.parametrize("name", [3, None, "", b"a", "a\0b"])
def test_what_is_no_name_of_a_file_or_folder(call, name):
    takes_network = call in (save, export_onnx, save_state_dict)
    with pytest.raises(TypeError, match=r"(path|folder) must be the name of a (file|folder), got "):
        call(*[classifier()] * takes_network, name)


def test_a_checkpoint_to_resume_from_has_a_name():
    with pytest.raises(TypeError, match="resume must be the name of a file, got 3"):
        classifier().fit(X, Y, resume=3)


def test_masked_values_are_not_taken_for_values():
    masked = np.ma.masked_array(X, X > 1)
    with pytest.raises(ValueError, match=r"x must hold a value everywhere, .*: x\.filled\(0\) puts 0 there"):
        classifier().fit(masked, Y)
    with pytest.raises(ValueError, match="y must hold a value everywhere, got masked ones"):
        classifier().fit(X, np.ma.masked_array(Y, Y == 2))
    assert classifier().predict(np.ma.masked_array(X)).shape == (40, 3)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((6, 4, 5, 2), r"got \(6, 4, 5, 2\): its channels are last, y\.transpose\(0, 3, 1, 2\) moves them"),
        (
            (6, 5, 4, 2),
            r"y must have shape \(n, 2, 4, 5\) or \(n, 40\), the samples first, got \(6, 5, 4, 2\)$",
        ),
        ((6, 2, 20), r"got \(6, 2, 20\)$"),
    ],
)
def test_maps_of_other_axes_than_the_outputs_are_not_reshaped(shape, words):
    network = Network([Convolutional(kernel_size=3, depth=2, padding="same")], input_shape=(1, 4, 5))
    for use in (network.fit, network.evaluate):
        with pytest.raises(ShapeError, match=words):
            use(np.ones((6, 1, 4, 5)), np.ones(shape), loss="mse")
    for right in ((6, 2, 4, 5), (6, 40), (6, 40, 1), (6, 1, 2, 4, 5)):
        network.fit(np.ones((6, 1, 4, 5)), np.ones(right), loss="mse")


def test_targets_that_a_binary_cross_entropy_can_not_mean():
    for y, worst in ((Y, "2"), (-1.0 * Y, "-2.0")):
        with pytest.raises(ValueError, match=f"must be from 0 to 1, got {worst}"):
            Network([Dense(4, 1), Sigmoid()]).fit(X, y)


def test_a_softmax_over_one_output():
    with pytest.raises(ValueError, match="a Softmax over 1 output is always 1 and learns nothing"):
        Network([Dense(4, 1), Softmax()]).fit(X, Y % 2)


def test_outputs_that_are_images():
    x = X.reshape(40, 1, 2, 2)
    network = Network([Convolutional(kernel_size=1, depth=2)], dtype=np.float64)
    y = np.concatenate([2 * x, -x], axis=1)
    network.fit(x, y, loss="mse", epochs=300, batch_size=40, optimizer=SGD(0.3))
    assert network.evaluate(x, y, loss="mse")["loss"] < 1e-9
    assert np.allclose(network.predict(x), y, atol=1e-4)
    with pytest.raises(ShapeError, match=r"wants a vector of outputs a sample, got \(2, 2, 2\)"):
        network.fit(x, y, loss="softmax_cross_entropy")
    assert Network([Flatten(), Dense(output_size=8)]).fit(x, y).loss


def test_evaluate_needs_no_derivative():
    found = classifier().evaluate(X, np.eye(3)[Y], loss=lambda y, p: float(np.abs(y - p).max()))
    assert 0 < found["loss"] < 1


@pytest.mark.parametrize("loss", [mse, mse_prime, huber, mean_absolute_error_prime, binary_cross_entropy])
def test_losses_never_broadcast(loss):
    with pytest.raises(ShapeError, match=r"y_true must have the shape of y_pred, \(3, 1\), got \(3,\)"):
        loss(np.zeros(3), np.full((3, 1), 0.5))


def test_losses_take_lists_and_integers():
    assert mse([[0, 1]], [[1, 1]]) == 0.5
    assert binary_cross_entropy([[1]], [[1]]) < 1e-9
    assert categorical_cross_entropy([1], [[0], [1]]) == 0
    with pytest.raises(ValueError, match="delta must be a number above 0, got -1"):
        huber([[0.0]], [[1.0]], delta=-1)


@pytest.mark.parametrize(
    "loss", [categorical_cross_entropy, categorical_cross_entropy_prime, softmax_cross_entropy]
)
def test_labels_of_losses(loss):
    p = np.full((2, 3), 0.5)
    for labels, worst in (([0, 1, 5], 5), ([0, -1, 1], -1)):
        with pytest.raises(ValueError, match=f"labels must be from 0 to 1, got {worst}"):
            loss(np.array(labels), p)
    with pytest.raises(ShapeError, match=r"y_true must be columns like the prediction, \(2, 3\)"):
        loss(np.array([0, 1]), p)


def test_a_batch_larger_than_the_set_takes_no_memory(monkeypatch):
    sizes = []
    make = HostTrainer.__init__

    def watched(self, *arguments, **options):
        sizes.append(arguments[3].batch_size)
        make(self, *arguments, **options)

    monkeypatch.setattr(HostTrainer, "__init__", watched)
    classifier().fit(X, Y, batch_size=10**6)
    assert sizes == [40]
    assert shard_count(sizes[0]) == 2
    losses = train([Dense(4, 1)], mse, mse_prime, X, X[:, :1], epochs=1, verbose=False, batch_size=10**6)
    assert len(losses) == 1


def test_paths():
    for wrong in (None, 0, ""):
        with pytest.raises(TypeError, match="path must be the name of a file, got"):
            load(wrong)
        with pytest.raises(TypeError, match="path must be the name of a file, got"):
            save(classifier(input_shape=4), wrong)


def test_a_file_that_can_not_be_written_is_named_as_the_user_named_it(tmp_path, monkeypatch):
    network = classifier(input_shape=4)
    path = tmp_path / "missing" / "model.safetensors"
    with pytest.raises(FileNotFoundError) as raised:
        save(network, path)
    assert (raised.value.filename, raised.value.filename2) == (str(path), None)

    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "to_disk", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*full\.safetensors'$"):
        save(network, tmp_path / "full.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not can_fork(), reason="worker processes are forked on Linux alone")
def test_a_crew_that_can_not_be_had_leaves_nobody_behind(monkeypatch):
    children, fork = [], os.fork

    def once():
        if children:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        children.append(fork())
        return children[0]

    monkeypatch.setattr(os, "fork", once)
    with pytest.raises(BlockingIOError):
        ProcessPool(3, lambda worker, number: None)
    with pytest.raises(ChildProcessError):
        os.waitpid(children[0], 0)


def test_a_lone_image_without_its_channel():
    network = Network([Flatten(), Dense(output_size=2)], input_shape=(1, 4, 5))
    x = np.random.default_rng(0).standard_normal((3, 4, 5))
    with pytest.raises(ShapeError, match=r"got \(4, 5\): a lone sample is a batch of one, x\[np.newaxis\]"):
        network.predict(x[0])
    assert np.allclose(network.predict(x[:1]), network.predict(x)[:1])
    flat = Network([Flatten(), Dense(output_size=2)], input_shape=(1, 1, 5))
    assert flat.predict(x[0, :1]).shape == (1, 2)
