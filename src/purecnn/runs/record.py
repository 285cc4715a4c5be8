"""The record of a run: run.json.

What a run leaves beside its model: a JSON file that says how to do it again, and what came of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from purecnn.backend.digests import digest
from purecnn.backend.files import write_whole
from purecnn.datasets.catalog import Sets
from purecnn.errors import FileFormatError
from purecnn.formats.regular_files import read_regular
from purecnn.losses.tasks import Task, as_task
from purecnn.metrics.registry import USUAL, in_words

RECORD, VERSION = "run.json", 1
#: Bytes of a record that is still one: a million epochs have less.
MAX_RECORD = 256_000_000


def digests(sets: Sets) -> dict[str, str]:
    """Return the SHA-256 of the data to train on and to test on."""
    return {name: digest(*pair) for name, pair in zip(("train", "test"), sets, strict=True)}


def task_of(result: dict[str, Any]) -> Task:
    """Return the task of a run by its result.

    Raises
    ------
    ValueError
        If it has none.
    """
    if (task := as_task(result.get("task"))) is None:
        raise ValueError("its result lacks the task")
    return task


def result_in_words(result: dict[str, Any]) -> str:
    """Return what was measured on the test set, the loss left out.

    Examples
    --------
    >>> result_in_words({"task": "classification", "test_accuracy": 0.5})
    'accuracy 50.00 %'
    """
    return ", ".join(in_words(name, result[f"test_{name}"]) for name in USUAL[task_of(result)])


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write a run's record, all of it or nothing."""
    write_whole(folder / RECORD, [json.dumps(record, indent=1).encode(), b"\n"])


def read_record(folder: Path) -> dict[str, Any]:
    """Read a run's record.

    Raises
    ------
    FileFormatError
        If it is damaged.
    FileNotFoundError
        If there is none.
    """
    path = folder / RECORD
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: there is no such file; the folder of a run of `purecnn train` is wanted"
        )
    text = read_regular(path, "a run's record", "json", "text", most=MAX_RECORD)
    try:
        record = json.loads(text)
    except (RecursionError, ValueError) as error:
        raise FileFormatError(f"{path}: no JSON: {error}") from None
    wanted = {"version": int, "arguments": dict, "machines": list, "data": dict}
    for name, kind in wanted.items():
        if not isinstance(record, dict) or not isinstance(record.get(name), kind):
            raise FileFormatError(f"{path}: no record of a run: its {name} is missing or damaged")
    for place, machine in enumerate(record["machines"]):
        if not isinstance(machine, dict):
            raise FileFormatError(f"{path}: its machine {place} is {machine!r:.100}, wanted an object")
    check_workers(path, record.setdefault("workers", []))
    for name, given in record["data"].items():
        if not isinstance(given, str):
            raise FileFormatError(f"{path}: its data {name!r:.100} are {given!r:.100}, wanted a SHA-256")
    if not isinstance(record.setdefault("commit", None), str | None):
        raise FileFormatError(f"{path}: its commit is {record['commit']!r:.100}, wanted a text")
    if "result" not in record:
        raise FileFormatError(f"{path}: no record of a run: its result is missing or damaged")
    if record["version"] != VERSION:
        raise FileFormatError(f"{path}: its version is {record['version']!r:.100}, wanted {VERSION}")
    found: dict[str, Any] = record
    return found


def check_workers(path: Path, given: Any) -> None:
    """Refuse what is no list of how many workers computed, and why."""
    for one in given if isinstance(given, list) else [given]:
        kinds = {name: type(value) for name, value in one.items()} if isinstance(one, dict) else {}
        if kinds != {"number": int, "reason": str}:
            raise FileFormatError(f"{path}: its workers are {one!r:.100}, wanted a number and a reason")
