"""The command line: the command `purecnn`. Its packages are the extra `cli`.

`entry` is where it begins, `app` the group of commands and their errors, `train`, `report`, `model`, `run`
and `inspect` are commands, `options` what several take, `run_options` what says which run, `models` what
answers.

Imports everything. Begin with `app`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.cli.entry import main as main
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "entry": "main",
        },
    )
