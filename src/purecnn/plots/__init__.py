"""Plots: a network and its training as Plotly figures, pages and reports.

Each function of the border returns a figure for a notebook; `pages` writes pages that open offline,
`report` one page on all about a network. Plotly is the extra `report`.

Imports `inspection` and what lies below. Begin with `curves`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.plots.answer_images import image_answers as image_answers
    from purecnn.plots.attribution import grad_cam as grad_cam
    from purecnn.plots.attribution import saliency as saliency
    from purecnn.plots.boundary import decision_boundary as decision_boundary
    from purecnn.plots.confusions import confusion_matrix as confusion_matrix
    from purecnn.plots.confusions import mistakes as mistakes
    from purecnn.plots.curves import calibration as calibration
    from purecnn.plots.curves import history as history
    from purecnn.plots.learning_rates import learning_rate_range as learning_rate_range
    from purecnn.plots.maps import feature_maps as feature_maps
    from purecnn.plots.maps import kernels as kernels
    from purecnn.plots.pages import write_page as write_page
    from purecnn.plots.projections import embedding as embedding
    from purecnn.plots.report.writer import write_report as write_report
    from purecnn.plots.stages import Stages as Stages
    from purecnn.plots.timing import layer_times as layer_times
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "answer_images": "image_answers",
            "attribution": "grad_cam saliency",
            "boundary": "decision_boundary",
            "confusions": "confusion_matrix mistakes",
            "curves": "calibration history",
            "learning_rates": "learning_rate_range",
            "maps": "feature_maps kernels",
            "pages": "write_page",
            "projections": "embedding",
            "report.writer": "write_report",
            "stages": "Stages",
            "timing": "layer_times",
        },
    )
