"""What is released: a wheel that holds the package and nothing else, and is the same bytes each time."""

import email
import hashlib
import json
import re
import statistics
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import purecnn
from helpers.lowest_versions import SAFE, lowest

ROOT = Path(__file__).parents[2]
PACKAGE = Path(purecnn.__file__).parent
MNIST = [
    f"{part}-{kind}.gz" for part in ("train", "t10k") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
]

from_sources = pytest.mark.skipif(not (ROOT / "src").exists(), reason="the sources are out of reach here")


def build(kind, source, folder):
    """Build a distribution, as the build tools do, without an environment of its own."""
    program = (
        "import sys, hatchling.build as backend; print(getattr(backend, f'build_{sys.argv[1]}')(sys.argv[2]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, kind, str(folder)],
        cwd=source,
        capture_output=True,
        text=True,
        check=True,
    )
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


def about(wheel):
    """Return the metadata of a wheel."""
    with zipfile.ZipFile(wheel) as held:
        return email.message_from_bytes(held.read(f"{dist_info()}/METADATA"))


def dist_info():
    return f"purecnn-{purecnn.__version__}.dist-info"


def files(*arguments):
    """Return the files that git knows, or would add; all of a folder where there is no git."""
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout here")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *arguments]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return {name for name in found if (ROOT / name).exists()}


@from_sources
def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    told = {name for name in names if name.startswith(dist_info())}
    assert names - told == {name.removeprefix("src/") for name in files("src/purecnn")}
    assert {name.partition("/")[2] for name in told} == {
        *("METADATA", "WHEEL", "RECORD", "entry_points.txt"),
        *("licenses/LICENSE", "licenses/src/purecnn/datasets/files/mnist/SOURCE.md"),
    }
    assert {"purecnn/py.typed", *(f"purecnn/datasets/files/mnist/{name}" for name in MNIST)} <= names
    assert [name for name in names if "test" in name or "__pycache__" in name] == []


@from_sources
def test_the_wheel_tells_what_it_is(wheel):
    told = about(wheel)
    assert wheel.name == f"purecnn-{purecnn.__version__}-py3-none-any.whl"
    assert (told["Name"], told["Version"]) == ("purecnn", purecnn.__version__)
    assert told["Requires-Python"] == ">=3.11"
    assert told["License-Expression"] == "MIT AND CC-BY-SA-3.0"
    assert told["Description-Content-Type"] == "text/markdown"
    with zipfile.ZipFile(wheel) as held:
        points = held.read(f"{dist_info()}/entry_points.txt").decode()
    assert points.split("\n")[:2] == ["[console_scripts]", "purecnn = purecnn.cli:main"]


@from_sources
def test_installing_brings_numpy_and_nothing_else(wheel):
    told = about(wheel)
    required = told.get_all("Requires-Dist")
    assert [line for line in required if "extra ==" not in line] == ["numpy>=2.0"]
    assert {"all", "cli", "report", "tensorboard"} <= set(told.get_all("Provides-Extra"))


@from_sources
def test_two_builds_give_the_same_bytes_and_so_does_the_source_distribution(wheel, sdist, tmp_path):
    (tmp_path / "again").mkdir()
    with tarfile.open(sdist) as held:
        held.extractall(tmp_path, filter="data")
    unpacked = tmp_path / sdist.name.removesuffix(".tar.gz")
    for path in unpacked.rglob("*"):
        path.touch()  # another time of day
    again = build("wheel", unpacked, tmp_path / "again")
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(wheel.read_bytes()).digest()
    second = build("sdist", ROOT, tmp_path / "again")
    assert second.read_bytes() == sdist.read_bytes()


@from_sources
def test_the_source_distribution_holds_the_tests_and_no_stray_file(sdist):
    with tarfile.open(sdist) as held:
        names = {name.partition("/")[2] for name in held.getnames()}
    wanted = {name for name in files() if not name.startswith(".ci/")}
    assert names - {"PKG-INFO"} == wanted
    assert {
        "tests/package/test_distribution.py",
        "Makefile",
        "CHANGELOG.md",
        ".github/workflows/ci.yml",
    } <= names


