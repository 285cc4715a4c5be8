"""The order of the packages, as docs/architecture.md has it: no import runs down its list."""

import ast
import functools
import re
from itertools import pairwise
from pathlib import Path

import pytest

import purecnn

PACKAGE = Path(purecnn.__file__).parent
ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"
#: Modules beside the packages, which everything may import, in their order.
FIRST = ("version", "escapes", "errors")
MOST_MODULES, MOST_LINES = 20, 400


def packages():
    """Return what each package may import besides `errors`, from the table of the document, in its order."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    table = text[text.index("| package |") :].split("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", table, re.M)
    return {name: set(re.findall(r"`(\w+)`", imports)) for name, imports in rows}


ORDER = packages()
FILES = {
    ".".join(("purecnn", *path.relative_to(PACKAGE).with_suffix("").parts)): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imports(path):
    """Return the modules that a file imports, also inside of functions and for type checkers, with lines."""
    return imports_of(path.read_text(encoding="utf-8"))


@functools.cache  # three tests ask for the imports of every file
def imports_of(text):
    """Return the modules that a program imports, with lines."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [
                (name if name in FILES or f"{name}.__init__" in FILES else node.module, node.lineno)
                for name in below
            ]
    return sorted({(name, line) for name, line in found if name.split(".")[0] == "purecnn"})


def package_of(module):
    """Return the part of the package that a module is in: a package, or a module beside them."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def against(module, path):
    """Return what is wrong with a file's imports, a line each."""
    here = package_of(module)
    order = [*FIRST, *ORDER, "__init__", "__main__"]
    allowed = ORDER.get(here, set(order)) | {
        here,
        *FIRST[: FIRST.index(here) if here in FIRST else None],
        "messages",
    }
    return [
        f"{path.relative_to(PACKAGE.parent)}:{line}: {here} imports {name}, wanted {sorted(allowed)}"
        for name, line in imports(path)
        if order.index(package_of(name)) > order.index(here) or package_of(name) not in allowed
    ]


def test_the_document_names_every_package_in_an_order():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == ORDER.keys()
    names = list(ORDER)
    for name, wanted in ORDER.items():
        assert wanted <= set(names[: names.index(name)]), f"{name} stands before what it imports"


def test_no_module_imports_what_comes_later():
    """An arrow that is turned round is named by its file and line."""
    assert [
        line
        for module, path in FILES.items()
        if module.split(".")[-1] != "__init__"
        for line in against(module, path)
    ] == []


def test_the_document_claims_no_import_that_there_is_not():
    seen = {name: set() for name in ORDER}
    for module, path in FILES.items():
        here = package_of(module)
        if here in seen and path.name != "__init__.py":
            seen[here] |= {package_of(name) for name, _ in imports(path)} & ORDER.keys() - {here, "messages"}
    assert seen == {name: wanted - {"messages"} for name, wanted in ORDER.items()}


def test_an_import_against_the_order_is_found_out(tmp_path, monkeypatch):
    monkeypatch.setattr("test_imports.PACKAGE", tmp_path / "purecnn")
    path = tmp_path / "purecnn" / "kernels" / "reference.py"
    path.parent.mkdir(parents=True)
    for line in (
        "from purecnn.layers.base import Layer",
        "from purecnn import layers",
        "import purecnn.training.fit",
        "if TYPE_CHECKING:\n    from purecnn.networks.network import Network",
        "def late():\n    from purecnn.formats.idx import read_idx",
    ):
        path.write_text(line, encoding="utf-8")
        assert len(against("purecnn.kernels.reference", path)) == 1, line


def test_there_is_no_circle_of_modules():
    graph = {
        module: {name for name, _ in imports(path) if name in FILES} - {module}
        for module, path in FILES.items()
    }
    done, way = set(), []

    def walk(module):
        if module in way:
            pytest.fail(" -> ".join([*way[way.index(module) :], module]))
        if module not in done:
            way.append(module)
            for name in sorted(graph[module]):
                walk(name)
            done.add(way.pop())

    for module in graph:
        walk(module)


def test_no_folder_and_no_module_is_too_large():
    folders = {path.parent for path in FILES.values()}
    many = {
        str(folder.relative_to(PACKAGE)): count
        for folder in folders
        if (count := len([*folder.glob("*.py")]) - 1) > MOST_MODULES
    }
    long = {
        module: lines
        for module, path in FILES.items()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }
    assert (many, long) == ({}, {})


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("__init__.py")), ids=lambda path: path.parent.name)
def test_the_border_of_a_package_is_written_alike_for_people_and_type_checkers(path):
    """What the lazy table has is what type checkers are told, sorted, and no name hides a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    told = [
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        for inner in node.body
        if isinstance(inner, ast.ImportFrom)
        for alias in inner.names
    ]
    if None in told:  # the root has all of the layers
        told = [name for name in told if name] + purecnn.layers.__all__
    package = ".".join(("purecnn", *path.parent.relative_to(PACKAGE).parts))
    module = __import__(package, fromlist=["x"])
    assert sorted(told, key=str.lower) == list(getattr(module, "__all__", []))
    modules = {file.stem for file in path.parent.glob("*.py")} | {
        file.parent.name for file in path.parent.glob("*/__init__.py")
    }
    public = {name for name in told if getattr(getattr(module, name), "__name__", "") != f"{package}.{name}"}
    assert not modules & public, "importing the module would take the name's place"
    lines = (ast.get_docstring(tree) or "").splitlines()
    assert 1 <= len(lines) <= 12, f"{package} wants a docstring of about ten lines"
    for first, second in pairwise(told):
        assert first != second
