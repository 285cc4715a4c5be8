"""Runs: what `purecnn train` does and leaves behind, to be reported, compared and done again.

`recipes` are networks and how to train them by name, `run` is one training and its folder, `record` its
JSON file, `reproduction` does it again, `report` and `comparison` show it.

Imports `plots` and what lies below. Begin with `run`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.runs.comparison import compare_runs as compare_runs
    from purecnn.runs.recipes import RECIPES as RECIPES
    from purecnn.runs.recipes import Recipe as Recipe
    from purecnn.runs.report import report_run as report_run
    from purecnn.runs.reproduction import Reproduction as Reproduction
    from purecnn.runs.reproduction import reproduce as reproduce
    from purecnn.runs.run import Run as Run
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "comparison": "compare_runs",
            "recipes": "Recipe RECIPES",
            "report": "report_run",
            "reproduction": "reproduce Reproduction",
            "run": "Run",
        },
    )
