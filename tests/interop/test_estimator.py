"""The scikit-learn estimators: scikit-learn's own checks, and what each argument promises."""

from __future__ import annotations

import ast
import inspect
import pickle
import re
import subprocess
import sys
import unittest
from pathlib import Path

import numpy as np
import pytest

with pytest.MonkeyPatch.context() as patch:
    patch.setenv("SCIPY_ARRAY_API", "1")  # read at the import: else scikit-learn skips its check of it
    pytest.importorskip("sklearn")
    from sklearn.utils import estimator_checks

import joblib
import sklearn
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import purecnn
from helpers.strict_arrays import STRICT
from helpers.waiting import PATIENCE
from purecnn import (
    SGD,
    Adam,
    Augmentation,
    BatchNormalization,
    CNNClassifier,
    CNNRegressor,
    Convolutional,
    Convolutional1D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling1D,
    Network,
    ReLU,
    ShapeError,
    Sigmoid,
    Softmax,
    networks,
)
from purecnn.backend import cores
from purecnn.backend.cores import as_threads
from purecnn.interop.sklearn import bases
from purecnn.optimizers.schedules import OneCycle
from purecnn.training import host

pd = pytest.importorskip("pandas")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Let fits take one thread unless told otherwise: beside other tests, two take far longer."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def digits():
    """600 digits of 8 x 8 pixels, from 0 to 1, in flat float32 rows."""
    x, y = load_digits(return_X_y=True)
    return np.float32(x[:600] / 16), y[:600]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def small(**given):
    """A classifier that is quick to train."""
    return CNNClassifier(**{"input_shape": (8, 8), "epochs": 2, "batch_size": 64, "random_state": 0, **given})


# scikit-learn's own checks --------------------------------------------------------------------------------


def checks():
    """Yield each of scikit-learn's checks of each estimator, none of which may fail."""
    for estimator in (CNNClassifier(), CNNRegressor()):
        if hasattr(estimator_checks, "estimator_checks_generator"):
            found = estimator_checks.estimator_checks_generator(estimator)
        else:  # scikit-learn 1.5
            found = estimator_checks.check_estimator(estimator, generate_only=True)
        for made, check in found:
            words = [getattr(check, "func", check).__name__, *getattr(check, "keywords", {}).values()]
            yield pytest.param(made, check, id="-".join(map(str, [type(made).__name__, *words])))


@pytest.mark.no_cover  # a hundred fits of the same lines, which the other tests pass: half a minute less
@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_scikit_learns_own_checks(estimator, check, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    if "output_format_decision_function" in str(check):  # the one that has nothing to look at
        with pytest.raises(unittest.SkipTest, match="does not have a decision_function"):
            check(estimator)
    else:
        try:
            check(estimator)
        except unittest.SkipTest as reason:
            raise AssertionError(f"nothing was checked: {reason}") from None


def test_none_of_scikit_learns_checks_is_left_out():
    names = [parameters.id for parameters in checks()]
    assert len(names) > 100
    for kind in ("CNNClassifier", "CNNRegressor"):
        assert any(f"{kind}-check_sample_weight" in name for name in names)
    assert any("CNNClassifier-check_classifiers_multilabel" in name for name in names)
    assert any("CNNRegressor-check_regressor_multioutput" in name for name in names)


def python(program):
    """Run a program in a Python of its own, and return what it printed."""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_package_does_not_import_scikit_learn_and_the_classes_are_its_estimators():
    printed = python(
        "import sys, purecnn; purecnn.Network\n"
        "print('sklearn' in sys.modules)\n"
        "from purecnn import CNNClassifier, CNNRegressor\n"
        "class Mine(CNNClassifier): pass\n"
        "from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin\n"
        "print(issubclass(Mine, BaseEstimator), issubclass(Mine, ClassifierMixin), "
        "issubclass(CNNRegressor, RegressorMixin), issubclass(CNNRegressor, ClassifierMixin), Mine(epochs=3))"
    )
    assert printed.splitlines() == ["False", "True True True False Mine(epochs=3)"]


def test_without_scikit_learn_the_command_that_installs_it_is_named():
    printed = python(
        "import sys; sys.modules['sklearn'] = None\n"
        "import purecnn\n"
        "try: purecnn.CNNClassifier()\n"
        "except purecnn.errors.MissingExtraError as error: print(error)"
    )
    assert re.fullmatch(r'an estimator needs scikit-learn: .*pip install "scikit-learn>=[\d.]+"\n', printed)


def test_both_are_what_they_say(digits):
    assert is_classifier(CNNClassifier())
    assert is_regressor(CNNRegressor())
    assert isinstance(CNNClassifier(), BaseEstimator)
    assert repr(CNNClassifier(epochs=3)) == "CNNClassifier(epochs=3)"
    page = make_pipeline(MinMaxScaler(), small())._repr_html_()
    assert "CNNClassifier" in page
    assert "epochs" in page
    assert "CNNClassifier" in small().fit(*digits)._repr_html_()


@pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor])
def test_type_checkers_are_told_of_what_scikit_learn_gives(kind):
    tree = ast.parse(inspect.getsource(bases))
    told = [node.target.id for node in ast.walk(tree) if isinstance(node, ast.AnnAssign)]
    assert "score" in told
    for name in told:
        assert callable(getattr(kind(), name))


