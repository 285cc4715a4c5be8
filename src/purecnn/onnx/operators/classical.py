"""ONNX operators: classical machine learning around networks.

Operators of the domain ai.onnx.ml that scikit-learn's exporters write around a network: scalers, encoders,
linear models, and the names of classes.

Formulas are those of https://onnx.ai/onnx/operators/index_ml.html.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from purecnn.backend.types import Array
from purecnn.errors import FileFormatError, ShapeError
from purecnn.onnx.arrays import TEXT
from purecnn.onnx.model import Maps
from purecnn.onnx.operators.registry import OperatorCall, operator
from purecnn.onnx.operators.text import NUMBERS, OBJECT, text_array, texts

DOMAIN = "ai.onnx.ml"


def numbers(call: OperatorCall, name: str) -> list[float]:
    """Return an attribute that is a list of floats; an empty one if it is left out."""
    value = call.attribute(name, list, [])
    if not all(isinstance(item, float) for item in value):
        raise FileFormatError(f"the attribute {name!r} is {value!r}, wanted floats")
    return list(value)


def either(call: OperatorCall, first: str, second: str) -> Any:
    """Return the one of two attributes that is there: texts or integers."""
    words, whole = texts(call, first), call.integers(second, [])
    if bool(words) == bool(whole):
        raise FileFormatError(f"has {'both' if words else 'none'} of {first!r} and {second!r}, wanted one")
    return words or whole


def rows(x: Array) -> Array:
    """Return samples as rows: a vector is one."""
    if not 1 <= x.ndim <= 2:
        raise ShapeError(f"the input's shape is {x.shape}, wanted samples as rows")
    return x.reshape(1, -1) if x.ndim == 1 else x


def by_feature(call: OperatorCall, name: str, x: Array) -> Array:
    """Return an attribute that has a number for all features, or one for each."""
    values = np.asarray(numbers(call, name), np.float32)
    if x.ndim < 1 or values.size not in (1, x.shape[-1]):
        raise ShapeError(
            f"the attribute {name!r} has {values.size} numbers, wanted 1 or one for each feature"
        )
    return values


# Features -----------------------------------------------------------------------------------------------


@operator("Scaler", domain=DOMAIN)
def scaler(call: OperatorCall, x: Array) -> Array:
    """(x - offset) scale, a number for each feature, in float32."""
    offset, scale = by_feature(call, "offset", x), by_feature(call, "scale", x)
    call.claim(x.shape, np.float32, copies=3)
    return (x.astype(np.float32) - offset) * scale


@operator("Normalizer", domain=DOMAIN)
def normalizer(call: OperatorCall, x: Array) -> Array:
    """Each row by its largest value, its sum or its length, in float32; a row of zeros stays."""
    norm = call.choice("norm", "MAX", "MAX", "L1", "L2")
    values = rows(x)
    call.claim(x.shape, np.float32, copies=4)
    values = values.astype(np.float32)
    if norm == "MAX":
        size = values.max(axis=1, keepdims=True, initial=-np.inf)
    elif norm == "L1":
        size = np.abs(values).sum(axis=1, keepdims=True)
    else:
        size = np.sqrt((values * values).sum(axis=1, keepdims=True))
    return (values / np.where(size == 0, 1, size)).astype(np.float32).reshape(x.shape)


@operator("Binarizer", domain=DOMAIN)
def binarizer(call: OperatorCall, x: Array) -> Array:
    """1 where x is above a threshold, else 0."""
    call.like(x, copies=2)
    found: Array = (x > call.number("threshold", 0.0)).astype(x.dtype)
    return found


@operator("Imputer", domain=DOMAIN)
def imputer(call: OperatorCall, x: Array) -> Array:
    """Values that stand for missing ones replaced, each feature's by its own number."""
    values: Sequence[float] = numbers(call, "imputed_value_floats")
    absent = call.number("replaced_value_float", 0.0)
    if x.dtype.kind != "f":
        values, absent = call.integers("imputed_value_int64s", []), call.integer("replaced_value_int64", 0)
    if x.ndim < 1 or len(values) not in (1, x.shape[-1]):
        raise ShapeError(f"has {len(values)} imputed values, wanted 1 or one for each feature of {x.shape}")
    call.like(x, copies=3)
    missing = np.isnan(x) if math.isnan(absent) else x == absent
    return np.where(missing, np.asarray(values, x.dtype), x)


@operator("FeatureVectorizer", domain=DOMAIN)
def feature_vectorizer(call: OperatorCall, *inputs: Array) -> Array:
    """Features of several inputs side by side, each cut or filled with zeros to its width, in float32."""
    widths = call.integers("inputdimensions")
    if not inputs or len(widths) != len(inputs) or min(widths) < 0:
        raise ShapeError(f"inputdimensions are {widths}, wanted a size for each of {len(inputs)} inputs")
    parts = [rows(x) for x in inputs]
    if len({len(part) for part in parts}) > 1:
        raise ShapeError(
            f"inputs have {', '.join(str(len(part)) for part in parts)} rows, wanted as many each"
        )
    found = np.zeros(call.claim((len(parts[0]), sum(widths)), np.float32, copies=2), np.float32)
    start = 0
    for part, width in zip(parts, widths, strict=True):
        held = min(width, part.shape[1])
        found[:, start : start + held] = part[:, :held]
        start += width
    return found


