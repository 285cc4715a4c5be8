"""XOR, which no single straight line can tell apart: the smallest problem that needs a hidden layer.

Prints the network's four answers and writes a page with its answers to all inputs between, at stages
of the training.
"""

import argparse
import sys

import numpy as np

from purecnn import Dense, Tanh, predict, train
from purecnn.errors import MissingExtraError
from purecnn.losses import mse, mse_prime
from purecnn.plots import Stages, decision_boundary, write_page

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=10_000)
parser.add_argument("--page", default="xor.html", help="where to write the page")
parser.add_argument("--share", action="store_true", help="put the plotting library beside the page")
arguments = parser.parse_args()

X = np.reshape([[0, 0], [0, 1], [1, 0], [1, 1]], (4, 2, 1))
Y = np.reshape([[0], [1], [1], [0]], (4, 1, 1))

network = [Dense(2, 3), Tanh(), Dense(3, 1), Tanh()]

# most happens early, so the stages lie closer there
ends = (10, 20, 50, 80, 100, 120, 150, 200, 300, 500, 1_000, 2_000, 5_000)
stages = Stages(network, limits=((-0.25, 1.25), (-0.25, 1.25)))
stages.take()
done = 0
for end in (*(end for end in ends if end < arguments.epochs), arguments.epochs):
    errors = train(network, mse, mse_prime, X, Y, epochs=end - done, learning_rate=0.1, verbose=False)
    done = end
    stages.take()
    print(f"{done}/{arguments.epochs}, error={errors[-1]:.6f}")

for x, y in zip(X, Y, strict=True):
    output = predict(network, x)
    print(f"{x[0, 0]} xor {x[1, 0]}: {output[0, 0]:+.3f}, true: {y[0, 0]}")

try:
    figure = decision_boundary(stages, X, Y, title="XOR, learnt by three hidden neurons")
    page = write_page(figure, arguments.page, share=arguments.share)
    print(f"the decision boundary is drawn in {page}")
except MissingExtraError as missing:
    print(missing)

wrong = sum(bool((predict(network, x) > 0.5) != (y > 0.5)) for x, y in zip(X, Y, strict=True))
if wrong:
    sys.exit(f"{wrong} of the 4 answers are wrong; all must be right")