def test_sample_weight_is_routed_where_it_is_asked_for(digits):
    x, y = digits
    with sklearn.config_context(enable_metadata_routing=True):
        model = small().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        assert clone(model).get_metadata_routing().fit.requests == {"sample_weight": True}
        search = GridSearchCV(model, {"l2": [0.0, 1e-4]}, cv=2).fit(x, y, sample_weight=np.ones(len(y)))
    assert search.best_score_ > 0.3


# samples --------------------------------------------------------------------------------------------------


def test_flat_rows_and_images_are_the_same_samples(digits):
    x, y = digits
    flat = small().fit(x, y)
    p = flat.predict_proba(x)
    for shape in [(8, 8), (1, 8, 8)]:
        images = x.reshape(-1, *shape)
        asked = small(input_shape=None)
        np.testing.assert_array_equal(asked.fit(images, y).predict_proba(images), p)
        np.testing.assert_array_equal(flat.predict_proba(images), p)
    assert flat.network_.input_shape == (1, 8, 8)
    assert flat.n_features_in_ == 64
    assert [type(layer).__name__ for layer in flat.network_[:3]] == ["Convolutional", "ReLU", "MaxPooling"]
    assert [type(layer).__name__ for layer in small(input_shape=None).fit(x, y).network_] == [
        *("Dense", "ReLU", "Dense", "Softmax")
    ]


def test_one_sample_is_a_batch_of_one(digits):
    x, y = digits
    model = small().fit(x, y)
    assert model.predict(x[:1]).shape == (1,)
    assert model.predict_proba(x[:1].reshape(1, 1, 8, 8)).shape == (1, 10)
    np.testing.assert_allclose(model.predict_proba(x[:1]), model.predict_proba(x)[:1], rtol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "inside"),
    [
        ("uint8", "float32"),
        ("int16", "float32"),
        ("float16", "float32"),
        ("float32", "float32"),
        ("bool", "float32"),
        ("int64", "float64"),
        ("uint32", "float64"),
        ("float64", "float64"),
    ],
)
def test_any_numbers(dtype, inside, digits):
    x, y = digits
    x = (x * (255 if dtype == "uint8" else 16)).astype(dtype)  # bytes are taken for pixels
    model = small().fit(x, y)
    assert model.network_.dtype == inside
    assert model.predict_proba(x).dtype == inside


def test_bytes_are_scaled_as_the_network_scales_them(digits):
    x, y = digits
    raw = np.uint8(x * 255)
    bytes_, numbers = small().fit(raw, y), small().fit(np.float32(raw) * np.float32(1 / 255), y)
    np.testing.assert_allclose(bytes_.predict_proba(raw), numbers.predict_proba(np.float32(raw) / 255), 1e-4)
    with pytest.raises(TypeError, match="knows bytes"):
        bytes_.predict(x)


def test_columns_have_names(digits):
    x, y = digits
    frame = pd.DataFrame(x, columns=[f"pixel {i}" for i in range(64)])
    model = small().fit(frame, pd.Series(y))
    assert model.feature_names_in_.tolist() == list(frame.columns)
    np.testing.assert_array_equal(model.predict(frame), small().fit(x, y).predict(x))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={"pixel 0": "corner"}))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(x)
    assert not hasattr(model.fit(x, y), "feature_names_in_")


