"""Types that every package names: arrays and shapes."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

Shape = tuple[int, ...]


Array = npt.NDArray[Any]
