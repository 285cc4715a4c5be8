"""Pictures of a network and its training for a notebook: each function returns a Plotly figure.

All of them show what `trace`, `metrics` and `History` hold. Their package, Plotly,
is the extra `report`.
"""

from purecnn.boundary import decision_boundary
from purecnn.confusions import confusion_matrix, mistakes
from purecnn.curves import calibration, history
from purecnn.embedding import embedding
from purecnn.maps import feature_maps, kernels
from purecnn.pages import write_page
from purecnn.saliency import grad_cam, saliency
from purecnn.stages import Stages
from purecnn.timings import layer_times

__all__ = [
    "calibration",
    "confusion_matrix",
    "decision_boundary",
    "embedding",
    "feature_maps",
    "grad_cam",
    "history",
    "kernels",
    "layer_times",
    "mistakes",
    "saliency",
    "Stages",
    "write_page",
]