@pytest.mark.parametrize(
    ("given", "shape", "message"),
    [
        (
            {},
            (4, 32, 32, 3),
            r"channels first, \(n, channels, height, width\), got \(4, 32, 32, 3\): X.trans",
        ),
        ({}, (4, 2, 3, 5, 5), r"or \(n, channels, height, width\), got \(4, 2, 3, 5, 5\)"),
        ({"input_shape": (1, 8, 8)}, (4, 63), r"\(n, 1, 8, 8\), \(n, 8, 8\) or \(n, 64\).*got \(4, 63\)"),
        ({"input_shape": (3, 4, 4)}, (4, 4, 4, 3), r"\(n, 3, 4, 4\) or \(n, 48\), .*got \(4, 4, 4, 3\)"),
        ({"input_shape": (4, 0)}, (4, 16), "input_shape|shape"),
        ({"network": "lenet"}, (4, 64), r"wants images, got samples of shape \(64,\): give input_shape"),
        ({"network": "resnet"}, (4, 64), "network must be one of auto, lenet, .* got 'resnet'"),
        ({"network": [Dense(64, 3), Softmax()]}, (4, 64), r"must give 2 outputs .* gives \(3,\)"),
        ({"network": 7}, (4, 64), "layers"),
        ({"epochs": 0}, (4, 64), "epochs must be an integer of at least 1, got 0"),
        ({"batch_size": 0}, (4, 64), "batch_size must be an integer of at least 1, got 0"),
        ({"threads": 0}, (4, 64), "threads must be an integer of at least 1, got 0"),
        ({"optimizer": "lbfgs"}, (4, 64), "optimizer must be one of sgd, .* got 'lbfgs'"),
        ({"learning_rate": -1}, (4, 64), "learning_rate must be a number above 0, got -1"),
        ({"learning_rate": "adaptive"}, (4, 64), "learning_rate must be a finite number"),
        ({"random_state": "seed"}, (4, 64), "'seed' cannot be used to seed"),
        ({"class_weight": {"a": 2}}, (4, 64), r"must name classes of y, \[0, 1\], got 'a'"),
        (
            {"class_weight": "even"},
            (4, 64),
            'class_weight must be a dict of labels and weights or "balanced"',
        ),
        ({"early_stopping": True, "validation_fraction": 2}, (4, 64), "validation_fraction must be .* got 2"),
        ({"n_iter_no_change": 0}, (4, 64), "n_iter_no_change must be an integer of at least 1, got 0"),
        ({"tol": -1}, (4, 64), "tol must be a number at least 0, got -1"),
        ({"augmentation": Augmentation(shift=1)}, (4, 64), "image"),
    ],
)
def test_what_is_refused_and_in_which_words(given, shape, message):
    with pytest.raises((ValueError, TypeError), match=message):
        CNNClassifier(**given).fit(np.ones(shape, np.float32), [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        ([0, 1, 2], "inconsistent numbers of samples"),
        ([1, 1, 1, 1], r"at least 2 classes to tell apart, got 1 class"),
        ([0.5, 1.5, 2.5, 3.5], "Unknown label type"),
        ([0, 1, np.nan, 1], "NaN"),
        ([[0, 2], [1, 1], [0, 1], [1, 0]], "zeros and ones|not supported|Multioutput|Unknown"),
    ],
)
def test_answers_that_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        CNNClassifier().fit(np.ones((4, 3)), y)


def test_a_fit_that_fails_leaves_nothing_of_the_one_before(digits):
    x, y = digits
    model = small().fit(x, y)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full((4, 3), np.nan), [0, 1, 0, 1])
    assert model.predict(x).shape == y.shape  # refused before anything was done
    with pytest.raises(ValueError, match="fraction must leave samples on both sides"):
        model.set_params(early_stopping=True, validation_fraction=0.999).fit(x[:4], y[:4])
    with pytest.raises(NotFittedError):
        model.predict(x)


# weights --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor])
def test_a_weight_of_two_is_the_sample_twice_and_of_zero_is_none(kind, digits, rng):
    x, y = digits[0][:60].astype(np.float64), digits[1][:60]
    weights = rng.integers(0, 4, len(y))
    model = kind(input_shape=(8, 8), epochs=20, batch_size=200, random_state=0)
    weighted = clone(model).fit(x, y, sample_weight=weights)
    repeated = clone(model).fit(x.repeat(weights, axis=0), y.repeat(weights))
    ask = "predict_proba" if kind is CNNClassifier else "predict"
    np.testing.assert_allclose(getattr(weighted, ask)(x), getattr(repeated, ask)(x), rtol=1e-7, atol=1e-12)
    plain = getattr(clone(model).fit(x, y), ask)(x)
    assert np.abs(plain - getattr(weighted, ask)(x)).max() > 1e-3


@pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor])
def test_samples_that_weigh_nothing_are_left_out_to_the_bit_in_any_batches(kind, digits):
    x, y = digits
    weights = np.where(np.arange(len(y)) % 3, 1.0, 0.0)
    model = kind(input_shape=(8, 8), epochs=2, batch_size=32, random_state=0)
    some = clone(model).fit(x, y, sample_weight=weights)
    others = clone(model).fit(x[weights > 0], y[weights > 0], sample_weight=np.ones(int(weights.sum())))
    np.testing.assert_array_equal(some.network_.parameters, others.network_.parameters)


