"""The static site: what is written, what is refused, and Pyodide's files, fetched or from a folder."""

from __future__ import annotations

import errno
import gzip
import hashlib
import importlib
import importlib.util
import io
import json
import os
import sys
import tarfile
import types
import zipfile
from pathlib import Path

import pytest

from docs.tools import static_server
from helpers import static_site as static_site
from purecnn import Dense, Network, Softmax, save
from purecnn.backend.locks import folder_lock
from purecnn.errors import DownloadError, FileFormatError
from purecnn.formats.idx import load_folder
from purecnn.layers.registry import LAYERS
from purecnn.playground import bytecode, runtime, site
from purecnn.playground.replies import Replies
from purecnn.playground.runtime import Release, fetched


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    """Pack files as quickly as can be: several sites are written."""
    monkeypatch.setattr(site, "LEVEL", 1)


def zipped(**files):
    """Return a zip archive."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return written.getvalue()


@pytest.fixture
def known(monkeypatch):
    """Files that stand for Pyodide's, by whose checksums they are known."""
    lock = {"info": {"version": "1"}, "packages": {"numpy": {"file_name": runtime.WHEEL}, "scipy": {}}}
    content = {
        "pyodide.asm.js": b"// script",
        "pyodide.asm.wasm": b"\0asm",
        "pyodide.mjs": b"// module",
        "pyodide-lock.json": json.dumps(lock).encode(),
        "python_stdlib.zip": zipped(json__tool=b"1", wsgiref__simple=b"2"),
        runtime.WHEEL: zipped(numpy__core=b"3", numpy__f2py__a=b"4"),
    }
    digests = {name: hashlib.sha256(each).hexdigest() for name, each in content.items()}
    monkeypatch.setattr(runtime, "FILES", digests)
    return content


@pytest.fixture
def pyodide(known, tmp_path):
    """A folder of them."""
    folder = tmp_path / "pyodide"
    folder.mkdir()
    for name, each in known.items():
        (folder / name).write_bytes(each)
    return folder


def model(folder):
    """Write a small model's file."""
    save(Network([Dense(2, 3), Softmax()]), folder / "small.safetensors")
    return folder / "small.safetensors"


def test_the_site_holds_the_page_the_package_and_all_that_it_names(pyodide, tmp_path):
    place = site.write_site(tmp_path / "site", pyodide=pyodide)
    told = json.loads((place / "site.json").read_bytes())
    assert {name: (place / name).stat().st_size for name in told["files"]} == told["files"]
    assert told["network"]["examples"] == 1000
    assert told["network"]["name"] == "digits"
    assert 0.8 < told["least"] < 1
    index = (place / "index.html").read_text()
    assert 'data-answers="browser"' in index
    assert index.index(site.POLICY) < index.index("<script")
    for folder in ("src", "href"):
        assert f'{folder}="/' not in index  # it may lie below any path
    with zipfile.ZipFile(io.BytesIO(gzip.decompress((place / "purecnn.zip.gz").read_bytes()))) as package:
        names = package.namelist()
        assert "purecnn/playground/in_browser.py" in {name.removesuffix("c") for name in names}
        assert not [name for name in names if "__pycache__" in name or "/static/" in name]
        package.extractall(tmp_path / "unpacked")
    (images, labels), test = load_folder(tmp_path / "unpacked/purecnn/datasets/files/mnist")
    (every, every_label), _ = load_folder(Path(site.__file__).parents[1] / "datasets/files/mnist")
    assert images.shape == (12_000, 28, 28)
    assert test[0].shape == (1000, 28, 28)
    assert (images == every[:12_000]).all()
    assert (labels == every_label[:12_000]).all()


def test_what_no_page_needs_of_pyodide_is_left_out(known):
    sent = runtime.pruned(known)
    for name, wanted in (("python_stdlib.zip", ["json/tool"]), (runtime.WHEEL, ["numpy/core"])):
        with zipfile.ZipFile(io.BytesIO(sent[name])) as archive:
            assert archive.namelist() == wanted
    assert json.loads(sent["pyodide-lock.json"]) == {"info": {"version": "1"}, "packages": {}}


