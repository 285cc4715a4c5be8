"""What people type who know another library: it works where it means one thing, else it is told in words."""

import importlib
import importlib.util
import inspect
from pathlib import Path

import numpy as np
import pytest

import purecnn
from docs.tools import tables
from purecnn import (
    SGD,
    Activation,
    Adam,
    Augmentation,
    BatchNormalization,
    Checkpoint,
    CNNClassifier,
    Convolutional,
    Dense,
    DepthwiseConvolutional,
    EarlyStopping,
    GroupNormalization,
    Layer,
    LayerNormalization,
    LeakyReLU,
    MaxPooling,
    Network,
    Preprocessing,
    ReLU,
    Reshape,
    RMSprop,
    Softmax,
    fit,
    predict,
)
from purecnn.messages import calls, near_names, vocabulary
from purecnn.messages.lazy import public_names
from purecnn.messages.signatures import explained
from purecnn.metrics.registry import METRICS
from purecnn.optimizers import schedules
from purecnn.optimizers.schedules import Cosine

X = np.random.default_rng(0).random((20, 4), dtype=np.float32)
Y = np.arange(20) % 3
ROOT = Path(__file__).parents[2]


def network():
    return Network([Dense(3), Softmax()])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Conv2D", "it is called Convolutional here"),
        ("conv2d", "it is called Convolutional here"),
        ("Linear", "it is called Dense here"),
        ("CrossEntropyLoss", "it is called softmax_cross_entropy here, behind a last Dense"),
        ("LSTM", "there are no recurrent layers"),
        ("Conv1d", "it is called Convolutional1D here"),
        ("MultiheadAttention", "there are no transformers"),
        ("RandomErasing", r"it is called Augmentation here, Augmentation\(erase=8\)"),
        ("relu", "did you mean 'ReLU'"),
        ("Convolutionl", "did you mean 'Convolutional'"),
    ],
)
def test_names_of_other_libraries(name, words):
    with pytest.raises(AttributeError, match=f"module 'purecnn' has no attribute '{name}': {words}"):
        getattr(purecnn, name)
    with pytest.raises(ImportError, match=f"cannot import name '{name}' from 'purecnn': {words}"):
        exec(f"from purecnn import {name}")
    assert not hasattr(purecnn, name)