def test_classes_weigh_by_their_own_names(digits):
    x, y = digits[0][digits[1] < 2], np.array(["nought", "one"])[digits[1][digits[1] < 2]]
    by_class = small(class_weight={"one": 5.0}).fit(x, y)
    by_sample = small().fit(x, y, sample_weight=np.where(y == "one", 5.0, 1.0))
    np.testing.assert_allclose(by_class.predict_proba(x), by_sample.predict_proba(x), rtol=1e-5)
    balanced = small(class_weight="balanced").fit(x, y)
    counts = {name: len(y) / (2 * (y == name).sum()) for name in ("nought", "one")}
    by_hand = small(class_weight=counts).fit(x, y)
    np.testing.assert_allclose(balanced.predict_proba(x), by_hand.predict_proba(x), rtol=1e-5)


# randomness, and going on ---------------------------------------------------------------------------------


def same(one, other):
    """Whether two estimators' networks have the same bits."""
    return np.array_equal(one.network_.parameters, other.network_.parameters)


def test_a_seed_decides_every_bit(digits):
    first = small().fit(*digits)
    assert same(first, small().fit(*digits))
    assert same(first, small(threads=1).fit(*digits))
    assert same(first, small(threads=2).fit(*digits))
    assert not same(first, small(random_state=1).fit(*digits))
    state = np.random.RandomState(0)
    again = small(random_state=state)
    assert same(first, again.fit(*digits))
    assert not same(first, again.fit(*digits))  # the state has moved on
    before = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(0)  # noqa: NPY002
        one = small(random_state=None).fit(*digits)
        assert not same(one, small(random_state=None).fit(*digits))
        np.random.seed(0)  # noqa: NPY002
        assert same(one, small(random_state=None).fit(*digits))
    finally:
        np.random.set_state(before)  # noqa: NPY002


@pytest.mark.parametrize("optimizer", ["adam", SGD(0.05, momentum=0.9)])
def test_so_many_parts_are_a_fit_of_so_many_epochs(optimizer, digits):
    x, y = digits
    whole = small(epochs=3, optimizer=optimizer).fit(x, y)
    parts = small(optimizer=optimizer)
    for _ in range(3):
        parts.partial_fit(x, y, classes=np.arange(10))
    assert same(whole, parts)
    assert parts.n_iter_ == whole.n_iter_ == 3
    assert parts.loss_curve_ == whole.loss_curve_
    warm = small(epochs=1, optimizer=optimizer, warm_start=True)
    for _ in range(3):
        warm.fit(x, y)
    assert same(whole, warm)
    warm.set_params(warm_start=False).fit(x, y)
    assert warm.n_iter_ == len(warm.loss_curve_) == 1


def test_parts_need_not_hold_every_class(digits):
    x, y = digits
    model = small().partial_fit(x[y < 5], y[y < 5], classes=range(10))
    model.partial_fit(x[y >= 5][:7], y[y >= 5][:7])
    assert model.predict_proba(x).shape == (len(x), 10)
    with pytest.raises(ValueError, match=r"y must be of the classes .* got (np.int64\()?10"):
        model.partial_fit(x[:2], [0, 10])
    with pytest.raises(ValueError, match="the classes must stay those of the first call"):
        model.partial_fit(x[:2], y[:2], classes=range(9))
    with pytest.raises(ValueError, match="the classes must stay"):
        model.partial_fit(x[:2], np.eye(10, dtype=int)[:2])
    with pytest.raises(ValueError, match="y must be of the classes"):
        model.set_params(warm_start=True).fit(x[:2], [3, 11])
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        small().partial_fit(x, y)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"early_stopping": True}, "partial_fit does not support early_stopping"),
        ({"learning_rate": OneCycle(0.01)}, "partial_fit wants a number as learning_rate, got OneCycle"),
        ({"class_weight": "balanced"}, 'partial_fit wants a dict as class_weight, got "balanced"'),
    ],
)
def test_what_parts_can_not_have(given, message, digits):
    with pytest.raises(ValueError, match=message):
        small(**given).partial_fit(*digits, classes=range(10))


def test_early_stopping_keeps_the_best_epoch(digits):
    model = small(epochs=60, early_stopping=True, n_iter_no_change=3, validation_fraction=0.2).fit(*digits)
    seen = model.history_.validation_accuracy
    assert 3 < model.n_iter_ == len(seen) < 60
    assert int(np.argmax(seen)) == len(seen) - 4
    assert model.history_.samples == 480
    kept = small(epochs=len(seen) - 3, early_stopping=True, validation_fraction=0.2).fit(*digits)
    assert same(model, kept)


