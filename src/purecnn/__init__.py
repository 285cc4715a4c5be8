"""Convolutional neural networks whose arithmetic is NumPy and nothing else."""

from typing import TYPE_CHECKING

from purecnn import layers as layers
from purecnn.messages.lazy import lazily
from purecnn.version import __version__ as __version__

if TYPE_CHECKING:
    from purecnn import callbacks as callbacks
    from purecnn import datasets as datasets
    from purecnn import errors as errors
    from purecnn import inspection as inspection
    from purecnn import interop as interop
    from purecnn import kernels as kernels
    from purecnn import layers as layers
    from purecnn import losses as losses
    from purecnn import metrics as metrics
    from purecnn import networks as networks
    from purecnn import onnx as onnx
    from purecnn import optimizers as optimizers
    from purecnn import plots as plots
    from purecnn.callbacks.base import Callback as Callback
    from purecnn.callbacks.best_model import BestModel as BestModel
    from purecnn.callbacks.checkpoint import Checkpoint as Checkpoint
    from purecnn.callbacks.early_stopping import EarlyStopping as EarlyStopping
    from purecnn.callbacks.history import History as History
    from purecnn.callbacks.learning_rate import LearningRate as LearningRate
    from purecnn.callbacks.loggers import CSVLog as CSVLog
    from purecnn.callbacks.loggers import JSONLog as JSONLog
    from purecnn.callbacks.loggers import TensorBoard as TensorBoard
    from purecnn.callbacks.plateau import ReduceOnPlateau as ReduceOnPlateau
    from purecnn.callbacks.progress import ProgressBar as ProgressBar
    from purecnn.callbacks.weight_average import WeightAverage as WeightAverage
    from purecnn.datasets.augmentation import Augmentation as Augmentation
    from purecnn.datasets.dataset import Dataset as Dataset
    from purecnn.datasets.folders import ImageFolder as ImageFolder
    from purecnn.datasets.splits import stratified_split as stratified_split
    from purecnn.errors import PureCNNError as PureCNNError
    from purecnn.errors import ShapeError as ShapeError
    from purecnn.inspection.gradients import check_gradients as check_gradients
    from purecnn.inspection.traces import trace as trace
    from purecnn.interop.keras.model import load_keras as load_keras
    from purecnn.interop.keras.weights import load_keras_weights as load_keras_weights
    from purecnn.interop.sklearn.classifier import CNNClassifier as CNNClassifier
    from purecnn.interop.sklearn.regressor import CNNRegressor as CNNRegressor
    from purecnn.interop.torch.program import torch_code as torch_code
    from purecnn.interop.torch.weights import load_state_dict as load_state_dict
    from purecnn.interop.torch.weights import save_state_dict as save_state_dict
    from purecnn.layers import *  # noqa: F403 - its whole border, to which a new layer is added
    from purecnn.networks.files import load as load
    from purecnn.networks.files import save as save
    from purecnn.networks.functional import fit as fit
    from purecnn.networks.functional import predict as predict
    from purecnn.networks.functional import train as train
    from purecnn.networks.network import Network as Network
    from purecnn.onnx.exporter.writer import export_onnx as export_onnx
    from purecnn.onnx.graph import load_onnx as load_onnx
    from purecnn.optimizers.adaptive import Adagrad as Adagrad
    from purecnn.optimizers.adaptive import Adam as Adam
    from purecnn.optimizers.adaptive import AdamW as AdamW
    from purecnn.optimizers.adaptive import RMSprop as RMSprop
    from purecnn.optimizers.base import Optimizer as Optimizer
    from purecnn.optimizers.sgd import SGD as SGD
    from purecnn.plots.report.writer import write_report as write_report
    from purecnn.runs.reproduction import reproduce as reproduce
    from purecnn.training.distributed.ranks import Ranks as Ranks
else:
    __all__, __getattr__, __dir__ = lazily(
        __name__,
        {
            "": (
                "callbacks datasets errors inspection interop layers "
                "losses metrics networks onnx optimizers plots kernels"
            ),
            "callbacks.base": "Callback",
            "callbacks.best_model": "BestModel",
            "callbacks.checkpoint": "Checkpoint",
            "callbacks.early_stopping": "EarlyStopping",
            "callbacks.history": "History",
            "callbacks.learning_rate": "LearningRate",
            "callbacks.loggers": "CSVLog JSONLog TensorBoard",
            "callbacks.plateau": "ReduceOnPlateau",
            "callbacks.progress": "ProgressBar",
            "callbacks.weight_average": "WeightAverage",
            "datasets.augmentation": "Augmentation",
            "datasets.dataset": "Dataset",
            "datasets.folders": "ImageFolder",
            "datasets.splits": "stratified_split",
            "errors": "PureCNNError ShapeError",
            "inspection.gradients": "check_gradients",
            "inspection.traces": "trace",
            "interop.keras.model": "load_keras",
            "interop.keras.weights": "load_keras_weights",
            "interop.sklearn.classifier": "CNNClassifier",
            "interop.sklearn.regressor": "CNNRegressor",
            "interop.torch.program": "torch_code",
            "interop.torch.weights": "load_state_dict save_state_dict",
            "layers": " ".join(layers.__all__),
            "networks.files": "load save",
            "networks.functional": "fit predict train",
            "networks.network": "Network",
            "onnx.exporter.writer": "export_onnx",
            "onnx.graph": "load_onnx",
            "optimizers.adaptive": "Adagrad Adam AdamW RMSprop",
            "optimizers.base": "Optimizer",
            "optimizers.sgd": "SGD",
            "plots.report.writer": "write_report",
            "runs.reproduction": "reproduce",
            "training.distributed.ranks": "Ranks",
        },
        {"interop.sklearn.classifier": "sklearn", "interop.sklearn.regressor": "sklearn"},
    )
