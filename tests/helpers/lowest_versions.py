"""The lowest version of each package that the extras of `all` bring, as `make test-lowest` installs them."""

import re
import tomllib
from pathlib import Path

#: The first versions without known holes that a hostile file or request reaches, and what the one before had.
SAFE = {
    "pillow": "13",  # a heap overflow in the JPEG decoder, CVE-2026-112403, and reads past a tile of a TIFF
    "h5py": "3.16",  # brings HDF5 2.0: heap overflows of 1.14, CVE-2026-26200, CVE-2025-2915, and others
    "starlette": "1.3.1",  # a Host header that changes the path, CVE-2026-48710, and forms without bounds
    "h11": "0.16",  # chunked bodies read wrongly, CVE-2025-43859; uvicorn itself asks for any
    "plotly": "6",  # its script fetches a style sheet from another server where a report is opened
    "scikit-learn": "1.5",  # keeps what it has seen, CVE-2024-5206
}


def lowest(project: Path = Path(__file__).parents[2] / "pyproject.toml") -> dict[str, str]:
    """Return the lowest version allowed of each package of the extras that `all` names."""
    extras = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    (every,) = extras["all"]
    names = re.search(r"\[(.*)\]", every)[1].split(",")
    return dict(re.match(r"([\w-]+)>=([\d.]+)", one).groups() for name in names for one in extras[name])


if __name__ == "__main__":
    print(" ".join(f"{name}=={version}" for name, version in lowest().items()))