def test_the_training_loss_stops_what_no_longer_learns(digits):
    x, y = digits
    assert small(epochs=30, tol=10.0, n_iter_no_change=2).fit(x, y).n_iter_ == 3
    assert small(epochs=5, tol=None, n_iter_no_change=1).fit(x, y).n_iter_ == 5
    scheduled = small(epochs=5, tol=10.0, n_iter_no_change=1, learning_rate=OneCycle(0.01)).fit(x, y)
    assert scheduled.n_iter_ == 5
    assert scheduled.score(x, y) > 0.9


def test_epochs_left_out_are_so_many_steps():
    x = np.linspace(0, 1, 40, dtype=np.float32).reshape(-1, 1)
    y = (x[:, 0] > 0.5).astype(int)
    assert CNNClassifier(tol=None, random_state=0).fit(x, y).n_iter_ == 200
    assert CNNClassifier(tol=None, batch_size=2, random_state=0).fit(x, y).n_iter_ == 100
    assert (
        CNNClassifier(tol=None, batch_size=1, random_state=0).fit(x.repeat(6, 0), y.repeat(6)).n_iter_ == 10
    )


def test_verbose_prints_a_line_an_epoch(digits, capsys):
    small(verbose=1).fit(*digits)
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["epoch 1/2", "epoch 2/2"]


# what it learns -------------------------------------------------------------------------------------------


def test_classes_are_of_any_kind(digits):
    x, y = digits
    names = np.array([f"digit {i}" for i in range(10)])
    model = small().fit(x, names[y])
    assert model.classes_.tolist() == names.tolist()
    assert (model.predict(x) == names[small().fit(x, y).predict(x)]).all()
    assert model.score(x, names[y]) > 0.5
    assert model.network_.preprocessing.classes == tuple(names)
    assert small().fit(x, pd.Series(names[y], dtype="category")).score(x, names[y]) > 0.5


def test_labels_that_go_together(digits):
    from scipy.sparse import csr_array

    x, y = digits
    together = np.stack([y % 2, y > 4, y % 3 == 0], axis=1).astype(int)
    model = small(epochs=15).fit(x, together)
    assert model.predict(x).shape == model.predict_proba(x).shape == together.shape
    assert set(np.unique(model.predict(x))) == {0, 1}
    assert model.score(x, together) > 0.8
    assert model.classes_.tolist() == [0, 1, 2]
    assert isinstance(model.network_[-1], Sigmoid)
    assert same(model, small(epochs=15).fit(x, csr_array(together)))
    assert same(model, small(epochs=15).fit(x, pd.DataFrame(together)))
    scores = [Flatten(), Dense(64, 16), ReLU(), Dense(16, 3)]
    assert small(network=scores, epochs=15).fit(x, together).score(x, together) > 0.5
    with pytest.raises(ValueError, match="want Sigmoid as the last layer, got Softmax"):
        small(network=[*scores, Softmax()]).fit(x, together)
    with pytest.raises(ValueError, match="class_weight wants one class a sample"):
        small(class_weight="balanced").fit(x, together)
    with pytest.raises(ValueError, match="zeros and ones"):
        model.partial_fit(x, together * 2)
    stopped = small(epochs=9, early_stopping=True).fit(x, together)
    assert stopped.history_.validation_loss


def builder(shape, outputs, seed):
    return [
        Convolutional(shape, 3, 6),
        BatchNormalization(),
        ReLU(),
        Flatten(),
        Dropout(0.2),
        Dense(output_size=outputs),
        Softmax(),
    ]


def test_a_last_batch_of_one_is_left_out_where_a_layer_needs_several():
    x, y = np.random.default_rng(0).random((25, 4)), np.arange(25) % 2
    layers = [Dense(4, 6), BatchNormalization(), ReLU(), Dense(6, 2), Softmax()]
    options = {"network": layers, "batch_size": 4, "epochs": 2, "tol": None, "random_state": 0}
    scores = cross_val_score(
        CNNClassifier(**options), x, y, cv=[(np.arange(n), np.arange(5)) for n in (21, 22)]
    )
    assert np.isfinite(scores).all()
    aside = CNNClassifier(**options, early_stopping=True, validation_fraction=0.16).fit(x, y)  # 21 are left
    assert aside.history_.samples == 20
    whole = CNNClassifier(**options | {"network": layers[:1] + layers[2:]}).fit(x, y)
    assert whole.history_.samples == 25  # no other network leaves any out
    with pytest.raises(ValueError, match="wants more than one value a channel"):
        CNNRegressor(**options | {"network": layers[:-1]}).fit(x[:1], [[1.0, 2.0]])


