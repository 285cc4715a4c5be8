"""Train the network of digits with a way around and with branches that the course hands out.

python -m docs.tools.branched_network
"""

import sys
from pathlib import Path

from purecnn import (
    BatchNormalization,
    Branches,
    Convolutional,
    Dense,
    Flatten,
    MaxPooling,
    Network,
    ReLU,
    Residual,
    Softmax,
    save,
)
from purecnn.datasets import mnist

PLACE = Path(__file__).parents[1] / "course" / "branched.safetensors"


def normalized(*more):
    """Return a convolution of windows of 3 x 3 that keeps maps of eight as large as they are."""
    return [Convolutional(kernel_size=3, depth=8, padding=1), BatchNormalization(), *more]


def network():
    """Return the network before it has learnt."""
    first = [Convolutional(kernel_size=3, depth=8, padding=1, stride=2), BatchNormalization(), ReLU()]
    around = [Residual([*normalized(ReLU()), *normalized()]), ReLU(), MaxPooling(2)]
    branches = [Branches([Convolutional(kernel_size=1, depth=8)], normalized(), merge="concatenate"), ReLU()]
    made = Network([*first, *around, *branches, Flatten(), Dense(10), Softmax()], input_shape=(1, 28, 28))
    made.preprocessing.classes = tuple("0123456789")
    made.preprocessing.preparation = "character"  # drawings are cut and centred as MNIST's digits were
    return made


def main(place):
    """Train it on all of MNIST, write it, and say how much of the test set it reads rightly."""
    (x, y), (x_test, y_test) = mnist.load_data()
    made = network()
    made.fit(x, y, epochs=4, batch_size=64, learning_rate=0.002)
    save(made, place)
    print(f"{made.evaluate(x_test, y_test)['accuracy']:.2%} right, {place.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else PLACE)