def test_modules_are_sent_compiled_where_this_python_compiles_as_pyodides(known, monkeypatch, tmp_path):
    """Held by this Python, whatever its version: it imports what it compiled from the archive."""
    monkeypatch.setattr(bytecode, "MAGIC", importlib.util.MAGIC_NUMBER)
    module = b'"""Words."""\n\ndef answer():\n    """More words."""\n    return 42\n'
    module += (
        b"\ndef fail(far):\n"
        + 300 * b"\n"
        + b"    if far:\n        fail(\n            not far\n        )\n    raise far\n"
    )
    known["python_stdlib.zip"] = zipped(**{"found.py": module, "numpy.txt": b"1"})
    sent = runtime.pruned(known)["python_stdlib.zip"]
    with zipfile.ZipFile(io.BytesIO(sent)) as archive:
        assert archive.namelist() == ["found.pyc", "numpy.txt"]
    (tmp_path / "python.zip").write_bytes(sent)
    monkeypatch.syspath_prepend(tmp_path / "python.zip")
    found = importlib.import_module("found")
    assert found.answer() == 42
    assert (found.__doc__, found.answer.__doc__) == (None, None)
    with pytest.raises(TypeError, match="exceptions must derive") as caught:
        found.fail(True)
    assert [each.lineno + 1 for each in caught.traceback[1:]] == [309, 312]  # where the source has them
    monkeypatch.setattr(bytecode, "MAGIC", b"3.12")
    bytecode.beside.cache_clear()
    assert zipfile.ZipFile(io.BytesIO(runtime.pruned(known)["python_stdlib.zip"])).namelist()[0] == "found.py"


def test_modules_are_compiled_by_another_python_that_is_installed_beside_this_one(
    known, monkeypatch, tmp_path
):
    """The other is a program that answers as Python 3.12 would and returns what it gets in capitals."""
    program = tmp_path / "python3.12"
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "if '-c' in sys.argv:\n    sys.stdout.buffer.write(b'3.12')\n"
        f"else:\n    assert sys.argv[1:] == ['-I', {bytecode.__file__!r}]\n"
        "    sys.stdout.buffer.write(sys.stdin.buffer.read().upper())\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(bytecode, "MAGIC", b"3.12")
    monkeypatch.setenv("PATH", str(tmp_path))
    bytecode.beside.cache_clear()
    known["python_stdlib.zip"] = zipped(**{"found.py": b"a = 1", "json/tool.py": b""})
    assert bytecode.compiles()
    assert b"A = 1" in runtime.pruned(known)["python_stdlib.zip"]
    told = program.read_text()
    program.write_text(told.replace("sys.stdin.buffer.read().upper()", "b'hi'"))  # no archive
    assert zipfile.ZipFile(io.BytesIO(runtime.pruned(known)["python_stdlib.zip"])).namelist()[0] == "found.py"
    program.write_text(told.replace("assert sys", "assert not sys"))
    assert b"a = 1" in runtime.pruned(known)["python_stdlib.zip"]
    for broken in ("#!/nonexistent/interpreter\n", "no program"):
        bytecode.beside.cache_clear()
        program.write_text(broken)
        assert not bytecode.compiles()
    bytecode.beside.cache_clear()
    program.unlink()
    assert not bytecode.compiles()
    bytecode.beside.cache_clear()


def test_the_formulas_that_the_page_shows_are_in_documentation_that_is_sent():
    for layer in LAYERS.values():
        assert layer.__module__.replace(".", "/").startswith(bytecode.DOCUMENTED)


def test_code_without_columns_knows_its_lines():
    sources = [path for path in Path(site.__file__).parents[1].rglob("*.py") if path.stem in ("fit", "cpu")]
    assert len(sources) > 1

    def every(code):
        yield code
        for each in code.co_consts:
            if isinstance(each, types.CodeType):
                yield from every(each)

    for path in sources:
        whole = compile(path.read_bytes(), path.name, "exec")
        for one, other in zip(every(whole), every(bytecode.without_columns(whole)), strict=True):
            assert list(one.co_lines()) == list(other.co_lines())


def test_a_site_is_replaced_and_another_folder_kept(pyodide, tmp_path):
    place = site.write_site(tmp_path / "site", model(tmp_path), pyodide=pyodide)
    assert json.loads((place / "site.json").read_bytes())["least"] is None
    (place / "left.txt").write_text("of the site before")
    told = json.loads((place / "site.json").read_bytes())
    for name in ("old.js", "../notes.txt"):  # of the site before, and one that no site writes
        (place / name).write_text("old")
    manifest = told | {"content": [*told["content"], "old.js", "../notes.txt", 3]}
    (place / "site.json").write_text(json.dumps(manifest))
    (place / ".git").mkdir()
    before = place.stat().st_ino
    site.write_site(place, model(tmp_path), pyodide=pyodide)
    assert place.stat().st_ino == before  # a link or a shell that is in it still is
    assert {path.name for path in place.iterdir()} == {*told["content"], "left.txt", ".git"}
    assert json.loads((place / "site.json").read_bytes()) == told
    (tmp_path / "notes.txt").unlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pyodide", "site", "small.safetensors"]
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="notes: this folder holds something else than a site"):
        site.write_site(tmp_path / "notes", pyodide=pyodide)
    with pytest.raises(FileExistsError, match=r"a\.txt: a folder is wanted, this is a file"):
        site.write_site(tmp_path / "notes/a.txt", pyodide=pyodide)
    for other in ('{"name": "a site of another program"}', "[", "[" * 100_000):
        (tmp_path / "notes/site.json").write_text(other)
        with pytest.raises(FileExistsError, match="holds something else than a site"):
            site.write_site(tmp_path / "notes", pyodide=pyodide)
    assert (tmp_path / "notes/a.txt").read_text() == "mine"
    for name in ("", "a\0b", None):
        with pytest.raises(TypeError, match="folder must be the name of a folder"):
            site.write_site(name, pyodide=pyodide)


