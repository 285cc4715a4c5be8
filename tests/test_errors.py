"""The package's exceptions: what they derive from, and what they say."""

import importlib.util
import sys

import pytest

from purecnn import errors
from purecnn.errors import MissingExtraError, PureCNNError, require_extra


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("ShapeError", ValueError),
        ("FileFormatError", ValueError),
        ("DivergedError", ArithmeticError),
        ("DownloadError", OSError),
        ("GradientError", AssertionError),
        ("WorkerError", RuntimeError),
        ("RankError", RuntimeError),
        ("MissingExtraError", ImportError),
        ("CheckpointError", ValueError),
    ],
)
def test_each_is_ours_and_a_builtin(name: str, builtin: type[Exception]) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, PureCNNError)
    assert issubclass(kind, builtin)
    assert str(kind("3 given, 4 wanted")) == "3 given, 4 wanted"


def test_all_names_every_exception() -> None:
    ours = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, PureCNNError)
    }
    assert ours | {"CheckpointWarning", "require_extra"} == set(errors.__all__)


def test_require_extra_returns_the_module_itself() -> None:
    assert require_extra("importlib.util", "cli", "a test") is importlib.util


@pytest.mark.parametrize(
    ("module", "extra", "wanted"),
    [
        ("PIL.Image", "cli", "reading pictures needs Pillow: pip install 'purecnn[cli]'"),
        ("sklearn", "sklearn", "reading pictures needs scikit-learn: pip install 'purecnn[sklearn]'"),
        ("plotly.graph_objects", "report", "reading pictures needs plotly: pip install 'purecnn[report]'"),
    ],
)
def test_a_missing_extra_says_how_to_install_it(
    module: str, extra: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module.partition(".")[0], None)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as caught:
        require_extra(module, extra, "reading pictures")
    assert str(caught.value) == wanted
    assert caught.value.name == module
    assert isinstance(caught.value.__cause__, ImportError)
