"""What the documents say can be done is done here: their Python runs, their commands and links exist."""

import re
from pathlib import Path

import pytest
from test_examples import ORIGINAL

import purecnn
from purecnn.datasets import mnist
from purecnn.losses import LOSSES
from purecnn.optimizers import OPTIMIZERS

ROOT = Path(__file__).parents[2]
PACKAGE = Path(purecnn.__file__).parent
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*.md")),
]
BLOCK = re.compile(r"^```python\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
#: Images of MNIST that blocks train on; those of the course print what they learn from as many as they say.
IMAGES, IMAGES_OF_THE_COURSE = 200, 600


def name(path):
    return path.relative_to(ROOT).as_posix()


def there(path):
    """Return whether a file is there; one of the package may be an installed one's (`make test-wheel`)."""
    inside = path.resolve().relative_to(ROOT).as_posix()
    if inside.startswith("src/purecnn"):
        return (PACKAGE / inside.removeprefix("src/purecnn").lstrip("/")).exists()
    return path.exists()


def blocks(path):
    """Return each Python block of a document: its line, so that a traceback points there, and what it prints.

    What stands below a block is what it prints; not so outside of the course where a block trains on MNIST,
    of which the tests take a few images, and None where nothing stands there.
    """
    text = path.read_text(encoding="utf-8")
    found = []
    for block in BLOCK.finditer(text):
        is_exact = path.parent.name == "course" or "mnist" not in block[1]
        found.append((text[: block.start(1)].count("\n"), block[1], block[2] if is_exact else None))
    return found


def code(path):
    """Return what a document shows as commands and names, without comments: blocks, then what is in lines."""
    text = path.read_text(encoding="utf-8")
    fences = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    shown = [block for language, block in fences.findall(text) if language != "python"]
    shown += re.findall(r"`([^`]+)`", fences.sub("", text))
    return "\n".join(re.sub(r"\s# .*", "", piece) for piece in shown)


def subcommands():
    """Return the options of each subcommand of the command line."""
    pytest.importorskip("click")
    pytest.importorskip("rich")
    from purecnn.cli.app import purecnn

    return {
        command: {flag for option in found.params for flag in option.opts} | {"--help"}
        for command, found in purecnn.commands.items()
    }


@pytest.fixture(scope="module")
def first_images():
    """The first images of MNIST, read once."""
    most = IMAGES_OF_THE_COURSE
    return tuple((x[:most].copy(), y[:most].copy()) for x, y in mnist.load_data())


@pytest.fixture
def few_images(request, first_images, monkeypatch):
    """MNIST and scikit-learn's digits with their first images alone."""
    count = IMAGES_OF_THE_COURSE if request.getfixturevalue("path").parent.name == "course" else IMAGES
    few = tuple((x[:count], y[:count]) for x, y in first_images)
    monkeypatch.setattr(mnist, "load_data", lambda folder=None: few)
    if "sklearn.datasets" in request.getfixturevalue("block"):
        digits = pytest.importorskip("sklearn.datasets")
        x, y = digits.load_digits(return_X_y=True)
        monkeypatch.setattr(digits, "load_digits", lambda return_X_y: (x[:count], y[:count]))


@pytest.mark.parametrize(
    ("path", "line", "block", "printed"),
    [
        pytest.param(path, line, block, printed, id=f"{name(path)}:{line}")
        for path in DOCUMENTS
        for line, block, printed in blocks(path)
    ],
)
def test_every_python_block_runs(path, line, block, printed, few_images, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile("\n" * line + block, str(path), "exec"), {"__name__": "__main__"})
    found = re.sub(r" +$", "", capsys.readouterr().out, flags=re.MULTILINE)  # which a document has not
    assert printed in (None, found)


def test_the_guide_has_the_original_program_word_for_word():
    path = ROOT / "docs" / "guides" / "original-program.md"
    assert sum(ORIGINAL in block for _, block, _ in blocks(path)) == 1


def test_the_first_block_trains_a_network_in_twelve_lines():
    _, first, _ = blocks(ROOT / "README.md")[0]
    assert len([line for line in first.splitlines() if line]) <= 12
    assert ".fit(" in first


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_make_target_exists(path):
    targets = set(
        re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert set(re.findall(r"^(?:\$ )?make ([a-z][a-z0-9-]*)", code(path), re.MULTILINE)) <= targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_subcommand_and_option_exists(path):
    known = subcommands()
    used = re.findall(r"(?:^|[\s/])purecnn (?!import )([a-z]+(?:-[a-z]+)*)(.*)", code(path), re.MULTILINE)
    used += re.findall(rf"^({'|'.join(known)})((?:[ \t]+--.*)+)", code(path), re.MULTILINE)
    for command, rest in used:
        assert command in known
        assert set(re.findall(r"(?<!\S)--[a-z0-9-]+", rest)) <= known[command]


def test_the_guide_names_every_subcommand():
    shown = code(ROOT / "docs" / "guides" / "command-line.md")
    assert [command for command in subcommands() if f".venv/bin/purecnn {command}" not in shown] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_link_inside_the_repository_leads_somewhere(path):
    text = path.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    assert [link for link in links if not there(path.parent / link)] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_file_that_is_named_exists(path):
    named = re.findall(r"(?:src|tests|examples|docs|benchmarks)/[\w./-]+\.(?:py|md|png|txt)\b", code(path))
    assert [file for file in named if not there(ROOT / file)] == []


def test_the_overview_tells_every_loss_and_optimizer():
    text = (ROOT / "docs" / "guides" / "overview.md").read_text(encoding="utf-8")
    losses = [loss for loss in LOSSES if not loss.startswith(("softmax_", "sigmoid_"))]
    wanted = [*losses, *(kind.__name__ for kind in OPTIMIZERS.values())]
    assert [word for word in wanted if f"`{word}`" not in text] == []


def test_the_places_that_know_each_layer_are_where_contributing_says():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w/]+\.py)`[^|]*: `([\w.]+)`", text, re.M)
    assert len(rows) == 9
    for file, name in rows:
        assert name in (PACKAGE / file).read_text(encoding="utf-8"), (file, name)


def test_the_readmes_search_for_pickle_finds_nothing():
    command = "`grep -rE 'import pickle|pickle\\.load|allow_pickle' src` finds nothing"
    assert command in (ROOT / "README.md").read_text(encoding="utf-8")
    forbidden = re.compile(r"import pickle|pickle\.load|allow_pickle")
    assert [
        path for path in PACKAGE.rglob("*.py") if forbidden.search(path.read_text(encoding="utf-8"))
    ] == []