def test_a_site_is_written_wherever_a_folder_can_be_named(tmp_path, monkeypatch):
    content = {"site.json": b"new", "index.html": b"page"}
    (tmp_path / "linked").symlink_to("real")  # which is not there yet
    site.replace(tmp_path / "linked", content)
    assert (tmp_path / "linked").is_symlink()
    assert (tmp_path / "real/index.html").read_bytes() == b"page"
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name in (".", "../here", str(tmp_path / "here") + "/"):
        site.replace(Path(name), content)
        assert sorted(os.listdir()) == ["index.html", "site.json"]


def test_a_full_disk_and_a_killed_writer_leave_what_was_there(pyodide, tmp_path, monkeypatch):
    place = tmp_path / "site"
    (place / ".purecnn-left").mkdir(parents=True)
    (place / ".lock").touch()
    assert list(site.former(place)) == []  # a killed writer's: no stranger's folder
    content = {"site.json": b"{}", "index.html": b"page"}
    site.replace(place, content)
    assert sorted(os.listdir(place)) == ["index.html", "site.json"]
    with folder_lock(place), pytest.raises(ValueError, match="another process is writing into this folder"):
        site.replace(place, content)

    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    for name in ("site", "new"):
        with pytest.raises(OSError, match=f"No space left on device: '{tmp_path / name}'"):
            site.replace(tmp_path / name, {"index.html": b"other"})
    assert (place / "index.html").read_bytes() == b"page"
    assert sorted(os.listdir(place)) == ["index.html", "site.json"]
    assert not (tmp_path / "new").exists()


def test_pyodide_of_another_version_is_refused(pyodide, tmp_path):
    (pyodide / "pyodide.mjs").write_bytes(b"another")
    with pytest.raises(
        FileFormatError, match=r"pyodide\.mjs: its SHA-256 is [0-9a-f]{64}, and [0-9a-f]{64} is"
    ):
        site.write_site(tmp_path / "site", model(tmp_path), pyodide=pyodide)
    (pyodide / "pyodide.mjs").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no pyodide\.mjs"):
        site.write_site(tmp_path / "site", model(tmp_path), pyodide=pyodide)
    assert not (tmp_path / "site").exists()


def test_pyodide_is_fetched_once(known, pyodide, tmp_path):
    served = tmp_path / "served"
    served.mkdir()
    with tarfile.open(served / "pyodide-1.tgz", "w:gz") as package:
        for name in known:
            if name != runtime.WHEEL:
                package.add(pyodide / name, f"package/{name}")
    (served / runtime.WHEEL).write_bytes(known[runtime.WHEEL])
    with static_server.shown(served) as address:
        releases = tuple(
            Release(
                f"{address}{path.name}", len(path.read_bytes()), hashlib.sha256(path.read_bytes()).hexdigest()
            )
            for path in served.iterdir()
        )
        assert fetched(tmp_path / "cache", releases) == known
    assert fetched(tmp_path / "cache", releases, tries=1) == known  # the server is gone
    (tmp_path / "cache" / runtime.WHEEL).write_bytes(b"damaged")
    with pytest.raises(DownloadError, match="can't be reached"):
        fetched(tmp_path / "cache", releases, tries=1)


def test_the_files_are_those_of_the_release():
    """The very files that the table of checksums names."""
    assert runtime.runtime(static_site.pyodide()).keys() == runtime.FILES.keys()


def test_a_question_that_there_is_not_is_refused(tmp_path):
    replies = Replies(Network([Dense(2, 3)]))
    assert replies("nothing", b"")[0] == 404
    assert replies("cell", b"[")[0] == 400
    assert replies("cell", b"[]") == (400, '{"error": "the body must be an object, got list"}')
