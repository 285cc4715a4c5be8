"""Two moons that lie in each other's arms: any network with two inputs can be watched while it parts them.

Prints the accuracy on other points and writes a page with the network's answers to the whole plane, at stages
of the training.
"""

import argparse
import sys

import numpy as np

from purecnn import Dense, Network, Sigmoid, Tanh
from purecnn.errors import MissingExtraError
from purecnn.plots import Stages, decision_boundary, write_page

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=200)
parser.add_argument("--page", default="moons.html", help="where to write the page")
parser.add_argument("--share", action="store_true", help="put the plotting library beside the page")
arguments = parser.parse_args()


def moons(count, rng):
    """Return points on two half circles, a little scattered, and which of the two each is on."""
    y = np.arange(count) % 2
    angle = np.pi * rng.random(count)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    return np.where(y[:, np.newaxis] == 0, upper, lower) + 0.12 * rng.normal(size=(count, 2)), y


rng = np.random.default_rng(0)
(x, y), (x_test, y_test) = moons(400, rng), moons(1000, rng)

network = Network([Dense(2, 16), Tanh(), Dense(16, 16), Tanh(), Dense(16, 1), Sigmoid()])
ends = {0, 1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, arguments.epochs}
stages = Stages(network, ends, limits=((-1.6, 2.6), (-1.2, 1.7)), resolution=(61, 41))
network.fit(x, y, epochs=arguments.epochs, batch_size=32, learning_rate=0.01, callbacks=[stages])

accuracy = network.evaluate(x_test, y_test)["accuracy"]
print(f"accuracy: {accuracy:.1%} of {len(x_test):,} other points")

try:
    figure = decision_boundary(stages, x, y, title="Two moons, parted by 2 x 16 hidden neurons")
    page = write_page(figure, arguments.page, share=arguments.share)
    print(f"the decision boundary is drawn in {page}")
except MissingExtraError as missing:
    print(missing)

if accuracy < 0.97:
    sys.exit(f"the accuracy is {accuracy:.1%}; at least 97.0% is wanted")