def test_schedules_of_other_libraries():
    words = "'PolynomialDecay'.*: a schedule is a function: LearningRate"
    with pytest.raises(AttributeError, match=words):
        _ = schedules.PolynomialDecay
    with pytest.raises(ImportError, match=f"cannot import name {words}"):
        exec("from purecnn.optimizers.schedules import PolynomialDecay")
    with pytest.raises(AttributeError, match="'cosin': did you mean 'Cosine'"):
        _ = schedules.cosin
    with pytest.raises(AttributeError, match="did you mean 'Identity'"):
        _ = purecnn.identity
    assert not hasattr(schedules, "__path__")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Dense(units=10), "Dense takes no argument units: it is called output_size here"),
        (lambda: Dense(10, activation="relu"), "Dense takes no argument activation: put .* such as ReLU"),
        (lambda: Dense(1, 2, 3), r"takes 2 arguments by position \(input_size, output_size\), got 3"),
        (lambda: Dense(input_size=10), "Dense needs output_size"),
        (lambda: Convolutional(filters=8, kernel_size=3), "no argument filters: it is called depth here"),
        (lambda: Convolutional(32, 3), r"\(32, 3\) does not say which number is which: name them"),
        (lambda: Convolutional(1, 32, 3), r"\(1, 32, 3\) does not say which"),
        (lambda: Convolutional(32, (3, 3)), r"Convolutional\(kernel_size=3, depth=32\)"),
        (lambda: DepthwiseConvolutional(3), r"as in DepthwiseConvolutional\(kernel_size=3\), and"),
        (lambda: MaxPooling(kernel_size=2), "it is called pool_size here"),
        (lambda: BatchNormalization(16), "takes no arguments by position, got 1: the channels are those"),
        (lambda: BatchNormalization(eps=1e-3), "it is called epsilon here"),
        (lambda: LayerNormalization(normalized_shape=(3,)), 'LayerNormalization takes over="channels"'),
        (lambda: GroupNormalization(num_groups=2), "it is called groups here"),
        (lambda: LeakyReLU(negative_slope=0.1), "it is called slope here"),
        (lambda: ReLU(inplace=True), "ReLU takes no argument inplace: the engine"),
        (lambda: Activation("relu"), r"needs activation_prime, got none: .* such as ReLU\(\)"),
        (lambda: Reshape((3,)), "Reshape needs output_shape, got none"),
        (lambda: SGD(lr=0.1), "SGD takes no argument lr: it is called learning_rate here"),
        (lambda: SGD(0.1, clipnorm=1), "SGD takes no argument clipnorm: it is called clip_norm here"),
        (lambda: SGD(0.1, learning_rate=1), "SGD takes learning_rate once"),
        (lambda: Adam(betas=(0.9, 0.99)), "Adam takes no argument betas: beta1 and beta2"),
        (lambda: RMSprop(rho=0.9), "it is called alpha here"),
        (
            lambda: Network(Dense(3), ReLU()),
            "Network takes 1 argument by position .*: put the layers into one list",
        ),
        (lambda: network().fit(X, Y, lr=0.1), "fit takes no argument lr: it is called learning_rate here"),
        (lambda: network().fit(X, Y, 10), "fit takes 2 arguments by position .*, got 3: name the others"),
        (lambda: network().fit(X, Y, validation_freq=1), "is measured after each epoch"),
        (lambda: network().fit(X, Y, epocs=1), "did you mean 'epochs'?"),
        (lambda: fit(network(), X, Y, lr=1), "fit takes no argument lr"),
        (lambda: predict(network(), X, batch_size=1), "predict takes no argument batch_size: how many"),
        (lambda: network().evaluate(X, Y, batch_size=1), "evaluate takes no argument batch_size: how many"),
        (lambda: EarlyStopping(restore_best_weights=True), "it is called restore_best here"),
        (lambda: Checkpoint(filepath="x"), "it is called path here"),
        (lambda: Cosine(T_max=3), "Cosine takes no argument T_max: it takes peak, end"),
        (lambda: Augmentation(rotation=3), "it is called rotate here"),
        (lambda: CNNClassifier(max_iter=3), "it is called epochs here"),
        (lambda: Preprocessing(class_names=["a"]), "it is called classes here"),
        (
            lambda: network().fit(X, ["cat", "dog"] * 10),
            "y must hold real numbers, got text such as 'cat': names, y =",
        ),
        (
            lambda: network().fit(X, np.array(["cat"] * 20, object)),
            "y must hold real numbers, got text such as 'cat'",
        ),
        (lambda: network().fit((x for x in X), Y), "x must be an array, or a Dataset: .*; got a generator"),
        (lambda: network().fit(Loader(), Y), "x must be an array, or a Dataset: .*; got a Loader"),
        (lambda: network().fit({"x": X}, Y), "got a dict"),
    ],
)
def test_calls_in_the_words_of_other_libraries(call, words):
    with pytest.raises(TypeError, match=words):
        call()


class Loader:
    """Batches one after another, as PyTorch's DataLoader and Keras's Sequence have them."""

    def __len__(self):
        return 2

    def __getitem__(self, place):
        raise AssertionError("it must not be read")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"loss": "mean_squared_error"}, "got 'mean_squared_error': it is called mse here"),
        ({"loss": "sparse_categorical_crossentropy"}, "it is called categorical_cross_entropy here"),
        ({"metrics": "acc"}, "got 'acc': it is called accuracy here"),
        (
            {"callbacks": EarlyStopping("val_loss")},
            "to watch val_loss, .*: it is called validation_loss here",
        ),
        ({"optimizer": "nadam"}, "got 'nadam': use Adam or AdamW"),
        ({"optimizer": "adma"}, r"got 'adma': did you mean 'adam'\?"),
        ({"loss": "poisson"}, "got 'poisson': write it: fit"),
        ({"metrics": "auc"}, "got 'auc': scikit-learn's functions take what predict returns"),
    ],
)
def test_words_of_other_libraries(options, words):
    with pytest.raises(ValueError, match=words):
        network().fit(X, Y, **options)


def test_padding_valid():
    with pytest.raises(ValueError, match="got 'valid': that is a padding of 0"):
        Convolutional(kernel_size=3, depth=1, padding="valid")