@pytest.mark.parametrize(
    "network",
    ["dense", "original", networks.dense, builder, builder((1, 8, 8), 10, 0), builder((1, 8, 8), 10, 0)[:-1]],
)
def test_a_network_may_be_a_name_a_function_or_layers(network, digits):
    x, y = digits
    model = small(network=network, epochs=15, optimizer=Adam(0.01)).fit(x, y)
    assert model.score(x, y) > 0.9
    np.testing.assert_allclose(model.predict_proba(x).sum(axis=1), 1, rtol=1e-5)
    assert same(model, clone(model).fit(x, y))
    if isinstance(network, list):
        assert not network[0].parameters or network[0] is not model.network_[0]


def test_a_lone_output_tells_two_classes_apart(digits):
    x, y = digits[0][digits[1] < 2], digits[1][digits[1] < 2]
    model = small(network=[Flatten(), Dense(64, 1), Sigmoid()], learning_rate=0.01, epochs=30).fit(x, y)
    assert model.predict_proba(x).shape == (len(x), 2)
    assert model.score(x, y) > 0.95


def test_a_trained_network_is_where_training_begins(digits):
    x, y = digits
    trained = Network([Flatten(), Dense(64, 10), Softmax()], input_shape=(1, 8, 8))
    trained.fit(np.uint8(x * 255), y, epochs=20)
    before = trained.parameters.copy()
    model = small(network=trained, epochs=1, learning_rate=1e-9).fit(np.uint8(x * 255), y)
    np.testing.assert_allclose(model.network_.parameters, before, atol=1e-6)
    assert model.network_.preprocessing.scale == 1 / 255
    small(network=trained, epochs=1, learning_rate=0.1).fit(np.uint8(x * 255), y)
    np.testing.assert_array_equal(trained.parameters, before)


def test_augmentation_and_a_loss_of_choice(digits):
    x, y = digits
    given = {
        "augmentation": Augmentation(shift=1),
        "loss": purecnn.losses.label_smoothing("categorical_cross_entropy", 0.1),
    }
    model = small(epochs=20, **given).fit(x, y)
    assert model.score(x, y) > 0.9
    assert same(model, clone(model).fit(x, y))


