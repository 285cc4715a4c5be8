"""Fine-tuning: a ResNet-18 from torchvision, as an ONNX file, learns the classes of small pictures.

    python examples/fine_tuning.py resnet18.onnx PICTURES

PICTURES is a folder that holds a folder of pictures for each class, or two such folders, train and test; or
the name of a data set, "mnist". A new dense layer is trained first, then all, the old ones at a smaller rate.
"""

import argparse
import copy
import sys
from pathlib import Path

import numpy as np

from purecnn import (
    Augmentation,
    Convolutional,
    Dense,
    Network,
    Preprocessing,
    Softmax,
    export_onnx,
    load_onnx,
    save,
)
from purecnn.datasets.data_path import read_data

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("model", help="torchvision's ResNet-18, exported to ONNX by PyTorch")
parser.add_argument("pictures", help="a folder of class folders, or the name of a data set")
parser.add_argument("--size", type=int, default=32, help="height and width of the pictures of a folder")
parser.add_argument("--images", type=int, help="so many training pictures at most")
parser.add_argument("--head-epochs", type=int, default=10, help="epochs of the new layer alone")
parser.add_argument("--epochs", type=int, default=20, help="epochs of all layers, after that")
parser.add_argument("--head-rate", type=float, default=0.01, help="the learning rate of the new layer alone")
parser.add_argument("--rate", type=float, default=0.001, help="the learning rate of the new layer after that")
parser.add_argument("--body", type=float, default=0.1, help="the share of it that the old layers get")
parser.add_argument("--output", default="fine-tuned", help="the name of the two files to write")
arguments = parser.parse_args()
if arguments.images is not None and arguments.images < 1:
    parser.error(f"--images must be at least 1, got {arguments.images}")
if not Path(arguments.output).parent.is_dir():  # before hours of training rather than after
    parser.error(f"--output: there is no folder {Path(arguments.output).parent}")

sets = read_data(arguments.pictures, shape=(arguments.size, arguments.size))
(x, y), (x_test, y_test) = sets
rows = np.random.default_rng(0).permutation(len(x))[: arguments.images]
channels, (height, width) = 1 if x.ndim == 3 else x.shape[1], x.shape[-2:]
classes = sets.classes or tuple(map(str, range(y.max() + 1)))

# The layers of the file. Most exports are for one size of pictures, 224 x 224; the layers take any other.
graph = load_onnx(arguments.model)
fixed = all(isinstance(size, int) for size in graph.inputs[0].shape[1:])
read = graph.network(None if fixed else (3, height, width))
if (read.preprocessing.scale, read.preprocessing.shift) != (1, 0):
    sys.exit(f"{arguments.model} scales pictures by itself, wanted an export of torchvision's network alone")
layers = read.layers
heads = [place for place, layer in enumerate(layers) if isinstance(layer, Dense)]
if not heads:
    sys.exit(f"{arguments.model} has no dense layer that could be replaced")
body = copy.deepcopy(layers[: heads[-1]])  # free of the network that they were part of

# What torchvision's networks take: colours from 0 to 1, less a mean and divided by a deviation. As a layer
# that is not trained it is part of the network, wherever that goes; of grey pictures it makes colours.
means, deviations = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
colours = Convolutional(kernel_size=1, depth=3)
colours.trainable = False

network = Network(
    [colours, *body, Dense(output_size=len(classes)), Softmax()],
    input_shape=(channels, height, width),
    preprocessing=Preprocessing(1 / 255, kind="bytes", classes=classes, preparation=sets.preparation),
)
mixing = np.eye(3) if channels == 3 else np.ones((3, 1))
colours.parameters["kernels"][...] = (mixing / deviations[:, np.newaxis]).reshape(3, channels, 1, 1)
colours.parameters["biases"][...] = -means / deviations
print(f"{len(rows):,} pictures, {channels} x {height} x {width}, of {', '.join(classes)}")

# The new layer alone, first: its weights are random, and their gradients would spoil the layers before it.
settings = {"batch_size": 32, "verbose": True}
for layer in body:
    layer.trainable = False
network.fit(x[rows], y[rows], epochs=arguments.head_epochs, learning_rate=arguments.head_rate, **settings)
print(f"accuracy of the new layer alone: {network.evaluate(x_test, y_test)['accuracy']:.1%}")

# Then all of them, those of the file at a smaller rate.
for layer in body:
    layer.trainable, layer.learning_rate_factor = True, arguments.body
settings["augmentation"] = Augmentation(shift=2)
network.fit(x[rows], y[rows], epochs=arguments.epochs, learning_rate=arguments.rate, **settings)
accuracy = network.evaluate(x_test, y_test)["accuracy"]
print(f"accuracy: {accuracy:.1%} of {len(x_test):,} test pictures")

save(network, f"{arguments.output}.safetensors")
export_onnx(network, f"{arguments.output}.onnx")
print(f"written to {arguments.output}.safetensors and {arguments.output}.onnx")
