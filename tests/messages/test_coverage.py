"""The tables of other-libraries.md against the names of Keras and PyTorch, and against what is here."""

import ast
import importlib
import inspect
import json
import re
from pathlib import Path

import numpy as np
import pytest

import purecnn
from purecnn import Layer, Network
from purecnn.layers.initializers import SCHEMES
from purecnn.losses import LOSSES
from purecnn.messages import vocabulary
from purecnn.messages.lazy import public_names
from purecnn.messages.vocabulary import ABSENT, LAYERS, OTHERWISE, Row
from purecnn.optimizers import OPTIMIZERS

FIXTURES = Path(__file__).parents[1] / "fixtures"
#: Which tables may answer for a module of another library: what is here, and the topics of what is not.
PLACES = {
    "keras layers": ((*LAYERS, *vocabulary.AUGMENTATIONS, *vocabulary.DATA), ("layers", "augmentation")),
    "keras losses": (vocabulary.LOSSES, ("losses",)),
    "keras metrics": ((*vocabulary.METRICS, *vocabulary.LOSSES), ("metrics", "losses")),
    "keras optimizers": (vocabulary.OPTIMIZERS, ("training",)),
    "keras optimizers.schedules": (vocabulary.SCHEDULES, ("training",)),
    "keras callbacks": ((*vocabulary.CALLBACKS, *vocabulary.SCHEDULES), ("training",)),
    "keras initializers": (vocabulary.INITIALIZATIONS, ("initializers",)),
    "keras regularizers": ((), ("layers",)),
    "keras constraints": ((), ("layers",)),
    "torch nn": ((*LAYERS, *vocabulary.LOSSES), ("layers", "losses")),
    "torch optim": ((*vocabulary.OPTIMIZERS, *vocabulary.CALLBACKS), ("training",)),
    "torch optim.lr_scheduler": (vocabulary.SCHEDULES, ("training",)),
    "torch optim.swa_utils": (vocabulary.CALLBACKS, ("training",)),
    "torch nn.init": (vocabulary.INITIALIZATIONS, ("initializers",)),
    "torch torchvision.transforms.v2": (
        (*LAYERS, *vocabulary.AUGMENTATIONS, *vocabulary.DATA),
        ("augmentation",),
    ),
}
NAMES = {
    f"{library} {module}": names
    for library in ("keras", "torch")
    for module, names in json.loads((FIXTURES / f"names_{library}.json").read_text())["names"].items()
}


def words(rows, library):
    """Return all names of a library in some rows."""
    return {word for row in rows for word in getattr(row, library).split()}


@pytest.mark.parametrize("place", PLACES)
def test_each_name_of_the_libraries_is_here_or_said_to_be_missing(place):
    library = place.split()[0]
    here, topics = PLACES[place]
    rows = (*OTHERWISE, *(row for topic in topics for row in ABSENT[topic]))
    is_here, is_not = words(here, library), words(rows, library)
    wanted = set(NAMES[place])
    assert len(wanted) >= 3
    assert wanted - is_here - is_not == set(), "give them a row in purecnn.messages.words"
    assert wanted & is_here & is_not == set(), "they are here: take them out of words.absent"


def test_the_lists_are_all_looked_at():
    assert PLACES.keys() == NAMES.keys()
    assert len(NAMES["keras layers"]) > 150
    assert len(NAMES["torch nn"]) > 150


def test_what_is_chosen_by_name_is_there():
    assert {row.here for row in vocabulary.INITIALIZATIONS} == set(SCHEMES) - {"auto"}
    assert {row.here for row in vocabulary.LOSSES} == {*LOSSES, "Loss"}
    assert {row.here.lower() for row in vocabulary.OPTIMIZERS} == {*OPTIMIZERS, "optimizer"}


def test_each_layer_schedule_and_callback_has_a_row():
    from purecnn import callbacks
    from purecnn.optimizers import schedules

    named = {row.here for row in vocabulary.IMPORTS}
    assert set(purecnn.layers.__all__) - named == {"Summary", "summary"}
    assert set(schedules.__all__) - named == set()
    assert set(callbacks.__all__) - named == {"JSONLog"}  # the others have none


def calls_in(note):
    """Return the calls that a note writes, as Python reads them."""
    found = []
    for match in re.finditer(r"(?<![\w.])\w[\w.]*\(", note):
        depth, end = 1, match.end()
        while depth and end < len(note):
            depth += {"(": 1, ")": -1}.get(note[end], 0)
            end += 1
        found += [one for one in ast.walk(ast.parse(note[match.start() : end])) if isinstance(one, ast.Call)]
    return found


def called(name, places):
    """Return what stands here by a name that a note calls: a public one, a method of a network or of data."""
    owner = {"fit": Network, "evaluate": Network, "predict": Network, "batch": purecnn.Dataset}.get(name)
    return getattr(owner or importlib.import_module(places[name]), name)


def check(row, places, elsewhere):
    """Hold what a row tells to write to what there is: calls, their arguments, and names."""
    for call in calls_in(row.note):
        if isinstance(call.func, ast.Attribute):
            assert hasattr(np, call.func.attr), row
        elif call.func.id not in elsewhere - places.keys():
            parameters = inspect.signature(called(call.func.id, places)).parameters
            if not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
                assert {each.arg for each in call.keywords} <= parameters.keys(), row
    known = {*places, *elsewhere, *ARGUMENTS, *dir(Layer), "PyTorch", "top_3_accuracy"}
    named = set(re.findall(r"\b[A-Z][a-z]+[A-Z]\w*|\b[a-z]\w*_\w+", row.note))
    assert named <= known, row


PUBLIC = {**public_names(), **dict.fromkeys(purecnn.__all__, "purecnn")}
ARGUMENTS = {
    *(row.here for row in vocabulary.ARGUMENTS),
    *inspect.signature(Network.fit).parameters,
    "decay_biases",
    "per_channel",
}
ELSEWHERE = words(vocabulary.IMPORTS, "keras") | words(vocabulary.IMPORTS, "torch")


def test_what_the_rows_tell_to_write_can_be_written():
    for row in (*vocabulary.IMPORTS, *ABSENT["initializers"]):
        check(row, PUBLIC, ELSEWHERE)


@pytest.mark.parametrize(
    ("note", "error"),
    [
        ("fit(..., no_such_argument=1)", AssertionError),
        ("take UpSamplings", AssertionError),
        ("fit(..., callbacks=Stopping())", KeyError),
    ],
)
def test_a_row_that_lies_is_found(note, error):
    with pytest.raises(error):
        check(Row("", "", "X", note), PUBLIC, ELSEWHERE)
