"""The report on a run.

A report on a run of ``purecnn train``: from its folder, with all that it takes to do it again.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from purecnn.backend.checks import is_number
from purecnn.callbacks.history import History
from purecnn.datasets.catalog import NAMES, Sets
from purecnn.errors import FileFormatError
from purecnn.inspection.answers import Answers, find
from purecnn.metrics.registry import USUAL
from purecnn.networks.files import load
from purecnn.networks.network import Network
from purecnn.plots.pages import plotly_script
from purecnn.plots.report.sections import Section, facts, text
from purecnn.plots.report.writer import of_machine, write_sections
from purecnn.runs.folder import MODEL
from purecnn.runs.model_path import default_folder
from purecnn.runs.recipes import RECIPES, written_changes
from purecnn.runs.record import RECORD, digests, read_record, task_of
from purecnn.runs.run import Run

REPORT = "report.html"


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """A run that is complete, and what its network answers to the test set.

    Attributes
    ----------
    folder : Path
        Where it is.
    run : Run
        What it was asked for.
    record : dict
        What came of it.
    history : History
        Its curves.
    found : Answers
        The answers.
    data : dict
        The SHA-256 of the data that were read now.
    """

    folder: Path
    run: Run
    record: dict[str, Any]
    history: History
    found: Answers
    data: dict[str, str]

    @property
    def name(self) -> str:
        """What it is called: its folder's name."""
        return self.folder.resolve().name

    @property
    def is_of_its_data(self) -> bool:
        """Whether the data are those that it was trained on."""
        return bool(self.data == self.record["data"])


def done(
    folder: Path,
    *,
    data: str | None = None,
    threads: int | None = None,
    sets: Sets | None = None,
    network: Network | None = None,
) -> FinishedRun:
    """Read a run and let its network answer.

    Parameters
    ----------
    folder : Path
        Of the run.
    data : str, optional
        Where its data are now.
    threads : int, optional
        Number of worker threads.
    sets, network : optional
        What was read and trained, where it is at hand.

    Raises
    ------
    FileFormatError
        If its record or model is damaged.
    FileNotFoundError
        If there is no such run, or no model in it.
    ValueError
        If it is not complete.
    """
    record, run = read_record(folder), Run.recorded(folder)
    if not record["result"]:
        raise ValueError(
            f"{folder}: this run is not complete: `purecnn train --resume {folder}` goes on with it"
        )
    measured = history_of(folder, record["result"])
    if data is not None:
        run = replace(run, data=data)
    sets = sets or run.read()
    network = network or load(folder / MODEL)
    return FinishedRun(
        folder, run, record, measured, find(network, *sets.test, threads=threads), digests(sets)
    )


def history_of(folder: Path, result: Any) -> History:
    """Return the curves of a record: both sets measured after each epoch.

    Raises
    ------
    FileFormatError
        If they are none.
    """
    try:
        curves, epochs, task = result["curves"], len(result["loss"]), task_of(result)
        held_out = held_out_of(curves)
        found = {
            (name, kind): [float(value) for value in curves[name][kind]]
            for name in ("training", held_out)
            for kind in ("loss", *USUAL[task])
        }
        sizes = [curves[name]["samples"] for name in ("training", held_out)]
        seconds = [float(value) for value in result["seconds"]]
        counts = {len(values) for values in (*found.values(), seconds)}
        if not epochs or counts != {epochs} or not all(map(is_number, sizes)):
            raise ValueError("one value an epoch is wanted")
        if not all(is_number(result[f"test_{name}"]) for name in ("loss", *USUAL[task])):
            raise ValueError("numbers are wanted")
        str(result["parameters"])
    except (LookupError, TypeError, ValueError) as error:
        raise FileFormatError(f"{folder / RECORD}: its result is damaged: {error!r:.200}") from None
    both = [{kind: found[name, kind] for kind in USUAL[task]} for name in ("training", held_out)]
    return History(
        loss=found["training", "loss"],
        validation_loss=found[held_out, "loss"],
        validation_accuracy=found.get((held_out, "accuracy"), []),
        seconds=seconds,
        metrics=both[0],
        validation_metrics={} if task == "classification" else both[1],
    )


def held_out_of(curves: dict[str, Any]) -> str:
    """Return what the second curve was measured on: what was set aside to validate, else the test set."""
    return "validation" if "validation" in curves else "test"


def note_of(record: dict[str, Any]) -> str:
    """Return on how many samples the curves were measured."""
    curves = record["result"]["curves"]
    held_out = held_out_of(curves)
    training, other = (int(curves[name]["samples"]) for name in ("training", held_out))
    return (
        f"Measured after each epoch on {training:,} samples of the training set, evenly spread over it, and "
        f"{other:,} of the {held_out} set."
    )