def test_the_installed_package_tells_the_version_that_it_has():
    told = metadata.distribution("purecnn")
    assert told.version == purecnn.__version__, "install again: the version has changed since"
    assert [line for line in told.requires if "extra ==" not in line] == ["numpy>=2.0"]
    assert (PACKAGE / "py.typed").exists()


def test_the_changelog_has_a_place_for_the_version_under_development():
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    released = [re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - \d{4}-\d\d-\d\d", line) for line in headings[1:]]
    assert all(released), headings
    versions = [tuple(map(int, found.groups())) for found in released]
    assert versions == sorted(set(versions), reverse=True)
    here = tuple(map(int, re.findall(r"\d+", purecnn.__version__)[:3]))
    assert not versions or here >= versions[0]


def test_the_continuous_integration_runs_what_the_documents_name():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    documents = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    listed = re.findall(r"target: \[(.*)\]", text)[0].split(", ")
    commands = re.findall(r"^ +- run: (.+)$", text, re.MULTILINE)
    assert len(commands) == text.count("run:") >= 5
    for command in commands:
        if command.startswith("make "):
            wanted = listed if "matrix.target" in command else [command.split()[1]]
            assert set(wanted) <= targets, command
        else:
            assert command in documents


def test_the_guide_tells_every_extra_and_what_it_brings():
    told = metadata.distribution("purecnn").metadata
    extras = set(told.get_all("Provides-Extra")) - {"docs", "test", "dev"}
    text = (ROOT / "docs" / "guides" / "installation.md").read_text(encoding="utf-8")
    table = text[text.index("| extra |") :].split("\n\n")[0]
    rows = {
        row[0].strip("`"): row[2].lower()
        for row in re.findall(r"^\| (.+?) \| (.+?) \| (.*?) ?\|$", table, re.M)
    }
    assert rows.keys() - {"extra"} == extras
    for line in told.get_all("Requires-Dist"):
        name, extra = re.match(r"[\w-]+", line)[0], re.search(r"extra == .(\w+)", line)
        if extra is not None and extra[1] in extras - {"all"}:
            assert name.lower() in rows[extra[1]], line


def test_the_guides_sizes_are_those_that_were_measured():
    text = (ROOT / "docs" / "guides" / "installation.md").read_text(encoding="utf-8")
    table = text[text.index("<!-- footprint: begin -->") : text.index("<!-- footprint: end -->")]
    date, commit = re.search(r"^([\d-]+), commit (\S+);", table, re.MULTILINE).groups()
    path = ROOT / "benchmarks" / "results" / f"{date}-{commit}-footprint.json"
    figures = json.loads(path.read_text(encoding="utf-8"))["footprint"]
    bare = statistics.median(figures.pop("python -c pass")["seconds"])
    figures.pop("others")
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(figures)
    for row, found in zip(rows[2:], figures.values(), strict=True):
        loading, first = (statistics.median(found[key]) for key in ("import", "first"))
        assert row[0] == found["title"]
        assert float(row[1].removesuffix(" MB").replace(",", "")) == pytest.approx(found["megabytes"], 0.01)
        assert row[2] == str(len(found["packages"]))
        assert row[3:5] == [f"{loading - bare:.2f} s", f"{first:.2f} s"]
    assert set(figures["purecnn"]["packages"]) == {"numpy", "purecnn"}


def test_every_python_that_is_told_of_is_tried():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    told = re.findall(
        r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    )
    tried = re.findall(r"python: \[(.*)\]", text)[0].replace('"', "").split(", ")
    assert [python for python in tried if not python.endswith("t")] == told


@from_sources
def test_the_lowest_versions_of_extras_are_without_known_holes():
    allowed = lowest()
    for name, version in SAFE.items():
        assert numbers(allowed[name]) >= numbers(version), (name, allowed[name], version)
    assert {"click", "rich", "uvicorn", "tensorboardX"} <= allowed.keys()


def numbers(version):
    return [int(part) for part in version.split(".")]