def test_steps_of_several_batches_and_who_looks_on(digits):
    x, y = digits
    epochs, stopping = [], purecnn.EarlyStopping("loss", patience=1, min_delta=1e9, restore_best=False)
    look = [lambda fit: epochs.append((fit.epoch, fit.steps, fit.arguments["accumulate"])), stopping]
    plain = [Flatten(), Dense(64, 10), Softmax()]
    model = small(network=plain, accumulate=2, callbacks=look, epochs=5)
    copied = clone(model)
    for _ in range(2):
        assert same(model.fit(x, y), copied.fit(x, y))
        assert model.n_iter_ == 2
    steps = -(-len(x) // 128)
    assert epochs == [(1, steps, 2), (2, steps, 2)] * 4
    assert not hasattr(stopping, "fit")  # a parameter stays as it is given
    whole = small(network=plain, batch_size=128, epochs=2, tol=None).fit(x, y)
    np.testing.assert_allclose(model.predict_proba(x), whole.predict_proba(x), atol=1e-5)
    epochs.clear()
    small(callbacks=look[0]).partial_fit(x, y, classes=range(10))
    CNNRegressor(callbacks=look[:1], accumulate=3, epochs=1, batch_size=len(x)).fit(x, y)
    assert epochs == [(1, -(-len(x) // 64), 1), (1, 1, 3)]
    for given, words in (
        ({"accumulate": 0}, "accumulate must be"),
        ({"callbacks": 3}, "callbacks must be a"),
        ({"callbacks": (each for each in look)}, "callbacks must be such as can be copied for each fit, got"),
    ):
        with pytest.raises((ValueError, TypeError), match=words):
            small(**given).fit(x, y)


# numbers --------------------------------------------------------------------------------------------------


def test_several_numbers_a_sample_in_units_of_any_size(rng):
    x = rng.uniform(-1, 1, (200, 3))
    y = np.stack([x[:, 0] ** 2, x[:, 1] - x[:, 2]], axis=1)
    model = CNNRegressor(random_state=0).fit(x, y)
    assert model.predict(x).shape == (200, 2)
    assert model.score(x, y) > 0.95
    large = CNNRegressor(random_state=0).fit(x, y * [1e6, 1e-6] + [1e3, 0])
    np.testing.assert_allclose(large.predict(x), model.predict(x) * [1e6, 1e-6] + [1e3, 0], rtol=1e-3)
    assert CNNRegressor(epochs=1).fit(x, y[:, :1]).predict(x).shape == (200, 1)
    assert CNNRegressor(epochs=1).fit(x, y[:, 0]).predict(x).shape == (200,)
    np.testing.assert_allclose(CNNRegressor(epochs=1).fit(x, np.full(200, 7.0)).target_scale_, 1)


def test_numbers_of_images(digits):
    x, y = digits
    model = CNNRegressor(input_shape=(8, 8), loss="huber", random_state=0, epochs=30).fit(x, y)
    assert model.score(x, y) > 0.8
    assert [type(layer).__name__ for layer in model.network_[-2:]] == ["ReLU", "Dense"]
    frame = pd.DataFrame({"number": y})
    parts = CNNRegressor("lenet", input_shape=(1, 16, 16), random_state=0)
    images = np.kron(x.reshape(-1, 8, 8), np.ones((1, 2, 2), np.float32))
    assert parts.partial_fit(images, frame).partial_fit(images, frame).n_iter_ == 2
    with pytest.raises(ShapeError, match=r"y must have shape \(600, 1\), as in the first call, got \(600,\)"):
        parts.partial_fit(images, y)
    with pytest.raises(ValueError, match="dim 3"):
        CNNRegressor().fit(x, y.reshape(-1, 1, 1))
    stopped = CNNRegressor(early_stopping=True, n_iter_no_change=2, epochs=40, random_state=0).fit(x, y)
    assert stopped.history_.validation_loss


# among scikit-learn's tools -------------------------------------------------------------------------------


def test_kept_by_joblib_it_says_the_same_and_learns_on(digits, tmp_path):
    x, y = digits
    names = np.array([f"digit {i}" for i in range(10)])[y]
    model = small(network=builder).fit(x, names)
    joblib.dump(model, tmp_path / "model.joblib")
    p = model.predict_proba(x)
    model.partial_fit(x, names)
    for mapped in (None, "r"):
        loaded = joblib.load(tmp_path / "model.joblib", mmap_mode=mapped)
        np.testing.assert_array_equal(loaded.predict_proba(x), p)
        assert same(loaded.partial_fit(x, names), model)
        np.testing.assert_array_equal(loaded.predict_proba(x), model.predict_proba(x))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(x), model.predict(x))


def test_its_network_is_kept_without_joblib(digits, tmp_path):
    x, y = digits
    names = np.array([f"digit {i}" for i in range(10)])
    model = small().fit(x, names[y])
    purecnn.save(model.network_, tmp_path / "model.safetensors")
    network = purecnn.load(tmp_path / "model.safetensors")
    found = np.array(network.preprocessing.classes)[network.predict(x).argmax(axis=1)]
    np.testing.assert_array_equal(found, model.predict(x))


def test_in_a_pipeline_and_a_search_on_two_processes(digits):
    x, y = digits
    model = make_pipeline(StandardScaler(), small(epochs=3))
    search = GridSearchCV(model, {"cnnclassifier__learning_rate": [1e-5, 0.01]}, cv=2, n_jobs=2)
    search.fit(x, y)
    assert search.best_params_["cnnclassifier__learning_rate"] == 0.01
    alone = clone(search).set_params(n_jobs=None).fit(x, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])


def test_in_calibration_votes_and_cross_validation(digits):
    x, y = digits
    assert cross_val_score(small(epochs=8, learning_rate=0.005), x, y, cv=2).min() > 0.8
    calibrated = CalibratedClassifierCV(small(epochs=8, learning_rate=0.005), cv=2).fit(x, y)
    assert calibrated.score(x, y) > 0.8
    np.testing.assert_allclose(calibrated.predict_proba(x).sum(axis=1), 1, rtol=1e-5)
    members = [("cnn", small(epochs=8)), ("naive", GaussianNB())]
    assert VotingClassifier(members, voting="soft").fit(x, y).score(x, y) > 0.8


def workers_of(model, x, y):
    """Return how many workers an estimator's training takes, and a network's own."""
    found = []
    plain = host.HostTrainer.gather_workers

    def gather_workers(trainer):
        found.append(trainer.workers)
        return plain(trainer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cores, "cores", lambda *_: cores.Cores(("a", "b"), 4))
        patch.setattr(host.HostTrainer, "gather_workers", gather_workers)
        model.fit(x, y)
        model.network_.fit(x, y, epochs=1, batch_size=128, threads=model.threads)
    return found


def test_workers_of_others_share_the_cores_with_estimators_and_networks(monkeypatch, digits):
    x, y = digits
    model = small(epochs=1, batch_size=128)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert workers_of(model, x, y) == [2, 2]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert workers_of(model, x, y) == [1, 1]
    assert workers_of(clone(model).set_params(threads=2), x, y) == [2, 2]
    monkeypatch.setenv("OMP_NUM_THREADS", "0")
    assert workers_of(model, x, y) == [2, 2]
    monkeypatch.delenv("OMP_NUM_THREADS")
    # more jobs than processors, so that joblib leaves one thread to each
    for backend, jobs in (("loky", joblib.cpu_count() + 1), ("multiprocessing", 2), ("threading", 2)):
        with joblib.parallel_config(backend, n_jobs=jobs):
            assert joblib.Parallel()(joblib.delayed(as_threads)(None) for _ in range(2)) == [1, 1]


@pytest.mark.parametrize("backend", ["threading", "multiprocessing"])
@pytest.mark.parametrize("threads", [None, 2])
def test_folds_side_by_side_score_as_one_after_the_other(backend, threads, digits, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")
    model = small(epochs=3, threads=threads)
    alone = cross_val_score(model, *digits, cv=3)
    with joblib.parallel_config(backend, n_jobs=3):
        np.testing.assert_array_equal(cross_val_score(model, *digits, cv=3), alone)


def test_the_guides_search_runs_on_a_dask_cluster(tmp_path):
    pytest.importorskip("distributed")
    guide = (Path(__file__).parents[2] / "docs" / "scikit-learn.md").read_text(encoding="utf-8")
    program = re.search(r"```text\n(import joblib\n.*?)```", guide, re.DOTALL)[1]
    (tmp_path / "search.py").write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "search.py"], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    where, best = done.stdout.splitlines()
    assert where.startswith("tcp://127.0.0.1:")
    assert best == "{'learning_rate': 0.01}"


def test_an_estimator_trains_and_answers_on_a_device_and_its_copies_lie_on_the_host():
    x, y = np.random.default_rng(0).standard_normal((60, 4)), np.arange(60) % 3
    here, there = (
        CNNClassifier(epochs=3, random_state=0, device=where).fit(x, y) for where in ("cpu", STRICT)
    )
    assert there.network_.device is STRICT
    np.testing.assert_allclose(there.predict_proba(x), here.predict_proba(x), rtol=1e-6)
    other = pickle.loads(pickle.dumps(there.network_))
    assert str(other.device) == "cpu"
    np.testing.assert_allclose(other.predict(x), there.network_.predict(x), rtol=1e-6)


@pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor])
def test_channels_last_are_refused_unless_they_are_named(kind):
    x, y = np.random.default_rng(0).random((4, 28, 28, 1)).astype(np.float32), [0, 1, 0, 1]
    options = {"epochs": 1, "random_state": 0}
    for given in (x, x.reshape(4, -1)):
        with pytest.raises(ShapeError, match=r"input_shape must have its channels first.*got \(28, 28, 1\)"):
            kind(input_shape=(28, 28, 1), **options).fit(given, y)
    with pytest.raises(ShapeError, match="X must have its channels first"):
        kind(**options).fit(x, y)
    named = kind(input_shape={"channels": 28, "height": 28, "width": 1}, **options)
    assert clone(named).fit(x, y).network_.input_shape == (28, 28, 1)