def command_of(run: Run) -> str:
    """Return the command that does a run, and those that extend it, a line each.

    Examples
    --------
    >>> command_of(Run("fast", replace(RECIPES["fast"], epochs=5), seed=3))
    'purecnn train --recipe fast --epochs 5 --seed 3'
    """
    free = (
        "network",
        "epochs",
        "batch_size",
        "accumulate",
        "average",
        "optimizer",
        "learning_rate",
        "augmentation",
        "class_weight",
        "validation",
        "patience",
    )
    ends = [*run.extended, run.recipe.epochs]
    asked = asdict(replace(run.recipe, epochs=ends[0]))

    def differing(name: str) -> list[str]:
        usual = asdict(RECIPES[name].by(asked["optimizer"]))
        usual |= {field: getattr(RECIPES[name], field) for field in ("optimizer", "learning_rate")}
        return [field for field, value in usual.items() if value != asked[field]]

    # the recipe that needs the fewest options, of those that need no other ones
    near = min(RECIPES, key=lambda name: (not set(differing(name)) <= {*free, "data"}, len(differing(name))))
    unsaid = {"epochs"} if run.data != RECIPES[near].data else set()  # which are more where the set is small
    if "optimizer" in differing(near):
        unsaid.add("learning_rate")
    words = ["purecnn", "train", "--recipe", near]
    if run.name != near:
        words += ["--network", run.recipe.network]
    for field in free[1:]:
        if field == "augmentation" and field in differing(near):
            words += ["--augment", written_changes(run.recipe.augmentation)]
        elif field in differing(near) or field in unsaid:
            words += [f"--{field.replace('_', '-')}", str(asked[field])]
    if run.data != RECIPES[near].data:
        words += ["--data", run.data if run.data in NAMES else os.path.abspath(run.data)]
    if run.image_size is not None:
        words += ["--image-size", str(run.image_size)]
    if run.skip_damaged:
        words.append("--skip-damaged")
    if run.task is not None:
        words += ["--task", run.task]
    begun = shlex.join([*words, "--seed", str(run.seed)])
    folder = default_folder(run.name, run.data, run.seed)
    more = (["purecnn", "train", "--resume", str(folder), "--epochs", str(end)] for end in ends[1:])
    return "\n".join([begun, *map(shlex.join, more)])


def repeat(one: FinishedRun) -> Section:
    """Return the section on how to do the run again."""
    record, result = one.record, one.record["result"]
    lead = (
        "The command, and one that does it again and compares all bits. They are the same where processor "
        "features, NumPy and BLAS are."
    )
    again = shlex.join(["purecnn", "reproduce", str(one.folder)])
    commands = f"<pre>{text(command_of(one.run))}\n{text(again)}</pre>"
    pairs: list[tuple[str, object]] = [
        ("seed", one.run.seed),
        ("commit of purecnn", record["commit"] or "not known"),
        *((f"{name} data", f"{digest} (SHA-256)") for name, digest in record["data"].items()),
        ("parameters", f"{result['parameters']} (SHA-256)"),
    ]
    for number, machine in enumerate(record["machines"], 1):
        which = f"machine {number}: " if len(record["machines"]) > 1 else ""
        pairs += [(f"{which}{name}", value) for name, value in of_machine(dict(machine))]
    pairs += [("workers", f"{one['number']} ({one['reason']})") for one in record["workers"]]
    settings = facts((name.replace("_", " "), value) for name, value in one.run.settings().items())
    body = f"{commands}{facts(pairs)}<h3>Settings</h3>{settings}"
    if not one.is_of_its_data:
        body = (
            '<p class="note">The data that this report was made with are not those of the run: their '
            f"checksums differ.</p>{body}"
        )
    return Section("repeat", "How to do it again", lead, body)


def report_run(
    folder: Path,
    output: Path | None = None,
    *,
    data: str | None = None,
    threads: int | None = None,
    sets: Sets | None = None,
    network: Network | None = None,
) -> Path:
    """Write the report of a run, beside its model if `output` says nothing else; return where.

    The parameters are those of `done`, and it raises what that raises, and `MissingExtraError` if plotly is
    not installed.
    """
    plotly_script()  # better to fail before all the work than behind it
    one = done(folder, data=data, threads=threads, sets=sets, network=network)
    result, recipe = one.record["result"], one.run.recipe
    where = one.run.data if one.run.data in NAMES else Path(one.run.data).name
    return write_sections(
        output or folder / REPORT,
        one.found,
        result["test_loss"],
        one.history,
        repeat(one),
        title=f"{one.run.name} on {where}",
        subtitle=(
            f"{one.name}: the network {recipe.network} after {result['epochs']} epochs, seed {one.run.seed}, "
            f"on the {len(one.found):,} samples of the test set"
        ),
        held_out=f"{held_out_of(result['curves'])} set",
        note=note_of(one.record),
        more=[("training time", f"{sum(one.history.seconds):.1f} s")],
    )