@operator("ArrayFeatureExtractor", domain=DOMAIN)
def array_feature_extractor(call: OperatorCall, x: Array, places: Array) -> Array:
    """Values by their places along the last axis; of a vector as one row."""
    if not x.ndim or places.dtype.kind not in "iu" or not places.size:
        raise ShapeError(
            f"places are {places.dtype} {places.shape} in {x.shape}, wanted integers and an axis"
        )
    call.claim(places.shape, np.int64, copies=2)
    if places.min() < 0 or places.max() >= x.shape[-1]:
        raise ShapeError(f"places are from {places.min()} to {places.max()}, the axis has {x.shape[-1]}")
    whole = x.reshape(1, -1) if x.ndim == 1 else x
    call.claim((*whole.shape[:-1], places.size), x.dtype)
    return np.take(whole, places.reshape(-1), -1)


# Encoders -----------------------------------------------------------------------------------------------


def looked_up(call: OperatorCall, x: Array, keys: Sequence[Any], values: Sequence[Any], default: Any) -> Any:
    """Return the values that stand for the keys in x; `default` decides of what kind they are."""
    if len(keys) != len(values):
        raise FileFormatError(f"has {len(keys)} keys and {len(values)} values, wanted as many")
    if bool(keys) and isinstance(keys[0], str) != (x.dtype == TEXT):
        kind = "text" if x.dtype == TEXT else x.dtype
        raise FileFormatError(f"keys like {keys[0]!r:.40} can't be found in {kind}, wanted the same kind")
    call.claim((len(keys),), np.float64, copies=NUMBERS, slow=OBJECT)
    call.claim(x.shape, np.float64, copies=NUMBERS, slow=OBJECT)
    table = dict(zip(reversed(keys), reversed(values), strict=True))  # the first of equal keys counts
    absent = next((value for key, value in table.items() if key != key), default)
    found = [table.get(key, default if key == key else absent) for key in x.reshape(-1).tolist()]
    if isinstance(default, str):
        return text_array(found, x.shape)
    return np.array(found, np.asarray(default).dtype).reshape(x.shape)


@operator("CategoryMapper", domain=DOMAIN)
def category_mapper(call: OperatorCall, x: Array) -> Any:
    """Texts as integers, or integers as texts."""
    whole, words = call.integers("cats_int64s", []), texts(call, "cats_strings")
    if x.dtype == TEXT:
        return looked_up(call, x, words, whole, np.int64(call.integer("default_int64", -1)))
    return looked_up(call, x, whole, words, call.text("default_string", "_Unused"))


@operator("LabelEncoder", domain=DOMAIN)
def label_encoder_of_classes(call: OperatorCall, x: Array) -> Any:
    """Texts as their places among the classes, or places as texts."""
    words = texts(call, "classes_strings")
    if x.dtype == TEXT:
        return looked_up(call, x, words, range(len(words)), np.int64(call.integer("default_int64", -1)))
    return looked_up(call, x, range(len(words)), words, call.text("default_string", "_Unused"))


@operator("LabelEncoder", since=2, domain=DOMAIN)
def label_encoder(call: OperatorCall, x: Array) -> Any:
    """Values for keys, both of any kind."""
    keys, _ = column(call, "keys")
    values, kind = column(call, "values")
    default: Any = call.attribute("default_tensor", np.ndarray, None)
    if default is not None and (default.size != 1 or (default.dtype == TEXT) != (kind == TEXT)):
        raise FileFormatError(f"default_tensor is {default.dtype} {default.shape}, wanted one {kind}")
    if default is not None:
        default = default.reshape(())[()]
    elif kind == TEXT:
        default = call.text("default_string", "_Unused")
    elif kind.kind == "f":
        default = call.number("default_float", -0.0)
    else:
        default = call.integer("default_int64", -1)
    if kind != TEXT:
        default = np.asarray(default).astype(kind)[()]
    return looked_up(call, x, keys, values, default)


def column(call: OperatorCall, name: str) -> tuple[list[Any], np.dtype[Any]]:
    """Return the keys or values of a table, and of what kind they are."""
    held = call.attribute(f"{name}_tensor", np.ndarray, None)
    if held is not None:
        return held.reshape(-1).tolist(), held.dtype
    forms: dict[str, tuple[Any, np.dtype[Any]]] = {
        f"{name}_strings": (texts, TEXT),
        f"{name}_int64s": (OperatorCall.integers, np.dtype(np.int64)),
        f"{name}_floats": (numbers, np.dtype(np.float32)),
    }
    given = [form for form in forms if form in call.node.attributes]
    if len(given) != 1:
        raise FileFormatError(f"has {' and '.join(given) or 'no ' + name}, wanted {name} of one kind")
    read, kind = forms[given[0]]
    return read(call, given[0]), kind


