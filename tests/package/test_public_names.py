"""The package as a whole: one public surface, and an import that brings no more than it must."""

import subprocess
import sys

import pytest

import purecnn


def test_every_public_name_is_there_and_sorted():
    assert list(purecnn.__all__) == sorted(purecnn.__all__, key=str.lower)
    assert all(hasattr(purecnn, name) for name in purecnn.__all__)
    assert set(dir(purecnn)) == set(purecnn.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'purecnn' has no attribute 'Convolution3D'"):
        _ = purecnn.Convolution3D


def test_the_import_brings_no_file_formats_and_changes_nothing():
    program = (
        "import sys, threading, numpy as np; size = np.getbufsize(); "
        "from purecnn import Adam, Convolutional, Dense, EarlyStopping, Network, ReLU, Softmax; "
        "heavy = {'json', 'gzip', 'multiprocessing', 'concurrent.futures', 'importlib.resources', 'click', "
        "'PIL', 'plotly', 'sklearn'}; "
        "print(sorted(heavy & set(sys.modules)), threading.active_count(), np.getbufsize() == size)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[] 1 True\n"


def test_all_public_names_are_there_without_any_extra():
    extras = "click rich PIL plotly tensorboardX h5py sklearn starlette uvicorn h11 mpi4py cupy dpnp"
    program = f"""
import importlib, inspect
from importlib.machinery import PathFinder

found = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name in {extras.split()} else found(name, *rest)
from purecnn import *
from purecnn.interop.sklearn import *
import purecnn

names = dict(inspect.getmembers(purecnn))
print("Network" in names, "CNNClassifier" in names, "CNNClassifier" in dir(purecnn.interop.sklearn))
for module in filter(inspect.ismodule, names.values()):
    importlib.import_module(module.__name__)
    inspect.getmembers(module)
try:
    purecnn.CNNClassifier
except purecnn.errors.MissingExtraError as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stderr == ""
    first, second = found.stdout.splitlines()
    assert first == "True False False"
    assert second.startswith("an estimator needs scikit-learn: ")
