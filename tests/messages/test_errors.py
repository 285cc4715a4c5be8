"""The package's exceptions: what they derive from, and what they say."""

import importlib.util
import shutil
import sys
from importlib.metadata import PackageNotFoundError

import pytest

from purecnn import PureCNNError, errors
from purecnn.errors import MissingExtraError
from purecnn.messages import extras
from purecnn.messages.extras import install_command, require_extra


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
    assert ours | {"CheckpointWarning", "LogWarning", "PreprocessingWarning"} == set(errors.__all__)


def test_require_extra_returns_the_module_itself() -> None:
    assert require_extra("importlib.util", "cli", "a test") is importlib.util


METADATA = [
    "numpy>=2.0",
    "pillow>=10; extra == 'cli'",
    "scikit-learn<2,>=1.5; extra == 'sklearn'",
    'plotly; extra == "report"',
    "mpich>=4.2.2; (platform_system != 'Windows') and extra == 'mpi'",
    "mpi4py>=4; extra == 'mpi'",
]


@pytest.mark.parametrize(
    ("module", "extra", "wanted"),
    [
        ("PIL.Image", "cli", 'reading pictures needs Pillow: {} "pillow>=10"'),
        ("sklearn", "sklearn", 'reading pictures needs scikit-learn: {} "scikit-learn<2,>=1.5"'),
        ("plotly.graph_objects", "report", "reading pictures needs plotly: {} plotly"),
        (
            "mpi4py.MPI",
            "mpi",
            'needs mpi4py: {} "mpich>=4.2.2; (platform_system != \'Windows\')" "mpi4py>=4"',
        ),
        ("sklearn", "none", "needs scikit-learn: {} scikit-learn"),
    ],
)
def test_a_missing_extra_says_how_to_install_it(
    module: str, extra: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module.partition(".")[0], None)
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(extras, "requires", lambda _: METADATA)
    with pytest.raises(MissingExtraError) as caught:
        require_extra(module, extra, "reading pictures")
    assert str(caught.value).endswith(wanted.format(extras.installer()))
    assert caught.value.name == module
    assert isinstance(caught.value.__cause__, ImportError)


def test_the_command_installs_into_the_environment_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> list[str]:
        raise PackageNotFoundError

    monkeypatch.setattr(extras, "requires", missing)  # as where the sources lie on the path alone
    monkeypatch.setattr(sys, "executable", "/my place/bin/python3")
    programs = {"uv": "/bin/uv", "python": "/bin/python"}
    monkeypatch.setattr(shutil, "which", programs.get)
    assert install_command("cli", "Pillow") == '"/my place/bin/python3" -m pip install Pillow'
    monkeypatch.setattr(extras, "find_spec", lambda _: None)  # an environment of uv's
    assert install_command("cli", "Pillow") == 'uv pip install --python "/my place/bin/python3" Pillow'
    programs["python"] = "/my place/bin/python"
    assert install_command("cli", "Pillow") == "uv pip install --python python Pillow"