@operator("OneHotEncoder", domain=DOMAIN)
def one_hot_encoder(call: OperatorCall, x: Array) -> Array:
    """A one at the place of each category, in float32."""
    known = either(call, "cats_strings", "cats_int64s")
    if x.dtype.kind == "f":
        call.claim(x.shape, np.int64)
        x = x.astype(np.int64)
    found = np.zeros(call.claim((*x.shape, len(known)), np.float32), np.float32)
    places = looked_up(call, x, known, range(len(known)), np.int64(-1)).reshape(-1)
    if not call.integer("zeros", 1) and places.min(initial=0) < 0:
        raise FileFormatError("a category is not known, and the attribute 'zeros' is 0")
    held = np.flatnonzero(places >= 0)
    found.reshape(-1, len(known))[held, places[held]] = 1
    return found


@operator("ZipMap", domain=DOMAIN)
def zip_map(call: OperatorCall, x: Array) -> tuple[Maps]:
    """Numbers by the names of their classes: a dict for each row."""
    labels = either(call, "classlabels_strings", "classlabels_int64s")
    if x.dtype.kind != "f" or rows(x).shape[1] != len(labels):
        raise ShapeError(
            f"the input is {x.dtype} {x.shape}, wanted a float for each of {len(labels)} classes"
        )
    whole = rows(x)
    shape = call.claim((len(whole), len(labels) + 4), np.float64, copies=NUMBERS, slow=OBJECT)
    found = [dict(zip(labels, row, strict=True)) for row in whole.tolist()]
    return (Maps(found, 8 * NUMBERS * math.prod(shape)),)


# Linear models ------------------------------------------------------------------------------------------


def linear(call: OperatorCall, x: Array, targets: int) -> Array:
    """Return x @ coefficients + intercepts in float32, a column for each target."""
    values, weights = rows(x), np.asarray(numbers(call, "coefficients"), np.float32)
    biases = np.asarray(numbers(call, "intercepts") or [0.0] * targets, np.float32)
    if targets < 1 or weights.size != targets * values.shape[1] or biases.size != targets:
        raise ShapeError(
            f"has {weights.size} coefficients and {biases.size} intercepts, "
            f"wanted those of {targets} targets and {values.shape[1]} features"
        )
    call.claim(values.shape, np.float32)
    shape = call.claim((len(values), targets), np.float32, copies=2)
    call.budget.multiply(math.prod(shape) * values.shape[1], np.float32)
    return values.astype(np.float32) @ weights.reshape(targets, -1).T + biases


def transformed(call: OperatorCall, scores: Array) -> Array:
    """Return scores as the attribute 'post_transform' wants them."""
    known = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO")
    form = call.choice("post_transform", "NONE", *known)
    if form == "NONE":
        return scores
    call.like(scores, copies=5, slow=32)
    if form == "LOGISTIC":
        return 1 / (1 + np.exp(-scores))
    nothing = (scores == 0) & (form == "SOFTMAX_ZERO")
    powers = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
    return np.where(nothing, np.float32(0), powers / powers.sum(axis=1, keepdims=True))


@operator("LinearRegressor", domain=DOMAIN)
def linear_regressor(call: OperatorCall, x: Array) -> Array:
    """x @ coefficients + intercepts."""
    return transformed(call, linear(call, x, call.integer("targets", 1)))


@operator("LinearClassifier", domain=DOMAIN)
def linear_classifier(call: OperatorCall, x: Array) -> tuple[Array, Array]:
    """The class of the largest score, and all scores; one score alone decides between two classes."""
    labels = either(call, "classlabels_strings", "classlabels_ints")
    intercepts = len(numbers(call, "intercepts"))
    targets = intercepts or len(numbers(call, "coefficients")) // max(1, rows(x).shape[1])
    scores = linear(call, x, targets)
    if targets not in (len(labels), len(labels) - 1) or (targets < len(labels) and targets != 1):
        raise ShapeError(f"has {targets} scores for {len(labels)} classes, wanted one for each")
    call.claim(scores.shape[:1], np.int64, copies=3)
    if targets == 1:
        places = (scores[:, 0] > 0).astype(np.int64) * (len(labels) - 1)
    else:
        places = scores.argmax(axis=1)
    known = text_array(labels, (-1,)) if isinstance(labels[0], str) else np.asarray(labels, np.int64)
    if targets == 1 and len(labels) == 2:
        call.like(scores, copies=4)
        logistic = call.text("post_transform", "NONE") == "LOGISTIC"  # a softmax of one score says nothing
        held = transformed(call, scores) if logistic else scores
        return known[places], np.concatenate([1 - held, held], axis=1)
    return known[places], transformed(call, scores)
