"""Pyodide: CPython and NumPy for WebAssembly, from a folder or fetched, each file checked by its SHA-256."""

from __future__ import annotations

import hashlib
import json
import tarfile
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from purecnn.datasets.catalog import cache_folder, transfer
from purecnn.errors import FileFormatError
from purecnn.playground.bytecode import members, stored

VERSION = "0.27.7"
WHEEL = "numpy-2.0.2-cp312-cp312-pyodide_2024_0_wasm32.whl"
#: The files, by their SHA-256; all but NumPy's wheel are those of the npm package.
FILES = {
    "pyodide.asm.js": "6b4c90de5b7172873f04f21884d0e9d2274e305fe32116558fe3e4fbe3618d51",
    "pyodide.asm.wasm": "a50dd1843f805a0b7c45b61037ee0d7b26dfe85efe0e18ef95a34ad24e401f5f",
    "pyodide.mjs": "04c052c815abb0bf2981fa38c2dfa58e3120ee5288c956df2b2a15e301782c5f",
    "pyodide-lock.json": "9c45b916001a750f4102fc287494f3eab215909c7535c626a20db80fd6333e2c",
    "python_stdlib.zip": "16611534726e5d8ac2bd8f926410b2dcb8d6f49aa24913463533b457a2115c16",
    WHEEL: "ebb61241d962b98b21597d7ce43b67668a6d5bab3acec4fbe958657320d7cd08",
}


@dataclass(frozen=True)
class Release:
    """A file of a release: its address, size and SHA-256."""

    url: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]


#: The npm package, https://www.npmjs.com/package/pyodide, and NumPy as Pyodide's own release has it.
RELEASES = (
    Release(
        f"https://registry.npmjs.org/pyodide/-/pyodide-{VERSION}.tgz",
        5_898_824,
        "89d5d952675eb08e11286e52c7238f1248ce71726e896db9703e73bef23dc343",
    ),
    Release(f"https://cdn.jsdelivr.net/pyodide/v{VERSION}/full/{WHEEL}", 3_061_133, FILES[WHEEL]),
)

#: What no page needs of NumPy: types for checkers, headers, its own tests, Fortran, transforms.
NUMPY_LEFT = (
    *(
        ".pyi",
        ".a",
        ".h",
        ".ini",
        ".pc",
        ".txt",
        ".pxd",
        "RECORD",
        "_umath_tests.",
        "_rational_tests.",
        "/testing/",
    ),
    *("/f2py/", "/distutils/", "/fft/", "/lapack_lite.", "recfunctions", "mypy_plugin"),
    *("_multiarray_tests.", "_operand_flag_tests.", "_struct_ufunc_tests.", "/tests/", "/testutils."),
    *("timer_comparison", "mrecords"),
)
#: Modules of NumPy that only document others: imported at each start, they are sent empty.
NUMPY_EMPTY = ("numpy/_core/_add_newdocs.py", "numpy/_core/_add_newdocs_scalars.py")
#: What no page needs of Python: servers, mail, tests, debuggers, processes, XML, old codecs.
PYTHON_LEFT = (
    *("cgi.py", "cgitb.py", "ftplib.py", "http/", "imaplib.py", "mailbox.py", "nntplib.py", "poplib.py"),
    *("smtplib.py", "socketserver.py", "telnetlib.py", "urllib/request", "urllib/robot", "wsgiref/"),
    *("xmlrpc/", "webbrowser.py", "netrc.py", "mailcap.py", "email/_header_value", "email/mime/"),
    *(
        "unittest/",
        "doctest.py",
        "pdb.py",
        "bdb.py",
        "cmd.py",
        "pydoc",
        "trace.py",
        "profile.py",
        "pstats.py",
    ),
    *("cProfile.py", "timeit.py", "pyclbr.py", "pickletools.py", "symtable.py", "tabnanny.py", "code.py"),
    *("modulefinder.py", "rlcompleter.py", "compileall.py", "py_compile.py", "zipapp.py", "pyodide/console"),
    *("multiprocessing/", "concurrent/futures/process", "concurrent/futures/thread", "asyncio/windows"),
    *("asyncio/proactor", "logging/handlers", "logging/config", "optparse.py", "argparse.py", "gettext.py"),
    *("xml/", "plistlib.py", "configparser.py", "shelve.py", "dbm/", "sqlite3/", "tomllib/", "filecmp.py"),
    *("fileinput.py", "statistics.py", "fractions.py", "_pydecimal.py", "_pydatetime.py", "_pyio.py"),
    *("uuid.py", "zoneinfo/", "curses/", "pty.py", "tty.py", "turtle", "venv/", "ensurepip/", "lib2to3/"),
    *("aifc.py", "sunau.py", "wave.py", "chunk.py", "imghdr.py", "sndhdr.py", "xdrlib.py", "uu.py"),
    *("encodings/mac_", "encodings/iso", "encodings/cp1", "encodings/cp7", "encodings/cp8", "encodings/cp9"),
    *("encodings/koi8", "encodings/ptcp", "encodings/kz1048", "encodings/hp_roman8", "encodings/tis_620"),
    *("encodings/palmos", "encodings/big5", "encodings/euc", "encodings/gb", "encodings/hz"),
    *("encodings/johab", "encodings/shift", "encodings/cp0", "encodings/cp2", "encodings/cp42"),
    # part of the interpreter itself
    *("os.py", "_collections_abc.py", "codecs.py", "site.py", "posixpath.py", "ntpath.py", "zipimport.py"),
    *("importlib/_bootstrap", "runpy.py"),
    *("encodings/cp5", "encodings/charmap", "encodings/punycode", "encodings/utf_7", "html/parser.py"),
)