def signal_layers(shape=None, outputs=3, seed=0):
    layers = [Convolutional1D(kernel_size=3, depth=4), ReLU(), GlobalAveragePooling1D()]
    return [*layers, Dense(output_size=outputs), Softmax()]


@pytest.mark.parametrize(
    ("network", "shape", "given", "wanted"),
    [
        (signal_layers(), None, (60, 2, 20), (2, 20)),
        (signal_layers(), None, (60, 20), (1, 20)),
        (signal_layers(), (2, 20), (60, 40), (2, 20)),
        (signal_layers, {"channels": 2, "length": 20}, (60, 2, 20), (2, 20)),
        (signal_layers, {"channels": 2, "length": 20}, (60, 40), (2, 20)),
    ],
)
def test_signals_go_in_as_they_are(network, shape, given, wanted):
    x, y = np.random.default_rng(0).standard_normal(given), np.arange(60) % 3
    model = CNNClassifier(network, input_shape=shape, epochs=1, random_state=0).fit(x, y)
    assert model.network_.input_shape == wanted
    assert model.predict(x[:5]).shape == (5,)
    assert clone(model).fit(x, y).score(x, y) == model.score(x, y)


def test_signals_with_their_channels_last_are_refused():
    with pytest.raises(
        ShapeError, match=r"X must have its channels first, .* got \(60, 20, 2\): X.transpose"
    ):
        CNNClassifier(signal_layers(), epochs=1).fit(np.zeros((60, 20, 2)), np.arange(60) % 3)
