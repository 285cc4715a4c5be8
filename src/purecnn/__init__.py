"""Convolutional neural networks whose arithmetic is NumPy and nothing else."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from purecnn.activation import Activation
from purecnn.activations import HardSigmoid, Identity, ReLU, Sigmoid, Softmax, Softsign, Tanh
from purecnn.adaptive import Adagrad, Adam, AdamW, RMSprop
from purecnn.augmentation import Augmentation
from purecnn.callbacks import Callback, EarlyStopping, History
from purecnn.convolutional import Convolutional, DepthwiseConvolutional
from purecnn.dataset import Dataset, Subset
from purecnn.dense import Dense
from purecnn.device import module_of, to_device, to_host
from purecnn.distances import (
    hinge,
    hinge_prime,
    huber,
    huber_prime,
    log_cosh,
    log_cosh_prime,
    mean_absolute_error,
    mean_absolute_error_prime,
    mse,
    mse_prime,
)
from purecnn.dropout import Dropout, SpatialDropout
from purecnn.entropies import (
    binary_cross_entropy,
    binary_cross_entropy_prime,
    categorical_cross_entropy,
    categorical_cross_entropy_prime,
    kl_divergence,
    kl_divergence_prime,
    sigmoid_binary_cross_entropy,
    sigmoid_binary_cross_entropy_prime,
    softmax_cross_entropy,
    softmax_cross_entropy_prime,
)
from purecnn.errors import (
    CheckpointError,
    CheckpointWarning,
    DeviceError,
    DivergedError,
    DownloadError,
    FileFormatError,
    GradientError,
    LogWarning,
    MissingExtraError,
    PreprocessingWarning,
    PureCNNError,
    RankError,
    ShapeError,
    WorkerError,
)
from purecnn.gates import GELU, HardSwish, Mish, SiLU
from purecnn.layer import Layer
from purecnn.lists import fit, predict, train
from purecnn.loss import Loss
from purecnn.losses import smoothed
from purecnn.network import Network
from purecnn.normalization import BatchNormalization
from purecnn.optimizer import Optimizer
from purecnn.optimizers import SGD
from purecnn.padding import ZeroPadding
from purecnn.pooling import AveragePooling, GlobalAveragePooling, MaxPooling
from purecnn.prelu import PReLU
from purecnn.rectifiers import ELU, SELU, LeakyReLU, ReLU6, Softplus
from purecnn.reshape import Flatten, Reshape
from purecnn.residual import Residual
from purecnn.samples import Preprocessing
from purecnn.splits import stratified_split
from purecnn.version import __version__

if TYPE_CHECKING:
    from purecnn import datasets, metrics, mnist, plots
    from purecnn.checkpoint import Checkpoint
    from purecnn.class_tables import ClassTable, class_table
    from purecnn.classifier import CNNClassifier
    from purecnn.distributed import Ranks
    from purecnn.folders import ImageFolder
    from purecnn.gradients import GradientReport, check_gradients
    from purecnn.graph import Graph, load_onnx
    from purecnn.keras_model import load_keras
    from purecnn.keras_weights import load_keras_weights
    from purecnn.loggers import CSVLog, JSONLog, TensorBoard
    from purecnn.model_file import load, save
    from purecnn.onnx_export import export_onnx
    from purecnn.regressor import CNNRegressor
    from purecnn.report import write_report
    from purecnn.reproduction import Reproduction, reproduce
    from purecnn.schedules import Constant, Cosine, Exponential, LearningRate, OneCycle, Step, WarmUp
    from purecnn.summaries import Summary, summary
    from purecnn.torch_program import torch_code
    from purecnn.torch_weights import load_state_dict, save_state_dict
    from purecnn.traces import Trace, trace

__all__ = [
    "__version__",
    "Activation",
    "Adagrad",
    "Adam",
    "AdamW",
    "Augmentation",
    "AveragePooling",
    "BatchNormalization",
    "binary_cross_entropy",
    "binary_cross_entropy_prime",
    "Callback",
    "categorical_cross_entropy",
    "categorical_cross_entropy_prime",
    "check_gradients",
    "Checkpoint",
    "CheckpointError",
    "CheckpointWarning",
    "class_table",
    "ClassTable",
    "CNNClassifier",
    "CNNRegressor",
    "Constant",
    "Convolutional",
    "Cosine",
    "CSVLog",
    "Dataset",
    "datasets",
    "Dense",
    "DepthwiseConvolutional",
    "DeviceError",
    "DivergedError",
    "DownloadError",
    "Dropout",
    "EarlyStopping",
    "ELU",
    "Exponential",
    "export_onnx",
    "FileFormatError",
    "fit",
    "Flatten",
    "GELU",
    "GlobalAveragePooling",
    "GradientError",
    "GradientReport",
    "Graph",
    "HardSigmoid",
    "HardSwish",
    "hinge",
    "hinge_prime",
    "History",
    "huber",
    "huber_prime",
    "Identity",
    "ImageFolder",
    "JSONLog",
    "kl_divergence",
    "kl_divergence_prime",
    "Layer",
    "LeakyReLU",
    "LearningRate",
    "load",
    "load_keras",
    "load_keras_weights",
    "load_onnx",
    "load_state_dict",
    "log_cosh",
    "log_cosh_prime",
    "LogWarning",
    "Loss",
    "MaxPooling",
    "mean_absolute_error",
    "mean_absolute_error_prime",
    "metrics",
    "Mish",
    "MissingExtraError",
    "mnist",
    "module_of",
    "mse",
    "mse_prime",
    "Network",
    "OneCycle",
    "Optimizer",
    "plots",
    "predict",
    "PReLU",
    "Preprocessing",
    "PreprocessingWarning",
    "PureCNNError",
    "RankError",
    "Ranks",
    "ReLU",
    "ReLU6",
    "reproduce",
    "Reproduction",
    "Reshape",
    "Residual",
    "RMSprop",
    "save",
    "save_state_dict",
    "SELU",
    "SGD",
    "ShapeError",
    "Sigmoid",
    "sigmoid_binary_cross_entropy",
    "sigmoid_binary_cross_entropy_prime",
    "SiLU",
    "smoothed",
    "Softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_prime",
    "Softplus",
    "Softsign",
    "SpatialDropout",
    "Step",
    "stratified_split",
    "Subset",
    "summary",
    "Summary",
    "Tanh",
    "TensorBoard",
    "to_device",
    "to_host",
    "torch_code",
    "trace",
    "Trace",
    "train",
    "WarmUp",
    "WorkerError",
    "write_report",
    "ZeroPadding",
]

#: What is imported when it is first asked for: they would double what the package adds to an import.
_LATER = {
    "checkpoint": ("Checkpoint",),
    "classifier": ("CNNClassifier",),
    "class_tables": ("ClassTable", "class_table"),
    "distributed": ("Ranks",),
    "metrics": ("metrics",),
    "datasets": ("datasets",),
    "folders": ("ImageFolder",),
    "mnist": ("mnist",),
    "plots": ("plots",),
    "gradients": ("GradientReport", "check_gradients"),
    "graph": ("Graph", "load_onnx"),
    "keras_model": ("load_keras",),
    "keras_weights": ("load_keras_weights",),
    "loggers": ("CSVLog", "JSONLog", "TensorBoard"),
    "model_file": ("load", "save"),
    "onnx_export": ("export_onnx",),
    "regressor": ("CNNRegressor",),
    "report": ("write_report",),
    "reproduction": ("Reproduction", "reproduce"),
    "schedules": ("Constant", "Cosine", "Exponential", "LearningRate", "OneCycle", "Step", "WarmUp"),
    "summaries": ("Summary", "summary"),
    "torch_program": ("torch_code",),
    "torch_weights": ("load_state_dict", "save_state_dict"),
    "traces": ("Trace", "trace"),
}


def __getattr__(name: str) -> Any:
    for place, names in _LATER.items():
        if name in names:
            module = importlib.import_module(f"purecnn.{place}")
            found = globals()[name] = module if name == place else getattr(module, name)
            return found
    from purecnn.near_names import is_import, missing_name  # here: for what is missing alone

    reason = missing_name("purecnn", name, __all__)
    if is_import(sys._getframe(1)):
        advice = reason.partition(": ")[2]
        raise ImportError(f"cannot import name {name!r} from 'purecnn'{f': {advice}' if advice else ''}")
    raise AttributeError(reason)


def __dir__() -> list[str]:
    return sorted(__all__)
