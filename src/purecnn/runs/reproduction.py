"""Reproduction of a recorded run.

A result counts once it has been repeated: do a recorded run again, and say what is the same.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from purecnn.backend import environment
from purecnn.callbacks.base import Callback
from purecnn.errors import FileFormatError
from purecnn.escapes import visible
from purecnn.messages.signatures import explained
from purecnn.metrics.registry import MAIN, USUAL, written
from purecnn.runs.record import RECORD, digests, read_record, result_in_words, task_of
from purecnn.runs.run import Run

#: Where processor, NumPy or BLAS differ, rounding does, and training goes another way of the same quality.
ACCURACY = 0.005
IMAGES = 2
LOSS = 0.1


@dataclass
class Reproduction:
    """What came of doing a run again.

    Attributes
    ----------
    exact : bool
        Whether all bits of the parameters and losses are the same.
    demanded : bool
        Whether they have to be: processor features, NumPy and BLAS are those of the run.
    within : bool
        Whether accuracy, or error, and loss are within the tolerance.
    differences : list of str
        What differs between the two: versions, machine, commit.
    was, now : dict
        Both results, as in the record.
    """

    exact: bool
    demanded: bool
    within: bool
    differences: list[str]
    was: dict[str, Any]
    now: dict[str, Any]

    @property
    def succeeded(self) -> bool:
        """Whether the run was reproduced as well as it has to be."""
        return self.exact or (self.within and not self.demanded)

    def __str__(self) -> str:
        was, now = self.was, self.now
        lines = [
            f"test {result_in_words(now)}; was {result_in_words(was)}",
            f"loss of the last epoch {now['loss'][-1]:.6g}, was {was['loss'][-1]:.6g}",
            f"parameters {now['parameters'][:16]}..., were {was['parameters'][:16]}... (SHA-256)",
            *self.differences,
        ]
        main = (
            f"mean absolute error within {100 * LOSS:g} %"
            if task_of(was) == "regression"
            else f"{written(MAIN[task_of(was)])} within {100 * ACCURACY:g} points or {IMAGES} images"
        )
        bounds = f"{main}, loss of the last epoch within {100 * LOSS:g} %"
        if self.exact:
            verdict = "reproduced: the same bits"
        elif self.demanded:
            verdict = "not reproduced: other bits, though processor features, NumPy and BLAS are the same"
        else:
            verdict = f"{'reproduced' if self.within else 'not reproduced'}: other bits; wanted: {bounds}"
        return "\n".join(map(visible, [*lines, verdict]))


@explained
def reproduce(
    folder: str | Path,
    *,
    data: str | None = None,
    threads: int | None = None,
    callbacks: Sequence[Callback] = (),
) -> Reproduction:
    """Do the run of a folder again, in a temporary one, and compare.

    The same bits are demanded where the processor features that NumPy uses, NumPy and BLAS are the same;
    elsewhere a test accuracy, of several labels the subset accuracy, within half a percentage point (or two
    images, if that is more), of values a mean absolute error within a tenth, and a training loss of the last
    epoch within a tenth.

    Parameters
    ----------
    folder : str or Path
        Of a run of ``purecnn train``, with its ``run.json``.
    data : str, optional
        Where the data are now, if not where they were. They must be the same.
    threads : int, optional
        Number of worker threads; the bits do not depend on it.
    callbacks : sequence of Callback
        Who looks on.

    Returns
    -------
    Reproduction
        What is the same, what differs; printed, it says so.

    Raises
    ------
    FileFormatError
        If the record is damaged, the run is not complete, or the data are others.
    OSError
        If the record or the data can't be read.

    Notes
    -----
    Nothing in the folder is changed. The code is the one that is installed: where the run's commit is
    another, the result says so.
    """
    folder = Path(folder)
    record, run = read_record(folder), Run.recorded(folder)
    was = check_result(folder, record)
    run = replace(run, data=run.data if data is None else data)
    sets = run.read()
    for name, digest in digests(sets).items():
        if record["data"].get(name) != digest:
            raise FileFormatError(
                f"{run.data}: the data to {name} are not those of the run, whose SHA-256 is "
                f"{record['data'].get(name)!s:.64}; got {digest}"
            )
    with tempfile.TemporaryDirectory() as temporary:
        now = run.train(Path(temporary), run.build(sets), sets, threads=threads, callbacks=callbacks)
    here, commit = environment.machine(), environment.commit()
    differences = environment.differences({"commit": record.get("commit")}, {"commit": commit})
    for machine in record["machines"]:
        differences += [text for text in environment.differences(machine, here) if text not in differences]
    return Reproduction(
        exact=all(was[name] == now[name] for name in ("parameters", "loss")),
        demanded=not any(environment.decides_bits(machine, here) for machine in record["machines"]),
        within=(
            near(was, now, len(sets.test[0]))
            and abs(was["loss"][-1] - now["loss"][-1]) <= LOSS * was["loss"][-1]
        ),
        differences=differences,
        was=was,
        now=now,
    )


def near(was: dict[str, Any], now: dict[str, Any], images: int) -> bool:
    """Return whether what says most of two results is within the tolerance."""
    if task_of(was) == "regression":
        then, here = (result["test_mean_absolute_error"] for result in (was, now))
        return bool(abs(then - here) <= LOSS * then)
    name = f"test_{MAIN[task_of(was)]}"
    return bool(abs(was[name] - now[name]) <= max(ACCURACY, IMAGES / images))


def check_result(folder: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Return the result in a record."""
    result = record.get("result")
    if result is None:
        raise FileFormatError(
            f"{folder}: this run is not complete: `purecnn train --resume {folder}` goes on with it"
        )
    damaged = FileFormatError(f"{folder / RECORD}: its result is damaged")
    if not isinstance(result, dict):
        raise damaged
    try:
        measured = [f"test_{name}" for name in ("loss", *USUAL[task_of(result)])]
    except ValueError:
        raise damaged from None
    wanted = {**dict.fromkeys(measured, float), "loss": list, "parameters": str}
    if any(not isinstance(result.get(name), kind) for name, kind in wanted.items()):
        raise damaged
    if not result["loss"] or not all(isinstance(loss, float) for loss in result["loss"]):
        raise FileFormatError(f"{folder / RECORD}: its result has no losses")
    return result