def test_what_can_be_meant_in_one_way_only_works():
    bits = []
    for options in (
        {"optimizer": "adam", "loss": "categorical_cross_entropy", "metrics": ["f1"], "callbacks": []},
        {
            "optimizer": "Adam",
            "loss": "Categorical_Cross_Entropy",
            "metrics": "F1",
            "callbacks": print_nothing,
        },
        {
            "metrics": METRICS["classification"]["f1"].function,
            "callbacks": EarlyStopping("loss"),
            "class_weight": None,
        },
    ):
        made = network()
        history = made.fit(X, Y, epochs=2, **options)
        assert list(history.metrics) == ["f1"]
        bits.append(made.parameters.tobytes())
    assert bits[0] == bits[1] == bits[2]
    assert Dense(10, rng=None).configuration() == Dense(output_size=10).configuration()
    assert (Dense(7, 10).input_size, Dense(7, output_size=10).output_size) == (7, 10)
    assert Convolutional(kernel_size=3, depth=1, padding="SAME", initialization="He").padding == "same"


def print_nothing(fit):
    """Look on."""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("compile", r"no attribute 'compile': its arguments belong to fit: network.fit\(x, y"),
        ("predict_proba", "it is called predict here"),
        ("state_dict", "purecnn.save_state_dict"),
        ("nonsense", "'Network' object has no attribute 'nonsense'$"),
    ],
)
def test_attributes_of_a_network(name, words):
    with pytest.raises(AttributeError, match=words):
        getattr(network(), name)


def test_attributes_of_a_history():
    history = network().fit(X, Y)
    with pytest.raises(AttributeError, match="it is called validation_loss here"):
        _ = history.val_loss
    with pytest.raises(AttributeError, match="each list is an attribute"):
        _ = history.history


def test_layers_of_ones_own_are_answered_too_and_their_errors_stay_theirs():
    class Repeated(Layer):
        def __init__(self, factor, *, mode="nearest"):
            super().__init__()
            if factor < 1:
                raise TypeError("my own words")

        def forward(self, input):
            return input

        def backward(self, output_gradient):
            return output_gradient

    with pytest.raises(TypeError, match=r"^Repeated takes no argument moed: did you mean 'mode'\?$"):
        Repeated(2, moed="linear")
    with pytest.raises(TypeError, match=r"^Repeated needs factor, got none$"):
        Repeated()
    with pytest.raises(TypeError, match=r"^my own words$"):
        Repeated(0)


def test_signatures_stay_what_they_were():
    def train(x: int, *, rate: float = 0.1) -> int:
        """Words."""
        return x

    made = explained(train)
    assert inspect.signature(made) == inspect.signature(train)
    assert (made.__doc__, made(3)) == ("Words.", 3)
    assert explained(made) is made
    assert list(inspect.signature(Dense).parameters)[:2] == ["input_size", "output_size"]
    assert "epochs" in inspect.signature(Network.fit).parameters
    assert CNNClassifier().get_params()["epochs"] is None


def test_what_the_table_calls_a_name_here_is_one():
    public = {*purecnn.__all__, *public_names()}
    for row in (*vocabulary.LAYERS, *vocabulary.LOSSES, *vocabulary.PARTS):
        assert row.here in public, row
    assert {row.here for row in vocabulary.METRICS} <= {
        "top_5_accuracy",
        *(name for metrics in METRICS.values() for name in metrics),
    }
    taken = set()
    places = {**public_names(), **dict.fromkeys(purecnn.__all__, "purecnn")}
    for name, place in places.items():
        one = getattr(importlib.import_module(place), name)
        for each in (
            (one, getattr(one, "fit", None)) if inspect.isclass(one) or inspect.isfunction(one) else ()
        ):
            if each is not None and not (isinstance(each, type) and issubclass(each, BaseException)):
                taken |= set(inspect.signature(each).parameters)
    taken |= {"weight_decay", "clip_norm"}
    assert {row.here for row in vocabulary.ARGUMENTS if row.here} - taken == set()
    for row in (*calls.METHODS, *calls.HISTORIES):
        assert not row.here or hasattr(Network, row.here) or hasattr(purecnn.History(), row.here), row
    for row in (*vocabulary.IMPORTS, *vocabulary.ARGUMENTS, *calls.METHODS):
        assert row.here or row.note, row


def test_options_of_commands_come_from_the_same_table():
    known = ["--learning-rate", "--epochs", "--seed"]
    typed = ("--lr", "--max-epochs", "--random-state", "--colour")
    assert [near_names.option(one, known) for one in typed] == ["--learning-rate", "--epochs", "--seed", ""]


def test_the_guide_is_made_from_the_table():
    text = tables.PAGE.read_text(encoding="utf-8")
    assert tables.filled(text) == text, "run python -m docs.tools.tables"
