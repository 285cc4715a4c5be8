"""The digits that scikit-learn ships, 8 x 8 pixels each: CNNClassifier beside scikit-learn's own network."""

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from purecnn import CNNClassifier
from purecnn.optimizers.schedules import OneCycle

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seeds", type=int, default=10, help="how many times to train each (default: 10)")
arguments = parser.parse_args()

# After its 200 epochs MLPClassifier would go on: that is its default, and it is measured with it.
warnings.simplefilter("ignore", ConvergenceWarning)

# One split for all, so that what is compared has been seen by none; the pixels are from 0 to 16.
images, labels = load_digits(return_X_y=True)
split = train_test_split(images, labels, test_size=0.25, stratify=labels, random_state=0)
x_train, x_test, y_train, y_test = split
pixels_train, pixels_test = (np.float32(x / 16) for x in (x_train, x_test))

contestants = {
    "MLPClassifier()": (lambda seed: MLPClassifier(random_state=seed), x_train, x_test),
    "StandardScaler, MLPClassifier()": (
        lambda seed: make_pipeline(StandardScaler(), MLPClassifier(random_state=seed)),
        x_train,
        x_test,
    ),
    "MLPClassifier() on pixels / 16": (
        lambda seed: MLPClassifier(random_state=seed),
        pixels_train,
        pixels_test,
    ),
    "CNNClassifier, 12 epochs": (
        lambda seed: CNNClassifier(
            input_shape=(8, 8), epochs=12, batch_size=64, learning_rate=OneCycle(0.01), random_state=seed
        ),
        pixels_train,
        pixels_test,
    ),
}

# Each seed trains all of them, one after the other, so that a busy machine slows none of them alone.
found = {name: [] for name in contestants}
for make, x, _ in contestants.values():
    make(0).fit(x[:100], y_train[:100])  # what is done only once, such as imports, is nobody's time
for seed in range(arguments.seeds):
    for name, (make, x, x_unseen) in contestants.items():
        model, begin = make(seed), time.perf_counter()
        model.fit(x, y_train)
        seconds = time.perf_counter() - begin
        found[name].append((100 * model.score(x_unseen, y_test), seconds))

print(f"{len(y_train)} images to learn from, {len(y_test)} to be tested on, {arguments.seeds} seeds\n")
print("| model | test accuracy, % (mean, range) | seconds to fit (median) |")
print("|---|---|---|")
for name, runs in found.items():
    accuracy, seconds = np.transpose(runs)
    print(
        f"| `{name}` | {accuracy.mean():.2f} ({accuracy.min():.2f} to {accuracy.max():.2f}) "
        f"| {np.median(seconds):.2f} |"
    )
