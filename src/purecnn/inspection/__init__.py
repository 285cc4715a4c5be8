"""Inspection: what goes on inside a network, as numbers.

`traces` keeps all that passes through, `cells` says of what one number is made, `gradients` checks
derivatives, `attribution` has saliency and Grad-CAM, `projections` PCA and t-SNE, `timing` the time of
each layer, `learning_rates` the learning-rate range test.

Imports `backend` to `networks`. Begin with `traces`.
"""

from typing import TYPE_CHECKING

from purecnn.messages.lazy import lazily

if TYPE_CHECKING:
    from purecnn.inspection.answers import Answers as Answers
    from purecnn.inspection.answers import find as find
    from purecnn.inspection.attribution import grad_cam_maps as grad_cam_maps
    from purecnn.inspection.attribution import saliency_maps as saliency_maps
    from purecnn.inspection.cells import Cell as Cell
    from purecnn.inspection.gradient_report import GradientReport as GradientReport
    from purecnn.inspection.gradient_report import GradientRow as GradientRow
    from purecnn.inspection.gradients import check_gradients as check_gradients
    from purecnn.inspection.learning_rates import LearningRateRange as LearningRateRange
    from purecnn.inspection.learning_rates import find_learning_rate as find_learning_rate
    from purecnn.inspection.projections import pca as pca
    from purecnn.inspection.projections import tsne as tsne
    from purecnn.inspection.timing import LayerTime as LayerTime
    from purecnn.inspection.timing import time_layers as time_layers
    from purecnn.inspection.traces import LayerTrace as LayerTrace
    from purecnn.inspection.traces import Trace as Trace
    from purecnn.inspection.traces import trace as trace
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "answers": "Answers find",
            "attribution": "grad_cam_maps saliency_maps",
            "cells": "Cell",
            "gradient_report": "GradientReport GradientRow",
            "gradients": "check_gradients",
            "learning_rates": "LearningRateRange find_learning_rate",
            "projections": "pca tsne",
            "timing": "LayerTime time_layers",
            "traces": "LayerTrace Trace trace",
        },
    )