def runtime(folder: str | PathLike[str] | None = None) -> dict[str, bytes]:
    """Return Pyodide's files and NumPy's, by name.

    Parameters
    ----------
    folder : str or PathLike, optional
        Where they lie. If left out they are fetched, once, into the folder of this package's cache: 9 MB.

    Raises
    ------
    FileNotFoundError
        If one of them is missing in the folder.
    FileFormatError
        If one is another than that of this version.
    DownloadError
        If one can't be fetched.
    """
    if folder is None:
        return fetched(cache_folder() / f"pyodide-{VERSION}")
    place = Path(folder)
    missing = [name for name in FILES if not (place / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{place}: Pyodide {VERSION} is wanted, with {', '.join(FILES)}; there is no {missing[0]}"
        )
    return {name: checked(name, (place / name).read_bytes()) for name in FILES}


def fetched(place: Path, releases: tuple[Release, ...] = RELEASES, **how: Any) -> dict[str, bytes]:
    """Return the files, of which those that were fetched before are in a folder."""
    from purecnn.formats.downloads import download, fits  # here, since few need them and they take a while

    place.mkdir(parents=True, exist_ok=True)
    found: dict[str, bytes] = {}
    for release in releases:
        path = place / release.name
        if not fits(path, release.size, release.sha256):
            with transfer(release.name, release.size) as report:
                download(release.url, path, size=release.size, sha256=release.sha256, report=report, **how)
        if path.suffix == ".tgz":
            with tarfile.open(path) as package:  # whose SHA-256 was checked: it is no stranger's
                for member in package:
                    name = member.name.removeprefix("package/")
                    if name in FILES and (file := package.extractfile(member)) is not None:
                        found[name] = checked(name, file.read())
        else:
            found[path.name] = path.read_bytes()
    return found


def checked(name: str, content: bytes) -> bytes:
    """Return a file's content if it has the SHA-256 that is known of it."""
    digest = hashlib.sha256(content).hexdigest()
    if digest != FILES[name]:
        raise FileFormatError(
            f"{name}: its SHA-256 is {digest}, and {FILES[name]} is wanted, that of Pyodide {VERSION}"
        )
    return content


def pruned(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files with less to send: without what no page needs, and archives packed as a whole.

    Packed one by one, the small files of an archive take an eighth more than all together. Modules are sent
    compiled where this Python compiles as Pyodide's does, 3.12: a browser's start then takes less.
    """
    python = members(files["python_stdlib.zip"], lambda name: not name.startswith(PYTHON_LEFT))
    numpy = (
        (name, b"" if name in NUMPY_EMPTY else content)
        for name, content in members(files[WHEEL], lambda name: not any(part in name for part in NUMPY_LEFT))
    )
    # what lies in the archives is unpacked by the page's worker: nothing is asked of Pyodide's own packages
    lock = {"info": json.loads(files["pyodide-lock.json"])["info"], "packages": {}}
    return {
        **files,
        WHEEL: stored(numpy),
        "python_stdlib.zip": stored(python),
        "pyodide-lock.json": json.dumps(lock).encode(),
    }
