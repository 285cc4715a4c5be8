"""Ten digits, all 60,000 images of them: a small convolutional network learns to read handwriting."""

import argparse
import sys
import time

from purecnn import Adam, Convolutional, Dense, Dropout, Flatten, MaxPooling, Network, ReLU, Softmax
from purecnn.callbacks import LearningRate
from purecnn.datasets.mnist import load_data
from purecnn.optimizers.schedules import OneCycle

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--images", type=int, default=60_000, help="how many images to train on")
parser.add_argument("--seed", type=int, default=0)
arguments = parser.parse_args()

(x_train, y_train), (x_test, y_test) = load_data()

network = Network(
    [
        Convolutional(kernel_size=5, depth=8),
        ReLU(),
        MaxPooling(2),
        Convolutional(kernel_size=3, depth=24),
        ReLU(),
        MaxPooling(2),
        Flatten(),
        Dropout(0.3),
        Dense(output_size=64),
        ReLU(),
        Dense(output_size=10),
        Softmax(),
    ],
    seed=arguments.seed,
)

# all numbers here were chosen on 5,000 images held out of the training set
optimizer = Adam(beta1=0.7, beta2=0.9)
began = time.perf_counter()
network.fit(
    x_train[: arguments.images],
    y_train[: arguments.images],
    epochs=arguments.epochs,
    batch_size=256,
    optimizer=optimizer,
    callbacks=[LearningRate(optimizer, OneCycle(0.01, rise=0.2))],
    verbose=True,
)
print(f"trained in {time.perf_counter() - began:.1f} s")

accuracy = network.evaluate(x_test, y_test)["accuracy"]
print(f"accuracy: {accuracy:.2%} of {len(x_test):,} test images")
if accuracy < 0.989:
    sys.exit(f"the accuracy is {accuracy:.2%}; at least 98.90% is wanted")
